//! The HTTP client of the exporter. It sends requests on the runtime of the program, from the exporter's own thread.

use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

use crate::spawn_named;

/// Responses hold at most the reason of a refusal.
const MAX_RESPONSE: usize = 1024 * 1024;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct RuntimeClient {
    http: reqwest::Client,
    runtime: Handle,
}

impl RuntimeClient {
    pub(super) fn new(http: reqwest::Client, runtime: Handle) -> Self {
        Self { http, runtime }
    }
}

/// What `async fn` is in the trait.
type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for RuntimeClient {
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> Sending<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        let sending = send(self.http.clone(), request);
        let task = {
            let _runtime = self.runtime.enter();
            spawn_named("trace export", sending)
        };
        Box::pin(async move { task.await? })
    }
}

async fn send(
    http: reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let mut response = http.execute(request.try_into()?).await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_RESPONSE {
            return Err("the response is too large".into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut result = Response::new(Bytes::from(body));
    *result.status_mut() = response.status();
    *result.headers_mut() = response.headers().clone();
    Ok(result)
}
