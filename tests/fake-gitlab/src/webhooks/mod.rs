//! Sends events to hooks, and records the result of each.
//!
//! Deliveries are sent one after the other, in the order of the events, unless a test changes that.

pub(crate) mod ci;
mod delivery;
pub(crate) mod payloads;
pub(crate) mod signature;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::actions::hooks::new_uuid;
use crate::clock::Clock;
use crate::state::hooks::{Hook, HookId};
use crate::{VERSION, lock};

/// The number of a delivery, from 0, in queue order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub usize);

/// An event for a hook, and the result of its delivery.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its number.
    pub id: DeliveryId,
    /// The hook; none for a forged one.
    pub hook: Option<HookId>,
    /// The receiver.
    pub url: String,
    /// `X-Gitlab-Event`.
    pub event: String,
    /// Equal in all attempts and when it is sent again.
    pub idempotency_key: String,
    /// All headers that do not depend on the time of sending.
    pub headers: Vec<(String, String)>,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// The number of attempts so far.
    pub attempts: u32,
    /// The status of the last response, if there was one.
    pub status: Option<u16>,
    /// Whether an attempt succeeded.
    pub delivered: bool,
    /// Whether it was discarded instead of being sent.
    pub dropped: bool,
    signing_token: Option<String>,
}

/// How deliveries that are queued from now on are treated.
#[derive(Clone, Copy, Debug)]
struct DeliverySettings {
    duplicate: bool,
    hold: bool,
    drop: bool,
    delay: Duration,
    attempts: u32,
    pause: Duration,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            duplicate: false,
            hold: false,
            drop: false,
            delay: Duration::ZERO,
            attempts: 4,
            pause: Duration::from_millis(50),
        }
    }
}

/// The deliveries of a stand-in, and their faults.
#[derive(Clone, Debug)]
pub struct Webhooks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    url: String,
    clock: Clock,
    client: reqwest::Client,
    knobs: Mutex<DeliverySettings>,
    deliveries: Mutex<Vec<Delivery>>,
    held: Mutex<VecDeque<DeliveryId>>,
    queue: mpsc::UnboundedSender<DeliveryId>,
    /// The number of queued and unfinished deliveries.
    pending: watch::Sender<usize>,
}

impl Inner {
    /// Decrements the count, which a stopping stand-in may already have reset.
    fn finish_one(&self) {
        self.pending
            .send_modify(|pending| *pending = pending.saturating_sub(1));
    }
}

