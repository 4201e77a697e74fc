//! Which endpoint is where, and how it behaves: arithmetic, so that nobody has to remember it.
//!
//! Endpoints are numbered; the number of an endpoint is its slot. `fan_out` slots in a row are a group, and one
//! message goes to one group, all groups in turn. Groups belong to applications; where an application has several,
//! each has a channel of its own.
//!
//! ```text
//!   slot         0 1 2 3 4 5 6 7 8 9 10 11       fan-out 3, two applications
//!   group        0 0 0 1 1 1 2 2 2 3  3  3       message n goes to group n % 4
//!   application  0 0 0 0 0 0 1 1 1 1  1  1
//!   host         0 1 2 3 4 0 1 2 3 4  0  1       five hosts, slots in turn
//! ```

/// How an endpoint answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// At once, with success.
    Healthy,
    /// With success, but late.
    Slow,
    /// With 500.
    Failing,
    /// Not at all.
    Hanging,
    /// Nobody listens there.
    Dead,
}

/// Shares of endpoints, in percent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Shares {
    pub(crate) slow: f64,
    pub(crate) failing: f64,
    pub(crate) hanging: f64,
}

/// What a layout is made from. All numbers are at least 1, and `endpoints` is a multiple of the product of
/// `fan_out` and `applications`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) endpoints: u32,
    pub(crate) fan_out: u32,
    pub(crate) applications: u32,
    pub(crate) hosts: u32,
    pub(crate) shares: Shares,
    /// Whether the last host is dead.
    pub(crate) dead_host: bool,
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Layout {
    numbers: Numbers,
    groups: u32,
    behaviours: Vec<Behaviour>,
    /// Healthy endpoints of each group.
    healthy: Vec<u32>,
}

impl Layout {
    pub(crate) fn new(numbers: Numbers) -> Self {
        let behaviours: Vec<_> = behaviours(&numbers);
        let is_healthy = |behaviour: &&Behaviour| **behaviour == Behaviour::Healthy;
        let healthy = behaviours.chunks(numbers.fan_out as usize);
        let healthy = healthy.map(|group| group.iter().filter(is_healthy).count() as u32).collect();
        Self { groups: numbers.endpoints / numbers.fan_out, behaviours, healthy, numbers }
    }

    pub(crate) fn endpoints(&self) -> u32 {
        self.numbers.endpoints
    }

    pub(crate) fn fan_out(&self) -> u32 {
        self.numbers.fan_out
    }

    pub(crate) fn applications(&self) -> u32 {
        self.numbers.applications
    }

    pub(crate) fn groups(&self) -> u32 {
        self.groups
    }

    /// The group that a message goes to.
    pub(crate) fn group_of_message(&self, message: u64) -> u32 {
        (message % u64::from(self.groups)) as u32
    }

    /// The group that a slot belongs to.
    pub(crate) fn group_of_slot(&self, slot: u32) -> u32 {
        slot / self.numbers.fan_out
    }

    /// The application that a group belongs to.
    pub(crate) fn application_of(&self, group: u32) -> u32 {
        group / self.groups_per_application()
    }

    /// The channel that a group listens to; `None` where its application has no other group.
    pub(crate) fn channel_of(&self, group: u32) -> Option<u32> {
        let per_application = self.groups_per_application();
        (per_application > 1).then(|| group % per_application)
    }

    /// The host of a slot.
    pub(crate) fn host_of(&self, slot: u32) -> u32 {
        slot % self.numbers.hosts
    }

    pub(crate) fn behaviour_of(&self, slot: u32) -> Behaviour {
        self.behaviours[slot as usize]
    }

    /// How many healthy endpoints get a message.
    pub(crate) fn healthy_of_message(&self, message: u64) -> u32 {
        self.healthy[self.group_of_message(message) as usize]
    }

    /// How many healthy endpoints there are.
    pub(crate) fn healthy(&self) -> u32 {
        self.healthy.iter().sum()
    }

    /// The slots of a group.
    pub(crate) fn slots_of(&self, group: u32) -> std::ops::Range<u32> {
        group * self.numbers.fan_out..(group + 1) * self.numbers.fan_out
    }

    fn groups_per_application(&self) -> u32 {
        self.groups / self.numbers.applications
    }
}

