use super::*;
use crate::run::layout::{Numbers, Shares};

/// Four endpoints, two for each message; the last is on a dead host.
fn account() -> Account {
    let numbers = Numbers {
        endpoints: 4,
        fan_out: 2,
        applications: 2,
        hosts: 4,
        shares: Shares::default(),
        dead_host: true,
    };
    Account::new(Arc::new(Layout::new(numbers)), "a", 100)
}

fn arrive(account: &Account, target: &str, message: u64) {
    let mut body = payload::of_size(64);
    payload::number(&mut body, message);
    let (at, status) = (Instant::now(), Some(204));
    account.arrived(Arrival { target, webhook_id: "", body: &body, at, status });
}

#[test]
fn a_message_is_missing_until_every_healthy_endpoint_has_received_it() {
    let account = account();
    account.sent(0, 0);
    account.acknowledged(&[0]);
    arrive(&account, "/ok?run=a&slot=0", 0);
    assert_eq!(account.missing(9).collect::<Vec<_>>(), [(0, 1)]);
    arrive(&account, "/ok?run=a&slot=1", 0);
    assert_eq!(account.missing(9).count(), 0);
    let totals = account.totals();
    assert_eq!((totals.acknowledged, totals.expected, totals.once, totals.again), (1, 2, 2, 0));
    assert_eq!(account.backlog.inside(), 0);
}

#[test]
fn a_message_that_was_never_acknowledged_is_not_missing() {
    let account = account();
    account.sent(0, 0);
    account.given_up(0);
    assert_eq!((account.missing(9).count(), account.backlog.inside()), (0, 0));
    arrive(&account, "/ok?run=a&slot=0", 0);
    assert_eq!((account.totals().once, account.totals().expected), (1, 0));
}

#[test]
fn an_endpoint_on_a_dead_host_is_not_waited_for() {
    let account = account();
    account.sent(1, 0);
    account.acknowledged(&[1]);
    arrive(&account, "/ok?run=a&slot=2", 1);
    assert_eq!(account.missing(9).count(), 0);
}

#[test]
fn a_repetition_counts_apart() {
    let account = account();
    arrive(&account, "/ok?run=a&slot=0", 2);
    arrive(&account, "/ok?run=a&slot=0", 2);
    assert_eq!((account.totals().once, account.totals().again), (1, 1));
}

#[test]
fn a_message_at_an_endpoint_of_another_group_is_astray_and_one_of_another_run_is_nobodys() {
    let account = account();
    arrive(&account, "/ok?run=a&slot=0", 1);
    assert_eq!(account.totals(), Totals { astray: 1, ..Totals::default() });
    for target in ["/ok?run=b&slot=0", "/ok?slot=0", "/ok", "/ok?run=a&slot=4"] {
        arrive(&account, target, 0);
    }
    assert_eq!(account.totals(), Totals { astray: 1, ..Totals::default() });
}

#[test]
fn what_was_published_before_a_play_is_in_the_account_and_not_in_its_figures() {
    let account = account();
    account.sent(0, 0);
    account.acknowledged(&[0]);
    account.begin(2);
    account.sent(2, account.now_ns());
    account.acknowledged(&[2]);
    arrive(&account, "/ok?run=a&slot=0", 0);
    arrive(&account, "/ok?run=a&slot=0", 2);
    let (acknowledgements, receipts) = account.play();
    assert_eq!((acknowledgements.since_publish.count(), receipts.since_publish.count()), (1, 1));
    assert_eq!((receipts.since_acknowledged.count(), account.totals().once), (1, 2));
}

#[test]
fn a_delivery_that_overtakes_its_acknowledgement_took_no_time() {
    let account = account();
    account.begin(0);
    account.sent(0, 0);
    arrive(&account, "/ok?run=a&slot=0", 0);
    let (_, receipts) = account.play();
    assert_eq!(
        (receipts.since_acknowledged.count(), receipts.since_acknowledged.percentiles().max_us),
        (1, 0.0)
    );
}
