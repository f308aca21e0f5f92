//! Budgets for planning.
//!
//! Some graphs take long: the time for a cycle of thousands of packages grows with the square of its size. A server
//! sets a limit, which all loops that can take long check.

use std::convert::Infallible;

/// A limit for planning. It is checked very often, so that checks must be cheap.
pub trait Budget {
    /// The error with which planning ends.
    type Over;

    /// Checks whether planning may continue.
    ///
    /// # Errors
    /// Fails when it must not.
    fn check(&self) -> Result<(), Self::Over>;

    /// Checks whether planning may continue with a rebuild set of this size. It is called once, before the slowest
    /// steps; the plan has at least as many builds.
    ///
    /// # Errors
    /// Fails when it must not.
    fn check_members(&self, _count: usize) -> Result<(), Self::Over> {
        Ok(())
    }
}

/// A budget without a limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl Budget for Unlimited {
    type Over = Infallible;

    fn check(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A budget that lasts until a function returns `true`.
#[derive(Clone, Copy, Debug)]
pub struct Until<F>(pub F);

/// The budget [`Until`] ended planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("planning took too long")]
pub struct TimedOut;

impl<F: Fn() -> bool> Budget for Until<F> {
    type Over = TimedOut;

    fn check(&self) -> Result<(), TimedOut> {
        if (self.0)() { Err(TimedOut) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use buildbtw_model::Scope;

    use super::*;
    use crate::{PackageIndex, PlanRequest, parse_srcinfo, plan_within};

    /// A budget that records the size of the set and stops planning.
    #[derive(Default)]
    struct SizeRecorder(Cell<usize>);

    impl Budget for SizeRecorder {
        type Over = &'static str;

        fn check(&self) -> Result<(), &'static str> {
            // Once the size is known, planning stops.
            assert_eq!(self.0.get(), 0);
            Ok(())
        }

        fn check_members(&self, count: usize) -> Result<(), &'static str> {
            self.0.set(count);
            Err("too large")
        }
    }

    #[test]
    fn error_matches_snapshot() {
        insta::assert_snapshot!(Until(|| true).check().unwrap_err());
    }

    #[test]
    fn checks_size_of_rebuild_set_before_ordering() {
        let mut index = PackageIndex::new();
        let package = |number: u32| {
            let (before, after) = ((number + 9) % 10, (number + 1) % 10);
            let text = format!(
                "pkgbase = p{number}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = any\n\tdepends = p{before}\n\t\
                 depends = p{after}\npkgname = p{number}\n"
            );
            Arc::new(parse_srcinfo(&text).unwrap())
        };
        for number in 0..10 {
            index.insert(package(number));
        }
        let architecture = "x86_64".parse().unwrap();
        let request = PlanRequest::new(architecture, vec![package(0)], Scope::All);
        let small = SizeRecorder::default();
        assert_eq!(
            plan_within(&index, &request, &small).unwrap_err(),
            "too large"
        );
        assert_eq!(small.0.get(), 10);
    }
}
