//! Runs a stand-in for gitlab-runner.
fn main() {}
