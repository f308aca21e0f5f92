//! Tasks with names, for which tokio has an unstable interface.

#![expect(
    clippy::expect_used,
    reason = "tokio's functions without a name panic in the same cases"
)]

use tokio::task::{AbortHandle, Builder, JoinHandle, JoinSet};

const CANNOT_START: &str = "tokio cannot start a task";

#[track_caller]
pub(super) fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Builder::new().name(name).spawn(future).expect(CANNOT_START)
}

#[track_caller]
pub(super) fn spawn_in<F>(
    set: &mut JoinSet<F::Output>,
    name: &'static str,
    future: F,
) -> AbortHandle
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let builder = set.build_task().name(name);
    builder.spawn(future).expect(CANNOT_START)
}

#[track_caller]
pub(super) fn spawn_blocking<F, T>(name: &'static str, work: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let builder = Builder::new().name(name);
    builder.spawn_blocking(work).expect(CANNOT_START)
}
