//! `check`: checks whether this host can run jobs.

use std::io::Write as _;
use std::path::Path;

use crate::explanations;
use crate::failure::Failure;
use crate::front::{Host, privileged, script};
use crate::root::Request;
use crate::watch::Watch;

/// Checks everything that jobs need.
pub(super) fn run(host: &Host) -> Result<(), Failure> {
    host_is_ready(host, &Watch::default())?;
    script::check(host)?;
    if host.config.gitlab_runner().is_none() {
        return Err(Failure::system(explanations::no_gitlab_runner()));
    }
    writeln!(std::io::stdout(), "This host is ready.")?;
    Ok(())
}

/// Checks everything that a build needs.
pub(super) fn host_is_ready(host: &Host, watch: &Watch) -> Result<(), Failure> {
    for (program, package) in [
        ("/usr/bin/bwrap", "bubblewrap"),
        ("/usr/bin/bash", "bash"),
        ("/usr/bin/git", "git"),
    ] {
        if !Path::new(program).exists() {
            return Err(Failure::system(explanations::no_program(program, package)));
        }
    }
    privileged::request_while(host, &Request::Check {}, watch)?;
    // The root side has created the state folder.
    script::check_permissions(host)
}
