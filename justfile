# Recipes for using and developing buildbtw. `just` lists them.

set dotenv-load
set positional-arguments
set shell := ['bash', '-euo', 'pipefail', '-c']

# Everything compiles with the committed .sqlx; only `just db` uses a database.
export SQLX_OFFLINE := env("SQLX_OFFLINE", "true")

# List the recipes
_default:
    @just --justfile '{{ justfile() }}' --list --unsorted

# Demonstrate a rebuild on this machine and stay up; --ci: exit at the end (needs root)
[group('see it')]
[no-exit-message]
demo *ARGS:
    @demo/run "$@"

# Run the demo with sources and pipelines in a stand-in for GitLab, whose runner uses our executor
[group('see it')]
[no-exit-message]
demo-gitlab *ARGS:
    @demo/run --gitlab "$@"

# Build a distribution of real programs, bump its library, and upgrade the installed system (needs root)
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
    export BUILDBTW_SERVER_CONFIG=/dev/null BUILDBTW_WORKER_CONFIG=/dev/null
    # Tests spend more time waiting for the disk than computing.
    export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) * 3))}
    # The test of the API uses it, and says so if it is missing.
    scripts/python-tools schemathesis || true
    # With the same features of dependencies as the tests, so that nothing is compiled twice.
    cargo build --workspace --bins --tests
    scripts/quick-makepkg cargo test --workspace "$@"

# Run tests N times while other processes occupy all cores; FILTER is a name or arguments of cargo test
[group('check')]
[no-exit-message]
test-under-load N='1' *FILTER:
    @scripts/test-under-load "$@"

# Test the shell scripts
[group('check')]
test-scripts:
    @scripts/test-bootstrap
    @scripts/test-load-script

# Check format, clippy, rustdoc, dependencies and shell scripts; warnings fail
[group('check')]
lint: (tools "cargo-machete")
    cargo fmt --all --check
    cargo machete
    cargo clippy --workspace --all-targets -- --deny warnings
    RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --no-deps --document-private-items
    scripts/lint-shell
    scripts/lint-packaging
    just check-graphql

# Write notes/openapi.json, the description of the API that reviews compare
[group('develop')]
openapi:
    WRITE_OPENAPI=1 cargo test --package buildbtw-server --test api -- matches_the_committed_document

# Send generated requests to a server, and compare its responses with the description of the API
[group('check')]
schemathesis EXAMPLES='200':
    scripts/python-tools schemathesis
    SCHEMATHESIS_EXAMPLES='{{ EXAMPLES }}' \
        cargo test --package buildbtw-server --test api -- --nocapture conforms_to_the_openapi_document

# Test the server with tokio-console, whose compiler flags compile everything again
[group('check')]
test-console:
    scripts/with-console cargo test --package buildbtw-server --features tokio-console --test console

# Measure what tokio-console costs the server: memory per hour, latency of requests
[group('check')]
console-cost SECONDS='300':
    @scripts/console-cost '{{ SECONDS }}'
# Write the man pages and completions of all programs to a folder
[group('develop')]
man FOLDER='target/manual':
    cargo run --quiet --package buildbtw-manual -- '{{ FOLDER }}'
    @echo 'for example: man {{ FOLDER }}/man/buildbtw-show.1'

# Format all Rust code
[group('check')]
fmt:
    cargo fmt --all

