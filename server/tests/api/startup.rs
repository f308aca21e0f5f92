//! Reasons why a server does not start: one line with a remedy each.

use tokio_util::sync::CancellationToken;

use crate::support::{TestServer, start_server};

/// Returns the reason why a server with these arguments does not start.
async fn refusal(arguments: &[String]) -> String {
    match start_server(arguments, CancellationToken::new()).await {
        Ok(server) => panic!("the server started at {}", server.address),
        Err(error) => format!("{error:#}"),
    }
}

/// Returns the arguments of a server that would start, with some replaced.
fn arguments(folder: &std::path::Path, replaced: &[(&str, &str)]) -> Vec<String> {
    let sources = folder.join("sources");
    fs_err::create_dir_all(&sources).unwrap();
    let mut all = vec![
        ("--listen", "127.0.0.1:0".to_owned()),
        ("--data-dir", folder.join("data").display().to_string()),
        ("--sources-dir", sources.display().to_string()),
    ];
    for (flag, value) in replaced {
        all.retain(|(other, _)| other != flag);
        all.push((flag, (*value).to_owned()));
    }
    let mut arguments = vec!["buildbtw-server".to_owned(), "run".to_owned()];
    for (flag, value) in all {
        arguments.extend([flag.to_owned(), value]);
    }
    arguments
}

#[tokio::test]
async fn rejects_default_network_policy_above_the_maximum() {
    let folder = tempfile::tempdir().unwrap();
    let policies = [("--network", "prepare"), ("--max-network", "none")];
    let error = refusal(&arguments(folder.path(), &policies)).await;
    assert!(error.contains("--max-network none"), "{error}");
}

#[tokio::test]
async fn names_port_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = refusal(&arguments(folder.path(), &[("--listen", &address)])).await;
    assert!(
        error.contains(&address) && error.contains("in use"),
        "{error}"
    );
    let (_, hint) = error.split_once('\n').unwrap();
    assert!(
        hint.starts_with("hint: ") && hint.contains("--listen"),
        "{error}"
    );
}

#[tokio::test]
async fn names_address_of_metrics_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = refusal(&arguments(folder.path(), &[("--metrics-listen", &address)])).await;
    assert!(
        error.contains(&address) && error.contains("in use"),
        "{error}"
    );
    let (_, hint) = error.split_once('\n').unwrap();
    assert!(
        hint.starts_with("hint: ") && hint.contains("--metrics-listen"),
        "{error}"
    );
}

#[tokio::test]
async fn rejects_second_server_on_the_same_data_folder() {
    let mut server = TestServer::start(|_| {}).await;
    let error = refusal(&server.arguments()).await;
    assert!(
        error.contains("another server uses the data folder"),
        "{error}"
    );
    assert!(error.contains("--data-dir"), "{error}");
    assert!(server.public().namespaces().await.is_ok());
    // The lock is released with the server, however it ended.
    server.crash().await;
    server.start_again().await;
    assert!(server.public().namespaces().await.is_ok());
}

#[tokio::test]
async fn names_missing_sources_folder() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nowhere").display().to_string();
    let error = refusal(&arguments(folder.path(), &[("--sources-dir", &missing)])).await;
    assert!(
        error.contains("--sources-dir") && error.contains(&missing),
        "{error}"
    );
}

#[tokio::test]
async fn names_sources_path_that_is_not_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs_err::write(&file, "no folder").unwrap();
    let file = file.display().to_string();
    let error = refusal(&arguments(folder.path(), &[("--sources-dir", &file)])).await;
    assert!(error.contains("--sources-dir"), "{error}");
}

#[tokio::test]
async fn explains_invalid_base_repositories() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("base.toml");
    let path = file.display().to_string();
    let cases = [
        ("[[repository]", "line 1"),
        ("[[repository]]\nname = \"core\"\n", "architectures"),
        (
            "[[repository]]\nname = \"../core\"\narchitectures = [\"x86_64\"]\nservers = [\"x\"]",
            "repository name",
        ),
        (
            "[[repository]]\nname = \"core\"\narchitectures = []\nservers = [\"x\"]",
            "[core]",
        ),
        (
            "[[repository]]\nname = \"core\"\narchitectures = [\"x86_64\"]\nservers = []",
            "[core]",
        ),
        (
            "[[repository]]\nname = \"core\"\narchitectures = [\"x86_64\"]\n\
             servers = [\"x\\nServer = y\"]",
            "line break",
        ),
        (
            "[[repository]]\nname = \"core\"\narchitectures = [\"x86_64\"]\nserver = \"x\"",
            "server",
        ),
    ];
    for (text, reason) in cases {
        fs_err::write(&file, text).unwrap();
        let error = refusal(&arguments(folder.path(), &[("--base-repositories", &path)])).await;
        assert!(
            error.contains("--base-repositories") && error.contains(&path),
            "{error}"
        );
        assert!(error.contains(reason), "{reason:?}: {error}");
    }
    fs_err::remove_file(&file).unwrap();
    let error = refusal(&arguments(folder.path(), &[("--base-repositories", &path)])).await;
    assert!(error.contains(&path), "{error}");
}

#[tokio::test]
async fn explains_contradicting_settings() {
    let folder = tempfile::tempdir().unwrap();
    for (flag, value, reason) in [
        ("--architectures", "any", "`any`"),
        ("--architectures", "x86_64,x86_64", "twice"),
        ("--architectures", "x86-64", "architecture"),
        ("--url", "example.org", "http://"),
        ("--url", "http://", "not the URL"),
        ("--url", "http://0.0.0.0:8080", "not the URL"),
        ("--url", "http://example.org/?a=b", "query"),
        ("--url", "http://example.org/a//b", "path"),
        ("--url", "http://example.org/a b", "path"),
        ("--url", "http://example.org/repo", "`/repo`"),
        ("--packager", "Unknown Packager", "jane@example.org"),
        ("--buildtool", "de vtools", "--buildtool"),
        ("--buildtool", "devtools", "--buildtoolver"),
        ("--lease-seconds", "0", "--lease-seconds"),
        ("--listen", "localhost", "--listen"),
    ] {
        let error = refusal(&arguments(folder.path(), &[(flag, value)])).await;
        assert!(error.contains(reason), "{flag} {value}: {error}");
    }
}

#[tokio::test]
async fn does_not_touch_file_that_is_not_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs_err::create_dir(&data).unwrap();
    let database = data.join(buildbtw_server::run::DATABASE_FILE);
    let text = "these are my notes, not a database, and longer than its header is".repeat(40);
    fs_err::write(&database, &text).unwrap();
    let error = refusal(&arguments(folder.path(), &[])).await;
    assert!(error.contains(&database.display().to_string()), "{error}");
    assert_eq!(fs_err::read_to_string(&database).unwrap(), text);
}

#[tokio::test]
async fn writes_listen_address_to_file() {
    let mut server = TestServer::start(|_| {}).await;
    assert!(server.public().namespaces().await.is_ok());
    let file = server.data().join("address");
    let address = fs_err::read_to_string(&file).unwrap();
    assert_eq!(format!("http://{}", address.trim()), server.url());
    server.stop().await;
    assert!(!file.exists());
}
