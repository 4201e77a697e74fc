//! The egress guard at work: what a name leads to is judged at every connection.

use super::receiver::{NO_CONTENT, Receiver};
use super::*;

fn resolving(config: &DeliveryConfig, lists: &[&[&str]]) -> Sender {
    Sender::with_resolver(config, Answers::new(lists)).unwrap()
}

fn named(receiver: &Receiver) -> String {
    format!("http://shop.example:{}/", receiver.port)
}

#[test]
fn a_name_is_resolved_judged_and_dialled() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let sender = resolving(&config(), &[&["127.0.0.1"]]);
        let ended = attempt(&sender, &named(&receiver)).await;
        assert!(ended.outcome.is_success(), "{}", ended.detail);
        assert_eq!(receiver.requests()[0].header("host"), Some(&*format!("shop.example:{}", receiver.port)));
    });
}

#[test]
fn a_name_that_leads_inside_is_not_connected_to() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let strict = DeliveryConfig { egress: policy(&[]), ..config() };
        for answer in
            ["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "64:ff9b::7f00:1"]
        {
            let ended = attempt(&resolving(&strict, &[&[answer]]), &named(&receiver)).await;
            assert_eq!(ended.outcome, Outcome::AddressForbidden, "{answer}: {}", ended.detail);
        }
        let ended = attempt(&sender(&strict), &receiver.url()).await;
        let address = format!("address 127.0.0.1:{}", receiver.port);
        assert_eq!(ended.detail, format!("{address} is not public: this machine (egress.allow_cidrs)"));
        settle().await;
        assert_eq!(receiver.connections(), 0);
    });
}

#[test]
fn one_forbidden_answer_fails_the_attempt_in_strict_mode_only() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let mixed: &[&str] = &["127.0.0.1", "10.0.0.1"];
        let ended = attempt(&resolving(&config(), &[mixed]), &named(&receiver)).await;
        assert_eq!(ended.outcome, Outcome::AddressForbidden);
        settle().await;
        assert_eq!(receiver.connections(), 0);
        let mut lenient = config();
        lenient.egress.lenient = true;
        let ended = attempt(&resolving(&lenient, &[mixed]), &named(&receiver)).await;
        assert!(ended.outcome.is_success(), "{}", ended.detail);
    });
}

#[test]
fn a_name_that_changes_its_mind_is_judged_again_at_the_next_connection() {
    run(async {
        let answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        let receiver = Receiver::answering(answer).await;
        let sender = resolving(&config(), &[&["127.0.0.1"], &["169.254.169.254"]]);
        assert!(attempt(&sender, &named(&receiver)).await.outcome.is_success());
        let ended = attempt(&sender, &named(&receiver)).await;
        assert_eq!(ended.outcome, Outcome::AddressForbidden);
        assert!(ended.detail.contains("is never allowed: link-local"), "{}", ended.detail);
    });
}

#[test]
fn a_failed_lookup_is_a_failure_and_not_a_way_around_the_guard() {
    run(async {
        let ended = attempt(&sender(&config()), "http://127.0.0.1.shop.example/").await;
        assert_eq!(ended.outcome, Outcome::DnsFailed);
        let ended = attempt(&resolving(&config(), &[&[]]), "http://shop.example/").await;
        assert_eq!(ended.outcome, Outcome::DnsFailed);
    });
}

#[test]
fn the_next_address_is_tried_when_one_refuses() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let sender = resolving(&config(), &[&["127.0.0.2", "127.0.0.1"]]);
        let ended = attempt(&sender, &named(&receiver)).await;
        assert!(ended.outcome.is_success(), "{}", ended.detail);
    });
}

#[test]
fn localhost_needs_no_dns_where_it_is_allowed() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let mut config = config();
        config.egress = policy(&["127.0.0.0/8", "::1/128"]);
        let sender = Sender::new(&config).unwrap();
        let ended = attempt(&sender, &format!("http://localhost:{}/", receiver.port)).await;
        assert!(ended.outcome.is_success(), "{}", ended.detail);
    });
}

#[test]
fn nothing_is_delivered_to_the_server_itself() {
    run(async {
        let own = Receiver::answering(NO_CONTENT).await;
        let mut config = config();
        config.egress.own_addresses = vec![([127, 0, 0, 1], own.port).into()];
        let ended = attempt(&sender(&config), &own.url()).await;
        assert_eq!(ended.outcome, Outcome::AddressForbidden);
        assert!(ended.detail.ends_with("is where this server itself listens"), "{}", ended.detail);
        settle().await;
        assert_eq!(own.requests().len(), 0);
    });
}

#[test]
fn a_new_policy_ends_the_connections_of_the_old_one() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let sender = sender(&config());
        assert!(attempt(&sender, &receiver.url()).await.outcome.is_success());
        sender.set_policy(policy(&[]));
        assert_eq!(sender.connections(), 0);
        assert_eq!(attempt(&sender, &receiver.url()).await.outcome, Outcome::AddressForbidden);
        sender.set_policy(policy(&["127.0.0.1/32"]));
        assert!(attempt(&sender, &receiver.url()).await.outcome.is_success());
    });
}
