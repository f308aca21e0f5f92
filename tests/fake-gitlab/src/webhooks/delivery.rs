//! The task that sends deliveries.

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Delivery, DeliveryId, Webhooks, signature};
use crate::lock;

pub(super) async fn run(
    webhooks: Webhooks,
    mut queue: mpsc::UnboundedReceiver<DeliveryId>,
    cancel: CancellationToken,
) {
    let work = async {
        while let Some(id) = queue.recv().await {
            deliver(&webhooks, id).await;
            webhooks.inner.finish_one();
        }
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = work => {}
    }
    // Releases those who wait for deliveries that will never be sent.
    drop(queue);
    webhooks.inner.pending.send_replace(0);
}

/// Sends a delivery until it succeeds or its attempts are exhausted.
async fn deliver(webhooks: &Webhooks, id: DeliveryId) {
    let knobs = *lock(&webhooks.inner.knobs);
    tokio::time::sleep(knobs.delay).await;
    let mut pauses = ExponentialBuilder::new()
        .with_min_delay(knobs.pause)
        .with_max_times(knobs.attempts.saturating_sub(1) as usize)
        .build();
    loop {
        let Some(delivery) = lock(&webhooks.inner.deliveries).get(id.0).cloned() else {
            return;
        };
        let status = attempt_once(webhooks, &delivery).await;
        let delivered = status.is_some_and(|status| (200..300).contains(&status));
        if let Some(delivery) = lock(&webhooks.inner.deliveries).get_mut(id.0) {
            delivery.attempts += 1;
            delivery.status = status;
            delivery.delivered |= delivered;
        }
        if delivered {
            return;
        }
        let Some(pause) = pauses.next() else {
            return;
        };
        tokio::time::sleep(pause).await;
    }
}

async fn attempt_once(webhooks: &Webhooks, delivery: &Delivery) -> Option<u16> {
    let mut request = webhooks.inner.client.post(&delivery.url);
    for (name, value) in &delivery.headers {
        request = request.header(name, value);
    }
    if let Some(token) = &delivery.signing_token {
        let now = webhooks.inner.clock.now().as_second();
        let signature =
            signature::sign(token, &delivery.idempotency_key, now, &delivery.body).ok()?;
        request = request
            .header("webhook-id", &delivery.idempotency_key)
            .header("webhook-timestamp", now.to_string())
            .header("webhook-signature", signature);
    }
    match request.body(delivery.body.clone()).send().await {
        Ok(response) => Some(response.status().as_u16()),
        Err(error) => {
            tracing::debug!(%error, url = delivery.url, "cannot deliver a webhook");
            None
        }
    }
}
