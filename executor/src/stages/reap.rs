//! `reap`: removes what jobs of killed runners left.

use crate::failure::Failure;
use crate::front::jobs::Jobs;
use crate::front::{Host, privileged};
use crate::root::Request;

/// Removes what is left of jobs whose runner was killed.
pub(super) fn run(host: &Host) -> Result<(), Failure> {
    let reaped = Jobs::of(host).reap(host);
    privileged::request(host, &Request::Reap {})?;
    Ok(reaped?)
}
