//! Runs attempts of builds, from the claim to the accepted outcome, for the worker and the executor. Those decide where
//! builds come from, and what happens to their files afterwards.
//!
//! An [`Agent`] runs any number of attempts against one server:
//!
//! ```no_run
//! # async fn example(agent: std::sync::Arc<buildbtw_agent::Agent>,
//! #     claimed: buildbtw_model::api::ClaimedBuild) -> std::io::Result<()> {
//! use buildbtw_agent::{AttemptFolder, LogFile, Settled};
//!
//! let folder = AttemptFolder::create("/var/lib/x".into(), claimed.attempt)?;
//! let log = LogFile::open(&folder.log())?;
//! let report = agent.run(&claimed, &folder, log.into(), false).await;
//! if report.settled != Settled::Pending {
//!     folder.remove()?;
//! }
//! # Ok(())
//! # }
//! ```

mod agent;
pub mod connection;
mod deliver;
mod folder;
mod heartbeat;
pub mod limits;
mod log_file;
mod log_stream;
pub mod machine;
mod outage;
mod request;
mod signals;
#[cfg(test)]
mod tests;

pub use agent::{Agent, Interrupt};
pub use connection::Connection;
pub use deliver::{Report, Settled};
pub use folder::AttemptFolder;
pub use log_file::{LogFile, LogState};
