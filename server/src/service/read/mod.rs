//! Read models: the responses of the API and the contents of the pages, created from rows. One file per page.

pub mod activity;
pub mod build;
pub mod build_page;
pub mod builds;
pub mod events;
pub mod find;
pub mod home;
pub mod iteration;
mod lacking;
pub mod logs;
pub mod metrics;
pub mod namespaces;
pub mod outages;
mod outlook;
pub mod paging;
pub mod readiness;
pub mod sources;
mod summary;
pub mod workers;
