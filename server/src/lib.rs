//! The buildbtw server: watches sources, plans rebuilds, dispatches builds and publishes the results. It is
//! the only program that writes the database.

mod actors;
pub mod address;
pub mod admission;
pub mod auth;
pub mod cached;
pub mod changes;
pub mod cli;
pub mod config;
pub mod db;
pub mod disk;
pub mod dispatch;
pub mod doctor;
pub mod error;
pub mod listening;
pub mod logs;
pub mod maintenance;
pub mod metrics;
pub mod network;
pub mod outage;
pub mod owner;
pub mod planning;
pub mod principal;
pub mod private;
pub mod repos;
mod request_trace;
pub mod router;
mod routes;
pub mod run;
mod serve;
pub mod service;
mod service_manager;
pub mod shutdown;
pub mod sources;
pub mod startup;
pub mod state;
#[cfg(test)]
mod testing;
pub mod time;
mod views;
pub mod wakers;
