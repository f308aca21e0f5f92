//! The OpenAPI document and the page that shows it.

use std::collections::BTreeSet;

use buildbtw_model::api::ProblemKind;
use buildbtw_server::router::openapi_document;
use reqwest::{Method, StatusCode, header};
use serde_json::Value;

use crate::support::{ServerOptions, Srcinfo, TestServer, expect_problem};

/// The document that reviewers see.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../notes/openapi.json");
/// Set by `just openapi`, which writes the document instead of comparing it.
const WRITE: &str = "WRITE_OPENAPI";

fn document() -> Value {
    serde_json::from_str(openapi_document()).unwrap()
}

/// Returns the methods, paths and descriptions of all operations.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let item = item.as_object().unwrap().iter();
        item.map(|(method, operation)| (method.clone(), path.clone(), operation))
    });
    operations.collect()
}

/// Paths beside the API, which have no limits, tags or problems.
const MONITORING: [&str; 3] = ["/healthz", "/metrics", "/readyz"];

/// Returns the operations of the API itself.
fn api_operations(document: &Value) -> Vec<(String, String, &Value)> {
    let mut operations = operations(document);
    operations.retain(|(_, path, _)| !MONITORING.contains(&path.as_str()));
    operations
}

#[test]
fn matches_the_committed_document() {
    if std::env::var_os(WRITE).is_some() {
        fs_err::write(COMMITTED, openapi_document()).unwrap();
    }
    let committed = fs_err::read_to_string(COMMITTED).unwrap_or_default();
    let committed: Value = serde_json::from_str(&committed).unwrap_or_default();
    let current = document();
    if committed == current {
        return;
    }
    let names = |document: &Value| -> BTreeSet<String> {
        let operations = document["paths"].as_object().map(|_| operations(document));
        let operations = operations.unwrap_or_default().into_iter();
        operations
            .map(|(method, path, operation)| format!("{method} {path} {operation}"))
            .collect()
    };
    let (before, after) = (names(&committed), names(&current));
    let differences: Vec<&String> = before.symmetric_difference(&after).collect();
    panic!(
        "the API differs from notes/openapi.json; run `just openapi` and review the difference: {differences:#?}"
    );
}

/// Collects the targets of all references.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(target) if key == "$ref" => {
                        found.insert(target.clone());
                    }
                    value => references(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn defines_everything_it_refers_to() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 50, "{found:?}");
    for target in found {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target} is missing");
    }
}

#[test]
fn describes_every_operation() {
    let document = document();
    let mut ids = BTreeSet::new();
    let tags: BTreeSet<&str> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    for (method, path, operation) in api_operations(&document) {
        let what = format!("{method} {path}");
        assert!(operation["summary"].is_string(), "{what} has no summary");
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap()),
            "{what} repeats an id"
        );
        let tag = operation["tags"][0].as_str().unwrap();
        assert!(tags.contains(tag), "{what} has the unknown tag {tag}");
        assert!(operation["security"].is_array(), "{what}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let is_described =
                parameter["$ref"].is_string() || parameter["description"].is_string();
            assert!(is_described, "{what}: {parameter}");
        }
        let responses = operation["responses"].as_object().unwrap();
        for status in ["400", "429", "500", "503"] {
            assert!(
                responses.contains_key(status),
                "{what} may respond {status}"
            );
        }
        let is_of_resource = path.contains('{');
        assert!(!is_of_resource || responses.contains_key("404"), "{what}");
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{what}"
        );
    }
    assert!(ids.len() > 25, "{ids:?}");
}

/// Returns a response, also if it is described for several operations.
fn resolved<'d>(document: &'d Value, response: &'d Value) -> &'d Value {
    let target = response["$ref"].as_str();
    let target = target.map(|target| document.pointer(target.strip_prefix('#').unwrap()));
    target.map_or(response, Option::unwrap)
}

