//! When a connection is used again, and when it is not.

use super::receiver::{NO_CONTENT, Receiver, Reply};
use super::*;

#[test]
fn a_connection_is_used_again() {
    run(async {
        let receiver = Receiver::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let sender = sender(&config());
        let reused: Vec<_> = [
            attempt(&sender, &receiver.url()).await.reused,
            attempt(&sender, &receiver.url()).await.reused,
            attempt(&sender, &receiver.url()).await.reused,
        ]
        .into();
        assert_eq!(reused, [false, true, true]);
        assert_eq!((receiver.connections(), sender.connections()), (1, 1));
    });
}

#[test]
fn attempts_at_the_same_time_do_not_share_an_http1_connection() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let sender = sender(&config());
        let url = receiver.url();
        let (one, two) = tokio::join!(attempt(&sender, &url), attempt(&sender, &url));
        assert!(one.outcome.is_success() && two.outcome.is_success());
        assert_eq!(receiver.connections(), 2);
        // The last one back is the first one out; the other grows old.
        attempt(&sender, &url).await;
        assert_eq!(receiver.connections(), 2);
    });
}

#[test]
fn a_pooled_connection_that_went_stale_costs_a_reconnect_and_not_the_attempt() {
    run(async {
        let receiver = Receiver::replying(|| Reply::AnswerAndClose(NO_CONTENT.into())).await;
        let sender = sender(&config());
        for number in 1..=3 {
            let ended = attempt(&sender, &receiver.url()).await;
            assert_eq!(ended.outcome, Outcome::Success { status: 204 }, "{}", ended.detail);
            assert!(!ended.reused);
            receiver.closed(number).await;
            settle().await;
        }
        assert_eq!(receiver.connections(), 3);
    });
}

#[test]
fn a_request_that_may_have_arrived_is_never_sent_again() {
    run(async {
        let receiver = Receiver::replying(|| Reply::AnswerAndClose(Vec::new())).await;
        let sender = sender(&config());
        let ended = attempt(&sender, &receiver.url()).await;
        assert_eq!(ended.outcome, Outcome::ConnectionLost, "{}", ended.detail);
        settle().await;
        assert_eq!(receiver.requests().len(), 1);
    });
}

#[test]
fn a_request_lost_on_a_pooled_connection_is_never_sent_again() {
    run(async {
        let answers = std::cell::Cell::new(0);
        let receiver = Receiver::replying(move || {
            answers.set(answers.get() + 1);
            if answers.get() == 1 {
                Reply::Answer(NO_CONTENT.into())
            } else {
                Reply::AnswerAndClose(Vec::new())
            }
        })
        .await;
        let sender = sender(&config());
        assert!(attempt(&sender, &receiver.url()).await.outcome.is_success());
        let ended = attempt(&sender, &receiver.url()).await;
        assert_eq!((ended.outcome, ended.reused), (Outcome::ConnectionLost, true));
        settle().await;
        assert_eq!((receiver.requests().len(), receiver.connections()), (2, 1));
    });
}

#[test]
fn a_response_that_breaks_off_is_a_lost_connection() {
    run(async {
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
        let receiver = Receiver::replying(move || Reply::AnswerAndClose(half.into())).await;
        let ended = attempt(&sender(&config()), &receiver.url()).await;
        assert_eq!(ended.outcome, Outcome::ConnectionLost, "{}", ended.detail);
    });
}

#[test]
fn a_receiver_that_wants_to_close_is_believed() {
    run(async {
        let answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        let receiver = Receiver::answering(answer).await;
        let sender = sender(&config());
        attempt(&sender, &receiver.url()).await;
        assert_eq!(sender.connections(), 0);
        assert!(!attempt(&sender, &receiver.url()).await.reused);
    });
}

#[test]
fn a_connection_with_bytes_that_nobody_asked_for_is_not_used_again() {
    run(async {
        let receiver = Receiver::answering(format!("{NO_CONTENT}HTTP/1.1 200 Smuggled\r\n\r\n")).await;
        let sender = sender(&config());
        assert_eq!(attempt(&sender, &receiver.url()).await.outcome, Outcome::Success { status: 204 });
        let second = attempt(&sender, &receiver.url()).await;
        assert_eq!((second.outcome, second.reused), (Outcome::Success { status: 204 }, false));
    });
}

#[test]
fn idle_connections_are_closed_when_their_time_is_over() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let sender = sender(&config());
        attempt(&sender, &receiver.url()).await;
        sender.close_idle(tokio::time::Instant::now() + Duration::from_secs(14));
        assert_eq!(sender.connections(), 1);
        sender.close_idle(tokio::time::Instant::now() + Duration::from_secs(16));
        assert_eq!(sender.connections(), 0);
        receiver.closed(1).await;
    });
}

#[test]
fn connections_that_the_receiver_closed_are_swept_out() {
    run(async {
        let receiver = Receiver::replying(|| Reply::AnswerAndClose(NO_CONTENT.into())).await;
        let sender = sender(&config());
        attempt(&sender, &receiver.url()).await;
        receiver.closed(1).await;
        settle().await;
        sender.close_idle(tokio::time::Instant::now());
        assert_eq!(sender.connections(), 0);
    });
}

#[test]
fn no_more_connections_are_kept_than_the_limits_say() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let mut config = config();
        config.pool.connections_per_host_max = 2;
        let sender = sender(&config);
        let url = receiver.url();
        tokio::join!(attempt(&sender, &url), attempt(&sender, &url), attempt(&sender, &url));
        assert_eq!(sender.connections(), 2);
        let other = Receiver::answering(NO_CONTENT).await;
        config.pool.connections_max = 1;
        let sender = super::sender(&config);
        attempt(&sender, &url).await;
        attempt(&sender, &other.url()).await;
        assert_eq!(sender.connections(), 1);
    });
}

#[test]
fn an_attempt_that_is_dropped_closes_its_connection() {
    run(async {
        let receiver = Receiver::replying(|| Reply::AnswerAndHang(Vec::new())).await;
        let sender = sender(&config());
        {
            let url = receiver.url();
            let mut under_way = std::pin::pin!(attempt(&sender, &url));
            while receiver.requests().is_empty() {
                tokio::select! {
                    ended = &mut under_way => panic!("it ended: {ended:?}"),
                    () = tokio::task::yield_now() => {}
                }
            }
            assert_eq!(sender.connections(), 1);
        }
        assert_eq!(sender.connections(), 0);
        receiver.closed(1).await;
    });
}

#[test]
fn a_receiver_may_begin_its_answer_before_it_has_read_the_request() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let payload = Bytes::from(vec![b'x'; 16 << 20]);
        let bytes = payload.len();
        tokio::task::spawn_local(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let (mut tcp, _) = listener.accept().await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            tcp.write_all(head).await.unwrap();
            let (mut read, mut buffer) = (0, vec![0; 1 << 16]);
            while read < bytes {
                read += tcp.read(&mut buffer).await.unwrap();
            }
            tcp.write_all(b"4\r\nread\r\n0\r\n\r\n").await.unwrap();
            // Until the sender hangs up.
            while tcp.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
        });
        let ended = sender(&config()).attempt(&target(&url), MESSAGE, payload, NOW).await;
        assert_eq!(ended.outcome, Outcome::Success { status: 200 }, "{}", ended.detail);
        assert_eq!(ended.response_body, "read");
    });
}
