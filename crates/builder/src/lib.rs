//! Builds one package: in a sandbox from a commit of its source repository, or simulated.
//!
//! ```no_run
//! use buildbtw_builder::{BuildRequest, Builder, SandboxConfig, Source};
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // First thing in main, before any thread: the builder starts this program again as its helper.
//! buildbtw_builder::run_helper_if_asked();
//!
//! let builder = Builder::sandboxed(SandboxConfig::new("/var/lib/buildbtw/scratch"));
//! builder.requirements()?;
//! let request = BuildRequest::new(
//!     "libgreet".parse()?,
//!     "x86_64".parse()?,
//!     Source::Directory("packages/libgreet".into()),
//! );
//! let log = |bytes: &[u8]| { /* append to a file */ };
//! let outcome = builder
//!     .build(&request, "out".as_ref(), &log, CancellationToken::new())
//!     .await;
//! # Ok(())
//! # }
//! ```

mod builder;
mod confinement;
mod failure;
mod fetchers;
mod host;
mod log;
mod outcome;
mod permissions;
mod programs;
mod removal;
mod request;
mod reset_process;
mod sandbox;
mod seccomp;
mod simulated;
mod source;
mod source_network;
mod stops;
mod sys;

pub use builder::Builder;
pub use confinement::Confinement;
pub use host::{Missing, MissingRequirements, Requirement, check_host, inspect_host};
pub use log::{HEADING, LogSink};
pub use outcome::{BuildOutcome, BuiltPackage};
pub use permissions::{RunAs, permission_denied, reading_denied};
pub use removal::remove_folder;
pub use request::{BuildRequest, Limits, Source};
pub use reset_process::{drop_inherited, reset_scheduling, reset_signals};
pub use sandbox::{
    Bind, RootCommand, RootError, SandboxConfig, ScratchDisk, Terminal, has_cgroups, reap,
    run_helper_if_asked, run_in_root,
};
pub use simulated::{SimulatedConfig, SimulatedDuration, SimulatedFailure, SimulatedRelations};
pub use source::access::GitAccess;
pub use source_network::{InvalidNetwork, SourceNetwork};
