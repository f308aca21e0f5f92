//! The use cases of the server, one file each. Services own the transactions; handlers, dispatch and tasks call them.
//! Apart from them, only `sources` stores what it reads of source repositories, and `maintenance` repairs the database
//! of a server that does not run.

pub mod adopt_attempt;
pub mod append_log;
mod attempt_guard;
mod base_versions;
pub mod build_inputs;
pub mod claim_build;
pub mod create_namespace;
pub mod delete;
pub mod drain_worker;
pub mod edit_namespace;
mod eta;
pub mod exchange_id_token;
pub mod expire_leases;
mod failed_attempt;
pub mod forge_report;
pub mod heartbeat;
pub mod hold;
mod iteration_graph;
mod iteration_settings;
mod job_attempt;
mod learned;
pub mod new_iteration;
mod package_refusals;
pub mod pipelines;
pub mod plan_iteration;
pub mod preview_plan;
pub mod prioritize;
pub mod publish;
pub mod queue_objective;
pub mod read;
mod reason;
pub mod receive_webhook;
pub(crate) mod record_traces;
pub mod recover;
#[cfg(test)]
mod refusal_snapshots;
pub mod refusals;
pub mod reload;
pub mod replan;
mod report_final_failure;
pub mod report_outcome;
pub mod repository;
pub mod retention;
pub mod retry;
mod source_problems;
pub mod storage;
pub mod store_pkgbuild;
pub mod tokens;
mod transitions;
pub mod unused_srcinfos;
pub mod upload_package;
mod version_notes;
