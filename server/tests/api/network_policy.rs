//! The network policy of builds: from the server's settings and the namespace to the assignment.

use buildbtw_model::api::{CreateIteration, PlanFormat, PlanPreview, ProblemKind};
use buildbtw_model::{ClaimId, MissingKeys, NamespaceName, NetworkPolicy};
use reqwest::Method;

use crate::support::{
    ServerOptions, SourceTree, Srcinfo, TestServer, new_namespace, parse, refusal,
};

fn packages(sources: &SourceTree) {
    sources
        .push(&Srcinfo::new("greet", "1.0-1").with("source", "https://example.org/greet.tar.gz"));
}

fn options(arguments: &[&str]) -> ServerOptions {
    ServerOptions {
        extra: arguments.iter().map(|text| (*text).to_owned()).collect(),
        ..ServerOptions::default()
    }
}

async fn create(server: &TestServer, name: &str, network: Option<NetworkPolicy>) -> NamespaceName {
    let mut request = new_namespace(&["greet/main"]);
    request.name = Some(parse(name));
    request.network = network;
    let created = server.admin().create_namespace(&request).await.unwrap();
    created.summary.name
}

async fn policy(server: &TestServer, name: &str) -> NetworkPolicy {
    let shown = server.public().namespace(&parse(name)).await.unwrap();
    shown.summary.network
}

#[tokio::test]
async fn uses_policy_of_server_unless_namespace_requests_another() {
    let arguments = ["--network", "prepare", "--missing-keys", "warn"];
    let server = TestServer::start_with(options(&arguments), packages).await;
    let worker = server.worker("w").await;
    create(&server, "usual", None).await;
    assert_eq!(policy(&server, "usual").await, NetworkPolicy::Prepare);
    let job = worker.claims().await;
    assert_eq!(job.claimed.network, NetworkPolicy::Prepare);
    assert_eq!(job.claimed.missing_keys, MissingKeys::Warn);
    job.succeeds().await;

    create(&server, "own", Some(NetworkPolicy::Sources)).await;
    assert_eq!(policy(&server, "own").await, NetworkPolicy::Sources);
    // Packages built with another policy are not reused.
    let job = worker.claims().await;
    assert_eq!(job.claimed.namespace.as_str(), "own");
    assert_eq!(job.claimed.network, NetworkPolicy::Sources);
    job.succeeds().await;
    let page = server
        .request(Method::GET, "/namespaces/own")
        .send()
        .await
        .unwrap();
    assert!(page.text().await.unwrap().contains("network sources"));

    // A new iteration has the policy of its namespace, and so has a namespace with the same one.
    let request = CreateIteration::default();
    server
        .admin()
        .create_iteration(&parse("own"), request)
        .await
        .unwrap();
    let mut events = server.follow("own").await;
    events.until_build("build.reused", "greet").await;
    create(&server, "same", Some(NetworkPolicy::Sources)).await;
    let mut events = server.follow("same").await;
    events.until_build("build.reused", "greet").await;
}

#[tokio::test]
async fn caps_network_policy_of_every_namespace() {
    let mut server = TestServer::start(packages).await;
    create(&server, "before", Some(NetworkPolicy::Prepare)).await;
    assert_eq!(policy(&server, "before").await, NetworkPolicy::Prepare);
    server.stop().await;
    server.options.extra = vec!["--max-network".to_owned(), "sources".to_owned()];
    server.start_again().await;

    let mut request = new_namespace(&["greet/main"]);
    request.network = Some(NetworkPolicy::Prepare);
    let refused = refusal(server.admin().create_namespace(&request).await);
    assert_eq!(refused.kind, ProblemKind::InvalidRequest);
    assert!(refused.title.contains("`prepare`") && refused.title.contains("`sources`"));
    assert_eq!(policy(&server, "before").await, NetworkPolicy::Sources);
    let job = server.worker("w").await.claims().await;
    assert_eq!(job.claimed.network, NetworkPolicy::Sources);
}

#[tokio::test]
async fn plan_names_sources_forbidden_by_policy() {
    let server = TestServer::start(packages).await;
    create(&server, "offline", Some(NetworkPolicy::None)).await;
    let iteration = server.iteration("offline").await;
    let text = "greet: the source https://example.org/greet.tar.gz is not fetched under network policy `none`";
    let notes: Vec<_> = iteration
        .notes
        .iter()
        .map(|note| (note.kind.as_str(), &*note.text))
        .collect();
    assert!(notes.contains(&("problem", text)), "{notes:?}");
}

#[tokio::test]
async fn plan_names_protocols_no_worker_supports() {
    let server = TestServer::start(|sources| {
        sources
            .push(&Srcinfo::new("greet", "1.0-1").with("source", "hg+https://example.org/greet"));
    })
    .await;
    let plan = async || {
        let preview = PlanPreview {
            changesets: vec!["greet/main".parse().unwrap()],
            scope: buildbtw_model::Scope::Transitive,
            architecture: None,
            include: Vec::new(),
            exclude: Vec::new(),
            bootstrap: Vec::new(),
            same_sonames: false,
            no_bump: false,
            max_builds: None,
            limit: None,
            lines: None,
            format: PlanFormat::Text,
        };
        server.admin().preview_plan(&preview).await.unwrap()
    };
    let problem = "greet: no worker fetches sources over `hg`";
    let listed = async || server.source("greet").await.unwrap().not_fetched;
    let page = async || {
        let sent = server.request(Method::GET, "/sources").send().await;
        sent.unwrap().text().await.unwrap()
    };
    let not_fetched = "not fetched</span> no worker fetches sources over `hg`";
    // No worker has reported its protocols.
    assert!(!plan().await.contains(problem));
    assert!(!page().await.contains("no worker fetches"));
    let worker = server.worker("w").await;
    worker.claims_once(ClaimId::new(), 0).await.unwrap();
    let text = plan().await;
    assert!(text.contains(problem), "{text}");
    assert!(listed().await[0].contains("`hg`"));
    let html = page().await;
    assert!(html.contains(not_fetched), "{html}");

    let other = server.worker("with-mercurial").await;
    let mut request = other.request(ClaimId::new(), 0);
    request.protocols = vec!["hg".to_owned()];
    other.client.claim(&request).await.unwrap();
    assert!(!plan().await.contains(problem));
    assert!(listed().await.is_empty());
    assert!(!page().await.contains("no worker fetches"));
}