/// Shares are those of all endpoints, and are taken from those that are not on the dead host.
fn behaviours(numbers: &Numbers) -> Vec<Behaviour> {
    let Numbers { endpoints, hosts, shares, dead_host, .. } = *numbers;
    let is_dead = |slot: u32| dead_host && slot % hosts == hosts - 1;
    let alive = (0..endpoints).filter(|slot| !is_dead(*slot)).count();
    let bad = shares.slow + shares.failing + shares.hanging;
    let bad_of_alive = (bad * f64::from(endpoints) / alive.max(1) as f64).min(100.0);
    let (mut seen, mut bad_ones) = (0, 0);
    let each = |slot| {
        if is_dead(slot) {
            return Behaviour::Dead;
        }
        seen += 1;
        if !is_chosen(seen - 1, bad_of_alive) {
            return Behaviour::Healthy;
        }
        bad_ones += 1;
        kind(bad_ones - 1, shares, bad)
    };
    (0..endpoints).map(each).collect()
}

/// Which of the bad kinds the `n`th bad endpoint is.
fn kind(n: u32, shares: Shares, bad: f64) -> Behaviour {
    if is_chosen(n, 100.0 * shares.hanging / bad) {
        return Behaviour::Hanging;
    }
    let rest = bad - shares.hanging;
    let not_hanging = n - chosen_before(n, 100.0 * shares.hanging / bad);
    if is_chosen(not_hanging, 100.0 * shares.failing / rest) { Behaviour::Failing } else { Behaviour::Slow }
}

/// Whether `n` is among those that a share in percent takes when it takes them as evenly as it can.
fn is_chosen(n: u32, percent: f64) -> bool {
    chosen_before(n + 1, percent) > chosen_before(n, percent)
}

fn chosen_before(n: u32, percent: f64) -> u32 {
    // A little more, because a third of three is one.
    (f64::from(n) * percent / 100.0 + 1e-6) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> Numbers {
        let shares = Shares::default();
        Numbers { endpoints: 12, fan_out: 3, applications: 2, hosts: 5, shares, dead_host: false }
    }

    #[test]
    fn messages_go_to_all_groups_in_turn_and_groups_to_applications_in_rows() {
        let layout = Layout::new(numbers());
        let groups: Vec<_> = (0..6).map(|message| layout.group_of_message(message)).collect();
        assert_eq!(groups, [0, 1, 2, 3, 0, 1]);
        let places: Vec<_> =
            (0..4).map(|group| (layout.application_of(group), layout.channel_of(group))).collect();
        assert_eq!(places, [(0, Some(0)), (0, Some(1)), (1, Some(0)), (1, Some(1))]);
        assert_eq!((layout.slots_of(3), layout.group_of_slot(11), layout.host_of(11)), (9..12, 3, 1));
    }

    #[test]
    fn an_application_with_one_group_needs_no_channel() {
        let layout = Layout::new(Numbers { applications: 4, ..numbers() });
        assert_eq!((0..4).map(|group| layout.channel_of(group)).collect::<Vec<_>>(), [None; 4]);
    }

    #[test]
    fn shares_are_met_exactly_and_spread() {
        let shares = Shares { slow: 10.0, failing: 20.0, hanging: 20.0 };
        let layout = Layout::new(Numbers {
            endpoints: 100,
            fan_out: 1,
            applications: 100,
            hosts: 100,
            shares,
            ..numbers()
        });
        let count = |kind| layout.behaviours.iter().filter(|behaviour| **behaviour == kind).count();
        let counts = [Behaviour::Healthy, Behaviour::Slow, Behaviour::Failing, Behaviour::Hanging].map(count);
        assert_eq!(counts, [50, 10, 20, 20]);
        let first_half = layout.behaviours[..50].iter().filter(|kind| **kind == Behaviour::Hanging).count();
        assert_eq!(first_half, 10);
        assert_eq!(layout.healthy(), 50);
    }

    #[test]
    fn a_dead_host_comes_on_top_of_the_shares() {
        let shares = Shares { slow: 0.0, failing: 20.0, hanging: 20.0 };
        let numbers =
            Numbers { endpoints: 100, fan_out: 1, applications: 100, hosts: 100, shares, dead_host: true };
        let layout = Layout::new(numbers);
        let count = |kind| layout.behaviours.iter().filter(|behaviour| **behaviour == kind).count();
        let kinds = [Behaviour::Healthy, Behaviour::Failing, Behaviour::Hanging, Behaviour::Dead];
        assert_eq!(kinds.map(count), [59, 20, 20, 1]);
    }

    #[test]
    fn the_dead_host_is_the_last_and_takes_all_its_endpoints_with_it() {
        let layout = Layout::new(Numbers { dead_host: true, ..numbers() });
        let dead: Vec<_> = (0..12).filter(|slot| layout.behaviour_of(*slot) == Behaviour::Dead).collect();
        assert_eq!(dead, [4, 9]);
        assert_eq!((layout.healthy_of_message(0), layout.healthy_of_message(1)), (3, 2));
    }
}