#[test]
fn describes_when_to_repeat_and_what_needs_room_on_the_disk() {
    let document = document();
    let mut need_room = Vec::new();
    for (method, path, operation) in api_operations(&document) {
        for status in ["429", "503"] {
            let response = resolved(&document, &operation["responses"][status]);
            let is_described = response["headers"]["Retry-After"].is_object();
            assert!(is_described, "{method} {path}: {status}");
            let description = response["description"].as_str().unwrap();
            if description.contains("reserve") {
                need_room.push(format!("{method} {path}"));
            }
        }
    }
    need_room.sort();
    let expected = [
        "patch /namespaces/{name}",
        "post /namespaces",
        "post /namespaces/{name}/iterations",
        "post /namespaces/{name}/retry",
        "put /attempts/{id}/packages/{file}",
    ];
    assert_eq!(need_room, expected);
}

/// Returns whether a parameter, a header or the content of a body has an example, a default or a fixed set of values.
fn has_example(document: &Value, described: &Value) -> bool {
    let schema = &described["schema"];
    let target = schema["$ref"].as_str().or(described["$ref"].as_str());
    let target = target.map(|target| document.pointer(target.strip_prefix('#').unwrap()));
    [Some(described), Some(schema), target.flatten()]
        .into_iter()
        .flatten()
        .any(|place| {
            let names = ["example", "examples", "default", "enum"];
            let is_switch = place["type"] == "boolean" || place["schema"]["type"] == "boolean";
            is_switch || names.iter().any(|name| !place[name].is_null())
        })
}

#[test]
fn gives_an_example_of_every_body_and_parameter() {
    let document = document();
    let (mut bodies, mut others) = (0, 0);
    for (method, path, operation) in operations(&document) {
        let what = format!("{method} {path}");
        let responses = operation["responses"].as_object().unwrap();
        for body in responses.values().chain([&operation["requestBody"]]) {
            for (kind, content) in body["content"].as_object().into_iter().flatten() {
                // Packages and ranges of logs are not text, and the document is an example of itself.
                let is_special = kind == "application/octet-stream" || path == "/openapi.json";
                let is_range = kind.starts_with("text/plain") && path.ends_with("/log");
                if is_special || is_range {
                    continue;
                }
                assert!(
                    has_example(&document, content),
                    "{what}: no example of {kind}"
                );
                bodies += 1;
            }
            for (name, header) in body["headers"].as_object().into_iter().flatten() {
                let is_described = header["description"].is_string() || header["$ref"].is_string();
                assert!(is_described, "{what}: {name}");
                others += 1;
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(has_example(&document, parameter), "{what}: {parameter}");
            others += 1;
        }
    }
    assert!(
        bodies > 60 && others > 80,
        "{bodies} bodies, {others} others"
    );
}

#[test]
fn pages_and_tags_every_list() {
    let document = document();
    let mut lists = 0;
    for (method, path, operation) in api_operations(&document) {
        if method != "get" {
            continue;
        }
        let response = &operation["responses"]["200"];
        let schema = &response["content"]["application/json"]["schema"];
        if schema.is_null() {
            continue;
        }
        assert!(response["headers"]["ETag"].is_object(), "{path} has no tag");
        assert!(operation["responses"]["304"].is_object(), "{path}");
        assert_ne!(schema["type"], "array", "{path} is a list without pages");
        let name = schema["$ref"].as_str().unwrap_or_default();
        if name.contains("/Page_") {
            let parameters = operation["parameters"].as_array().unwrap();
            let has = |name: &str| parameters.iter().any(|parameter| parameter["name"] == name);
            assert!(has("cursor") && has("limit"), "{path}");
            lists += 1;
        }
    }
    assert_eq!(lists, 8);
}

#[test]
fn continues_every_stream() {
    let document = document();
    let mut streams = Vec::new();
    for (_, path, operation) in operations(&document) {
        if !operation["responses"]["200"]["content"]["text/event-stream"].is_object() {
            continue;
        }
        let parameters = operation["parameters"].as_array().unwrap();
        let mut names = parameters.iter().map(|parameter| &parameter["name"]);
        assert!(names.any(|name| name == "Last-Event-ID"), "{path}");
        streams.push(path);
    }
    let expected = ["/attempts/{id}/log", "/events", "/namespaces/{name}/events"];
    assert_eq!(streams, expected);
}

#[test]
fn describes_the_id_of_every_response() {
    let document = document();
    let mut responses = 0;
    for (method, path, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let response = resolved(&document, response);
            let id = &response["headers"]["x-request-id"];
            assert!(id.is_object(), "{method} {path}: {status}");
            responses += 1;
        }
    }
    assert!(responses > 200, "{responses}");
    assert_eq!(
        document["components"]["headers"]["RequestId"]["required"],
        true
    );
}

