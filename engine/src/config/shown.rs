//! The configuration as people are shown it: what the shipped file says of each key, beside what is in effect.

use toml::{Table, Value};

use super::DEFAULT_TOML;

/// Keys whose values open something.
const SECRET: [&str; 6] = ["password", "password_hash", "proxy_password", "tokens", "headers", "proxy_user"];
/// Stands for such a value.
const NOT_SHOWN: &str = "(set; not shown)";

/// A section of the shipped file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// `ingest.tls`
    pub section: String,
    /// Keys that are described together, in the order of the file.
    pub groups: Vec<Group>,
}

/// Keys that share a description.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// What they do, their range, what they cost.
    pub about: String,
    /// One or several.
    pub settings: Vec<Setting>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Without its section.
    pub key: String,
    /// In effect, as it is written; what is secret is not shown.
    pub value: String,
    /// As shipped, where that is another.
    pub shipped: Option<String>,
}

/// Every key of the shipped file with what is `in_effect`, and those that the operator named.
pub(super) fn shown(in_effect: &Table, shipped: &Table) -> Vec<Shown> {
    let mut sections: Vec<Shown> = Vec::new();
    let mut about: Vec<&str> = Vec::new();
    for line in DEFAULT_TOML.lines() {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            about.clear();
            sections.push(Shown { section: section.into(), groups: Vec::new() });
        } else if let Some(comment) = line.strip_prefix('#') {
            about.push(comment.trim());
        } else if let (Some((key, _)), Some(section)) = (line.split_once(" = "), sections.last_mut()) {
            let value =
                |table: &Table| find(table, &section.section).and_then(|found| found.get(key)).map(written);
            let (now, then) = (value(in_effect).unwrap_or_default(), value(shipped).unwrap_or_default());
            let is_other = now != then;
            let setting =
                Setting { key: key.into(), value: hide(key, now), shipped: is_other.then_some(then) };
            match section.groups.last_mut() {
                Some(group) if about.is_empty() => group.settings.push(setting),
                _ => section.groups.push(Group { about: about.join(" "), settings: vec![setting] }),
            }
            about.clear();
        } else if let (false, Some(section)) = (about.is_empty(), sections.last_mut()) {
            // A section of names that the operator gives.
            section
                .groups
                .push(Group { about: about.join(" "), settings: named(in_effect, &section.section) });
            about.clear();
        }
    }
    if let (false, Some(section)) = (about.is_empty(), sections.last_mut()) {
        section.groups.push(Group { about: about.join(" "), settings: named(in_effect, &section.section) });
    }
    sections
}

fn named(in_effect: &Table, section: &str) -> Vec<Setting> {
    let entries = find(in_effect, section).into_iter().flatten();
    let shown = |value: &Value| if value.is_table() { NOT_SHOWN.to_owned() } else { written(value) };
    entries
        .filter(|(_, value)| !(value.is_table() && section.is_empty()))
        .map(|(key, value)| Setting { key: key.clone(), value: shown(value), shipped: None })
        .collect()
}

fn find<'t>(table: &'t Table, section: &str) -> Option<&'t Table> {
    section.split('.').try_fold(table, |table, part| table.get(part)?.as_table())
}

/// What JSON makes of a value that is no table is TOML too.
fn written(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn hide(key: &str, value: String) -> String {
    let is_empty = value == "\"\"" || value == "[]";
    if SECRET.contains(&key) && !is_empty { NOT_SHOWN.into() } else { value }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn every_key_is_shown_with_its_description_and_no_secret_is() {
        let own = "
            [api]
            tokens = ['very-secret']
            rate_max = 7
            [api.keys]
            shop = { token = 'also-secret', scopes = ['read'] }
            [retry.policies]
            patient = '1m, 1h'
        ";
        let config = Config::layered(Some(("own", own)), std::iter::empty()).expect("valid");
        let shown = config.shown();
        let text = format!("{shown:?}");
        assert!(!text.contains("very-secret") && !text.contains("also-secret"), "{text}");
        let setting = |section: &str, key: &str| {
            let section = shown.iter().find(|shown| shown.section == section).expect("a section");
            let mut settings = section.groups.iter().flat_map(|group| &group.settings);
            settings.find(|setting| setting.key == key).expect("a key").clone()
        };
        let rate = setting("api", "rate_max");
        assert_eq!((rate.value.as_str(), rate.shipped.as_deref()), ("7", Some("10000")));
        assert_eq!(setting("api", "tokens").value, "(set; not shown)");
        assert_eq!(setting("retry.policies", "patient").value, "\"1m, 1h\"");
        assert_eq!(setting("ingest", "listen").shipped, None);
        assert!(shown.iter().flat_map(|shown| &shown.groups).all(|group| !group.about.is_empty()));
    }
}
