//! Whether a buildbtw server can be used: reachable, its clock, version, readiness and the token.

use buildbtw_model::api::ReadyResponse;
use buildbtw_model::client::{Client, ClientError, ConnectionProblem, Probe};
use jiff::Timestamp;

use crate::clock::{self, Reading};
use crate::token::{self, Need};
use crate::{Check, Report, version};

/// What to do about a server that is not ready.
const ASK_SERVER: &str = "run `buildbtw-server doctor` on the server's machine";

/// What a program expects of its server.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The version of the program.
    pub version: &'static str,
    /// The setting that names the server, for repairs.
    pub setting: &'static str,
    /// The token; `None` if the program has none of its own.
    pub token: Option<Need>,
    /// Whether the client has a token.
    pub has_token: bool,
}

/// Adds all checks of a server. Those that need it are skipped when it cannot be reached.
pub async fn check_all(
    report: &mut Report,
    client: &Client,
    expected: Expected,
    now: impl Fn() -> Timestamp,
) {
    let mut probe = None;
    let reached = async {
        match client.probe().await {
            Ok(found) => {
                // Before any other request, so that its duration is that of the response.
                probe = Some((found, now()));
                vec![Check::ok("server", reachable(client, &found))]
            }
            Err(error) => vec![unreachable(client, expected.setting, &error)],
        }
    };
    report.run("server", reached).await;
    let Some((probe, ours)) = probe else {
        for name in ["clock", "version", "readiness"] {
            report.add(Check::skipped(name, "the server cannot be reached"));
        }
        if expected.token.is_some() {
            report.add(Check::skipped("token", "the server cannot be reached"));
        }
        return;
    };
    report.add(match probe.date {
        Some(theirs) => {
            let took = probe.took;
            clock::check("clock", "the server", Reading { theirs, ours, took })
        }
        None => clock::unknown("clock", "the server"),
    });
    let ready = async {
        match client.readiness().await {
            Ok(ready) => {
                let version = version::check("version", expected.version, ready.version.as_deref());
                [vec![version], readiness(&ready, |_| ASK_SERVER)].concat()
            }
            Err(error) => vec![unknown_readiness(expected.setting, &error)],
        }
    };
    report.run("readiness", ready).await;
    if let Some(need) = expected.token {
        let token = async {
            let answer = client.identity().await;
            vec![token::check("token", need, expected.has_token, answer)]
        };
        report.run("token", token).await;
    }
}

fn reachable(client: &Client, probe: &Probe) -> String {
    let server = client.server();
    let tls = match server.starts_with("https:") {
        true => ", and its certificate is valid",
        false => ", without TLS",
    };
    format!(
        "{server} answered within {} ms{tls}",
        probe.took.as_millis()
    )
}

/// Returns the failure of a server that does not answer, or not as one of ours.
pub(crate) fn unreachable(client: &Client, setting: &str, error: &ClientError) -> Check {
    let message = error.to_string();
    let repair = match error {
        ClientError::Connection { problem, .. } => match problem {
            ConnectionProblem::Network => {
                let server = client.server();
                format!("start buildbtw-server at {server}, or correct the setting `{setting}`")
            }
            ConnectionProblem::UnknownAuthority => {
                "name the file of its certificate authority with the setting `ca`".to_owned()
            }
            ConnectionProblem::Certificate => {
                "check the host names and the period in the server's certificate, and the clock of this machine"
                    .to_owned()
            }
        },
        _ => not_ours(setting),
    };
    Check::failure("server", message, repair)
}

/// Returns the failure of a server that does not tell whether it is ready.
pub(crate) fn unknown_readiness(setting: &str, error: &ClientError) -> Check {
    Check::failed("readiness", error.explanation(), not_ours(setting))
}

fn not_ours(setting: &str) -> String {
    format!("let the setting `{setting}` name a buildbtw-server of this version")
}

/// Returns the failed checks of the server itself, or that there are none. `repair` says what to do about a check with
/// this name.
#[must_use]
pub fn readiness(ready: &ReadyResponse, repair: impl Fn(&str) -> &'static str) -> Vec<Check> {
    if ready.ready {
        return vec![Check::ok("readiness", "the server is ready")];
    }
    let failed = ready.checks.iter().filter(|check| !check.ok);
    let checks = failed.map(|check| {
        let problem = check.problem.as_deref().unwrap_or("it gave no reason");
        let message = format!("the server's check `{}` failed: {problem}", check.name);
        Check::warning("readiness", message, repair(&check.name))
    });
    checks.collect()
}

#[cfg(test)]
mod tests {
    use buildbtw_model::api::HealthCheck;

    use super::*;
    use crate::Status;

    #[test]
    fn names_the_checks_that_the_server_failed() {
        let check = |name: &str, problem: Option<&str>| HealthCheck {
            name: name.into(),
            ok: problem.is_none(),
            problem: problem.map(str::to_owned),
        };
        let mut ready = ReadyResponse {
            ready: true,
            version: None,
            checks: vec![check("writer", None)],
        };
        assert_eq!(readiness(&ready, |_| ASK_SERVER)[0].status, Status::Ok);
        ready.ready = false;
        ready.checks.push(check("disk", Some("no room")));
        let found = readiness(&ready, |_| ASK_SERVER);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].message,
            "the server's check `disk` failed: no room"
        );
    }

    /// Runs all checks as a client without a token does.
    async fn checked(client: &Client) -> Report {
        let mut report = Report::new("buildbtw", "1");
        let expected = Expected {
            version: "1",
            setting: "--server",
            token: None,
            has_token: false,
        };
        check_all(&mut report, client, expected, Timestamp::now).await;
        report
    }

    #[tokio::test]
    async fn skips_what_needs_a_server_that_cannot_be_reached() {
        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let client = Client::new(&url, None).unwrap();
        let report = checked(&client).await;
        let states: Vec<_> = report.checks.iter().map(|check| check.status).collect();
        let skipped = Status::Skipped;
        assert_eq!(states, [Status::Failure, skipped, skipped, skipped]);
        let repair = report.checks[0].repair.as_deref().unwrap();
        assert!(repair.contains("start buildbtw-server at"), "{repair}");
    }

    #[tokio::test]
    async fn does_not_show_the_password_of_a_server() {
        let url = "http://user:s3cret@127.0.0.1:1";
        let client = Client::new(url, None).unwrap();
        let report = checked(&client).await;
        let text = report.to_text();
        assert!(text.contains("(hidden)@127.0.0.1:1"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
        let took = std::time::Duration::from_millis(1);
        let answered = reachable(&client, &Probe { date: None, took });
        assert!(!answered.contains("s3cret"), "{answered}");
    }
}
