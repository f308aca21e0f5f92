//! Who gets in: how much one address, and all of them together, may have of connections, open files,
//! streams and memory. What is given is held by a [`Permit`] and given back with it.
//!
//! A part is kept for addresses that authenticated within the last hour, so that strangers cannot lock
//! out workers and administrators. Connections count by their peer. Those of a trusted proxy do not
//! count for an address; what it passes on counts for the address that it names.

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
    /// Requests that trusted proxies pass on.
    requests: Pool,
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

    /// Lets a request in that a trusted proxy passes on.
    ///
    /// # Errors
    /// When the address it comes from has too many, or all together have.
    pub(crate) fn forwarded_request(&self, client: IpAddr) -> Result<Permit, Error> {
        let is_known = self.is_known(client);
        // The proxy needs connections for those that are known.
        if !is_known && self.0.connections.has_only_kept() {
            return Err(refuse(Full::Total, "requests"));
        }
        let taken = self.0.requests.take(Some(client.into()), 1, is_known);
        taken.map_err(|full| refuse(full, "requests"))
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

    fn is_known(&self, address: IpAddr) -> bool {
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
