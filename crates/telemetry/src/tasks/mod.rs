//! Tasks with names. All tasks of our programs are started here, so that tokio-console shows what each one is for; a
//! test of the structure finds those that are not.
//!
//! Without tokio-console a name costs nothing: tokio has no place for it.

#[cfg(all(feature = "tokio-console", tokio_unstable))]
mod named;
#[cfg(not(all(feature = "tokio-console", tokio_unstable)))]
mod unnamed;

use tokio::task::{AbortHandle, JoinHandle, JoinSet};

#[cfg(all(feature = "tokio-console", tokio_unstable))]
use named as tasks;
#[cfg(not(all(feature = "tokio-console", tokio_unstable)))]
use unnamed as tasks;

/// Starts a task that tokio-console shows under this name.
///
/// # Panics
/// When called outside of a runtime, as [`tokio::spawn`].
#[track_caller]
pub fn spawn_named<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tasks::spawn(name, future)
}

/// Starts such a task as one of a set.
///
/// # Panics
/// When called outside of a runtime, as [`JoinSet::spawn`].
#[track_caller]
pub fn spawn_in<F>(set: &mut JoinSet<F::Output>, name: &'static str, future: F) -> AbortHandle
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tasks::spawn_in(set, name, future)
}

/// Runs a function that blocks, under this name, on a thread that may block.
///
/// # Panics
/// When called outside of a runtime, or the machine has no thread left, as [`tokio::task::spawn_blocking`].
#[track_caller]
pub fn spawn_blocking_named<F, T>(name: &'static str, work: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    tasks::spawn_blocking(name, work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_results_of_all_kinds_of_tasks() {
        assert_eq!(spawn_named("one", async { 1 }).await.unwrap(), 1);
        assert_eq!(spawn_blocking_named("two", || 2).await.unwrap(), 2);
        let mut set = JoinSet::new();
        spawn_in(&mut set, "three", async { 3 });
        assert_eq!(set.join_next().await.unwrap().unwrap(), 3);
    }
}
