//! A day of dispatch in simulated time: workers that become free get the build that is chosen for them.

use std::collections::{BTreeMap, BinaryHeap};

use buildbtw_model::BuildId;

use super::*;

const HOUR: i64 = 3_600_000;
/// Some time of which nothing was built before.
const START: i64 = 1_000 * HOUR;

/// A namespace that always has ready builds, from a time until another one.
#[derive(Clone)]
struct Demand {
    person: &'static str,
    priority: Priority,
    from: i64,
    builds: usize,
    /// How long a build takes, and how long it is expected to take.
    seconds: i64,
    expected: i64,
}

fn demand(person: &'static str) -> Demand {
    Demand {
        person,
        priority: Priority::Normal,
        from: 0,
        builds: usize::MAX,
        seconds: 600,
        expected: 600,
    }
}

/// A build that was dispatched.
struct Started {
    demand: usize,
    at: i64,
    end: i64,
}

/// What has happened until a time.
struct State<'a> {
    demands: &'a [Demand],
    /// Milliseconds of work that has ended, by namespace. All of it counts: no simulation is longer than a day.
    ended: Vec<i64>,
    /// The ends of builds that run, with their namespaces; the next one first.
    running: BinaryHeap<Reverse<(i64, usize)>>,
    dispatched_at: Vec<Option<i64>>,
    /// How many builds are left, by namespace.
    left: Vec<usize>,
}

impl<'a> State<'a> {
    fn new(demands: &'a [Demand]) -> Self {
        Self {
            demands,
            ended: vec![0; demands.len()],
            running: BinaryHeap::new(),
            dispatched_at: vec![None; demands.len()],
            left: demands.iter().map(|demand| demand.builds).collect(),
        }
    }

    /// Ends builds, and returns the work of the last day.
    fn advance(&mut self, now: i64) -> Usage {
        while let Some(Reverse((end, place))) = self.running.peek().copied()
            && end <= now
        {
            self.running.pop();
            self.ended[place] += self.demands[place].seconds * 1_000;
        }
        let mut usage = Usage::default();
        for (place, demand) in self.demands.iter().enumerate() {
            let expected = demand.expected * 1_000 * self.count(place);
            let work = self.ended[place] + expected;
            let namespace = NamespaceId(saturating(place));
            usage.add(demand.person, Some(namespace), work);
            if let Some(at) = self.dispatched_at[place] {
                usage.note_dispatch(namespace, Millis(START + at));
            }
        }
        usage
    }

    /// Returns how many builds of a namespace run.
    fn count(&self, place: usize) -> i64 {
        let running = self.running.iter();
        saturating(
            running
                .filter(|Reverse((_, other))| *other == place)
                .count(),
        )
    }

    /// Returns a ready build of each namespace that has one.
    fn candidates(&self, now: i64) -> Vec<Candidate> {
        let ready = (0..self.demands.len())
            .filter(|place| self.demands[*place].from <= now && self.left[*place] > 0);
        let candidates = ready.map(|place| {
            let demand = &self.demands[place];
            Candidate {
                id: BuildId(saturating(place)),
                namespace: NamespaceId(saturating(place)),
                person: demand.person.to_owned(),
                priority: demand.priority,
                namespace_load: self.count(place),
                critical_path_s: 1,
                estimate_s: demand.expected,
                ready_at: Some(Millis(START + demand.from)),
                failed_on: None,
                not_before: None,
            }
        });
        candidates.collect()
    }
}

/// Simulates some hours with a number of workers, and returns what was dispatched, in order.
fn simulate(workers: i64, hours: i64, demands: &[Demand]) -> Vec<Started> {
    assert!(hours <= 24);
    let mut free: BinaryHeap<Reverse<i64>> = (0..workers).map(|_| Reverse(0)).collect();
    let mut state = State::new(demands);
    let mut started: Vec<Started> = Vec::new();
    while let Some(Reverse(now)) = free.pop() {
        if now >= hours * HOUR {
            break;
        }
        let usage = state.advance(now);
        let chosen = choose(state.candidates(now), 1, &usage, Millis(START + now));
        let Some(build) = chosen.first() else {
            // Nothing is ready: the worker asks again a minute later.
            free.push(Reverse(now + 60_000));
            continue;
        };
        let place = usize::try_from(build.id.0).unwrap();
        let end = now + demands[place].seconds * 1_000;
        state.left[place] -= 1;
        state.dispatched_at[place] = Some(now);
        state.running.push(Reverse((end, place)));
        started.push(Started {
            demand: place,
            at: now,
            end,
        });
        free.push(Reverse(end));
    }
    started
}

