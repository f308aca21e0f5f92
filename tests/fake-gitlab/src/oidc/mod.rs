//! OpenID Connect: the published keys, the tokens of jobs, and forged tokens.

pub(crate) mod claims;
mod endpoints;
mod forgery;
pub(crate) mod keys;

pub(crate) use endpoints::router;
pub use forgery::{IdToken, Signer};
