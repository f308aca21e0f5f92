//! Admission: limits of connections, open files, streams and memory, per address and in total. A [`Permit`]
//! holds what was taken, and returns it when dropped.
//!
//! A part of each limit is reserved for addresses that authenticated within the last hour, so that
//! anonymous clients cannot lock out workers and administrators; trusted proxies may use half of the
//! reserve. Connections count by peer, and so do concurrent requests, since one HTTP/2 connection carries
//! many. Connections of a trusted proxy do not count for an address; the requests that it forwards count
//! for the client's address.

mod authenticated_sources;
mod forwarded;
mod pool;
mod rate;
mod settings;
mod source;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use buildbtw_model::api::ProblemKind;

use crate::error::{Error, Refusal};

use authenticated_sources::AuthenticatedSources;
use pool::{Capacity, Exhausted, Pool, SourceClass};
use settings::reserve_of;

pub use pool::Permit;
pub use rate::RateLimit;
pub use settings::{ConnectionSettings, Limits};
pub use source::{Network, Source};

/// The `Retry-After` of a request that exceeds a limit.
const PAUSE: Duration = Duration::from_secs(10);
/// Maximum time that a request waits for its turn or for memory.
const MAX_WAIT: Duration = Duration::from_secs(10);
const MIB: usize = 1024 * 1024;
/// One address may take at most one part in `SHARES` of a memory pool.
const SHARES: usize = 4;
/// Maximum number of responses that are prepared at the same time for requests without a token, in total
/// and per address: more would only wait for the database and the processors.
const PUBLIC_RESPONSES: usize = 8;
const PUBLIC_RESPONSES_PER_ADDRESS: usize = 3;
/// Memory of unread responses to requests without a token, in bytes; one address may take an eighth.
const PUBLIC_MEMORY: usize = 128 * MIB;
/// Maximum number of concurrent plans for requests without a token.
const ANONYMOUS_PLANS: usize = 2;
/// Maximum number of plans per minute that an address may request without a token.
const PLANS_PER_MINUTE: u32 = 60;

/// The limits and what is taken of them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    trusted: Vec<Network>,
    authenticated: AuthenticatedSources,
    connections: Pool,
    requests: Pool,
    /// Responses that are prepared for requests without a token.
    reading: Pool,
    /// The same for repositories, where a request may wait while a database is rendered.
    browsing: Pool,
    /// Memory of unread responses to requests without a token.
    responses: Pool,
    files: Pool,
    streams: Pool,
    bodies: Bodies<Pool>,
    plans: Pool,
    plan_rate: RateLimit,
}

/// Bodies of unauthenticated senders, by purpose: each purpose has its own memory.
#[derive(Debug)]
struct Bodies<T> {
    plans: T,
    id_tokens: T,
    webhooks: T,
}

/// The purpose of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyPurpose {
    /// A plan preview.
    Plan,
    /// The exchange of a job's ID token.
    IdToken,
    /// A webhook.
    Webhook,
}

/// Creates the memory pool of bodies of one purpose.
fn bodies(total: usize, reserved: usize) -> Pool {
    Pool::new(Capacity {
        total,
        reserved,
        per_source: total / SHARES,
    })
}

fn public_responses() -> Pool {
    Pool::new(Capacity {
        total: PUBLIC_RESPONSES,
        reserved: PUBLIC_RESPONSES / 4,
        per_source: PUBLIC_RESPONSES_PER_ADDRESS,
    })
}

