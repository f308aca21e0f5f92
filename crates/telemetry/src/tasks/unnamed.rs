//! Tasks without names, as stable tokio has them.

use tokio::task::{AbortHandle, JoinHandle, JoinSet};

#[track_caller]
pub(super) fn spawn<F>(_: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}

#[track_caller]
pub(super) fn spawn_in<F>(set: &mut JoinSet<F::Output>, _: &'static str, future: F) -> AbortHandle
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    set.spawn(future)
}

#[track_caller]
pub(super) fn spawn_blocking<F, T>(_: &'static str, work: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    tokio::task::spawn_blocking(work)
}
