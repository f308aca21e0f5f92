//! Tests that expensive steps check the budget, even if the plan has few builds.

use std::cell::Cell;
use std::sync::Arc;

use buildbtw_model::{Pkgbase, Pkgname, Scope};
use buildbtw_planner::{
    BaseIndex, PlanRequest, SourcePackage, TimedOut, Unlimited, Until, VersionedPackage, plan,
    plan_within, same_packages, unmet_constraints,
};

use crate::support::{based, index, origin, package, request};

const MANY: usize = 1_000;

/// Counts the checks of a budget, and optionally ends planning after a number of them.
struct CountingBudget {
    count: Cell<usize>,
    limit: usize,
}

impl CountingBudget {
    fn at_most(limit: usize) -> Self {
        let count = Cell::new(0);
        Self { count, limit }
    }

    fn budget(&self) -> Until<impl Fn() -> bool> {
        Until(|| {
            self.count.set(self.count.get() + 1);
            self.count.get() > self.limit
        })
    }
}

#[test]
fn charges_scans_of_base_to_the_budget() {
    let index = index([package("lib", &[]), package("app", &["depends = lib"])]);
    // A chain through base that connects packages of the index.
    let base = BaseIndex::new(
        (0..MANY)
            .map(|at| {
                let before = match at.checked_sub(1) {
                    Some(before) => format!("between-{before}"),
                    None => "app".to_owned(),
                };
                based(&format!("between-{at}"), "1-1", &[&before], &[])
            })
            .collect(),
    );
    let request = PlanRequest {
        base: Some(&base),
        ..request(vec![origin(&index, "lib")], Scope::Origin)
    };
    let all = CountingBudget::at_most(usize::MAX);
    let planned = plan_within(&index, &request, &all.budget()).unwrap();
    assert_eq!(planned, plan(&index, &request));
    // Each package is checked as a candidate, for its relations, in the search, in the conversion to a source package
    // and in the overlay.
    assert!(
        all.count.get() >= 5 * MANY,
        "checked {} times",
        all.count.get()
    );
    for limit in [
        0,
        MANY / 2,
        3 * MANY / 2,
        5 * MANY / 2,
        7 * MANY / 2,
        9 * MANY / 2,
    ] {
        let some = CountingBudget::at_most(limit);
        let result = plan_within(&index, &request, &some.budget());
        assert_eq!(result, Err(TimedOut), "{limit}");
        assert_eq!(some.count.get(), limit + 1);
    }
}

#[test]
fn charges_version_comparisons_to_the_budget() {
    let users = (0..MANY).map(|at| package(&format!("user-{at}"), &["depends = kernel=6.1-1"]));
    let kernel = package("kernel", &["pkgver = 6.1"]);
    let index = index(users.chain([kernel]));
    let built: Vec<(Arc<SourcePackage>, _)> = index
        .iter()
        .map(|package| (Arc::clone(package), package.version().clone()))
        .collect();
    let built: Vec<VersionedPackage<'_>> = built
        .iter()
        .map(|(package, version)| VersionedPackage { package, version })
        .collect();
    let architecture = "x86_64".parse().unwrap();
    for limit in [0, MANY / 2, 3 * MANY / 2, 5 * MANY / 2] {
        let some = CountingBudget::at_most(limit);
        let unmet = unmet_constraints(&index, &built, &architecture, &some.budget());
        assert_eq!(unmet, Err(TimedOut), "{limit}");
        assert_eq!(some.count.get(), limit + 1);
    }
    let Ok(unmet) = unmet_constraints(&index, &built, &architecture, &Unlimited);
    assert!(unmet.is_empty(), "{unmet:?}");
    for limit in [0, MANY / 2, 3 * MANY / 2] {
        let some = CountingBudget::at_most(limit);
        let same = same_packages(&index, &built, &architecture, &some.budget());
        assert_eq!(same, Err(TimedOut), "{limit}");
    }
    let Ok(same) = same_packages(&index, &built, &architecture, &Unlimited);
    assert!(same.is_empty(), "{same:?}");
}

#[test]
fn charges_expected_versions_to_the_budget() {
    let index = index([package("lib", &[]), package("app", &["depends = lib=1-1"])]);
    let origins = vec![origin(&index, "lib")];
    let planned = plan(&index, &request(origins.clone(), Scope::All));
    let expect = |limit| {
        let (mut plan, counting) = (planned.clone(), CountingBudget::at_most(limit));
        let base = |_: &Pkgbase, _: &Pkgname| Vec::new();
        plan.expect_versions_within(&index, &origins, &base, true, &counting.budget())
            .map(|()| (plan, counting.count.get()))
    };
    let (expected, needed) = expect(usize::MAX).unwrap();
    assert_eq!(expected.versions().len(), 2);
    for limit in 0..needed {
        assert_eq!(expect(limit), Err(TimedOut), "{limit} of {needed}");
    }
    assert_eq!(expect(needed), Ok((expected, needed)));
}
