//! The events of a namespace, across broken connections and restarts of the server.

use std::time::Duration;

use buildbtw_model::NamespaceName;
use buildbtw_model::api::{Event, IterationDetail};
use buildbtw_model::client::{Backoff, Client, ClientError, EventStream, retry};

use crate::context::Context;
use crate::error::Result;

/// What there is to hear.
#[derive(Debug)]
pub(crate) enum News {
    /// Something changed.
    Event(Box<Event>),
    /// The connection is gone; it is being made again.
    Lost(String),
    /// It is back.
    Reconnected,
}

/// The events of a namespace.
pub(crate) struct Feed<'a> {
    context: &'a Context,
    namespace: &'a NamespaceName,
    stream: Option<EventStream>,
    last: Option<i64>,
}

fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(5))
}

impl<'a> Feed<'a> {
    /// Begins to listen. Here errors count: a server that never answered is not waited for.
    pub(crate) async fn open(context: &'a Context, namespace: &'a NamespaceName) -> Result<Self> {
        let stream = context.ask(context.client.events(namespace, None).await)?;
        Ok(Self {
            context,
            namespace,
            stream: Some(stream),
            last: None,
        })
    }

    /// Waits for the next news. An error is one that waiting does not help against.
    pub(crate) async fn next(&mut self) -> Result<News> {
        let Some(stream) = &mut self.stream else {
            let (client, namespace, last) = (&self.context.client, self.namespace, self.last);
            let reconnected = async || connect(client, namespace, last).await;
            let stream = retry(backoff(), |_, _| {}, reconnected).await;
            self.stream = Some(self.context.ask(stream)?);
            return Ok(News::Reconnected);
        };
        let reason = match stream.next().await {
            Ok(Some(event)) => {
                self.last = Some(event.id);
                return Ok(News::Event(Box::new(event)));
            }
            Ok(None) => "the server closed the connection".to_owned(),
            // What cannot be read now cannot be read when it is sent again.
            Err(error @ ClientError::UnexpectedResponse { .. }) => {
                return self.context.ask(Err(error));
            }
            Err(error) => error.to_string(),
        };
        self.stream = None;
        // A server that takes connections only to close them is not to be asked without pause.
        tokio::time::sleep(backoff().next_pause()).await;
        Ok(News::Lost(reason))
    }

    /// The state of the newest iteration, waiting for the server when it is away.
    pub(crate) async fn iteration(&self) -> Result<IterationDetail> {
        let (client, namespace) = (&self.context.client, self.namespace);
        let ask = || client.iteration(namespace, None);
        self.context.ask(retry(backoff(), |_, _| {}, ask).await)
    }
}

async fn connect(
    client: &Client,
    namespace: &NamespaceName,
    last: Option<i64>,
) -> std::result::Result<EventStream, ClientError> {
    client.events(namespace, last).await
}
