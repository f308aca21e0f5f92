//! The HTTP client of the exporter. It sends requests on the runtime of the program, from the exporter's own thread.

use std::pin::Pin;
use std::sync::Arc;

use buildbtw_model::innermost;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

use super::exporter::Shared;
use crate::spawn_named;

/// Responses hold at most the reason of a refusal.
const MAX_RESPONSE: usize = 1024 * 1024;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct RuntimeClient {
    http: reqwest::Client,
    runtime: Handle,
    shared: Arc<Shared>,
}

impl RuntimeClient {
    pub(super) fn new(http: reqwest::Client, runtime: Handle, shared: Arc<Shared>) -> Self {
        Self {
            http,
            runtime,
            shared,
        }
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
        Box::pin(async move {
            let sent = task.await?;
            self.shared.requested(
                sent.as_ref()
                    .err()
                    .map(|error| innermost(error.as_ref()).to_string()),
            );
            sent
        })
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

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;

    #[tokio::test]
    async fn names_the_cause_once_per_outage() {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/v1/traces", unused.local_addr().unwrap());
        drop(unused);
        let shared = Arc::new(Shared::new(endpoint.clone()));
        let runtime = Handle::current();
        let client = RuntimeClient::new(reqwest::Client::new(), runtime, Arc::clone(&shared));
        let request = Request::post(&endpoint).body(Bytes::new());
        assert!(client.send_bytes(request.unwrap()).await.is_err());
        let error = OTelSdkError::InternalFailure("network error".to_owned());
        let cause = shared.beginning(&error).unwrap();
        assert!(cause.contains("refused"), "{cause}");
        assert_eq!(shared.beginning(&error), None, "the outage continues");
        shared.note(&Ok(()), 1);
        // A collector that answers, but refuses.
        shared.requested(None);
        let refused = shared.beginning(&error).unwrap();
        assert!(refused.contains("network error"), "{refused}");
    }
}
