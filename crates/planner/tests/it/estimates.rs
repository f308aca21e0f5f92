//! Plans with the durations of earlier builds.

use buildbtw_model::{Pkgbase, Scope};
use buildbtw_planner::{Estimate, Estimates, NoEstimates, PlanRequest, plan, render};

use crate::support::{check_shape, index, origin, package, request};

#[test]
fn prioritizes_by_longest_chain() {
    let index = index([
        package("lib", &[]),
        package("slow", &["depends = lib"]),
        package("quick", &["depends = lib"]),
        package("unknown", &["depends = quick"]),
    ]);
    let known = |pkgbase: &Pkgbase| match pkgbase.as_str() {
        "lib" => Some(estimate(10)),
        "slow" => Some(estimate(500)),
        "quick" => Some(estimate(20)),
        _ => None,
    };
    let request = PlanRequest {
        estimates: &known,
        ..request(vec![origin(&index, "lib")], Scope::Transitive)
    };
    let plan = plan(&index, &request);
    check_shape(&plan);
    let numbers: Vec<(&str, u64, u64)> = plan
        .builds
        .iter()
        .map(|build| (build.pkgbase.as_str(), build.estimate_s, build.priority_s))
        .collect();
    let expected = [
        ("lib", 10, 510),
        ("quick", 20, 40),
        ("slow", 500, 500),
        ("unknown", 20, 20),
    ];
    assert_eq!(numbers, expected);
    assert_eq!((plan.total_s(), plan.critical_path_s()), (550, 510));
}

/// An estimate that half of the builds differ from by more than a half.
fn estimate(seconds: u64) -> Estimate {
    Estimate {
        low_s: seconds / 2,
        seconds,
        high_s: seconds * 3 / 2,
    }
}

#[test]
fn says_which_durations_are_unknown() {
    let index = index([package("lib", &[]), package("tool", &["depends = lib"])]);
    let work = |known: &dyn Estimates| {
        let request = PlanRequest {
            estimates: known,
            ..request(vec![origin(&index, "lib")], Scope::Transitive)
        };
        let plan = plan(&index, &request);
        let json = serde_json::to_value(&plan).unwrap();
        let known = json["builds"].as_array().unwrap().iter();
        let known = known.filter(|build| build["estimate_is_known"] == true);
        assert_eq!(known.count(), 2 - plan.unknown_durations());
        let text = render::text(&plan);
        let line = text.lines().find(|line| line.starts_with("estimated work"));
        line.unwrap().to_owned()
    };
    let all = |_: &Pkgbase| Some(estimate(7_200));
    assert_eq!(
        work(&all),
        "estimated work: 2 h to 6 h, about 4 h with unlimited workers"
    );
    let exact = |_: &Pkgbase| {
        Some(Estimate {
            low_s: 60,
            seconds: 60,
            high_s: 60,
        })
    };
    assert_eq!(
        work(&exact),
        "estimated work: 2 min, about 2 min with unlimited workers"
    );
    let one = |pkgbase: &Pkgbase| (pkgbase.as_str() == "lib").then(|| estimate(7_200));
    assert_eq!(
        work(&one),
        "estimated work: at least 1 h; 1 of 2 durations unknown"
    );
    assert_eq!(
        work(&NoEstimates),
        "estimated work: unknown; no durations of earlier builds"
    );
}
