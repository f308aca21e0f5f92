//! The web pages: their content, the escaping of hostile text, and that they load nothing from
//! elsewhere.

use buildbtw_model::FailureKind;
use reqwest::{Method, Response, StatusCode, header};

use crate::support::{FakeWorker, Job, ServerOptions, Srcinfo, TestServer};

const SCRIPT: &str = "<script>alert('x')</script>";

/// A page as sent to a browser.
struct Page {
    status: StatusCode,
    html: String,
}

impl Page {
    /// Checks the invariants of every page.
    async fn read(response: Response) -> Self {
        let status = response.status();
        let header = |name: header::HeaderName| {
            let value = response
                .headers()
                .get(&name)
                .map(|value| value.to_str().unwrap());
            value
                .unwrap_or_else(|| panic!("{name} is missing"))
                .to_owned()
        };
        let url = response.url().clone();
        assert_eq!(
            header(header::CONTENT_TYPE),
            "text/html; charset=utf-8",
            "{url}"
        );
        assert_eq!(header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{url}");
        let policy = header(header::CONTENT_SECURITY_POLICY);
        for rule in [
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(
                policy.split("; ").any(|found| found == rule),
                "{url}: {policy}"
            );
        }
        assert!(!policy.contains("unsafe"), "{url}: {policy}");
        let html = response.text().await.unwrap();
        assert!(html.starts_with("<!doctype html>"), "{url}: {html}");
        assert!(
            html.contains("<html lang=\"en\">") && html.contains("<main "),
            "{url}"
        );
        assert!(html.trim_end().ends_with("</html>"), "{url}: {html}");
        expect_only_own_addresses(&html);
        expect_no_inline_code(&html);
        Self { status, html }
    }

    fn expect(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(self.html.contains(text), "no {text:?} in {}", self.html);
        }
        self
    }

    fn expect_none(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(!self.html.contains(text), "{text:?} in {}", self.html);
        }
        self
    }
}

/// Returns the values of an attribute.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    let after = html.split(&start).skip(1);
    after.map(|rest| rest.split('"').next().unwrap()).collect()
}

fn expect_only_own_addresses(html: &str) {
    for name in ["href", "src", "action", "data-events", "data-follow"] {
        for value in attributes(html, name) {
            let own = value.starts_with('#') || value.starts_with('/') && !value.starts_with("//");
            assert!(own, "{name}={value:?} in {html}");
        }
    }
}

fn expect_no_inline_code(html: &str) {
    for forbidden in [
        "<style",
        " style=\"",
        " onclick",
        " onload",
        "javascript:",
        "<script>",
    ] {
        assert!(!html.contains(forbidden), "{forbidden} in {html}");
    }
    assert_eq!(html.matches("<script").count(), 1, "{html}");
}

async fn get(server: &TestServer, path: &str) -> Page {
    let response = server.request(Method::GET, path).send().await.unwrap();
    Page::read(response).await
}

async fn get_ok(server: &TestServer, path: &str) -> Page {
    let page = get(server, path).await;
    assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.html);
    page
}

