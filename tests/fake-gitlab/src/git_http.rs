//! Git over HTTP: the real `git http-backend`, with authentication.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use axum::response::IntoResponse as _;
use futures_util::{StreamExt as _, stream};
use gix::ObjectId;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::actions::pushes::RefChange;
use crate::auth::{Caller, MaybeCaller, password, reads_code, sees};
use crate::repository::git::ENVIRONMENT;
use crate::repository::{Storage, disk};
use crate::state::projects::Project;
use crate::{FakeGitlab, ProjectId, lock};

/// Serializes the pushes to a project, so that each sees which refs it moved itself.
#[derive(Debug, Default)]
pub(crate) struct Pushes(Mutex<HashMap<ProjectId, Arc<tokio::sync::Mutex<()>>>>);

impl Pushes {
    fn of(&self, project: ProjectId) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(lock(&self.0).entry(project).or_default())
    }
}

/// A request to a repository.
struct Call {
    project: Arc<Project>,
    /// The path below the repository, with a leading slash.
    path: String,
    writes: bool,
    caller: MaybeCaller,
}

/// Responds to git's requests, and with 404 to everything that no other route serves.
pub(crate) async fn serve(State(gitlab): State<FakeGitlab>, request: Request) -> Response<Body> {
    let call = match check(&gitlab, request.method(), request.uri(), request.headers()) {
        Ok(call) => call,
        Err(refusal) => return *refusal,
    };
    match serve_call(&gitlab, call, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "git over HTTP failed");
            *plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Box<Response<Body>> {
    Box::new((status, text).into_response())
}

fn unauthorised() -> Box<Response<Body>> {
    let mut response = plain(
        StatusCode::UNAUTHORIZED,
        "HTTP Basic: Access denied. Use a personal access token instead of a password.",
    );
    response.headers_mut().insert(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Basic realm=\"GitLab\""),
    );
    response
}

