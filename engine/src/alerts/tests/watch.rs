//! What is raised, and when it is over.

use std::time::Duration;

use posthaste_storage::EntryId;

use crate::alerts::rules::AlertRules;
use crate::alerts::watch::{Action, Configured, Ended, Watch};
use crate::catalog::{Alert, AlertCause, AlertDoor, AlertType, Disabled, FailingSince};
use crate::core::delivery::DeliveryState;
use crate::core::health::HealthChange;
use crate::core::ids::{AlertId, ApplicationId, EndpointId, MessageId};
use crate::core::outcome::{Outcome, Phase};
use crate::core::tick::Tick;

const START: Tick = Tick::from_ms(1_732_300_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const SHOP: EndpointId = EndpointId::from_u64(7);
const OTHER: EndpointId = EndpointId::from_u64(8);
const OWNER: ApplicationId = ApplicationId::from_u64(1);

pub(super) const RULES: AlertRules = AlertRules {
    failing_attempts: 5,
    failing_for: Duration::from_secs(600),
    rate_window: Duration::from_secs(600),
    rate_attempts_min: 20,
    rate_percent_min: 90,
    exhausted_every: Duration::from_secs(3_600),
    disable_after: Duration::from_secs(5 * 86_400),
    disable_attempts_min: 10,
    per_minute_max: 100,
};

const FAILED: Outcome = Outcome::BadStatus { status: 500 };
const WELL: Outcome = Outcome::Success { status: 200 };

/// A watch, the time, and what it wanted done so far.
struct World {
    watch: Watch,
    now: Tick,
    raised: Vec<Alert>,
    over: Vec<AlertId>,
    rest: Vec<Action>,
}

impl World {
    fn new() -> Self {
        Self::with(RULES)
    }

    fn with(rules: AlertRules) -> Self {
        Self { watch: Watch::new(rules, 0), now: START, raised: vec![], over: vec![], rest: vec![] }
    }

    fn after(&mut self, wait: Duration) -> &mut Self {
        self.now = self.now + wait;
        self.watch.on_tick(self.now);
        self.gather();
        self
    }

    fn ended(&mut self, endpoint: EndpointId, outcome: Outcome, state: DeliveryState) -> &mut Self {
        let message = MessageId(EntryId::new(self.now.as_ms(), 0));
        let ended = Ended { endpoint, message, outcome, state, elsewhere: false };
        self.tell(&ended)
    }

    fn tell(&mut self, ended: &Ended) -> &mut Self {
        if self.watch.begins_watch(ended) {
            self.watch.meet(ended.endpoint, OWNER, 1);
        }
        self.watch.on_ended(self.now, ended);
        self.gather();
        self
    }

    fn fails(&mut self) -> &mut Self {
        self.ended(SHOP, FAILED, DeliveryState::Pending)
    }

    fn succeeds(&mut self) -> &mut Self {
        self.ended(SHOP, WELL, DeliveryState::Delivered)
    }

    fn exhausts(&mut self) -> &mut Self {
        self.ended(SHOP, FAILED, DeliveryState::Exhausted)
    }

    fn door(&mut self, endpoint: EndpointId, host: Option<u64>, change: HealthChange) -> &mut Self {
        self.watch.on_door(self.now, &configured(endpoint, None), host, change);
        self.gather();
        self
    }

    fn configures(&mut self, now: &Configured) -> &mut Self {
        self.watch.on_configured(self.now, now);
        self.gather();
        self
    }

    fn gather(&mut self) {
        for action in self.watch.take_actions() {
            match action {
                Action::Raise(alert) => self.raised.push(alert),
                Action::End(alert, at) => {
                    assert_eq!(at, self.now);
                    self.over.push(alert);
                }
                other => self.rest.push(other),
            }
        }
    }

    /// What was raised, in order.
    fn told(&self) -> Vec<AlertType> {
        self.raised.iter().map(|alert| alert.cause.kind()).collect()
    }

    /// What was raised that lasts, and is not over.
    fn open(&self) -> Vec<AlertType> {
        let open = self.raised.iter().filter(|alert| alert.cause.lasts() && !self.over.contains(&alert.id));
        open.map(|alert| alert.cause.kind()).collect()
    }

    fn disables(&self) -> usize {
        self.rest.iter().filter(|action| matches!(action, Action::Disable(SHOP))).count()
    }
}

fn configured(endpoint: EndpointId, disabled: Option<Disabled>) -> Configured {
    Configured { endpoint, application: OWNER, url: 1, disabled }
}

fn until(now: Tick) -> HealthChange {
    HealthChange::LockedOut { until: now + MINUTE }
}

use AlertType::{Disabled as DisabledAlert, Exhausted, Failing, LockedOut, Recovered, SuccessRateLow};

#[test]
fn an_endpoint_is_failing_after_enough_failures_over_enough_time_and_is_told_once() {
    let mut world = World::new();
    for _ in 0..50 {
        world.fails();
    }
    assert_eq!(world.told(), [SuccessRateLow], "fifty at once are no time");
    let mut world = World::new();
    for _ in 0..4 {
        world.fails().after(MINUTE * 4);
    }
    assert_eq!(world.told(), []);
    for _ in 0..20 {
        world.fails().after(MINUTE);
    }
    assert_eq!(world.told(), [Failing]);
    let AlertCause::Failing { since_ms, failures, ref outcome, status } = world.raised[0].cause else {
        panic!("{:?}", world.raised)
    };
    assert_eq!((since_ms, failures, &**outcome, status), (START.as_ms(), 5, "bad_status", Some(500)));
}

#[test]
fn a_success_ends_the_failing_and_is_told_as_a_recovery_with_what_there_was() {
    let mut world = World::new();
    for _ in 0..6 {
        world.fails().after(MINUTE * 3);
    }
    world.succeeds().succeeds();
    assert_eq!((world.told(), world.open()), (vec![Failing, Recovered], vec![]));
    let cause = AlertCause::Recovered { after: vec![Failing], since_ms: START.as_ms() };
    assert_eq!(world.raised[1].cause, cause);
    // And again: another episode.
    for _ in 0..6 {
        world.fails().after(MINUTE * 3);
    }
    assert_eq!(world.told(), [Failing, Recovered, Failing]);
}

#[test]
fn what_an_endpoint_is_not_to_blame_for_does_not_make_it_fail() {
    let mut world = World::new();
    let wait = Duration::from_secs(30);
    let innocent = [
        Outcome::OutOfSockets,
        Outcome::PayloadDamaged,
        Outcome::Withdrawn,
        Outcome::RequestInvalid,
        Outcome::RetryAfter { status: 429, wait },
        Outcome::UrlLockedOut,
        Outcome::HostLockedOut,
    ];
    for outcome in innocent.into_iter().cycle().take(100) {
        world.ended(SHOP, outcome, DeliveryState::Pending).after(MINUTE * 20);
    }
    let elsewhere = Ended {
        endpoint: SHOP,
        message: MessageId(EntryId::MIN),
        outcome: FAILED,
        state: DeliveryState::Pending,
        elsewhere: true,
    };
    for _ in 0..20 {
        world.tell(&elsewhere).after(DAY);
    }
    assert_eq!((world.told(), world.disables()), (vec![], 0));
}

#[test]
fn a_low_success_rate_is_told_once_and_is_over_after_a_better_window() {
    let mut world = World::new();
    for n in 0..100 {
        if n % 5 == 0 {
            world.fails()
        } else {
            world.succeeds()
        };
    }
    assert_eq!(world.told(), [SuccessRateLow]);
    let AlertCause::SuccessRateLow { attempts, failures, .. } = world.raised[0].cause else { panic!() };
    assert_eq!((attempts, failures), (20, 4));
    world.after(MINUTE * 10);
    for n in 0..100 {
        if n == 50 {
            world.fails()
        } else {
            world.succeeds()
        };
    }
    assert_eq!(world.open(), [SuccessRateLow], "the window is not over");
    world.after(MINUTE * 10);
    assert_eq!((world.told(), world.open()), (vec![SuccessRateLow, Recovered], vec![]));
}

#[test]
fn few_attempts_say_nothing_about_a_rate() {
    let mut world = World::new();
    for _ in 0..20 {
        for _ in 0..3 {
            world.fails().succeeds();
        }
        world.after(MINUTE * 10);
    }
    assert_eq!(world.told(), []);
}

#[test]
fn the_first_exhausted_delivery_is_told_at_once_and_further_ones_are_summed_up() {
    let mut world = World::new();
    for _ in 0..30 {
        world.exhausts().succeeds().after(SECOND);
    }
    assert_eq!(world.told().iter().filter(|kind| **kind == Exhausted).count(), 1);
    world.after(HOUR);
    let told = world.raised.iter().filter_map(|alert| match &alert.cause {
        AlertCause::Exhausted { deliveries, .. } => Some(*deliveries),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [1, 29]);
    // An hour without any: the next one is told at once again.
    let before = world.told().len();
    world.after(HOUR).after(HOUR).exhausts();
    assert_eq!(world.told().len(), before + 1);
}

#[test]
fn a_locked_out_url_is_told_once_and_has_recovered_with_its_probe() {
    let mut world = World::new();
    let change = until(world.now);
    let stays = HealthChange::StaysLockedOut { until: START + HOUR };
    world.door(SHOP, None, change).door(SHOP, None, stays).after(HOUR);
    assert_eq!((world.told(), world.open()), (vec![LockedOut], vec![LockedOut]));
    world.door(SHOP, None, HealthChange::Recovered);
    assert_eq!((world.told(), world.open()), (vec![LockedOut, Recovered], vec![]));
}

#[test]
fn a_locked_out_host_is_told_of_one_endpoint_and_over_whoever_brings_the_news() {
    let mut world = World::new();
    let change = until(world.now);
    world.door(SHOP, Some(99), change).door(OTHER, Some(99), change);
    assert_eq!(world.told(), [LockedOut]);
    world.door(OTHER, Some(99), HealthChange::Recovered);
    assert_eq!((world.told(), world.open()), (vec![LockedOut, Recovered], vec![]));
    assert!(world.raised.iter().all(|alert| alert.endpoint == SHOP));
    let cause = &world.raised[0].cause;
    assert!(matches!(cause, AlertCause::LockedOut { door: AlertDoor::Host, .. }), "{cause:?}");
}

#[test]
fn an_endpoint_recovers_once_when_the_last_of_its_troubles_is_over() {
    let mut world = World::new();
    for _ in 0..6 {
        world.fails().after(MINUTE * 3);
    }
    let change = until(world.now);
    world.door(SHOP, None, change).door(SHOP, None, HealthChange::Recovered);
    assert_eq!(world.told(), [Failing, LockedOut], "it has not succeeded yet");
    world.succeeds();
    let cause = AlertCause::Recovered { after: vec![LockedOut, Failing], since_ms: START.as_ms() };
    assert_eq!(world.raised[2].cause, cause);
    assert_eq!(world.told().len(), 3);
}

#[test]
fn an_endpoint_that_fails_for_five_days_is_disabled_and_not_an_hour_earlier() {
    let mut world = World::new();
    for hour in 0..=5 * 24 {
        assert_eq!(world.disables(), 0, "after {hour} hours");
        world.fails().after(HOUR);
    }
    assert_eq!(world.disables(), 1);
    world.fails().fails();
    assert_eq!(world.disables(), 1, "it is being disabled");
    let now = configured(SHOP, Some(Disabled::Failing));
    world.configures(&now).configures(&now);
    assert_eq!(world.open(), [DisabledAlert]);
    let cause = AlertCause::Disabled { reason: Disabled::Failing, since_ms: Some(START.as_ms()) };
    assert_eq!(world.raised.last().map(|alert| &alert.cause), Some(&cause));
    assert!(world.told().iter().all(|kind| *kind != Recovered), "being disabled is no recovery");
}

#[test]
fn a_single_success_gives_an_endpoint_another_five_days() {
    let mut world = World::new();
    for hour in 0..24 * 9 {
        if hour == 24 * 4 {
            world.succeeds()
        } else {
            world.fails()
        };
        world.after(HOUR);
    }
    assert_eq!(world.disables(), 0);
}

#[test]
fn failures_at_both_ends_are_not_enough_if_there_were_few() {
    let mut world = World::new();
    for _ in 0..9 {
        world.fails();
    }
    world.after(DAY * 10);
    assert_eq!(world.disables(), 0, "nothing is decided without a failure");
    world.fails();
    assert_eq!(world.disables(), 1);
    let mut world = World::new();
    world.fails().after(DAY * 10).fails();
    assert_eq!(world.disables(), 0);
}

#[test]
fn refusals_during_a_lockout_do_not_count_towards_disabling() {
    let mut world = World::new();
    world.fails();
    for _ in 0..24 * 6 {
        world.after(HOUR).ended(SHOP, Outcome::UrlLockedOut, DeliveryState::Pending);
    }
    assert_eq!(world.disables(), 0);
}

#[test]
fn a_disabling_that_did_not_work_is_tried_with_the_next_failure() {
    let mut world = World::new();
    for _ in 0..10 {
        world.fails().after(DAY);
    }
    assert_eq!(world.disables(), 1);
    world.watch.on_not_disabled(SHOP);
    world.fails();
    assert_eq!(world.disables(), 2);
}

#[test]
fn failing_for_an_hour_is_remembered_and_forgotten_with_a_success() {
    let mut world = World::new();
    world.fails().after(MINUTE * 59).fails();
    assert_eq!(world.rest, []);
    world.after(MINUTE).fails().after(MINUTE).fails();
    let failing = FailingSince { endpoint: SHOP, since_ms: START.as_ms(), failures: 3 };
    assert_eq!(world.rest, [Action::Remember(failing)]);
    world.succeeds();
    assert_eq!(world.rest[1..], [Action::Forget(SHOP)]);
}

#[test]
fn the_moment_failing_began_survives_a_restart_and_so_does_the_alert_about_it() {
    let mut world = World::new();
    for _ in 0..50 {
        world.fails().after(HOUR);
    }
    let Some(Action::Remember(failing)) = world.rest.first().cloned() else { panic!("{:?}", world.rest) };
    let alert = world.raised[0].clone();

    let mut later = World::new();
    later.now = world.now;
    later.watch.restore_alert(later.now, &alert, Some(&configured(SHOP, None)));
    later.watch.restore_failing(&failing, Some(&configured(SHOP, None)));
    for _ in 50..=5 * 24 {
        assert_eq!(later.disables(), 0);
        later.fails().after(HOUR);
    }
    assert_eq!(later.disables(), 1);
    assert_eq!(later.told(), [], "it was told before");
    later.succeeds();
    assert_eq!(later.over, [alert.id]);
    assert_eq!(later.told(), [Recovered]);
}

#[test]
fn lockouts_do_not_survive_a_restart_and_nothing_is_restored_of_what_is_gone() {
    let mut world = World::new();
    let change = until(world.now);
    world.door(SHOP, None, change);
    let mut later = World::new();
    later.watch.restore_alert(later.now, &world.raised[0], Some(&configured(SHOP, None)));
    let failing = FailingSince { endpoint: OTHER, since_ms: 0, failures: 3 };
    later.watch.restore_failing(&failing, None);
    later.gather();
    assert_eq!((later.over.len(), later.told()), (1, vec![]));
    assert_eq!(later.rest, [Action::Forget(OTHER)]);
}

#[test]
fn an_endpoint_disabled_before_the_start_is_not_told_again_and_enabling_it_ends_the_alert() {
    let mut world = World::new();
    world.configures(&configured(SHOP, Some(Disabled::Gone)));
    assert_eq!(world.told(), [DisabledAlert]);
    let mut later = World::new();
    later.watch.restore_alert(later.now, &world.raised[0], Some(&configured(SHOP, Some(Disabled::Gone))));
    later.watch.restore_disabled(SHOP);
    later.watch.restore_disabled(OTHER);
    later.configures(&configured(SHOP, Some(Disabled::Gone)));
    later.configures(&configured(OTHER, Some(Disabled::Failing)));
    assert_eq!((later.told(), later.over.len()), (vec![], 0));
    later.configures(&configured(SHOP, None)).configures(&configured(OTHER, None));
    assert_eq!((later.told(), later.over.as_slice()), (vec![], &[world.raised[0].id][..]));
}

#[test]
fn somebody_who_disables_an_endpoint_by_hand_need_not_be_told() {
    let mut world = World::new();
    for _ in 0..6 {
        world.fails().after(MINUTE * 3);
    }
    world.configures(&configured(SHOP, Some(Disabled::ByHand)));
    assert_eq!((world.told(), world.open()), (vec![Failing], vec![]));
}

#[test]
fn another_url_is_a_clean_sheet_and_another_description_is_not() {
    let mut world = World::new();
    for _ in 0..6 {
        world.fails().after(HOUR);
    }
    world.configures(&configured(SHOP, None));
    assert_eq!(world.open(), [Failing]);
    world.configures(&Configured { url: 2, ..configured(SHOP, None) });
    assert_eq!((world.told(), world.open()), (vec![Failing], vec![]));
    assert!(world.rest.contains(&Action::Forget(SHOP)));
    assert!(!world.watch.knows(SHOP));
}

#[test]
fn a_removed_endpoint_leaves_nothing_behind() {
    let mut world = World::new();
    for _ in 0..6 {
        world.exhausts().after(HOUR / 10);
    }
    world.watch.on_removed(world.now, SHOP);
    world.gather();
    assert_eq!(world.open(), []);
    let told = world.raised.iter().filter_map(|alert| match &alert.cause {
        AlertCause::Exhausted { deliveries, .. } => Some(*deliveries),
        _ => None,
    });
    assert_eq!(told.sum::<u32>(), 6, "what was not told yet is told at the end");
    world.after(DAY);
    assert!(!world.watch.knows(SHOP));
}

#[test]
fn endpoints_that_are_fine_are_not_watched() {
    let mut world = World::new();
    for _ in 0..1_000 {
        world.succeeds();
    }
    assert!(!world.watch.knows(SHOP));
    world.fails().succeeds();
    assert!(world.watch.knows(SHOP));
    world.after(MINUTE * 10).after(MINUTE * 10);
    assert!(!world.watch.knows(SHOP), "after a window without failures");
}

#[test]
fn a_storm_is_bounded_and_what_found_no_room_is_told_in_a_later_minute() {
    let mut world = World::with(AlertRules { per_minute_max: 10, failing_for: MINUTE * 10, ..RULES });
    let endpoints: Vec<EndpointId> = (100..150).map(EndpointId::from_u64).collect();
    for _ in 0..30 {
        for endpoint in &endpoints {
            world.ended(*endpoint, Outcome::TimedOut(Phase::Connect), DeliveryState::Pending);
        }
        world.after(MINUTE);
    }
    let failing = |world: &World| world.told().iter().filter(|kind| **kind == Failing).count();
    assert_eq!(failing(&world), 50, "each once");
    for (minute, alerts) in (0..30)
        .map(|n| START + MINUTE * n)
        .map(|at| (at, world.raised.iter().filter(|a| a.raised_ms == at.as_ms()).count()))
    {
        assert!(alerts <= 10, "{minute:?}: {alerts}");
    }
    assert!(world.watch.take_suppressed() > 0);
}

#[test]
fn ids_of_alerts_differ_and_grow_with_time() {
    let mut world = World::new();
    for n in 0..50 {
        world.ended(EndpointId::from_u64(100 + n), FAILED, DeliveryState::Exhausted);
        if n % 7 == 0 {
            world.after(SECOND);
        }
    }
    let ids: Vec<AlertId> = world.raised.iter().map(|alert| alert.id).collect();
    assert!(ids.is_sorted() && ids.len() == 50);
}