# Follow notes/install.md on two machines in namespaces, as on Arch and on Debian (needs root)
[group('check')]
[no-exit-message]
follow-install *PROGRAMS: proxies (tools "cargo-deb")
    #!/usr/bin/env bash
    set -euo pipefail
    programs=${1:-target/debug}
    (($#)) || cargo build --workspace --bins
    packaging/debian/build target/packages-to-try --ready "$programs"
    # At the same time: both spend half of the time waiting.
    PROGRAMS=$programs scripts/follow-install arch >target/follow-install-arch.log 2>&1 &
    status=0
    scripts/follow-install debian target/packages-to-try || status=$?
    wait $! || status=$?
    cat target/follow-install-arch.log
    exit "$status"

# Unpack nginx and Caddy, with which `just test` then tests the examples of packaging/proxy
[group('check')]
proxies:
    @scripts/proxies

# Check licences and sources of dependencies, and for unwanted crates
[group('check')]
deny: (tools "cargo-deny")
    cargo deny --workspace check bans licenses sources

# Validate the GraphQL queries against the committed schema
[group('check')]
check-graphql:
    # With the features of all programs, as the tests compile it.
    cargo build --quiet --workspace --example check_graphql
    "${CARGO_TARGET_DIR:-target}/debug/examples/check_graphql"

# Update that schema from the GitLab instance in .env (BUILDBTW_GITLAB_…)
[group('develop')]
update-graphql-schema *ARGS:
    cargo run --quiet --package buildbtw-gitlab --example update_graphql_schema -- "$@"

# Run all benchmarks; figures go to target/bench.txt, important ones to notes/performance.md
[group('check')]
bench *ARGS:
    @mkdir -p target
    # Benchmarks start the programs as processes.
    cargo build --release --workspace --bins
    cargo bench --workspace --bench '*' "$@" | tee target/bench.txt
    @echo 'The figures are in target/bench.txt; copy important ones to notes/performance.md.'

# Plan every package of a tree of <pkgbase>/.SRCINFO files as origin, in every scope
[group('check')]
plan-all +FOLDERS:
    cargo run --release --package buildbtw-planner --example plan_all -- "$@"

# Kill server and worker with SIGKILL at random moments of rebuilds, and check that nothing is lost
[group('check')]
kill-test KILLS='1000' SEED='1' BUILDER='simulated':
    cargo build --workspace --bins
    KILLS='{{ KILLS }}' SEED='{{ SEED }}' {{ if BUILDER == 'sandbox' { "SANDBOX=1" } else { "" } }} \
        cargo test --package buildbtw-tests --test e2e -- --nocapture kills

# Kill the server with SIGKILL around the creation of pipelines, and check that none is created twice
[group('check')]
pipeline-kill-test KILLS='200' SEED='1':
    cargo build --workspace --bins
    KILLS='{{ KILLS }}' SEED='{{ SEED }}' \
        cargo test --package buildbtw-tests --test e2e -- --nocapture pipeline_kills

# Send signals at random moments of GitLab jobs, and check that the executor leaves nothing behind
[group('check')]
executor-kill-test COUNT='100' SEED='1' BUILDER='simulated':
    KILLS='{{ COUNT }}' SEED='{{ SEED }}' {{ if BUILDER == 'sandbox' { "SANDBOX=1" } else { "" } }} \
        cargo test --package buildbtw-executor --test jobs -- --nocapture kills

# Fuzz a parser or the server: srcinfo, changeset, package, members or json; all by default
[group('check')]
fuzz TARGET='srcinfo changeset package members json' RUNS='1000000': (tools "cargo-fuzz")
    #!/usr/bin/env bash
    set -euo pipefail
    # Instrumentation needs an unstable option, which this variable enables in stable compilers.
    export RUSTC_BOOTSTRAP=1 SQLX_OFFLINE=true RUST_LOG=off
    # Our code has nothing unsafe for a sanitizer to check, and fuzzing without one is faster.
    for target in {{ TARGET }}; do
        mkdir -p "fuzz/corpus/$target"
        cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" \
            -- -runs='{{ RUNS }}' -max_len=16384 -timeout=60
    done

# Run exactly the same as CI
[group('check')]
[no-exit-message]
ci-dev:
    @.ci/run

# Compile all programs
[group('run')]
build:
    cargo build --workspace --bins

# Build the packages for pacman from source, into target/packages (needs makepkg, not as root)
[group('run')]
package-arch:
    #!/usr/bin/env bash
    set -euo pipefail
    mkdir -p target/packages
    packaging/arch/prepare target/arch
    cd target/arch
    # Where pacman has not installed cargo, that of rustup compiles.
    flags=()
    pacman -T cargo >/dev/null || flags=(--nodeps)
    PKGDEST="$PWD/../packages" makepkg --force "${flags[@]}"

# Build the packages for Debian and Ubuntu, into target/packages
[group('run')]
package-deb: (tools "cargo-deb")
    packaging/debian/build target/packages

# Create the demo's small distribution as sources of run-server
[group('run')]
example-sources:
    @scripts/run example-sources

# Run the server with settings from .env and its files in data/
[group('run')]
[no-exit-message]
run-server *ARGS:
    @scripts/run server "$@"

# Run the server with tokio-console, compiled for it; other addresses: --tokio-console ADDRESS
[group('run')]
[no-exit-message]
run-server-console *ARGS:
    @scripts/run server-console "$@"

# Install tokio-console, and connect it to the server of run-server-console
[group('run')]
[no-exit-message]
console *ARGS: (tools "tokio-console")
    tokio-console "$@"

# Run the server, and restart it when its source changes
[group('run')]
[no-exit-message]
watch-server *ARGS: (tools "watchexec")
    watchexec --restart --stop-signal SIGTERM --watch server --watch crates --watch migrations --watch Cargo.toml \
        -- scripts/run server "$@"

# Run a worker that builds in the sandbox (needs root; uses sudo)
[group('run')]
[no-exit-message]
run-worker *ARGS:
    @scripts/run worker "$@"

# Run a worker that simulates builds, with real but tiny packages
[group('run')]
[no-exit-message]
run-worker-fake *ARGS:
    @scripts/run worker-fake "$@"

# Run the client as the server's administrator: just run-client new libgreet/main --follow
[group('run')]
[no-exit-message]
run-client *ARGS:
    @scripts/run client "$@"

# Manage the development database: just db create|migrate|reset|new-migration|prepare|check
[group('develop')]
[no-exit-message]
db ACTION='' *ARGS:
    @scripts/db "$@"

# Install sqlx-cli, cargo-deny and cargo-machete, or the named developers' tools, in fixed versions
[group('develop')]
tools *NAMES:
    @scripts/tools "$@"
