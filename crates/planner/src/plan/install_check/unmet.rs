//! Unmet dependencies.

/// A dependency that is not satisfied in the environment of a build.
pub(in crate::plan) struct UnmetDependency {
    /// The member whose build is affected.
    pub(in crate::plan) member: u32,
    /// The affected build, for messages.
    pub(in crate::plan) build: &'static str,
    /// The member whose package has the dependency; [`OUTSIDE`](crate::plan::members::OUTSIDE) for other packages.
    pub(in crate::plan) holder: u32,
    /// The message: which package needs what, and why it is unmet.
    pub(in crate::plan) text: String,
    /// Whether the problem is certain or expected, and not merely possible.
    pub(in crate::plan) is_certain: bool,
    /// Whether it depends on the order in which the cycle is built, so that another order may help.
    pub(in crate::plan) depends_on_order: bool,
}

impl UnmetDependency {
    /// Returns whether the cycle cannot be built in this order.
    pub(in crate::plan) fn rules_out_order(&self) -> bool {
        self.is_certain && self.depends_on_order
    }
}