/// Starts a server with a library and two dependents, one of which depends on the other.
async fn bumped(options: ServerOptions) -> TestServer {
    let server = TestServer::start_with(options, |sources| {
        sources.push(&Srcinfo::new("libgreet", "2.0-1"));
        sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
        sources.push(&Srcinfo::new("greet-gui", "1.0-1").depends(&["greet"]));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    server
}

async fn failing(server: &TestServer, message: &str) -> Job {
    let worker: FakeWorker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    job.starts().await;
    job.logs(0, &format!("\u{1b}[1;31m==> ERROR:\u{1b}[0m {SCRIPT}\n"))
        .await
        .unwrap();
    job.fails(FailureKind::Package, message).await;
    job
}

#[tokio::test]
async fn empty_server_shows_first_steps() {
    let server = TestServer::start(|_| {}).await;
    let home = get_ok(&server, "/").await;
    home.expect(&[
        "buildbtw new ",
        "No namespaces yet",
        "no usable source repository",
    ]);
    get_ok(&server, "/sources")
        .await
        .expect(&["No source repositories yet"]);
    get_ok(&server, "/sources?broken=true")
        .await
        .expect(&["No broken source repositories"]);
}

#[tokio::test]
async fn links_rebuild_from_home_to_its_builds() {
    let server = bumped(ServerOptions::default()).await;
    get_ok(&server, "/").await.expect(&[
        "href=\"/namespaces/bump\"",
        "<code>libgreet/main</code>",
        "0 of 3 done",
        "running",
        "2 blocked",
    ]);

    let namespace = get_ok(&server, "/namespaces/bump").await;
    let gui = server.build("bump", "greet-gui").await.id;
    let commit = server.sources.commit_of("libgreet", "main").to_string();
    namespace.expect(&[
        &format!("href=\"/builds/{gui}\""),
        &commit,
        "[bump]",
        "Server = ",
        "no worker for x86_64",
        "/repo/bump/current/$arch",
    ]);
    // The reason of the rebuild: libgreet, greet, greet-gui.
    assert_eq!(namespace.html.matches("aria-label=\"leads to\"").count(), 3);
    get_ok(&server, "/namespaces/bump/iterations/1")
        .await
        .expect(&["iteration 1"]);

    let build = get_ok(&server, &format!("/builds/{gui}")).await;
    let greet = server.build("bump", "greet").await.id;
    build.expect(&[&format!("href=\"/builds/{greet}\""), "blocked", "None yet"]);
}

#[tokio::test]
async fn finished_build_links_packages_and_log() {
    let server = bumped(ServerOptions::default()).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    job.starts().await;
    job.logs(0, "\u{1b}[32mchecking\u{1b}[0m\n").await.unwrap();
    let address = format!("/builds/{}", job.claimed.build);
    get_ok(&server, &address).await.expect(&[
        "data-follow=",
        "data-offset=\"18\"",
        "<span class=\"c2\">checking</span>",
    ]);

    job.succeeds().await;

    let page = get_ok(&server, &address).await;
    page.expect(&["built", "succeeded"])
        .expect_none(&["data-follow="]);
    let package = attributes(&page.html, "href")
        .into_iter()
        .find(|href| href.starts_with("/repo/bump/1/x86_64/libgreet-2.0-1"))
        .expect("no link to the package");
    let response = server.request(Method::GET, package).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let attempt = job.claimed.attempt;
    let log = get_ok(&server, &format!("{address}?attempt={attempt}")).await;
    log.expect(&[&format!("href=\"/api/v1/attempts/{attempt}/log\"")]);
}

#[tokio::test]
async fn lists_failures_first_with_blocked_builds() {
    let server = bumped(ServerOptions::default()).await;
    failing(&server, "undefined reference to `greet'").await;
    let page = get_ok(&server, "/namespaces/bump").await;
    page.expect(&[
        "undefined reference to `greet&#39;",
        "2 builds:",
        "Failures",
    ]);
    let place = |text: &str| page.html.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(place("id=\"failures\"") < place("id=\"builds\""));
    get_ok(&server, "/").await.expect(&["1 failed"]);
}

#[tokio::test]
async fn escapes_build_output() {
    let server = bumped(ServerOptions::default()).await;
    let job = failing(&server, SCRIPT).await;
    let in_text = "&#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;";
    let in_log = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;";
    let namespace = get_ok(&server, "/namespaces/bump").await;
    namespace.expect(&[in_text]).expect_none(&[SCRIPT]);
    let build = get_ok(&server, &format!("/builds/{}", job.claimed.build)).await;
    build
        .expect(&[in_text, in_log])
        .expect_none(&[SCRIPT, "\u{1b}"]);
    let searched = get_ok(&server, "/namespaces/bump?q=%22%3E%3Cscript%3E").await;
    searched
        .expect(&["No matching builds"])
        .expect_none(&["<script>"]);
}

#[tokio::test]
async fn shows_end_of_long_logs() {
    let server = bumped(ServerOptions::default()).await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    job.starts().await;
    let text: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    job.logs(0, &text).await.unwrap();
    let page = get_ok(&server, &format!("/builds/{}", job.claimed.build)).await;
    page.expect(&[
        "line 19999\n",
        "End of the log",
        &format!("data-offset=\"{}\"", text.len()),
    ]);
    page.expect_none(&["line 10\n"]);
}

#[tokio::test]
async fn shows_broken_sources_with_reasons() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
        sources.push_to("odd", "main", Some(&format!("pkgbase = odd\n{SCRIPT}\n")));
    })
    .await;
    get_ok(&server, "/")
        .await
        .expect(&["1 source repository cannot be used", "broken=true"]);
    let all = get_ok(&server, "/sources").await;
    all.expect(&["libgreet", "1.0-1", "odd"]);
    let broken = get_ok(&server, "/sources?broken=true").await;
    broken
        .expect(&["odd", "\nhint: regenerate it with `makepkg"])
        .expect_none(&[">libgreet<", SCRIPT]);
}

