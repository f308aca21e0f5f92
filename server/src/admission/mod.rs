//! Who gets in: how much one address, and all of them together, may have of connections, open files,
//! streams and memory. What is given is held by a [`Permit`] and given back with it.
//!
//! A part is kept for addresses that authenticated within the last hour, so that strangers cannot lock
//! out workers and administrators. Connections count by their peer, and what they ask for at a time too:
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
use pool::{Amounts, Full, Pool};
use settings::kept_of;

pub use pool::Permit;
pub use rate::RateLimit;
pub use settings::{ConnectionArgs, Limits};
pub use source::{Network, Source};

/// When to try again for what was full.
const PAUSE: Duration = Duration::from_secs(10);
/// How long a body waits for memory.
const LONGEST_QUEUE: Duration = Duration::from_secs(10);
/// The memory of all bodies whose senders nobody vouches for, in bytes.
const ANONYMOUS_BODIES: usize = 16 * 1024 * 1024;
/// How many answers are made at a time for people without a token, and how many of those for one
/// address: more would only wait for the database and the processors.
const PUBLIC_ANSWERS: usize = 8;
const PUBLIC_ANSWERS_PER_ADDRESS: usize = 3;
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
    files: Pool,
    streams: Pool,
    bodies: Pool,
    plans: Pool,
    plan_rate: RateLimit,
}

impl Admission {
    /// Nobody has anything yet.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let shared = |total: usize| {
            Pool::new(Amounts {
                total,
                kept: kept_of(total),
                per_source: limits.per_address,
            })
        };
        Self(Arc::new(Inner {
            trusted: limits.trusted.clone(),
            known: KnownSources::default(),
            connections: shared(limits.connections),
            requests: shared(limits.connections),
            reading: Pool::new(Amounts {
                total: PUBLIC_ANSWERS,
                kept: PUBLIC_ANSWERS / 4,
                per_source: PUBLIC_ANSWERS_PER_ADDRESS,
            }),
            files: shared(limits.files),
            streams: Pool::new(Amounts {
                total: usize::MAX,
                kept: 0,
                per_source: limits.streams,
            }),
            bodies: Pool::new(Amounts {
                total: ANONYMOUS_BODIES,
                kept: 0,
                per_source: ANONYMOUS_BODIES / 4,
            }),
            plans: Pool::new(Amounts {
                total: ANONYMOUS_PLANS,
                kept: 0,
                per_source: 1,
            }),
            plan_rate: RateLimit::per_minute(PLANS_PER_MINUTE),
        }))
    }

    /// Notes that an address showed a valid secret.
    pub fn authenticated(&self, address: IpAddr) {
        self.0.known.note(address.into(), Instant::now());
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
        let proxy = self.is_proxy(peer);
        let source = (!proxy).then(|| peer.into());
        let taken = self
            .0
            .connections
            .take(source, 1, proxy || self.is_known(peer));
        taken.map_err(|full| refuse(full, "connections"))
    }

    /// Lets a request in that comes from who connected.
    ///
    /// # Errors
    /// When its address has too many, or all together have.
    pub(crate) fn request(&self, client: IpAddr) -> Result<Permit, Error> {
        let is_known = self.is_known(client);
        let taken = self.0.requests.take(Some(client.into()), 1, is_known);
        taken.map_err(|full| refuse(full, "requests"))
    }

    /// Waits for leave to make an answer for somebody without a token. Not for as long as it is sent.
    ///
    /// # Errors
    /// When others, or others of this address, have theirs made for too long.
    pub(crate) async fn reading(&self, client: IpAddr) -> Result<Permit, Error> {
        let is_known = self.is_known(client);
        let waiting = self.0.reading.wait_for(client.into(), 1, is_known);
        queue(waiting).await
    }

    /// Lets a request in that a trusted proxy passes on.
    ///
    /// # Errors
    /// When the address it comes from has too many, or all together have.
    pub(crate) fn forwarded_request(&self, client: IpAddr) -> Result<Permit, Error> {
        // The proxy needs connections for those that are known.
        if !self.is_known(client) && self.0.connections.has_only_kept() {
            return Err(refuse(Full::Total, "requests"));
        }
        self.request(client)
    }

    /// Lets a stream begin: an answer that stays open until its client goes away.
    ///
    /// # Errors
    /// When the address has too many.
    pub(crate) fn stream(&self, client: IpAddr) -> Result<Permit, Error> {
        let taken = self.0.streams.take(Some(client.into()), 1, true);
        taken.map_err(|full| refuse(full, "streams"))
    }

    /// Lets a file be opened, to be sent.
    ///
    /// # Errors
    /// When the address has too many, or all together have.
    pub(crate) fn file(&self, client: IpAddr) -> Result<Permit, Error> {
        let is_known = self.is_known(client);
        let taken = self.0.files.take(Some(client.into()), 1, is_known);
        taken.map_err(|full| refuse(full, "open files"))
    }

    /// Waits for memory for a body whose sender nobody vouches for.
    ///
    /// # Errors
    /// When there is none for too long.
    pub(crate) async fn body(&self, client: IpAddr, bytes: usize) -> Result<Permit, Error> {
        let waiting = self.0.bodies.wait_for(client.into(), bytes, false);
        queue(waiting).await
    }

    /// Waits for leave to plan for somebody without a token.
    ///
    /// # Errors
    /// When the address asked for too many plans, or all together did.
    pub(crate) async fn plan(&self, client: IpAddr) -> Result<Permit, Error> {
        if let Some(pause) = self.0.plan_rate.note(client) {
            let title = "too many plans without a token";
            return Err(Refusal::new(ProblemKind::TooManyRequests, title)
                .hint("with a token there is no such limit; `buildbtw login` stores one")
                .retry_after(pause)
                .into());
        }
        let waiting = self.0.plans.wait_for(client.into(), 1, false);
        queue(waiting).await
    }

    /// Whether an address authenticated within the last hour.
    pub(crate) fn is_known(&self, address: IpAddr) -> bool {
        self.0.known.contains(address.into(), Instant::now())
    }
}

