//! HTTP handlers. Each one extracts parameters, calls one service, and converts the result.

pub(crate) mod api;
pub(crate) mod api_version;
mod base_url;
pub(crate) mod bodies;
pub(crate) mod conditional;
pub(crate) mod extract;
pub(crate) mod health;
pub(crate) mod listing;
pub(crate) mod openapi;
pub(crate) mod pages;
mod paging;
pub(crate) mod public;
pub(crate) mod repository;
pub(crate) mod request_span;
pub(crate) mod streaming;