impl Admission {
    /// Creates the pools.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let shared = |total: usize| {
            Pool::new(Capacity {
                total,
                reserved: reserve_of(total),
                per_source: limits.per_address,
            })
        };
        Self(Arc::new(Inner {
            trusted: limits.trusted.clone(),
            authenticated: AuthenticatedSources::default(),
            connections: shared(limits.connections),
            requests: shared(limits.connections),
            reading: public_responses(),
            browsing: public_responses(),
            responses: Pool::new(Capacity {
                total: PUBLIC_MEMORY,
                reserved: PUBLIC_MEMORY / 4,
                per_source: PUBLIC_MEMORY / 8,
            }),
            files: shared(limits.files),
            streams: Pool::new(Capacity {
                total: usize::MAX,
                reserved: 0,
                per_source: limits.streams,
            }),
            bodies: Bodies {
                plans: bodies(4 * MIB, MIB),
                id_tokens: bodies(4 * MIB, 2 * MIB),
                webhooks: bodies(8 * MIB, 4 * MIB),
            },
            plans: Pool::new(Capacity {
                total: ANONYMOUS_PLANS,
                reserved: 0,
                per_source: 1,
            }),
            plan_rate: RateLimit::per_minute(PLANS_PER_MINUTE),
        }))
    }

    /// Records that an address authenticated.
    pub fn authenticated(&self, address: IpAddr) {
        self.0.authenticated.record(address.into(), Instant::now());
    }

    /// Returns whether an address belongs to a trusted proxy.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        self.0
            .trusted
            .iter()
            .any(|network| network.contains(address))
    }

    /// Returns the client of a request: the peer, or the address that a trusted proxy forwards for.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.is_proxy(peer) {
            forwarded::client(peer, headers, |address| self.is_proxy(address))
        } else {
            peer
        }
    }

    /// Returns the numbers of open streams and connections.
    pub(crate) fn open(&self) -> (usize, usize) {
        (self.0.streams.taken(), self.0.connections.taken())
    }

    /// Admits a connection.
    ///
    /// # Errors
    /// When its address, or the server, has too many.
    pub(crate) fn connection(&self, peer: IpAddr) -> Result<Permit, Error> {
        let (source, class) = if self.is_proxy(peer) {
            (None, SourceClass::Proxy)
        } else {
            (Some(peer.into()), self.class_of(peer))
        };
        let taken = self.0.connections.take(source, 1, class);
        taken.map_err(|exhausted| refuse(exhausted, "connections"))
    }

    /// Admits a request of a directly connected client.
    ///
    /// # Errors
    /// When its address, or the server, has too many.
    pub(crate) fn request(&self, client: IpAddr) -> Result<Permit, Error> {
        let class = self.class_of(client);
        let taken = self.0.requests.take(Some(client.into()), 1, class);
        taken.map_err(|exhausted| refuse(exhausted, "requests"))
    }

    /// Waits until a response to a request without a token may be prepared. Sending it does not count.
    ///
    /// # Errors
    /// When the wait takes too long.
    pub(crate) async fn reading(&self, client: IpAddr) -> Result<Permit, Error> {
        let class = self.class_of(client);
        let waiting = self.0.reading.wait_for(client.into(), 1, class);
        queue(waiting).await
    }

    /// Waits like [`Self::reading`], for a file of a repository.
    ///
    /// # Errors
    /// See [`Self::reading`].
    pub(crate) async fn browsing(&self, client: IpAddr) -> Result<Permit, Error> {
        let class = self.class_of(client);
        let waiting = self.0.browsing.wait_for(client.into(), 1, class);
        queue(waiting).await
    }

    /// Takes memory for a response to a request without a token, until it is sent.
    ///
    /// # Errors
    /// When the address, or the server, has too many unread responses.
    pub(crate) fn response(&self, client: IpAddr, bytes: usize) -> Result<Permit, Error> {
        // A response above the address's limit is admitted if it is the only one.
        let bytes = bytes.min(PUBLIC_MEMORY / 8);
        let class = self.class_of(client);
        let taken = self.0.responses.take(Some(client.into()), bytes, class);
        taken.map_err(|exhausted| refuse(exhausted, "unread responses"))
    }

    /// Admits a request that a trusted proxy forwards.
    ///
    /// # Errors
    /// When the client's address, or the server, has too many.
    pub(crate) fn forwarded_request(&self, client: IpAddr) -> Result<Permit, Error> {
        // The rest of the connections is reserved for known addresses.
        if !self.has_authenticated(client) && self.0.connections.has_only_reserve() {
            return Err(refuse(Exhausted::Total, "requests"));
        }
        self.request(client)
    }

    /// Admits a stream: a response that stays open until its client disconnects.
    ///
    /// # Errors
    /// When the address has too many.
    pub(crate) fn stream(&self, client: IpAddr) -> Result<Permit, Error> {
        let taken = self
            .0
            .streams
            .take(Some(client.into()), 1, SourceClass::Known);
        taken.map_err(|exhausted| refuse(exhausted, "streams"))
    }

    /// Admits the opening of a file to send.
    ///
    /// # Errors
    /// When the address, or the server, has too many.
    pub(crate) fn file(&self, client: IpAddr) -> Result<Permit, Error> {
        let class = self.class_of(client);
        let taken = self.0.files.take(Some(client.into()), 1, class);
        taken.map_err(|exhausted| refuse(exhausted, "open files"))
    }

    /// Waits for memory for a received part of an unauthenticated body.
    ///
    /// # Errors
    /// When the wait takes too long.
    pub(crate) async fn body(
        &self,
        purpose: BodyPurpose,
        client: IpAddr,
        bytes: usize,
    ) -> Result<Permit, Error> {
        let bodies = &self.0.bodies;
        let pool = match purpose {
            BodyPurpose::Plan => &bodies.plans,
            BodyPurpose::IdToken => &bodies.id_tokens,
            BodyPurpose::Webhook => &bodies.webhooks,
        };
        let waiting = pool.wait_for(client.into(), bytes, self.class_of(client));
        queue(waiting).await
    }

    /// Waits until a plan may be made for a request without a token.
    ///
    /// # Errors
    /// When the address requests too many plans, or the wait takes too long.
    pub(crate) async fn plan(&self, client: IpAddr) -> Result<Permit, Error> {
        if let Some(pause) = self.0.plan_rate.record(client) {
            let title = "too many plans without a token from this address";
            return Err(Refusal::new(ProblemKind::TooManyRequests, title)
                .hint("plans with a token have no rate limit; `buildbtw login` stores one")
                .retry_after(pause)
                .into());
        }
        let waiting = self
            .0
            .plans
            .wait_for(client.into(), 1, SourceClass::Anonymous);
        queue(waiting).await
    }

    fn class_of(&self, address: IpAddr) -> SourceClass {
        if self.has_authenticated(address) {
            SourceClass::Known
        } else {
            SourceClass::Anonymous
        }
    }

    /// Returns whether an address authenticated within the last hour.
    pub(crate) fn has_authenticated(&self, address: IpAddr) -> bool {
        self.0
            .authenticated
            .contains(address.into(), Instant::now())
    }
}

async fn queue(waiting: impl Future<Output = Permit>) -> Result<Permit, Error> {
    let waited = tokio::time::timeout(MAX_WAIT, waiting).await;
    waited.map_err(|_| {
        let title = "too many concurrent requests without a token";
        Refusal::new(ProblemKind::Unavailable, title)
            .hint("try again later, or use a token")
            .retry_after(PAUSE)
            .into()
    })
}

/// Returns the error for an exhausted limit.
fn refuse(exhausted: Exhausted, what: &str) -> Error {
    let title = match exhausted {
        Exhausted::Source => format!("too many {what} from this address"),
        Exhausted::Total => format!("the server has too many {what}"),
    };
    Refusal::new(ProblemKind::Unavailable, title)
        .hint("close some, or try again later")
        .retry_after(PAUSE)
        .into()
}

#[cfg(test)]
mod tests;
