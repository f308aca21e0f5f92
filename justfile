# Recipes for using and developing buildbtw. `just` alone lists them.

set dotenv-load
set positional-arguments
set shell := ['bash', '-euo', 'pipefail', '-c']

# Everything compiles from the committed .sqlx; only `just db` talks to a database.
export SQLX_OFFLINE := env("SQLX_OFFLINE", "true")

# List the recipes
_default:
    @just --justfile '{{ justfile() }}' --list --unsorted

# Show the whole path on this machine and stay up; --ci: exit 0 when it worked (needs root)
[group('see it')]
[no-exit-message]
demo *ARGS:
    @demo/run "$@"

# The same with sources and pipelines in a stand-in for GitLab, built by its runner with our executor
[group('see it')]
[no-exit-message]
demo-gitlab *ARGS:
    @demo/run --gitlab "$@"

# Build a distribution of real programs, bump the library below it and upgrade what was installed (needs root)
[group('check')]
[no-exit-message]
real-packages *ARGS:
    @real-packages/run "$@"

# Compile all programs once, then run all tests
[group('check')]
test *ARGS: test-scripts
    #!/usr/bin/env bash
    set -euo pipefail
    # Tests bring their own settings.
    unset "${!BUILDBTW_@}" RUN_BUILDS_ON_GITLAB
    # Tests wait for the disk longer than they compute.
    export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) * 3))}
    cargo build --workspace --bins
    cargo test --workspace "$@"

# Run tests N times beside processes that take all cores; FILTER is a name or arguments of cargo test
[group('check')]
[no-exit-message]
test-under-load N='1' *FILTER:
    @scripts/test-under-load "$@"

# Test the shell scripts
[group('check')]
test-scripts:
    @scripts/test-bootstrap
    @scripts/test-load-script

# Check format, clippy, rustdoc, dependencies and shell scripts; any warning fails
[group('check')]
lint: (tools "cargo-machete")
    cargo fmt --all --check
    cargo machete
    cargo clippy --workspace --all-targets -- --deny warnings
    RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --no-deps --document-private-items
    scripts/lint-shell
    just check-graphql

# Format all Rust code
[group('check')]
fmt:
    cargo fmt --all

# Check the dependencies' licences and sources, and for unwanted crates
[group('check')]
deny: (tools "cargo-deny")
    cargo deny --workspace check bans licenses sources

# Validate the GraphQL queries against the schema they are written for
[group('check')]
check-graphql:
    cargo run --quiet --package buildbtw-fake-gitlab --example check_graphql

# Compare that schema with the GitLab of .env (BUILDBTW_GITLAB_…), and take over what changed there
[group('develop')]
update-graphql-schema *ARGS:
    cargo run --quiet --package buildbtw-gitlab --example update_graphql_schema -- "$@"

# Run all benchmarks; figures go to target/bench.txt, those worth keeping to notes/performance.md
[group('check')]
bench *ARGS:
    @mkdir -p target
    # The benchmark of dispatch starts the server as a process.
    cargo build --release --workspace --bins
    cargo bench --workspace --bench '*' "$@" | tee target/bench.txt
    @echo 'The figures are in target/bench.txt; keep what matters in notes/performance.md.'

# Plan every package of a tree of <pkgbase>/.SRCINFO files as origin, in every scope
[group('check')]
plan-all +FOLDERS:
    cargo run --release --package buildbtw-planner --example plan_all -- "$@"

# Kill server and worker with SIGKILL at random moments of rebuilds, and see that nothing is lost
[group('check')]
kill-test KILLS='1000' SEED='1' BUILDER='simulated':
    cargo build --workspace --bins
    KILLS='{{ KILLS }}' SEED='{{ SEED }}' {{ if BUILDER == 'sandbox' { "SANDBOX=1" } else { "" } }} \
        cargo test --package buildbtw-tests --test e2e -- --nocapture kills

# Kill the server with SIGKILL around the creation of pipelines, and see that none is created twice
[group('check')]
pipeline-kill-test KILLS='200' SEED='1':
    cargo build --workspace --bins
    KILLS='{{ KILLS }}' SEED='{{ SEED }}' \
        cargo test --package buildbtw-tests --test e2e -- --nocapture pipeline_kills

# Send signals at random moments of GitLab jobs, and see that the executor leaves nothing
[group('check')]
executor-kill-test COUNT='100' SEED='1' BUILDER='simulated':
    KILLS='{{ COUNT }}' SEED='{{ SEED }}' {{ if BUILDER == 'sandbox' { "SANDBOX=1" } else { "" } }} \
        cargo test --package buildbtw-executor --test jobs -- --nocapture kills

# Feed a parser or the server hostile input: srcinfo, changeset, package or json; without a name, all
[group('check')]
fuzz TARGET='srcinfo changeset package members json' RUNS='1000000': (tools "cargo-fuzz")
    #!/usr/bin/env bash
    set -euo pipefail
    # Instrumenting needs an option that stable compilers have, too, but only show when asked.
    export RUSTC_BOOTSTRAP=1 SQLX_OFFLINE=true RUST_LOG=off
    # There is no unsafe code of ours for a sanitizer to watch, and without one it is faster.
    for target in {{ TARGET }}; do
        mkdir -p "fuzz/corpus/$target"
        cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" \
            -- -runs='{{ RUNS }}' -max_len=16384 -timeout=60
    done

# Run exactly what CI runs
[group('check')]
[no-exit-message]
ci-dev:
    @.ci/run

# Compile all programs
[group('run')]
build:
    cargo build --workspace --bins

# Give run-server the demo's small distribution to build
[group('run')]
example-sources:
    @scripts/run example-sources

# Run the server; settings come from .env, and all its files go to data/
[group('run')]
[no-exit-message]
run-server *ARGS:
    @scripts/run server "$@"

# The same, started again whenever its source changes
[group('run')]
[no-exit-message]
watch-server *ARGS: (tools "watchexec")
    watchexec --restart --stop-signal SIGTERM --watch server --watch crates --watch migrations --watch Cargo.toml \
        -- scripts/run server "$@"

# Run a worker that builds in the sandbox (needs root; asks sudo)
[group('run')]
[no-exit-message]
run-worker *ARGS:
    @scripts/run worker "$@"

# Run a worker that only pretends to build, but makes real (tiny) packages
[group('run')]
[no-exit-message]
run-worker-fake *ARGS:
    @scripts/run worker-fake "$@"

# Run the client as the server's first admin: just run-client new libgreet/main --follow
[group('run')]
[no-exit-message]
run-client *ARGS:
    @scripts/run client "$@"

# The development database: just db create|migrate|reset|new-migration|prepare|check
[group('develop')]
[no-exit-message]
db ACTION='' *ARGS:
    @scripts/db "$@"

# Install sqlx-cli, cargo-deny and cargo-machete, or the named developers' tools, at the right versions
[group('develop')]
tools *NAMES:
    @scripts/tools "$@"
