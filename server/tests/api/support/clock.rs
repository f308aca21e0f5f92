//! The clock of a server, which tests advance instead of waiting.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use buildbtw_server::time::{Clock, Millis};

/// The machine's clock, and by how much it was advanced. A server that restarts keeps it. Clones share the time.
#[derive(Clone, Debug)]
pub(crate) struct TestClock {
    machine: Clock,
    clock: Clock,
    reading: Arc<Mutex<Reading>>,
}

#[derive(Debug, Default)]
struct Reading {
    ahead: Duration,
    /// The time of the machine that replaces the current one.
    stopped_at: Option<Millis>,
}

impl Default for TestClock {
    fn default() -> Self {
        let (machine, reading) = (Clock::default(), Arc::<Mutex<Reading>>::default());
        let (own, shared) = (machine.clone(), Arc::clone(&reading));
        let clock = Clock::from_fn(move || {
            let reading = shared.lock().unwrap();
            reading.stopped_at.unwrap_or_else(|| own.now()) + reading.ahead
        });
        Self {
            machine,
            clock,
            reading,
        }
    }
}

impl TestClock {
    /// Returns the clock for a server.
    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Stops the clock. It can still be advanced.
    pub(crate) fn freeze(&self) {
        self.reading.lock().unwrap().stopped_at = Some(self.machine.now());
    }

    /// Advances the clock, and wakes what waits for a time of it.
    pub(crate) fn advance(&self, by: Duration) {
        self.jump(by);
        self.clock.announce_jump();
    }

    /// Advances the clock as a suspended machine does: nothing is woken.
    pub(crate) fn jump(&self, by: Duration) {
        self.reading.lock().unwrap().ahead += by;
    }
}
