//! Tells the server that a build cannot be done before somebody has changed something. Without that it
//! would start another pipeline, and another one after that, each of which ends the same way.

use std::io::Write as _;

use crate::contract::Environment;
use crate::failure::Failure;
use crate::front::{Host, build, privileged};
use crate::root::Request;

/// Passes the result of a stage on, and tells the server if it is final.
pub(super) fn report(
    host: &Host,
    environment: &Environment,
    result: Result<(), Failure>,
) -> Result<(), Failure> {
    if let Err(Failure::Final(message)) = &result
        && let Ok(job) = environment.job()
        // A job that is not from buildbtw has nothing to tell it.
        && let Ok((attempt, id_token)) = build::identity(&job)
    {
        let refuse = Request::Refuse {
            attempt,
            id_token,
            message: message.clone(),
        };
        if let Err(failure) = privileged::ask(host, &refuse) {
            let _ = writeln!(
                std::io::stderr(),
                "WARNING: the server could not be told: {failure}"
            );
        }
    }
    result
}
