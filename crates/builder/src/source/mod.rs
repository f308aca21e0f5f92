//! The tree with the PKGBUILD and the sources it lists. All of it is written by strangers; none of
//! it is executed here.

pub(crate) mod access;
pub(crate) mod bump;
pub(crate) mod checkout;
pub(crate) mod entry;
