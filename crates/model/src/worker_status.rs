//! The status of workers.

use crate::states::api_enum;

api_enum! {
    /// The status of a worker.
    WorkerStatus, "worker status" {
        /// It builds nothing, and waits for builds.
        Idle = "idle",
        /// It builds.
        Building = "building",
        /// It finishes what it builds, and gets nothing new.
        Draining = "draining",
        /// It builds nothing, and gets nothing until it is resumed.
        Drained = "drained",
        /// It has not sent a request for a while.
        LostContact = "lost-contact",
        _ => /// A status that this version of the program does not know.
        Other,
    }
}
