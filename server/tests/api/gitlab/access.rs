//! Problems with a token, a group or a setting are reported until they are fixed.

use std::path::Path;

use buildbtw_model::api::SourcesOutage;
use reqwest::Method;
use tokio_util::sync::CancellationToken;

use super::{Forge, GROUP, complete, overview};
use crate::support::{ServerOptions, Srcinfo, TestServer, eventually, start_server};

async fn wait_for_outage(server: &TestServer) -> SourcesOutage {
    eventually("an outage", async || overview(server).await.outage).await
}

/// Starts a server that cannot read the group, and returns its error with the hint.
async fn outage_message(options: ServerOptions) -> (TestServer, String) {
    let server = TestServer::start_with(options, |_| {}).await;
    let outage = wait_for_outage(&server).await;
    let hint = outage.hint.unwrap_or_default();
    (server, format!("{}\nhint: {hint}", outage.message))
}

#[tokio::test(flavor = "multi_thread")]
async fn names_missing_scope_of_gitlab_token() {
    let forge = Forge::new().await;
    let weak = forge.gitlab.create_token(&["read_user"]);
    forge.write("token", &weak);
    let (server, message) = outage_message(forge.options()).await;
    assert!(message.contains("scope read_api"), "{message}");
    assert!(!message.contains(&weak), "{message}");
    let page = server
        .request(Method::GET, "/sources")
        .send()
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("scope read_api") && page.contains("Outage, started"));
    assert!(
        page.contains("hint: create a token with that scope"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_replaced_token_without_restart() {
    let forge = Forge::new().await;
    forge.gitlab.revoke_token(&forge.token).unwrap();
    let (server, message) = outage_message(forge.options()).await;
    assert!(message.contains("revoked or expired"), "{message}");
    assert!(!message.contains(&forge.token), "{message}");
    let new = forge.gitlab.create_token(&["read_api"]);
    forge.write("token", &new);
    complete(&server).await;
    assert_eq!(overview(&server).await.outage, None);
    assert_eq!(overview(&server).await.usable, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_gitlab_token_loses_no_sources() {
    let forge = Forge::new().await;
    let mut options = forge.options();
    set(&mut options, "--gitlab-poll-seconds", "1");
    let server = forge.server_with(options).await;
    forge.gitlab.revoke_token(&forge.token).unwrap();
    wait_for_outage(&server).await;
    assert_eq!(overview(&server).await.usable, 1);
    // Pushes made meanwhile are found afterwards.
    forge.push(&Srcinfo::new("anchor", "2-1"));
    let new = forge.gitlab.create_token(&["api"]);
    forge.write("token", &new);
    server.source_at("anchor", "2-1").await;
    eventually("no outage", async || {
        overview(&server).await.outage.is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_missing_group() {
    let forge = Forge::new().await;
    let (_server, message) = outage_message(forge.options_for("packaging/nothing")).await;
    assert!(
        message.contains("`packaging/nothing`") && message.contains("no such group"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_missing_code_permission_on_every_project() {
    let forge = Forge::new().await;
    forge.gitlab.set_code_access(&forge.token, false).unwrap();
    let server = forge.server().await;
    let source = server.source("anchor").await.unwrap();
    assert!(source.problem.unwrap().contains("not allowed to read"));
    assert!(source.hint.unwrap().contains("Reporter"));
    // With the role it is usable, at the next full resync at the latest.
    forge.gitlab.set_code_access(&forge.token, true).unwrap();
    super::deliver_push(&forge, &server, "anchor").await;
    server.source_at("anchor", "1-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_sources_when_group_vanishes_briefly() {
    let forge = Forge::new().await;
    for number in 0..30 {
        forge.push(&Srcinfo::new(&format!("p{number}"), "1-1"));
    }
    let mut options = forge.options();
    options.sweep_seconds = 1;
    let server = forge.server_with(options).await;
    super::poll(&server).await;
    // As if the role of the token had been removed, and restored before the message was read.
    let drift = buildbtw_fake_gitlab::Drift::Replace {
        field: "nodes".into(),
        value: serde_json::json!([]),
    };
    let rule = forge.gitlab.faults().add(
        buildbtw_fake_gitlab::On::Operation("GroupProjects".into()),
        buildbtw_fake_gitlab::Times::Next(1),
        buildbtw_fake_gitlab::Fault::Drift(drift),
    );
    // The next resync, a second later, must not succeed before the test has read the message.
    let away = forge.gitlab.faults().add(
        buildbtw_fake_gitlab::On::Operation("GroupProjects".into()),
        buildbtw_fake_gitlab::Times::After(1),
        buildbtw_fake_gitlab::Fault::status(503),
    );
    let outage = wait_for_outage(&server).await;
    forge.gitlab.faults().remove(rule);
    forge.gitlab.faults().remove(away);
    assert!(
        outage.message.contains("only 0 of 31 known projects"),
        "{}",
        outage.message
    );
    assert_eq!(overview(&server).await.usable, 31);
    eventually("a successful poll", async || {
        overview(&server).await.outage.is_none().then_some(())
    })
    .await;
    assert_eq!(overview(&server).await.usable, 31);
}

#[tokio::test(flavor = "multi_thread")]
async fn reaches_gitlab_through_configured_proxy() {
    let forge = Forge::new().await;
    let mut options = forge.options();
    // The host does not exist: only the proxy can respond, which is the stand-in itself.
    set(&mut options, "--gitlab-url", "http://gitlab.invalid");
    options
        .gitlab
        .extend(["--gitlab-proxy".to_owned(), forge.gitlab.url().to_owned()]);
    let server = forge.server_with(options).await;
    assert_eq!(overview(&server).await.usable, 1);
}

#[tokio::test]
async fn rejects_inconsistent_gitlab_settings_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs_err::write(&token, "glpat-x\n").unwrap();
    let token = token.to_str().unwrap();
    let sources = folder.path().to_str().unwrap();
    for (arguments, expected) in [
        (vec![], "no sources are configured"),
        (
            vec!["--gitlab-url", "https://gitlab.example.org"],
            "--gitlab-url also requires --gitlab-group and --gitlab-token-file",
        ),
        (
            vec!["--sources-dir", sources, "--gitlab-poll-seconds", "5"],
            "--gitlab-poll-seconds also requires --gitlab-url",
        ),
        (
            vec![
                "--sources-dir",
                sources,
                "--gitlab-url",
                "x.example.org",
                "--gitlab-group",
                GROUP,
                "--gitlab-token-file",
                token,
            ],
            "cannot be used with",
        ),
        (
            vec![
                "--gitlab-url",
                "x.example.org",
                "--gitlab-group",
                GROUP,
                "--gitlab-token-file",
                "/nowhere/token",
            ],
            "/nowhere/token",
        ),
        (
            vec![
                "--gitlab-url",
                "https://me:glpat-x@x.example.org",
                "--gitlab-group",
                GROUP,
                "--gitlab-token-file",
                token,
            ],
            "user name or password",
        ),
        (
            vec![
                "--gitlab-url",
                "https://x.example.org/?private_token=glpat-x",
                "--gitlab-group",
                GROUP,
                "--gitlab-token-file",
                token,
            ],
            "must not contain `?`",
        ),
        (
            vec![
                "--gitlab-url",
                "x.example.org",
                "--gitlab-group",
                GROUP,
                "--gitlab-token-file",
                token,
                "--gitlab-ca",
                token,
            ],
            "contains no PEM certificate",
        ),
    ] {
        let message = refusal(folder.path(), &arguments).await;
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert!(!message.contains("glpat-x"), "{message}");
    }
}

/// Returns the reason why a server with these arguments does not start.
async fn refusal(folder: &Path, arguments: &[&str]) -> String {
    let data = folder.join("data").display().to_string();
    let base = [
        "buildbtw-server",
        "run",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        &data,
    ];
    let all: Vec<String> = base
        .iter()
        .chain(arguments)
        .map(|argument| (*argument).to_owned())
        .collect();
    match start_server(&all, CancellationToken::new()).await {
        Ok(server) => panic!("the server started at {}", server.address),
        Err(error) => format!("{error:#}"),
    }
}

/// Sets a flag to another value.
pub(super) fn set(options: &mut ServerOptions, flag: &str, value: &str) {
    let at = options.gitlab.iter().position(|argument| argument == flag);
    value.clone_into(&mut options.gitlab[at.unwrap() + 1]);
}
