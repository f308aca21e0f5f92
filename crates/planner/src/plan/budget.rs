//! How long planning may go on.
//!
//! Some graphs take long: a cycle of thousands of packages takes time by the square of its size. Whoever
//! serves others sets a limit, which the loops that can take long look at.

use std::convert::Infallible;

/// Says when planning has taken long enough. It is asked very often, so that the answer must be cheap.
pub trait Budget {
    /// Why planning ends without a plan.
    type Over;

    /// Asks whether planning may go on.
    ///
    /// # Errors
    /// When it may not.
    fn check(&self) -> Result<(), Self::Over>;
}

/// As long as it takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl Budget for Unlimited {
    type Over = Infallible;

    fn check(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Until a function returns `true`.
#[derive(Clone, Copy, Debug)]
pub struct Until<F>(pub F);

/// Planning was ended by its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("planning took too long")]
pub struct TookTooLong;

impl<F: Fn() -> bool> Budget for Until<F> {
    type Over = TookTooLong;

    fn check(&self) -> Result<(), TookTooLong> {
        if (self.0)() { Err(TookTooLong) } else { Ok(()) }
    }
}
