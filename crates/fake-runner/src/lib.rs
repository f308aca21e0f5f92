//! A stand-in for gitlab-runner.
