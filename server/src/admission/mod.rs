//! Who gets in: how much one address, and all of them together, may have of connections, open files,
//! streams and memory. What is given is held by a [`Permit`] and given back with it.
//!
//! A part is kept for addresses that authenticated within the last hour, so that strangers cannot lock
//! out workers and administrators; trusted proxies get half of it. Connections count by their peer, and what they ask for at a time too:
//! a connection of HTTP/2 carries many requests. Connections of a trusted proxy do not count for an
//! address; what it passes on counts for the address that it names.

mod forwarded;
mod known;
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

use known::KnownSources;
use pool::{Capacity, Exhausted, Pool, SourceClass};
use settings::reserve_of;

pub use pool::Permit;
pub use rate::RateLimit;
pub use settings::{ConnectionArgs, Limits};
pub use source::{Network, Source};

/// When to try again for what was full.
const PAUSE: Duration = Duration::from_secs(10);
/// How long a body waits for memory.
const LONGEST_QUEUE: Duration = Duration::from_secs(10);
const MIB: usize = 1024 * 1024;
/// How many parts of an amount of memory one address gets at most, one.
const SHARES: usize = 4;
/// How many answers are made at a time for people without a token, and how many of those for one
/// address: more would only wait for the database and the processors.
const PUBLIC_RESPONSES: usize = 8;
const PUBLIC_RESPONSES_PER_ADDRESS: usize = 3;
/// The memory of answers without a token that wait to be read, in bytes; an eighth for one address.
const PUBLIC_MEMORY: usize = 128 * MIB;
/// How many plans are made at a time for people without a token.
const ANONYMOUS_PLANS: usize = 2;
/// How many plans an address without a token may ask for in a minute.
const PLANS_PER_MINUTE: u32 = 60;

/// What everybody shares. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    trusted: Vec<Network>,
    known: KnownSources,
    connections: Pool,
    requests: Pool,
    /// Answers that are being made for people without a token.
    reading: Pool,
    /// The same for repositories, where one may wait for a database to be rendered.
    browsing: Pool,
    /// The memory of answers that they have not read yet.
    responses: Pool,
    files: Pool,
    streams: Pool,
    bodies: Bodies<Pool>,
    plans: Pool,
    plan_rate: RateLimit,
}

/// Bodies whose senders nobody vouches for, by what they are for: those of one kind take nothing from
/// the others.
#[derive(Debug)]
struct Bodies<T> {
    plans: T,
    id_tokens: T,
    webhooks: T,
}

/// What a body is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyPurpose {
    /// A plan for anybody.
    Plan,
    /// A job that shows its ID token.
    IdToken,
    /// A webhook.
    Webhook,
}

