//! Requests that Schemathesis generates from the OpenAPI document: no response is a fault of the server, and every
//! response is one that the document describes. `just schemathesis` runs it for longer.

use std::path::PathBuf;

use buildbtw_model::FailureKind;
use tokio::process::Command;

use crate::support::{Srcinfo, TestServer};

/// How many requests to generate for each operation, beyond those for the limits of each parameter.
const EXAMPLES: &str = "SCHEMATHESIS_EXAMPLES";

/// The checks: all but those that ask whether the server accepts all that the document allows. Many rules, such as that
/// a pkgbase exists, are none of a schema.
const CHECKS: &str = "[checks]
positive_data_acceptance.enabled = false
missing_required_header.enabled = false
ignored_auth.enabled = false
use_after_free.enabled = false
ensure_resource_availability.enabled = false
";

/// Operations that are left out: streams and claims wait for events, some would end the test's access or its data, and
/// those for monitoring are not below the address of the API.
const EXCLUDED: [&str; 8] = [
    "stream_events",
    "stream_all_events",
    "claim_build",
    "revoke_token",
    "delete_namespace",
    "show_health",
    "show_metrics",
    "show_readiness",
];

/// A check that is left out for logs: a request may have headers that the document does not name, which Schemathesis
/// takes for invalid data.
const WITHOUT_HEADERS: &str = "checks.negative_data_rejection.enabled = false\n";

/// Returns the program, if it is installed.
fn program() -> Option<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(home?.join(".local/share")))?;
    let program = data.join("buildbtw/schemathesis/bin/schemathesis");
    program.exists().then_some(program)
}

/// Starts a server with a build that is done, one that failed, one that is blocked and one that is running.
async fn server() -> (TestServer, String) {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
        sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
        sources.push(&Srcinfo::new("tool", "1.0-1").depends(&["libgreet"]));
        sources.push(&Srcinfo::new("app", "1.0-1").depends(&["greet", "tool"]));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.builds("libgreet").await;
    let failing = worker.claims().await;
    failing.logs(0, "==> Starting build()...\n").await.unwrap();
    failing
        .fails(FailureKind::Package, "it does not compile")
        .await;
    worker.claims().await.starts().await;
    (server, job.claimed.attempt.to_string())
}

#[tokio::test]
async fn conforms_to_the_openapi_document() {
    let Some(program) = program() else {
        eprintln!(
            "SKIPPED: Schemathesis is missing; `scripts/python-tools schemathesis` installs it"
        );
        return;
    };
    let (server, attempt) = server().await;
    let build = server.build("bump", "greet").await.id;
    let folder = server.scratch("schemathesis");
    // The first entry that fits an operation counts.
    let log = "[[operations]]\ninclude-operation-id = \"read_log\"\n";
    // With these values requests get to what exists; without them, to what does not.
    let existing = format!(
        "[parameters]\nname = \"bump\"\nnumber = \"current\"\n\n\
         [[operations]]\ninclude-operation-id = \"show_build\"\nparameters = {{ id = {build} }}\n\n\
         {log}{WITHOUT_HEADERS}parameters = {{ id = \"{attempt}\" }}\n\n\
         [[operations]]\ninclude-path-regex = \"^/attempts/\"\nparameters = {{ id = \"{attempt}\" }}\n"
    );
    let any = format!("{log}{WITHOUT_HEADERS}");
    for (name, config) in [("existing", &*existing), ("any", &*any)] {
        let path = folder.join(format!("{name}.toml"));
        fs_err::write(&path, format!("{config}\n{CHECKS}")).unwrap();
        let examples = std::env::var(EXAMPLES).unwrap_or_else(|_| "3".into());
        let api = format!("{}/api/v1", server.url());
        let mut command = Command::new(&program);
        command
            .current_dir(&folder)
            .arg("--config-file")
            .arg(&path)
            .args(["run", &format!("{api}/openapi.json"), "--url", &api])
            .args([
                "--header",
                &format!("Authorization: Bearer {}", server.admin_token()),
            ])
            .args(["--max-examples", &examples])
            .args([
                "--phases",
                "examples,coverage,fuzzing",
                "--continue-on-failure",
            ])
            .args(["--request-timeout", "60", "--warnings", "off"]);
        if std::env::var_os(EXAMPLES).is_none() {
            // The same requests in every run of the tests.
            command.args(["--generation-deterministic", "--seed", "1"]);
        } else {
            command.args(["--generation-database", "none"]);
        }
        for operation in EXCLUDED {
            command.args(["--exclude-operation-id", operation]);
        }
        let output = command.output().await.unwrap();
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "with {name} data:\n{report}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(report.contains("Test cases:"), "{report}");
    }
    // The server still works.
    assert_eq!(server.iteration("bump").await.builds.len(), 4);
}
