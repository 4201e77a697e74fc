//! A message and what became of it; and one attempt with what was sent and what came back, side by side.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::Path;
use axum::http::{Method, StatusCode};
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::frame::Frame;
use super::super::html::{self, Html};
use super::super::inside::encoded;
use super::super::json::pretty;
use super::super::live::Part;
use super::super::shapes::{Attempt, List, Message, MessageEndpoint, Probe, Timing};
use super::super::trouble::Trouble;
use super::super::visit::{Sent, Visit};
use super::{Answer, Page, answer, off, part, show};

#[derive(Template)]
#[template(path = "message.html", blocks = ["deliveries", "attempts"])]
struct MessagePage {
    f: Frame,
    app_path: String,
    path: String,
    message: Message,
    payload: Html,
    deliveries: Vec<MessageEndpoint>,
    attempts: List<Attempt>,
}

impl Page for MessagePage {
    fn parts(&self) -> Vec<Part> {
        vec![part("deliveries", self.as_deliveries()), part("attempts", self.as_attempts())]
    }
}

pub(super) async fn page(visit: Visit, Path((app, id)): Path<(String, String)>) -> Answer {
    answer(visit, move |visit| make(visit, app.clone(), id.clone())).await
}

async fn make(visit: Visit, app: String, id: String) -> Result<MessagePage, Trouble> {
    let inside = visit.inside();
    let app_path = format!("/app/{}", encoded(&app));
    let path = format!("{app_path}/msg/{}", encoded(&id));
    let message: Message = inside.get(&path).await?;
    let deliveries: List<MessageEndpoint> = inside.get(&format!("{path}/endpoint?limit=250")).await?;
    let iterator = encoded(visit.query().text("iterator"));
    let attempts =
        format!("{app_path}/attempt/msg/{}?limit=50&with_content=false&iterator={iterator}", encoded(&id));
    Ok(MessagePage {
        f: visit.frame("Message", "activity", Some(&app)).await.live(&visit),
        payload: payload(&message),
        app_path: format!("{}{app_path}", visit.base()),
        path: format!("{}{path}", visit.base()),
        message,
        deliveries: deliveries.data,
        attempts: inside.get(&attempts).await?,
    })
}

fn payload(message: &Message) -> Html {
    if message.payload_erased {
        return Html("<p class=\"dim\">The payload was erased.</p>".into());
    }
    raw(message.payload.as_deref(), message.content_type.is_some())
}

/// A payload as the API has it: JSON as it is; any other text within a JSON text.
fn raw(payload: Option<&RawValue>, is_text: bool) -> Html {
    let json = payload.map_or("", RawValue::get);
    match serde_json::from_str::<String>(json) {
        Ok(text) if is_text => pretty(&text),
        _ => pretty(json),
    }
}

/// What the buttons of the page do.
pub(super) async fn act(visit: Visit, Path((app, id)): Path<(String, String)>, Sent(form): Sent) -> Answer {
    let inside = visit.inside();
    let path = format!("/app/{}/msg/{}", encoded(&app), encoded(&id));
    let here = format!("{}{path}", visit.base());
    match form.text("do") {
        "retry" => {
            let endpoint = encoded(form.text("endpoint"));
            inside.send(Method::POST, &format!("{path}/endpoint/{endpoint}/resend"), None).await?;
            Ok(off(&here, "retried"))
        }
        "cancel" => {
            inside.send(Method::POST, &format!("{path}/cancel"), None).await?;
            Ok(off(&here, "cancelled"))
        }
        "erase" => {
            inside.send(Method::DELETE, &format!("{path}/content"), None).await?;
            Ok(off(&here, "erased"))
        }
        _ => Err(Trouble::not_found()),
    }
}

#[derive(Template)]
#[template(path = "attempt.html")]
struct AttemptPage {
    f: Frame,
    app_path: String,
    message: Option<Message>,
    payload: Html,
    attempt: Attempt,
    response: Html,
    timing: TimingShown,
}

