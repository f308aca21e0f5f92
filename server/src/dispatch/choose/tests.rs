use buildbtw_model::BuildId;

use super::*;

/// A time after which a namespace does not count as starved, and the time at which the candidates became ready.
const NOW: Millis = Millis(10_000_000);

fn candidate(id: i64, namespace: i64, critical_path_s: i64) -> Candidate {
    Candidate {
        id: BuildId(id),
        namespace: NamespaceId(namespace),
        person: "anna".to_owned(),
        priority: Priority::Normal,
        namespace_load: 0,
        critical_path_s,
        estimate_s: 10,
        ready_at: Some(NOW),
        failed_on: None,
        not_before: None,
    }
}

fn of_person(person: &str, candidate: Candidate) -> Candidate {
    Candidate {
        person: person.to_owned(),
        ..candidate
    }
}

fn with_priority(priority: Priority, candidate: Candidate) -> Candidate {
    Candidate {
        priority,
        ..candidate
    }
}

fn chosen(candidates: Vec<Candidate>, count: usize, usage: &Usage) -> Vec<i64> {
    let chosen = choose(candidates, count, usage, NOW).into_iter();
    chosen.map(|candidate| candidate.id.0).collect()
}

#[test]
fn chooses_longest_critical_path_of_a_namespace() {
    let candidates = vec![
        candidate(1, 1, 10),
        candidate(2, 1, 30),
        candidate(3, 1, 30),
    ];
    assert_eq!(chosen(candidates, 2, &Usage::default()), [2, 3]);
}

#[test]
fn large_namespace_does_not_starve_small_one() {
    let mut usage = Usage::default();
    usage.add("anna", Some(NamespaceId(1)), 500_000);
    let mut candidates: Vec<_> = (1..=100).map(|id| candidate(id, 1, 1_000)).collect();
    candidates.push(candidate(200, 2, 1));
    assert_eq!(chosen(candidates.clone(), 1, &usage), [200]);
    assert_eq!(chosen(candidates, 3, &usage), [200, 1, 2]);
}

#[test]
fn equal_namespaces_take_turns() {
    let candidates = vec![
        candidate(1, 1, 1),
        candidate(2, 1, 1),
        candidate(3, 2, 1),
        candidate(4, 2, 1),
    ];
    assert_eq!(chosen(candidates, 4, &Usage::default()), [1, 3, 2, 4]);
}

#[test]
fn many_namespaces_of_a_person_share_with_one_of_another() {
    let candidates: Vec<_> = (1..=4)
        .map(|id| candidate(id, id, 1))
        .chain((5..=8).map(|id| of_person("ben", candidate(id, 9, 1))))
        .collect();
    assert_eq!(chosen(candidates, 6, &Usage::default()), [1, 5, 2, 6, 3, 7]);
}

#[test]
fn people_with_less_work_within_the_last_day_come_first() {
    let mut usage = Usage::default();
    usage.add("anna", None, 25_000);
    let candidates: Vec<_> = (1..=3)
        .map(|id| candidate(id, 1, 1))
        .chain((4..=6).map(|id| of_person("ben", candidate(id, 2, 1))))
        .collect();
    assert_eq!(chosen(candidates, 4, &usage), [4, 5, 6, 1]);
}

#[test]
fn higher_priorities_come_first() {
    let candidates = vec![
        with_priority(Priority::Low, candidate(1, 1, 900)),
        candidate(2, 2, 1),
        with_priority(Priority::Urgent, of_person("ben", candidate(3, 3, 1))),
        with_priority(Priority::High, candidate(4, 4, 1)),
    ];
    let mut usage = Usage::default();
    // However much was built for its person.
    usage.add("ben", Some(NamespaceId(3)), 1 << 40);
    assert_eq!(chosen(candidates, 4, &usage), [3, 4, 2, 1]);
}

#[test]
fn every_namespace_keeps_a_part_of_many_workers() {
    let running = |count, candidate| Candidate {
        namespace_load: count,
        ..candidate
    };
    let high = |id| with_priority(Priority::High, candidate(id, 1, 1));
    let low = |id| with_priority(Priority::Low, candidate(id, 2, 1));
    // 16 workers, two namespaces: a quarter of an equal share are two.
    let some = vec![running(15, high(1)), running(0, low(2)), running(0, low(3))];
    assert_eq!(chosen(some, 3, &Usage::default()), [2, 3, 1]);
    let enough = vec![running(13, high(1)), running(2, low(2))];
    assert_eq!(chosen(enough, 1, &Usage::default()), [1]);
    let few = vec![running(5, high(1)), running(0, low(2))];
    assert_eq!(chosen(few, 1, &Usage::default()), [1]);
}

#[test]
fn namespace_without_a_worker_for_an_hour_gets_the_next_one() {
    let waiting = |since: i64| {
        let low = with_priority(Priority::Low, candidate(1, 1, 1));
        Candidate {
            ready_at: Some(Millis(NOW.0 - since)),
            ..low
        }
    };
    let other = with_priority(Priority::High, candidate(2, 2, 1));
    let hour = 3_600_000;
    let usage = Usage::default();
    assert_eq!(chosen(vec![waiting(hour), other.clone()], 1, &usage), [1]);
    assert_eq!(
        chosen(vec![waiting(hour - 1), other.clone()], 1, &usage),
        [2]
    );
    // It got one since.
    let mut usage = Usage::default();
    usage.charge(&waiting(hour), Millis(NOW.0 - 1));
    assert_eq!(chosen(vec![waiting(hour), other.clone()], 1, &usage), [2]);
    // Urgent namespaces come first nevertheless.
    let urgent = with_priority(Priority::Urgent, other);
    assert_eq!(
        chosen(vec![waiting(hour), urgent], 1, &Usage::default()),
        [2]
    );
}
