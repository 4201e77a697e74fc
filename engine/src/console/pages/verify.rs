//! How receivers check signatures, with code to copy, and from which addresses requests come.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;

use super::super::frame::Frame;
use super::super::shapes::SourceAddresses;
use super::super::visit::Visit;
use super::{Answer, show};

/// What is said of it in a language.
struct Sample {
    language: &'static str,
    id: &'static str,
    about: &'static str,
    code: &'static str,
}

const SAMPLES: [Sample; 6] = [
    Sample {
        language: "Python",
        id: "python",
        about: "With the library standardwebhooks (pip install standardwebhooks).",
        code: include_str!("../samples/verify.py"),
    },
    Sample {
        language: "Node.js",
        id: "node",
        about: "With the library standardwebhooks (npm install standardwebhooks).",
        code: include_str!("../samples/verify.mjs"),
    },
    Sample {
        language: "Node.js, without a library",
        id: "node-plain",
        about: "What the libraries do, written out.",
        code: include_str!("../samples/verify_plain.mjs"),
    },
    Sample {
        language: "Go",
        id: "go",
        about: "The standard library is enough.",
        code: include_str!("../samples/verify.go"),
    },
    Sample {
        language: "PHP",
        id: "php",
        about: "Nothing to install.",
        code: include_str!("../samples/verify.php"),
    },
    Sample {
        language: "Rust",
        id: "rust",
        about: "With the crate standardwebhooks.",
        code: include_str!("../samples/verify.rs.txt"),
    },
];

#[derive(Template)]
#[template(path = "verify.html")]
struct VerifyPage {
    f: Frame,
    samples: &'static [Sample],
    addresses: Vec<String>,
}

pub(super) async fn page(visit: Visit) -> Answer {
    let f = visit.frame("Signatures", "verify", None).await;
    shown(&visit, f).await
}

pub(super) async fn of_application(visit: Visit, Path(app): Path<String>) -> Answer {
    let f = visit.frame("Signatures", "app-verify", Some(&app)).await;
    shown(&visit, f).await
}

async fn shown(visit: &Visit, f: Frame) -> Answer {
    let from: SourceAddresses = visit.inside().get("/source-addresses").await?;
    Ok(show(&VerifyPage { f, samples: &SAMPLES, addresses: from.addresses }, StatusCode::OK))
}

#[cfg(test)]
mod tests {
    /// The sample, as it is.
    mod sample {
        include!("../samples/verify.rs.txt");

        #[test]
        fn the_sample_in_rust_takes_what_is_signed_and_refuses_the_rest() {
            let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
            let now = crate::clock::unix_secs();
            let signature = Webhook::new(secret).unwrap().sign("msg_1", now as i64, b"{}").unwrap();
            let mut headers = http::HeaderMap::new();
            headers.insert("webhook-id", "msg_1".parse().unwrap());
            headers.insert("webhook-timestamp", now.to_string().parse().unwrap());
            headers.insert("webhook-signature", signature.parse().unwrap());
            assert_eq!(receive(secret, b"{}", &headers), 204);
            assert_eq!(receive(secret, b"{ }", &headers), 401);
        }
    }
}
