//! OpenID Connect: the keys that are published, the tokens of jobs, and tokens that somebody might
//! forge.

pub(crate) mod claims;
mod endpoints;
mod forgery;
pub(crate) mod keys;

pub(crate) use endpoints::router;
pub use forgery::{IdToken, Signer};