/// Returns the hours of work for each person, as far as the builds began between two times.
fn hours_of(
    started: &[Started],
    demands: &[Demand],
    from: i64,
    to: i64,
) -> BTreeMap<&'static str, i64> {
    let mut hours = BTreeMap::new();
    for build in started
        .iter()
        .filter(|build| (from..to).contains(&build.at))
    {
        let person = demands[build.demand].person;
        *hours.entry(person).or_default() += build.end - build.at;
    }
    hours.values_mut().for_each(|work| *work /= HOUR);
    hours
}

#[track_caller]
fn assert_near(value: i64, expected: i64) {
    let most = expected / 20 + 2;
    assert!(
        (value - expected).abs() <= most,
        "{value} is not about {expected}"
    );
}

#[test]
fn people_get_equal_shares_whatever_their_number_of_namespaces_and_length_of_builds() {
    let long = Demand {
        seconds: 5_400,
        expected: 600,
        ..demand("ben")
    };
    let short = Demand {
        seconds: 60,
        expected: 300,
        ..demand("cleo")
    };
    let mut demands = vec![demand("anna"); 20];
    demands.extend([long, short.clone(), short]);
    let started = simulate(12, 24, &demands);
    let hours = hours_of(&started, &demands, 0, 24 * HOUR);
    for person in ["anna", "ben", "cleo"] {
        assert_near(hours[person], 12 * 24 / 3);
    }
}

#[test]
fn latecomer_catches_up_while_others_keep_a_part() {
    let late = Demand {
        from: 8 * HOUR,
        ..demand("ben")
    };
    let demands = [demand("anna"), late];
    let started = simulate(16, 24, &demands);
    let whole = hours_of(&started, &demands, 0, 24 * HOUR);
    assert_near(whole["anna"], 16 * 24 / 2);
    assert_near(whole["ben"], 16 * 24 / 2);
    // A quarter of an equal share of 16 workers are two.
    let meanwhile = hours_of(&started, &demands, 9 * HOUR, 14 * HOUR);
    assert_near(meanwhile["anna"], 2 * 5);
}

#[test]
fn urgent_package_gets_the_next_free_worker_of_a_mass_rebuild() {
    let urgent = Demand {
        priority: Priority::Urgent,
        from: 5 * HOUR + 1,
        builds: 1,
        ..demand("anna")
    };
    let mut demands = vec![demand("anna"), demand("ben")];
    demands.push(urgent);
    let started = simulate(7, 6, &demands);
    let place = started.iter().position(|build| build.demand == 2).unwrap();
    let before = started[place - 1].at;
    assert!(
        before <= 5 * HOUR,
        "another build was dispatched at {before}"
    );
}

#[test]
fn low_priority_uses_what_others_leave_and_makes_progress() {
    let low = Demand {
        priority: Priority::Low,
        ..demand("ben")
    };
    let demands = [demand("anna"), low.clone()];
    let started = simulate(1, 24, &demands);
    let hours = hours_of(&started, &demands, 0, 24 * HOUR);
    // One worker: a build of ten minutes every hour.
    assert_near(hours["ben"], 24 / 7);
    let short = Demand {
        builds: 6 * 12,
        ..demand("anna")
    };
    let demands = [short, low];
    let started = simulate(1, 24, &demands);
    let hours = hours_of(&started, &demands, 15 * HOUR, 24 * HOUR);
    assert_eq!(hours.get("anna"), None);
    assert_near(hours["ben"], 9);
}
