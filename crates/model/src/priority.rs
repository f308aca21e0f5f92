//! The priority of namespaces.

use crate::states::api_enum;

api_enum! {
    /// The priority of a namespace, lowest first: which builds are dispatched first.
    #[derive(Default)]
    Priority, "priority" {
        /// After all others.
        Low = "low",
        /// The default.
        #[default]
        Normal = "normal",
        /// Before `normal`.
        High = "high",
        /// Before all others: its builds get the next free workers. Only administrators set it.
        Urgent = "urgent",
    }
}
