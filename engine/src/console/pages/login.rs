//! The pages at the doors.

use askama::Template;

use super::super::Console;

#[derive(Template)]
#[template(path = "login.html")]
pub(in crate::console) struct LoginPage<'a> {
    title: &'static str,
    brand: &'a str,
    has_logo: bool,
    assets: &'a str,
    to: &'a str,
    said: Option<&'a str>,
    problem: Option<&'a str>,
    has_password: bool,
}

impl<'a> LoginPage<'a> {
    pub(in crate::console) fn new(
        console: &'a Console,
        to: &'a str,
        said: Option<&'a str>,
        problem: Option<&'a str>,
    ) -> Self {
        let (brand, assets) = (&console.settings.brand, &console.assets.version);
        Self {
            title: "Sign in",
            brand: &brand.name,
            has_logo: brand.logo.is_some(),
            assets,
            to,
            said,
            problem,
            has_password: console.settings.password.is_some(),
        }
    }
}

#[derive(Template)]
#[template(path = "portal.html")]
pub(in crate::console) struct PortalPage<'a> {
    title: &'static str,
    brand: &'a str,
    has_logo: bool,
    assets: &'a str,
    said: Option<&'a str>,
    problem: Option<&'a str>,
}

impl<'a> PortalPage<'a> {
    pub(in crate::console) fn new(
        console: &'a Console,
        said: Option<&'a str>,
        problem: Option<&'a str>,
    ) -> Self {
        let (brand, assets) = (&console.settings.brand, &console.assets.version);
        let has_logo = brand.logo.is_some();
        Self { title: "Webhooks", brand: &brand.name, has_logo, assets, said, problem }
    }
}
