//! The sandbox helper as a separate program, for tests and tools whose own `main` cannot act as the helper.

fn main() {
    buildbtw_builder::run_helper_if_asked();
}