/// The memory of bodies of one kind. `kept` is for addresses that authenticated lately.
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
    /// Nobody has anything yet.
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
            known: KnownSources::default(),
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

    /// Notes that an address showed a valid secret.
    pub fn authenticated(&self, address: IpAddr) {
        self.0.known.record(address.into(), Instant::now());
    }

    /// Whether an address is one of a trusted proxy.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        self.0
            .trusted
            .iter()
            .any(|network| network.contains(address))
    }

    /// The address whose request a peer passes on: its own, unless it is a trusted proxy.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.is_proxy(peer) {
            forwarded::client(peer, headers, |address| self.is_proxy(address))
        } else {
            peer
        }
    }

    /// Lets a connection in.
    ///
    /// # Errors
    /// When its address has too many, or all together have.
    pub(crate) fn connection(&self, peer: IpAddr) -> Result<Permit, Error> {
        let (source, class) = if self.is_proxy(peer) {
            (None, SourceClass::Proxy)
        } else {
            (Some(peer.into()), self.class_of(peer))
        };
        let taken = self.0.connections.take(source, 1, class);
        taken.map_err(|exhausted| refuse(exhausted, "connections"))
    }

    /// Lets a request in that comes from who connected.
    ///
    /// # Errors
    /// When its address has too many, or all together have.
    pub(crate) fn request(&self, client: IpAddr) -> Result<Permit, Error> {
        let class = self.class_of(client);
        let taken = self.0.requests.take(Some(client.into()), 1, class);
        taken.map_err(|exhausted| refuse(exhausted, "requests"))
    }

    /// Waits for leave to make an answer for somebody without a token. Not for as long as it is sent.
    ///
    /// # Errors
    /// When others, or others of this address, have theirs made for too long.
    pub(crate) async fn reading(&self, client: IpAddr) -> Result<Permit, Error> {
        let class = self.class_of(client);
        let waiting = self.0.reading.wait_for(client.into(), 1, class);
        queue(waiting).await
    }

    /// The same for a file of a repository.
    ///
    /// # Errors
    /// See [`Self::reading`].
    pub(crate) async fn browsing(&self, client: IpAddr) -> Result<Permit, Error> {
        let class = self.class_of(client);
        let waiting = self.0.browsing.wait_for(client.into(), 1, class);
        queue(waiting).await
    }

    /// Gives memory for an answer to somebody without a token, until it is read.
    ///
    /// # Errors
    /// When the address has too many answers that wait for it, or all together have.
    pub(crate) fn response(&self, client: IpAddr, bytes: usize) -> Result<Permit, Error> {
        // A single one that is larger than a share is let through when there is no other.
        let bytes = bytes.min(PUBLIC_MEMORY / 8);
        let class = self.class_of(client);
        let taken = self.0.responses.take(Some(client.into()), bytes, class);
        taken.map_err(|exhausted| refuse(exhausted, "unread responses"))
    }

    /// Lets a request in that a trusted proxy passes on.
    ///
    /// # Errors
    /// When the address it comes from has too many, or all together have.
    pub(crate) fn forwarded_request(&self, client: IpAddr) -> Result<Permit, Error> {
        // The proxy needs connections for those that are known.
        if !self.is_known(client) && self.0.connections.has_only_reserve() {
            return Err(refuse(Exhausted::Total, "requests"));
        }
        self.request(client)
    }

    /// Lets a stream begin: an answer that stays open until its client goes away.
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

    /// Lets a file be opened, to be sent.
    ///
    /// # Errors
    /// When the address has too many, or all together have.
    pub(crate) fn file(&self, client: IpAddr) -> Result<Permit, Error> {
        let class = self.class_of(client);
        let taken = self.0.files.take(Some(client.into()), 1, class);
        taken.map_err(|exhausted| refuse(exhausted, "open files"))
    }

    /// Waits for memory for what arrived of a body whose sender nobody vouches for.
    ///
    /// # Errors
    /// When there is none for too long.
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

    /// Waits for leave to plan for somebody without a token.
    ///
    /// # Errors
    /// When the address asked for too many plans, or all together did.
    pub(crate) async fn plan(&self, client: IpAddr) -> Result<Permit, Error> {
        if let Some(pause) = self.0.plan_rate.record(client) {
            let title = "too many plans without a token from this address";
            return Err(Refusal::new(ProblemKind::TooManyRequests, title)
                .hint("plans with a token are not limited; `buildbtw login` stores one")
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
        if self.is_known(address) {
            SourceClass::Known
        } else {
            SourceClass::Anonymous
        }
    }

    /// Whether an address authenticated within the last hour.
    pub(crate) fn is_known(&self, address: IpAddr) -> bool {
        self.0.known.contains(address.into(), Instant::now())
    }
}

async fn queue(waiting: impl Future<Output = Permit>) -> Result<Permit, Error> {
    let waited = tokio::time::timeout(LONGEST_QUEUE, waiting).await;
    waited.map_err(|_| {
        let title = "too many concurrent requests without a token";
        Refusal::new(ProblemKind::Unavailable, title)
            .hint("try again later, or use a token")
            .retry_after(PAUSE)
            .into()
    })
}

/// What somebody is told who gets nothing.
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
