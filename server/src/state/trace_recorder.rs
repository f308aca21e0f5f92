//! The recording of traces, where it is enabled.

use buildbtw_telemetry::otlp::Traces;

use crate::changes::Traced;
use crate::wakers::Pending;

/// Records traces, and knows the attempts whose trace is to be recorded. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TraceRecorder {
    /// Records spans.
    pub traces: Traces,
    /// Attempts that have ended.
    pub due: Pending<Traced>,
}

impl TraceRecorder {
    /// Creates a recorder without attempts.
    #[must_use]
    pub fn new(traces: Traces) -> Self {
        Self {
            traces,
            due: Pending::default(),
        }
    }
}