impl Webhooks {
    pub(crate) fn start(url: String, clock: Clock, cancel: CancellationToken) -> Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(format!("GitLab/{VERSION}"))
            .build()
            .context("cannot create an HTTP client")?;
        let (queue, receiver) = mpsc::unbounded_channel();
        let webhooks = Self {
            inner: Arc::new(Inner {
                url,
                clock,
                client,
                knobs: Mutex::default(),
                deliveries: Mutex::default(),
                held: Mutex::default(),
                queue,
                pending: watch::Sender::new(0),
            }),
        };
        tokio::spawn(delivery::run(webhooks.clone(), receiver, cancel));
        Ok(webhooks)
    }

    /// Returns all deliveries so far, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.inner.deliveries).clone()
    }

    /// Forgets all deliveries. None may be in progress.
    pub fn clear(&self) {
        lock(&self.inner.held).clear();
        lock(&self.inner.deliveries).clear();
    }

    /// Sets whether each delivery is sent twice.
    pub fn set_duplicate(&self, duplicate: bool) {
        lock(&self.inner.knobs).duplicate = duplicate;
    }

    /// Sets whether deliveries are discarded. They are still recorded.
    pub fn set_drop(&self, drop: bool) {
        lock(&self.inner.knobs).drop = drop;
    }

    /// Sets the delay of each delivery.
    pub fn set_delay(&self, delay: Duration) {
        lock(&self.inner.knobs).delay = delay;
    }

    /// Sets the number of attempts for failed deliveries, and the first pause, which doubles.
    pub fn set_attempts(&self, attempts: u32, pause: Duration) {
        let mut knobs = lock(&self.inner.knobs);
        knobs.attempts = attempts.max(1);
        knobs.pause = pause;
    }

    /// Holds back deliveries from now on.
    pub fn hold(&self) {
        lock(&self.inner.knobs).hold = true;
    }

    /// Sends the held deliveries, oldest first, and stops holding.
    pub fn release(&self) {
        self.release_in_order(|held| held);
    }

    /// Sends the held deliveries, newest first, and stops holding.
    pub fn release_reversed(&self) {
        self.release_in_order(|held| held.into_iter().rev().collect());
    }

    fn release_in_order(&self, order: impl FnOnce(VecDeque<DeliveryId>) -> VecDeque<DeliveryId>) {
        lock(&self.inner.knobs).hold = false;
        let held = std::mem::take(&mut *lock(&self.inner.held));
        for id in order(held) {
            self.enqueue(id);
        }
    }

    /// Sends a delivery again, with the same key and body.
    pub fn resend(&self, id: DeliveryId) -> Result<()> {
        let known = lock(&self.inner.deliveries).len();
        anyhow::ensure!(id.0 < known, "delivery {} does not exist", id.0);
        self.enqueue(id);
        Ok(())
    }

    /// Sends a forged request to any address. Only the content type is added, if it is missing.
    pub fn forge(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> DeliveryId {
        let mut headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        let id = self.record(Delivery {
            id: DeliveryId(0),
            hook: None,
            url: url.to_owned(),
            event: String::new(),
            idempotency_key: String::new(),
            headers,
            body: body.to_owned(),
            attempts: 0,
            status: None,
            delivered: false,
            dropped: false,
            signing_token: None,
        });
        self.enqueue(id);
        id
    }

    /// Queues an event for hooks.
    pub(crate) fn queue(&self, hooks: &[Arc<Hook>], event: &str, payload: &Value) {
        let knobs = *lock(&self.inner.knobs);
        let event_uuid = new_uuid();
        for hook in hooks {
            let id = self.record(self.delivery(hook, event, event_uuid, payload, knobs.drop));
            if knobs.drop {
                continue;
            }
            for _ in 0..if knobs.duplicate { 2 } else { 1 } {
                if knobs.hold {
                    lock(&self.inner.held).push_back(id);
                } else {
                    self.enqueue(id);
                }
            }
        }
    }

    fn delivery(
        &self,
        hook: &Hook,
        event: &str,
        event_uuid: Uuid,
        payload: &Value,
        dropped: bool,
    ) -> Delivery {
        let key = new_uuid().to_string();
        let mut headers = vec![
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("X-Gitlab-Event".to_owned(), event.to_owned()),
            ("X-Gitlab-Instance".to_owned(), self.inner.url.clone()),
            ("X-Gitlab-Webhook-UUID".to_owned(), hook.uuid.to_string()),
            ("X-Gitlab-Event-UUID".to_owned(), event_uuid.to_string()),
            ("Idempotency-Key".to_owned(), key.clone()),
        ];
        if let Some(token) = &hook.options.token {
            headers.push(("X-Gitlab-Token".to_owned(), token.clone()));
        }
        Delivery {
            id: DeliveryId(0),
            hook: Some(hook.id),
            url: hook.options.url.clone(),
            event: event.to_owned(),
            idempotency_key: key,
            headers,
            body: payload.to_string().into_bytes(),
            attempts: 0,
            status: None,
            delivered: false,
            dropped,
            signing_token: hook.options.signing_token.clone(),
        }
    }

    fn record(&self, mut delivery: Delivery) -> DeliveryId {
        let mut deliveries = lock(&self.inner.deliveries);
        let id = DeliveryId(deliveries.len());
        delivery.id = id;
        deliveries.push(delivery);
        id
    }

    fn enqueue(&self, id: DeliveryId) {
        self.inner.pending.send_modify(|pending| *pending += 1);
        if self.inner.queue.send(id).is_err() {
            // The stand-in has stopped.
            self.inner.finish_one();
        }
    }

    pub(crate) async fn done(&self) {
        let mut pending = self.inner.pending.subscribe();
        // The sender lives as long as this.
        let _ = pending.wait_for(|pending| *pending == 0).await;
    }
}
