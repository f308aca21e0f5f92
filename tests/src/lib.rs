//! End-to-end tests live in `e2e/`; this package has no code of its own.
