//! Dependencies that are not satisfied.

/// A dependency in the environment of a build that is not satisfied.
pub(in crate::plan) struct UnmetDependency {
    /// The member whose build it is.
    pub(in crate::plan) member: u32,
    /// Which of its builds it is.
    pub(in crate::plan) build: &'static str,
    /// The member whose package has the dependency; [`OUTSIDE`](crate::plan::members::OUTSIDE) for packages of
    /// no member.
    pub(in crate::plan) holder: u32,
    /// Who needs what.
    pub(in crate::plan) text: String,
    /// Whether it is known or expected, or merely possible.
    pub(in crate::plan) is_certain: bool,
    /// Whether it comes from an order in which the cycle is built, so that another one may help.
    pub(in crate::plan) depends_on_order: bool,
}

impl UnmetDependency {
    /// Returns whether the cycle cannot be built in this order.
    pub(in crate::plan) fn rules_out_order(&self) -> bool {
        self.is_certain && self.depends_on_order
    }
}
