//! `reap`: nothing of a job stays whose runner was killed.

use crate::failure::Failure;
use crate::front::jobs::Jobs;
use crate::front::{Host, privileged};
use crate::root::Request;

/// Removes what is left of dead jobs.
pub(super) fn run(host: &Host) -> Result<(), Failure> {
    let reaped = Jobs::of(host).reap(host);
    privileged::ask(host, &Request::Reap {})?;
    Ok(reaped?)
}
