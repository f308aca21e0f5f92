//! The sandbox's helper as a program of its own, for tests and tools whose own `main` cannot be one.

fn main() {
    buildbtw_builder::run_helper_if_asked();
}
