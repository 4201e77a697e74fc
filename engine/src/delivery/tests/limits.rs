//! Receivers that are slow, silent, endless or not speaking HTTP, and addresses that lead nowhere.

use super::receiver::{NO_CONTENT, Receiver, Reply};
use super::*;

const SHORT: Duration = Duration::from_millis(50);

#[track_caller]
fn expect(ended: &Ended, outcome: Outcome, detail: &str) {
    assert_eq!(ended.outcome, outcome, "{}", ended.detail);
    assert_eq!(ended.detail, detail);
}

fn timed_out(phase: crate::core::outcome::Phase) -> Outcome {
    Outcome::TimedOut(phase)
}

mod deadlines {
    use crate::core::outcome::Phase;

    use super::*;

    #[test]
    fn a_silent_receiver_is_given_up_on() {
        run(async {
            let receiver = Receiver::replying(|| Reply::AnswerAndHang(Vec::new())).await;
            let sender = sender(&hasty(Timeouts { first_byte: SHORT, ..config().timeouts }));
            let ended = attempt(&sender, &receiver.url()).await;
            expect(&ended, timed_out(Phase::FirstByte), "no response began in time");
            assert!(ended.timing.total_us >= 50_000);
            assert_eq!(sender.connections(), 0);
        });
    }

    #[test]
    fn a_receiver_that_never_finishes_is_given_up_on() {
        run(async {
            let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
            let receiver = Receiver::replying(move || Reply::AnswerAndHang(half.into())).await;
            let sender = sender(&hasty(Timeouts { total: SHORT, ..config().timeouts }));
            let ended = attempt(&sender, &receiver.url()).await;
            expect(&ended, timed_out(Phase::Total), "the response was not complete in time");
        });
    }

    #[test]
    fn an_endpoint_may_have_its_own_time() {
        run(async {
            let receiver = Receiver::replying(|| Reply::AnswerAndHang(Vec::new())).await;
            let url = receiver.url();
            let hasty = Target::prepare(TargetSpec { timeout_total: Some(SHORT), ..spec(&url) }).unwrap();
            let ended = sender(&config()).attempt(&hasty, MESSAGE, Bytes::new(), NOW).await;
            // The whole was over, and what it was over in is what is told.
            assert_eq!(ended.outcome, timed_out(Phase::FirstByte));
        });
    }

    #[test]
    fn a_name_server_that_does_not_answer_is_given_up_on() {
        run(async {
            let config = hasty(Timeouts { dns: SHORT, ..config().timeouts });
            let silent = Answers { hangs: true, ..Answers::default() };
            let sender = Sender::with_resolver(&config, Rc::new(silent)).unwrap();
            let ended = attempt(&sender, "http://shop.example/").await;
            expect(&ended, timed_out(Phase::Dns), "the name was not resolved in time");
        });
    }

    #[test]
    fn a_host_that_swallows_packets_is_given_up_on() {
        run(async {
            // Linux drops new connections when a listener's queue is full; filling it takes two.
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let full = socket.listen(0).unwrap();
            let address = full.local_addr().unwrap();
            let mut filling = Vec::new();
            while let Ok(Ok(tcp)) = tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address)).await
            {
                filling.push(tcp);
            }
            let sender = sender(&hasty(Timeouts { connect: SHORT, ..config().timeouts }));
            let ended = attempt(&sender, &format!("http://{address}/")).await;
            expect(&ended, timed_out(Phase::Connect), "no connection was established in time");
        });
    }

    #[test]
    fn a_receiver_that_does_not_begin_tls_is_given_up_on() {
        run(async {
            let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut config = hasty(Timeouts { tls: SHORT, ..config().timeouts });
            config.trust = super::super::tls::Authority::new().trust();
            let url = format!("https://{}/", receiver.local_addr().unwrap());
            let ended = attempt(&sender(&config), &url).await;
            expect(&ended, timed_out(Phase::Tls), "the TLS handshake did not finish in time");
        });
    }
}

#[test]
fn a_shut_port_is_a_failed_connection() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let ended = attempt(&sender(&config()), &format!("http://{address}/")).await;
        expect(&ended, Outcome::ConnectFailed, &format!("connection refused by {address}"));
    });
}

#[test]
fn a_name_without_address_is_a_dns_failure() {
    run(async {
        let ended = attempt(&sender(&config()), "http://shop.example/").await;
        expect(&ended, Outcome::DnsFailed, "shop.example has no address in DNS");
    });
}

#[test]
fn what_is_not_http_is_a_protocol_error() {
    run(async {
        for answer in [
            "SSH-2.0-OpenSSH_9.6\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            let receiver = Receiver::answering(answer).await;
            let ended = attempt(&sender(&config()), &receiver.url()).await;
            assert_eq!(ended.outcome, Outcome::ProtocolError, "{answer:?}: {}", ended.detail);
        }
    });
}

#[test]
fn a_head_over_the_limits_is_a_protocol_error() {
    run(async {
        let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(17 * 1_024));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Many: 1\r\n".repeat(101));
        for answer in [long, many] {
            let receiver = Receiver::answering(answer).await;
            let ended = attempt(&sender(&config()), &receiver.url()).await;
            assert_eq!(ended.outcome, Outcome::ProtocolError, "{}", ended.detail);
        }
    });
}

#[test]
fn endless_interim_responses_are_a_protocol_error() {
    run(async {
        let early = "HTTP/1.1 102 Processing\r\n\r\n";
        let receiver = Receiver::answering(format!("{early}{early}{NO_CONTENT}")).await;
        assert!(attempt(&sender(&config()), &receiver.url()).await.outcome.is_success());
        let receiver = Receiver::answering(early.repeat(20_000)).await;
        let ended = attempt(&sender(&config()), &receiver.url()).await;
        let detail = "the receiver sent more bytes than an exchange may have";
        expect(&ended, Outcome::ProtocolError, detail);
    });
}

fn with_body(bytes: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n{}", "x".repeat(bytes))
}

#[test]
fn of_a_long_body_the_beginning_is_kept_and_the_connection_lives() {
    run(async {
        let receiver = Receiver::answering(with_body(60 * 1_024)).await;
        let sender = sender(&config());
        let ended = attempt(&sender, &receiver.url()).await;
        assert_eq!(ended.outcome, Outcome::Success { status: 200 });
        assert_eq!(ended.response_body.len(), 4 * 1_024);
        assert!(attempt(&sender, &receiver.url()).await.reused);
    });
}

#[test]
fn a_body_over_the_reading_limit_costs_the_connection_and_not_the_success() {
    run(async {
        let receiver = Receiver::answering(with_body(1_048_576)).await;
        let sender = sender(&config());
        let ended = attempt(&sender, &receiver.url()).await;
        assert_eq!(ended.outcome, Outcome::Success { status: 200 });
        assert_eq!(ended.response_body.len(), 4 * 1_024);
        assert_eq!(sender.connections(), 0);
    });
}

#[test]
fn an_endpoint_may_keep_more_or_nothing_of_a_body() {
    run(async {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let receiver = Receiver::answering(chunked).await;
        let (sender, url) = (sender(&config()), receiver.url());
        for (max, kept) in [(0, ""), (4, "abcd"), (100, "abcde")] {
            let spec = TargetSpec { response_body_bytes_max: Some(max), ..spec(&url) };
            let target = Target::prepare(spec).unwrap();
            let ended = sender.attempt(&target, MESSAGE, Bytes::new(), NOW).await;
            assert_eq!(ended.response_body, kept, "{}", ended.detail);
        }
        assert_eq!(receiver.connections(), 1);
    });
}
