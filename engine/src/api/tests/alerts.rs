use serde_json::{Value, json};

use super::world::World;
use crate::catalog::{Alert, AlertCause, AlertDoor, Disabled, Note};
use crate::core::ids::{AlertId, ApplicationId, EndpointId};

/// When the first alert is raised, unix milliseconds; each further one a second later.
const FIRST_MS: u64 = 1_732_300_000_000;

async fn raise(world: &World, alerts: Vec<(ApplicationId, EndpointId, AlertCause)>) {
    let raised = alerts.into_iter().zip(0..).map(|((application, endpoint, cause), n)| {
        let raised_ms = FIRST_MS + n * 1_000;
        let id = AlertId::new(raised_ms, 0);
        Note::Raised(Alert {
            id,
            application,
            endpoint,
            cause,
            raised_ms,
            ended_ms: None,
            acknowledged: None,
        })
    });
    world.editor.write_notes(&raised.collect::<Vec<_>>()).await.unwrap();
}

fn failing() -> AlertCause {
    AlertCause::Failing {
        since_ms: FIRST_MS - 60_000,
        failures: 5,
        outcome: "bad_status".into(),
        status: Some(500),
    }
}

/// Acme's shop is failing, then locked out, then disabled; and somebody else's endpoint is failing.
async fn world() -> (World, EndpointId) {
    let world = World::new();
    let shop = world.with_endpoint().await;
    let acme = world.editor.catalog().application("acme").unwrap().id;
    let locked_out = AlertCause::LockedOut { door: AlertDoor::Url, until_ms: FIRST_MS + 30_000 };
    let disabled = AlertCause::Disabled { reason: Disabled::Gone, since_ms: None };
    let other = (ApplicationId::from_u64(5), EndpointId::from_u64(6));
    raise(
        &world,
        vec![
            (acme, shop, failing()),
            (acme, shop, locked_out),
            (acme, shop, disabled),
            (other.0, other.1, failing()),
        ],
    )
    .await;
    (world, shop)
}

async fn types(world: &World, path: &str) -> Vec<String> {
    let (status, page) = world.get(path).await;
    assert_eq!(status, 200, "{page}");
    let items = page["data"].as_array().unwrap();
    items.iter().map(|alert| alert["type"].as_str().unwrap().rsplit('.').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn alerts_are_listed_newest_first_for_the_operator_and_for_an_application() {
    let (world, shop) = world().await;
    assert_eq!(types(&world, "/alert").await, ["failing", "disabled", "locked_out", "failing"]);
    assert_eq!(types(&world, "/app/acme/alert").await, ["disabled", "locked_out", "failing"]);
    assert_eq!(world.get("/app/nobody/alert").await.0, 404);
    let (_, page) = world.get("/app/acme/alert?type=failing").await;
    let alert = &page["data"][0];
    let expected = json!({
        "id": AlertId::new(FIRST_MS, 0).to_string(),
        "type": "posthaste.endpoint.failing",
        "summary": "https://shop.example/hook is failing: 5 failures in a row since 2024-11-22T18:25:40Z, \
                    the last one bad_status 500",
        "raisedAt": "2024-11-22T18:26:40Z",
        "applicationId": alert["applicationId"],
        "applicationUid": "acme",
        "endpointId": shop.to_string(),
        "endpointUid": "shop",
        "url": "https://shop.example/hook",
        "detail": {
            "since": "2024-11-22T18:25:40Z", "failures": 5, "lastOutcome": "bad_status", "lastStatus": 500,
        },
        "endedAt": null,
        "acknowledged": null,
    });
    assert_eq!(*alert, expected);
}

#[tokio::test]
async fn alerts_are_filtered_and_paged() {
    let (world, shop) = world().await;
    for (query, expected) in [
        ("type=failing,locked_out", vec!["failing", "locked_out", "failing"]),
        ("type=posthaste.endpoint.disabled", vec!["disabled"]),
        (&*format!("endpoint_id={shop}"), vec!["disabled", "locked_out", "failing"]),
        ("before=2024-11-22T18:26:41Z", vec!["failing"]),
        ("after=2024-11-22T18:26:42Z", vec!["failing"]),
        ("acknowledged=true", vec![]),
        ("open=false", vec![]),
        ("limit=1", vec!["failing"]),
    ] {
        assert_eq!(types(&world, &format!("/alert?{query}")).await, expected, "{query}");
    }
    assert_eq!(types(&world, "/app/acme/alert?endpoint_id=shop&limit=2").await, ["disabled", "locked_out"]);
    for wrong in ["type=often", "endpoint_id=shop", "acknowledged=perhaps", "before=noon", "iterator=x"] {
        assert_eq!(world.get(&format!("/alert?{wrong}")).await.0, 422, "{wrong}");
    }
    let (_, first) = world.get("/alert?limit=3").await;
    assert_eq!(first["done"], false);
    let next = first["iterator"].as_str().unwrap();
    assert_eq!(types(&world, &format!("/alert?limit=3&iterator={next}")).await, ["failing"]);
    let (_, back) = world.get("/alert?limit=3&iterator=-".to_owned().as_str()).await;
    assert_eq!(back["detail"][0]["loc"], json!(["query", "iterator"]));
}

#[tokio::test]
async fn an_alert_is_acknowledged_with_a_note_and_that_is_recorded() {
    let (world, _) = world().await;
    let id = AlertId::new(FIRST_MS, 0).to_string();
    let path = format!("/alert/{id}");
    let (status, alert) = world.post(&format!("{path}/acknowledge"), json!({"note": "we know"})).await;
    assert_eq!(status, 200, "{alert}");
    assert_eq!(
        (&alert["acknowledged"]["by"], &alert["acknowledged"]["note"]),
        (&json!("anonymous"), &json!("we know"))
    );
    assert_eq!(world.get(&path).await.1, alert);
    assert_eq!(types(&world, "/alert?acknowledged=true").await, ["failing"]);
    assert_eq!(
        world.call("POST", &format!("{path}/acknowledge"), Value::Null).await.0,
        200,
        "no note is needed"
    );
    let (_, audit) = world.get(&format!("/audit?object={id}")).await;
    assert_eq!(audit["data"].as_array().unwrap().len(), 2);
    assert_eq!(audit["data"][0]["action"], "alert.acknowledge");

    let long = json!({"note": "x".repeat(1_025)});
    assert_eq!(world.post(&format!("{path}/acknowledge"), long).await.0, 422);
    for nobody in ["/alert/al_00000000000", "/alert/x"] {
        assert_eq!(world.get(nobody).await.0, 404);
        assert_eq!(world.post(&format!("{nobody}/acknowledge"), json!({})).await.0, 404);
    }
}