pub(super) async fn attempt(
    visit: Visit,
    Path((app, id, attempt)): Path<(String, String, String)>,
) -> Answer {
    let inside = visit.inside();
    let app_path = format!("/app/{}", encoded(&app));
    let message_path = format!("{app_path}/msg/{}", encoded(&id));
    let attempt: Attempt = inside.get(&format!("{message_path}/attempt/{}", encoded(&attempt))).await?;
    // Its record may have gone before that of the attempt.
    let message: Option<Message> = inside.get(&message_path).await.ok();
    let page = AttemptPage {
        f: visit.frame("Attempt", "activity", Some(&app)).await,
        app_path: format!("{}{app_path}", visit.base()),
        payload: message.as_ref().map(payload).unwrap_or_default(),
        message,
        response: pretty(&attempt.response),
        timing: TimingShown::new(&attempt.timing, attempt.reused),
        attempt,
    };
    Ok(show(&page, StatusCode::OK))
}

/// The phases of an attempt, one after the other, in proportion.
#[derive(Template)]
#[template(path = "timing.html")]
pub(super) struct TimingShown {
    phases: Vec<Phase>,
    total: String,
    is_reused: bool,
}

struct Phase {
    name: &'static str,
    class: &'static str,
    ms: f64,
    /// In a picture that is a thousand wide.
    from: f64,
    width: f64,
}

impl TimingShown {
    pub(super) fn new(timing: &Timing, is_reused: bool) -> Self {
        let waiting = (timing.first_byte_ms - timing.dns_ms - timing.connect_ms - timing.tls_ms).max(0.0);
        let reading = (timing.total_ms - timing.first_byte_ms).max(0.0);
        let (waiting, reading) = if timing.first_byte_ms > 0.0 { (waiting, reading) } else { (0.0, 0.0) };
        let parts = [
            ("name lookup", "dns", timing.dns_ms),
            ("connection", "connect", timing.connect_ms),
            ("TLS", "tls", timing.tls_ms),
            ("first byte", "wait", waiting),
            ("rest of the answer", "read", reading),
        ];
        let total = timing.total_ms.max(f64::EPSILON);
        let mut from = 0.0;
        let phases = parts.into_iter().map(|(name, class, ms)| {
            let width = (ms / total * 1_000.0).min(1_000.0 - from);
            let phase = Phase { name, class, ms, from, width };
            from += width;
            phase
        });
        Self { phases: phases.collect(), total: html::ms(timing.total_ms), is_reused }
    }
}

impl HtmlSafe for TimingShown {}

/// What came of trying an endpoint.
#[derive(Template)]
#[template(path = "probe.html")]
pub(super) struct ProbeShown {
    probe: Probe,
    payload: Html,
    response: Html,
    timing: TimingShown,
}

impl HtmlSafe for ProbeShown {}

impl ProbeShown {
    pub(super) fn new(probe: Probe) -> Self {
        let response = match &probe.response {
            Some(Value::String(text)) => pretty(text),
            Some(other) => pretty(&other.to_string()),
            None => Html::default(),
        };
        Self {
            payload: raw(probe.payload.as_deref(), false),
            response,
            timing: TimingShown::new(&probe.timing, false),
            probe,
        }
    }

    fn is_success(&self) -> bool {
        self.probe.outcome == "success"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_lie_one_behind_the_other_and_never_beyond_the_whole() {
        let timing = Timing { dns_ms: 2.0, connect_ms: 3.0, tls_ms: 0.0, first_byte_ms: 9.0, total_ms: 10.0 };
        let shown = TimingShown::new(&timing, false);
        let widths: Vec<f64> = shown.phases.iter().map(|phase| phase.width.round()).collect();
        assert_eq!(widths, [200.0, 300.0, 0.0, 400.0, 100.0]);
        let nothing = TimingShown::new(&Timing::default(), false);
        assert!(nothing.phases.iter().all(|phase| phase.width == 0.0));
    }
}
