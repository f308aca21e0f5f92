//! The buildbtw server: watches sources, plans rebuilds, hands builds out and publishes the result.
//! The only program that writes the database.

pub mod address;
pub mod admission;
pub mod app_state;
pub mod auth;
pub mod changes;
pub mod cli;
pub mod config;
pub mod db;
pub mod dispatch;
pub mod error;
pub mod inbox;
pub mod logs;
pub mod maintenance;
pub mod network;
pub mod private;
pub mod report_turns;
pub mod repos;
pub mod router;
mod routes;
pub mod run;
mod serve;
pub mod service;
pub mod shutdown;
pub mod sources;
mod views;