async fn queue(waiting: impl Future<Output = Permit>) -> Result<Permit, Error> {
    let waited = tokio::time::timeout(LONGEST_QUEUE, waiting).await;
    waited.map_err(|_| {
        let title = "too many requests without a token are being processed";
        Refusal::new(ProblemKind::Unavailable, title)
            .hint("try again later, or with a token")
            .retry_after(PAUSE)
            .into()
    })
}

/// What somebody is told who gets nothing.
fn refuse(full: Full, what: &str) -> Error {
    let title = match full {
        Full::Source => format!("too many {what} of this address"),
        Full::Total => format!("the server has too many {what}"),
    };
    Refusal::new(ProblemKind::Unavailable, title)
        .hint("close some, or try again later")
        .retry_after(PAUSE)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(trusted: &[&str]) -> Admission {
        Admission::new(&Limits {
            connections: 8,
            files: 4,
            per_address: 8,
            streams: 1,
            trusted: trusted.iter().map(|text| text.parse().unwrap()).collect(),
        })
    }

    fn address(last: u8) -> IpAddr {
        [203, 0, 113, last].into()
    }

    #[test]
    fn files_are_kept_for_who_authenticated() {
        let admission = admission(&[]);
        admission.authenticated(address(1));
        let strangers = [2, 3].map(|last| admission.file(address(last)).unwrap());
        assert!(admission.file(address(4)).is_err());
        let known = [(); 2].map(|()| admission.file(address(1)).unwrap());
        assert!(admission.file(address(1)).is_err());
        drop(known);
        drop(strangers);
        assert!(admission.file(address(4)).is_ok());
    }

    #[test]
    fn a_proxy_has_connections_left_for_who_authenticated() {
        let proxy = [10, 0, 0, 1].into();
        let admission = admission(&["10.0.0.0/8"]);
        admission.authenticated(address(1));
        // Strangers who connect by themselves take what is not kept.
        let direct = [(); 4].map(|()| admission.connection(address(2)).unwrap());
        assert!(admission.connection(address(3)).is_err());
        let proxied = [(); 4].map(|()| admission.connection(proxy).unwrap());
        assert!(admission.forwarded_request(address(3)).is_err());
        assert!(admission.forwarded_request(address(1)).is_ok());
        drop((direct, proxied));
        assert!(admission.forwarded_request(address(3)).is_ok());
    }

    #[tokio::test]
    async fn answers_for_one_address_leave_turns_for_others() {
        let admission = admission(&[]);
        admission.authenticated(address(4));
        let mut turns = Vec::new();
        for _ in 0..PUBLIC_ANSWERS_PER_ADDRESS {
            turns.push(admission.reading(address(1)).await.unwrap());
        }
        let take = |last: u8| {
            let known = admission.is_known(address(last));
            let source = Some(address(last).into());
            admission.0.reading.take(source, 1, known)
        };
        assert_eq!(take(1).unwrap_err(), Full::Source);
        turns.extend([2, 2, 2].map(|last| take(last).unwrap()));
        assert_eq!(take(3).unwrap_err(), Full::Total);
        turns.push(take(4).unwrap());
        turns.clear();
        assert!(take(3).is_ok());
    }

    #[test]
    fn bodies_share_what_there_is_and_an_address_gets_a_part() {
        let admission = admission(&[]);
        let take = |last: u8, bytes: usize| {
            let source = address(last).into();
            admission.0.bodies.take(Some(source), bytes, false)
        };
        let part = ANONYMOUS_BODIES / 4;
        let own = take(1, part).unwrap();
        assert_eq!(take(1, 1).unwrap_err(), Full::Source);
        let others = [2, 3, 4].map(|last| take(last, part).unwrap());
        assert_eq!(take(5, 1).unwrap_err(), Full::Total);
        drop(own);
        assert!(take(5, part).is_ok());
        drop(others);
    }
}
