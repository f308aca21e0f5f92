//! The events of a namespace, across broken connections and restarts of the server.

use std::time::Duration;

use buildbtw_model::api::{Event, IterationDetail};
use buildbtw_model::client::{Backoff, Client, ClientError, EventStream, retry};
use buildbtw_model::{EventId, NamespaceName};

use crate::context::Context;
use crate::error::Result;

/// An event, or a change of the connection.
#[derive(Debug)]
pub(crate) enum Update {
    /// An event of the namespace.
    Event(Box<Event>),
    /// The connection broke; the feed reconnects.
    Lost(String),
    /// The connection is established again.
    Reconnected,
}

/// The stream of a namespace's events, with reconnection.
pub(crate) struct Feed<'a> {
    context: &'a Context,
    namespace: &'a NamespaceName,
    stream: Option<EventStream>,
    last: Option<EventId>,
}

fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(5))
}

impl<'a> Feed<'a> {
    /// Subscribes to the events. The first connection is not retried.
    pub(crate) async fn open(context: &'a Context, namespace: &'a NamespaceName) -> Result<Self> {
        let stream = context.check(context.client.events(namespace, None).await)?;
        Ok(Self {
            context,
            namespace,
            stream: Some(stream),
            last: None,
        })
    }

    /// Waits for the next update. Transient errors are retried and not returned.
    pub(crate) async fn next(&mut self) -> Result<Update> {
        let Some(stream) = &mut self.stream else {
            let (client, namespace, last) = (&self.context.client, self.namespace, self.last);
            let reconnected = async || connect(client, namespace, last).await;
            let stream = retry(backoff(), |_, _| {}, reconnected).await;
            self.stream = Some(self.context.check(stream)?);
            return Ok(Update::Reconnected);
        };
        let reason = match stream.next().await {
            Ok(Some(event)) => {
                self.last = Some(event.id);
                return Ok(Update::Event(Box::new(event)));
            }
            Ok(None) => "the server closed the connection".to_owned(),
            // An event that cannot be parsed stays so when it is sent again.
            Err(error @ ClientError::UnexpectedResponse { .. }) => {
                return self.context.check(Err(error));
            }
            Err(error) => error.to_string(),
        };
        self.stream = None;
        // Backs off from a server that accepts connections only to close them.
        tokio::time::sleep(backoff().next_pause()).await;
        Ok(Update::Lost(reason))
    }

    /// Returns the state of the newest iteration; retries while the server is unreachable.
    pub(crate) async fn iteration(&self) -> Result<IterationDetail> {
        let (client, namespace) = (&self.context.client, self.namespace);
        let ask = || client.iteration(namespace, None);
        self.context.check(retry(backoff(), |_, _| {}, ask).await)
    }
}

async fn connect(
    client: &Client,
    namespace: &NamespaceName,
    last: Option<EventId>,
) -> std::result::Result<EventStream, ClientError> {
    client.events(namespace, last).await
}