async fn server() -> TestServer {
    TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    })
    .await
}

#[tokio::test]
async fn serves_document_with_tag() {
    let server = server().await;
    let path = "/api/v1/openapi.json";
    let response = server.request(Method::GET, path).send().await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    let tag = response.headers()[header::ETAG].clone();
    let served: Value = response.json().await.unwrap();
    assert_eq!(served, document());
    let request = server.request(Method::GET, path);
    let again = request.header(header::IF_NONE_MATCH, tag).send().await;
    assert_eq!(again.unwrap().status(), StatusCode::NOT_MODIFIED);
}

/// Returns the values of an attribute in a page.
fn attributes<'p>(page: &'p str, start: &str) -> Vec<&'p str> {
    let values = page.split(start).skip(1);
    values.filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn shows_document_with_own_files_only() {
    let server = server().await;
    let get = async |path: &str| server.request(Method::GET, path).send().await.unwrap();
    let response = get("/api").await;
    assert_eq!(response.url().path(), "/api/");
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].clone();
    let policy = policy.to_str().unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("data:"));
    let page = response.text().await.unwrap();
    for inline in ["<style", " style=", " onload=", "<script>"] {
        assert!(!page.contains(inline), "{inline}");
    }
    let mut files = attributes(&page, "<link rel=\"stylesheet\" href=\"");
    files.extend(attributes(&page, "type=\"image/svg+xml\" href=\""));
    files.extend(attributes(&page, "<script src=\""));
    assert_eq!(files.len(), 5, "{page}");
    let style = get("/api/swagger-ui.css").await.text().await.unwrap();
    assert!(!style.contains("data:") && !style.contains("//"), "{style}");
    let images = attributes(&style.replace(')', "\""), "url(").join("\n");
    files.extend(images.lines());
    assert!(files.len() > 15, "{files:?}");
    for name in files {
        assert!(!name.contains(':') && !name.contains('/'), "{name}");
        let path = format!("/api/{name}");
        let response = get(&path).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let kind = response.headers()[header::CONTENT_TYPE].clone();
        let kind = kind.to_str().unwrap().split(';').next().unwrap();
        let expected = match name.rsplit('.').next().unwrap() {
            "js" => "text/javascript",
            "css" => "text/css",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            _ => "image/jpeg",
        };
        assert_eq!(kind, expected, "{name}");
        let tag = response.headers()[header::ETAG].clone();
        let request = server.request(Method::GET, &path);
        let again = request.header(header::IF_NONE_MATCH, tag).send().await;
        assert_eq!(again.unwrap().status(), StatusCode::NOT_MODIFIED, "{name}");
    }
    let missing = get("/api/nosuch.js").await;
    expect_problem(missing, 404, ProblemKind::NotFound).await;
}

#[tokio::test]
async fn shows_document_below_the_path_of_a_proxy() {
    let options = ServerOptions {
        extra: vec!["--url".into(), "https://build.example.org/tools".into()],
        ..ServerOptions::default()
    };
    let server = TestServer::start_with(options, |sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    })
    .await;
    let http = reqwest::Client::builder();
    let http = http.redirect(reqwest::redirect::Policy::none());
    let http = http.build().unwrap();
    let page = http.get(format!("{}/tools/api", server.url()));
    let page = page.send().await.unwrap();
    assert_eq!(page.status(), StatusCode::PERMANENT_REDIRECT);
    let target = page
        .url()
        .join(page.headers()[header::LOCATION].to_str().unwrap());
    assert_eq!(target.unwrap().path(), "/tools/api/");
    for path in [
        "/tools/api/",
        "/tools/api/page.js",
        "/tools/api/v1/openapi.json",
    ] {
        let response = server.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
    let document = document();
    let page = reqwest::Url::parse("https://build.example.org/tools/api/v1/openapi.json");
    let api = page
        .unwrap()
        .join(document["servers"][0]["url"].as_str().unwrap());
    assert_eq!(api.unwrap().path(), "/tools/api/v1");
}