#[tokio::test]
async fn filters_builds() {
    let options = ServerOptions {
        architectures: "x86_64,aarch64",
        ..ServerOptions::default()
    };
    let server = TestServer::start_with(options, |sources| {
        let both = ["x86_64", "aarch64"];
        sources.push(&Srcinfo::new("libgreet", "2.0-1").arch(&both));
        sources.push(
            &Srcinfo::new("greet", "1.0-1")
                .arch(&both)
                .depends(&["libgreet"]),
        );
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    let rows = |page: &Page| page.html.matches("<tr id=\"b").count();
    assert_eq!(rows(&get_ok(&server, "/namespaces/bump").await), 4);
    for (filter, expected) in [
        ("status=blocked", 2),
        ("status=ready&arch=aarch64", 1),
        ("arch=aarch64&status=&q=", 2),
        ("q=LIB", 2),
        ("status=failed", 0),
        ("page=99", 4),
    ] {
        let page = get_ok(&server, &format!("/namespaces/bump?{filter}")).await;
        assert_eq!(rows(&page), expected, "{filter}");
    }
    for filter in ["status=odd", "arch=no/arch", "page=-1"] {
        let page = get(&server, &format!("/namespaces/bump?{filter}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{filter}");
    }
}

#[tokio::test]
async fn shows_differences_to_previous_iteration() {
    let server = bumped(ServerOptions::default()).await;
    let before = server.sources.commit_of("libgreet", "main");
    let mut events = server.follow("bump").await;
    events.until("iteration.planned").await;
    let now = server.sources.push(&Srcinfo::new("libgreet", "2.1-1"));
    events.until("iteration.planned").await;

    let page = get_ok(&server, "/namespaces/bump").await;
    page.expect(&[
        "iteration 2",
        "libgreet: new commit",
        before.short(),
        now.short(),
    ]);
    let old = get_ok(&server, "/namespaces/bump/iterations/1").await;
    old.expect(&["This is not the newest iteration", "Show iteration 2"]);
    old.expect_none(&["Changes since"]);
}

#[tokio::test]
async fn renders_page_for_unknown_addresses() {
    let server = bumped(ServerOptions::default()).await;
    let build = server.build("bump", "libgreet").await.id;
    let unknown = "00000000-0000-7000-8000-000000000000";
    for (path, status) in [
        ("/namespaces/other".to_owned(), 404),
        ("/namespaces/bump/iterations/2".to_owned(), 404),
        ("/builds/999999".to_owned(), 404),
        (format!("/builds/{build}?attempt={unknown}"), 404),
        ("/assets/0/other.css".to_owned(), 404),
        ("/nothing/here".to_owned(), 404),
        ("/namespaces/Not%20A%20Name%3Cscript%3E".to_owned(), 400),
        ("/namespaces/bump/iterations/x".to_owned(), 400),
        ("/builds/x".to_owned(), 400),
        ("/?cursor=x".to_owned(), 400),
    ] {
        let page = get(&server, &path).await;
        assert_eq!(page.status.as_u16(), status, "{path}: {}", page.html);
        page.expect(&["href=\"/\"", &format!("Error {status}")]);
    }
    let response = server
        .request(Method::POST, "/sources")
        .send()
        .await
        .unwrap();
    assert_eq!(
        Page::read(response).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    // API clients get JSON.
    for path in ["/api/v1/nothing", "/repo/nothing"] {
        let response = server.request(Method::GET, path).send().await.unwrap();
        let problem = crate::support::expect_problem(
            response,
            404,
            buildbtw_model::api::ProblemKind::NotFound,
        );
        assert!(problem.await.title.contains(path), "{path}");
    }
}

#[tokio::test]
async fn supports_head_requests() {
    let server = bumped(ServerOptions::default()).await;
    for path in ["/", "/sources", "/namespaces/bump"] {
        let response = server.request(Method::HEAD, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(response.bytes().await.unwrap().is_empty(), "{path}");
    }
    let response = server
        .request(Method::HEAD, "/namespaces/other")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn caches_assets_until_they_change() {
    let server = TestServer::start(|_| {}).await;
    let home = get_ok(&server, "/").await;
    let assets: Vec<_> = ["href", "src"]
        .into_iter()
        .flat_map(|name| attributes(&home.html, name))
        .filter(|address| address.starts_with("/assets/"))
        .collect();
    assert_eq!(assets.len(), 3, "{assets:?}");
    for address in assets {
        let response = server.request(Method::GET, address).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{address}");
        let caching = response.headers()[header::CACHE_CONTROL].to_str().unwrap();
        assert!(caching.contains("immutable"), "{address}: {caching}");
        let tag = response.headers()[header::ETAG].clone();
        assert!(!response.text().await.unwrap().contains("://") || address.ends_with(".svg"));

        let again = server
            .request(Method::GET, address)
            .header(header::IF_NONE_MATCH, tag);
        assert_eq!(
            again.send().await.unwrap().status(),
            StatusCode::NOT_MODIFIED,
            "{address}"
        );

        // The address that an older version of the program served.
        let name = address.rsplit('/').next().unwrap();
        let old = format!("/assets/0000000000000000/{name}");
        let response = server.request(Method::GET, &old).send().await.unwrap();
        assert_eq!(
            response.headers()[header::CACHE_CONTROL],
            "no-cache",
            "{address}"
        );
    }
}
