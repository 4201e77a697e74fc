//! What becomes of a request, and what becomes of its answer.

use super::receiver::{NO_CONTENT, Receiver};
use super::*;

#[test]
fn a_signed_request_arrives_whole() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let sender = sender(&config());
        let secret = SigningSecret::generate();
        let url = receiver.url();
        let target = Target::prepare(TargetSpec {
            headers: &[("X-Shop".to_owned(), "42".to_owned())],
            authorization: Some(&Authorization::Bearer("token".to_owned())),
            secrets: std::slice::from_ref(&secret),
            ..spec(&url)
        })
        .unwrap();
        let payload = Bytes::from_static(br#"{"a":1}"#);
        let ended = sender.attempt(&target, MESSAGE, payload.clone(), NOW).await;
        assert_eq!(ended.outcome, Outcome::Success { status: 204 });
        assert_eq!((&*ended.detail, ended.reused), ("", false));

        let requests = receiver.requests();
        let request = &requests[0];
        assert!(request.head.starts_with("POST /hook?shop=7 HTTP/1.1\r\n"), "{}", request.head);
        assert_eq!(request.body, payload);
        let host = format!("127.0.0.1:{}", receiver.port);
        for (name, value) in [
            ("host", host.as_str()),
            ("content-type", "application/json"),
            ("content-length", "7"),
            ("accept-encoding", "identity"),
            ("x-shop", "42"),
            ("authorization", "Bearer token"),
            ("webhook-id", MESSAGE_ID),
            ("webhook-timestamp", "1732300000"),
        ] {
            assert_eq!(request.header(name), Some(value), "{name}");
        }
        let reference = standardwebhooks::Webhook::new(&secret.reveal()).unwrap();
        let signature = reference.sign(MESSAGE_ID, NOW as i64, &payload).unwrap();
        assert_eq!(request.header("webhook-signature"), Some(signature.as_str()));
    });
}

#[test]
fn payloads_of_any_size_arrive() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let sender = sender(&config());
        let target = target(&receiver.url());
        for bytes in [0, 1, 20_000, 1_048_576] {
            let ended = sender.attempt(&target, MESSAGE, Bytes::from(vec![b'x'; bytes]), NOW).await;
            assert!(ended.outcome.is_success(), "{bytes}: {}", ended.detail);
        }
        let arrived: Vec<_> = receiver.requests().iter().map(|request| request.body.len()).collect();
        assert_eq!(arrived, [0, 1, 20_000, 1_048_576]);
        assert_eq!(receiver.requests()[0].header("content-length"), Some("0"));
    });
}

#[test]
fn the_answer_is_kept_and_timed() {
    run(async {
        let answer = "HTTP/1.1 500 Oops\r\nX-Id: 7\r\nContent-Length: 5\r\n\r\nsorry";
        let receiver = Receiver::answering(answer).await;
        let ended = attempt(&sender(&config()), &receiver.url()).await;
        assert_eq!(ended.outcome, Outcome::BadStatus { status: 500 });
        assert_eq!(&*ended.detail, "the receiver answered 500");
        assert_eq!(ended.response_headers, "x-id: 7\r\ncontent-length: 5\r\n");
        assert_eq!(ended.response_body, "sorry");
        assert!(ended.timing.first_byte_us > 0 && ended.timing.first_byte_us <= ended.timing.total_us);
    });
}

#[test]
fn a_redirect_is_not_followed() {
    run(async {
        let elsewhere = Receiver::answering(NO_CONTENT).await;
        let location = elsewhere.url();
        let answer = format!("HTTP/1.1 307 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let receiver = Receiver::answering(answer).await;
        let ended = attempt(&sender(&config()), &receiver.url()).await;
        assert_eq!(ended.outcome, Outcome::Redirect { status: 307 });
        assert_eq!(ended.detail, format!("redirect to {location} not followed"));
        settle().await;
        assert_eq!(elsewhere.connections(), 0);
    });
}

#[test]
fn a_receiver_may_ask_for_patience_or_for_nothing_more() {
    run(async {
        let sender = sender(&config());
        let busy =
            Receiver::answering("HTTP/1.1 429 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n").await;
        let ended = attempt(&sender, &busy.url()).await;
        assert_eq!(ended.outcome, Outcome::RetryAfter { status: 429, wait: Duration::from_secs(30) });
        // 1732300000 is Fri, 22 Nov 2024 18:26:40 GMT.
        let dated =
            "HTTP/1.1 503 Busy\r\nRetry-After: Fri, 22 Nov 2024 18:27:40 GMT\r\nContent-Length: 0\r\n\r\n";
        let ended = attempt(&sender, &Receiver::answering(dated).await.url()).await;
        assert_eq!(ended.outcome, Outcome::RetryAfter { status: 503, wait: Duration::from_secs(60) });
        let gone = Receiver::answering("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(attempt(&sender, &gone.url()).await.outcome, Outcome::Gone);
    });
}

#[test]
fn an_endpoint_may_insist_on_200() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let url = receiver.url();
        let strict = Target::prepare(TargetSpec { success: SuccessRule::Only200, ..spec(&url) }).unwrap();
        let ended = sender(&config()).attempt(&strict, MESSAGE, Bytes::new(), NOW).await;
        assert_eq!(ended.outcome, Outcome::BadStatus { status: 204 });
    });
}

#[test]
fn a_message_that_cannot_be_sent_is_not_sent() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let message = MessageHead { content_type: Some("a\r\nb"), ..MESSAGE };
        let ended = sender(&config()).attempt(&target(&receiver.url()), message, Bytes::new(), NOW).await;
        assert_eq!(ended.outcome, Outcome::RequestInvalid);
        settle().await;
        assert_eq!(receiver.connections(), 0);
    });
}