/// Checks the permission for a request.
fn check(
    gitlab: &FakeGitlab,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Call, Box<Response<Body>>> {
    let not_found = || {
        plain(
            StatusCode::NOT_FOUND,
            "The project you were looking for could not be found.",
        )
    };
    let decoded = percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy();
    let Some((full_path, rest)) = decoded.trim_start_matches('/').split_once(".git/") else {
        return Err(not_found());
    };
    let query = uri.query().unwrap_or_default();
    let service = match (method, rest) {
        (&Method::GET, "info/refs") => query
            .split('&')
            .find_map(|pair| pair.strip_prefix("service="))
            .unwrap_or_default(),
        (&Method::POST, service) => service,
        _ => return Err(not_found()),
    };
    let writes = match service {
        "git-upload-pack" => false,
        "git-receive-pack" => true,
        _ => return Err(plain(StatusCode::FORBIDDEN, "unsupported service")),
    };
    let caller: Option<Caller> = match password(headers) {
        Some(secret) => Some(gitlab.caller_or_job(&secret).map_err(|_| unauthorised())?),
        None => None,
    };
    let project = gitlab.state().project_at(full_path);
    // Callers without permission must not learn whether a project exists.
    let Some(project) = project.filter(|project| sees(&caller, project)) else {
        return Err(if caller.is_some() {
            not_found()
        } else {
            unauthorised()
        });
    };
    if let Some(caller) = &caller {
        let scopes: &[&str] = match writes {
            true => &["write_repository", "api"],
            false => &["read_repository", "write_repository", "api"],
        };
        if !caller.token.has_any(scopes) {
            return Err(plain(StatusCode::FORBIDDEN, "HTTP Basic: Access denied"));
        }
    } else if writes {
        return Err(unauthorised());
    }
    if !reads_code(&caller, &project) {
        return Err(plain(
            StatusCode::FORBIDDEN,
            "You are not allowed to download code from this project.",
        ));
    }
    if writes && project.archived {
        return Err(plain(
            StatusCode::FORBIDDEN,
            "You can't push code to a read-only project.",
        ));
    }
    Ok(Call {
        project,
        path: format!("/{rest}"),
        writes,
        caller,
    })
}

async fn serve_call(gitlab: &FakeGitlab, call: Call, request: Request) -> Result<Response<Body>> {
    let id = call.project.id;
    let repository = {
        let gitlab = gitlab.clone();
        tokio::task::spawn_blocking(move || gitlab.materialise(id)).await??
    };
    if !(call.writes && request.method() == Method::POST) {
        let (child, response) = run(&repository, &call, request).await?;
        // The child exits with its output, or is killed when the reader is gone.
        return Ok(response.map(|stdout| stream_stdout(stdout, child)));
    }
    let pushes = gitlab.shared.pushes.of(id);
    let _one_at_a_time = pushes.lock().await;
    let before = refs(&repository).await?;
    let (mut child, response) = run(&repository, &call, request).await?;
    let (parts, mut stdout) = response.into_parts();
    let mut body = Vec::new();
    stdout.read_to_end(&mut body).await?;
    child.wait().await?;
    let changes = changes(&before, &refs(&repository).await?);
    let gitlab = gitlab.clone();
    let user = call.caller.map(|caller| caller.user);
    tokio::task::spawn_blocking(move || gitlab.pushed(id, &changes, user.as_ref())).await??;
    Ok(Response::from_parts(parts, Body::from(body)))
}

async fn refs(repository: &Path) -> Result<BTreeMap<String, ObjectId>> {
    let repository = repository.to_owned();
    let refs = tokio::task::spawn_blocking(move || disk::refs(&repository)).await??;
    Ok(refs.into_iter().collect())
}

fn changes(
    before: &BTreeMap<String, ObjectId>,
    after: &BTreeMap<String, ObjectId>,
) -> Vec<RefChange> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .map(|name| RefChange {
            name: name.clone(),
            before: before.get(name).copied(),
            after: after.get(name).copied(),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

/// Starts the backend, sends it the request and reads its headers.
async fn run(
    repository: &Path,
    call: &Call,
    request: Request,
) -> Result<(Child, Response<BufReader<ChildStdout>>)> {
    let headers = request.headers();
    let text = |name: HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .envs(ENVIRONMENT)
        .env("GIT_PROJECT_ROOT", repository)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", &call.path)
        .env("QUERY_STRING", request.uri().query().unwrap_or_default())
        .env("REQUEST_METHOD", request.method().as_str())
        .env("CONTENT_TYPE", text(CONTENT_TYPE))
        .env("HTTP_CONTENT_ENCODING", text(CONTENT_ENCODING))
        .env(
            "GIT_PROTOCOL",
            text(HeaderName::from_static("git-protocol")),
        )
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if let Some(caller) = &call.caller {
        command.env("REMOTE_USER", &caller.user.username);
    }
    if headers.contains_key(CONTENT_LENGTH) {
        command.env("CONTENT_LENGTH", text(CONTENT_LENGTH));
    }
    let mut child = command.spawn().context("cannot run git http-backend")?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let stdout = child.stdout.take().context("no standard output")?;
    tokio::spawn(async move {
        let mut body = request.into_body().into_data_stream();
        while let Some(Ok(chunk)) = body.next().await {
            // The backend closes its input when it needs no more of it.
            if stdin.write_all(&chunk).await.is_err() {
                return;
            }
        }
    });
    let response = read_headers(BufReader::new(stdout)).await?;
    Ok((child, response))
}

async fn read_headers(
    mut stdout: BufReader<ChildStdout>,
) -> Result<Response<BufReader<ChildStdout>>> {
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    loop {
        let mut line = String::new();
        let read = stdout.read_line(&mut line).await?;
        anyhow::ensure!(
            read > 0,
            "git http-backend exited before the end of its headers"
        );
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line
            .split_once(':')
            .context("git http-backend sent an invalid header")?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            status = code.parse()?;
        } else {
            headers.insert(name.parse::<HeaderName>()?, value.parse()?);
        }
    }
    let mut response = Response::new(stdout);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn stream_stdout(stdout: BufReader<ChildStdout>, child: Child) -> Body {
    const CHUNK: usize = 64 * 1024;
    Body::from_stream(stream::try_unfold(
        (stdout, child),
        |(mut stdout, child)| async move {
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = stdout.read_buf(&mut chunk).await?;
            let more = (read > 0).then_some((chunk, (stdout, child)));
            Ok::<_, std::io::Error>(more)
        },
    ))
}

/// Returns whether nothing was ever pushed.
pub(crate) fn is_empty(storage: &Storage) -> bool {
    FakeGitlab::is_empty(storage).unwrap_or(true)
}
