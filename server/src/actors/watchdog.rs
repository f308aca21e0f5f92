//! Feeds the watchdog of the service manager while the writer of the database answers. If it hangs, nothing can be
//! stored or dispatched, and a restart is the remedy.

use std::time::Duration;

use buildbtw_model::BackgroundTask;

use super::runner::{Actor, Cause, Next, OwnOutage};
use crate::db::Database;
use crate::outage::{Failure, Pauses};
use crate::service_manager;

/// The actor that feeds the watchdog.
pub(crate) struct Watchdog {
    database: Database,
    pause: Duration,
}

impl Watchdog {
    pub(crate) fn new(database: Database, pause: Duration) -> Self {
        Self { database, pause }
    }
}

impl OwnOutage for Watchdog {
    const TITLE: &'static str = "cannot reach the writer of the database";
    const PAUSES: Pauses = Pauses::constant(Duration::from_secs(1));
}

impl Actor for Watchdog {
    const TASK: BackgroundTask = BackgroundTask::Watchdog;
    const IS_INTERRUPTIBLE: bool = true;
    type Event = std::convert::Infallible;

    async fn event(&mut self) -> Self::Event {
        std::future::pending().await
    }

    async fn turn(&mut self, _: Cause<Self::Event>) -> Result<Next, Failure> {
        // An error is an answer, too: a restart does not help against a full disk. The transaction is rolled back.
        drop(self.database.write().await);
        service_manager::notify_watchdog();
        Ok(Next::after(self.pause))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::testing::TestState;

    #[tokio::test]
    async fn waits_for_the_writer_before_each_sign_of_life() {
        let test = TestState::new().await;
        let pause = Duration::from_secs(45);
        let mut watchdog = Watchdog::new(test.database.clone(), pause);
        watchdog.turn(Cause::Start).await.unwrap();
        let held = test.database.write().await.unwrap();
        let mut turn = pin!(watchdog.turn(Cause::Timer));
        assert!((&mut turn).now_or_never().is_none());
        drop(held);
        turn.await.unwrap();
    }
}
