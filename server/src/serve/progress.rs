//! Whether the answers of a connection get on: who asks for something and does not read it is cut off.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use hyper::body::{Body as _, Frame};

use super::wrapped::{BodyHook, NextFrame, wrap_body};

/// The most of an answer that is given away at a time. What is given away waits in memory that nobody counts;
/// the rest is held by whom it belongs to.
const CHUNK: usize = 64 * 1024;

/// The answers of a connection that wait for their client, and since when. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    since: HashMap<u64, Instant>,
}

impl Progress {
    /// Whether an answer has waited for its client for so long.
    pub(super) fn has_stalled(&self, for_long: Duration) -> bool {
        let waiting = self.lock();
        waiting
            .since
            .values()
            .any(|since| since.elapsed() >= for_long)
    }

    /// Follows how far a body was taken by its client.
    pub(super) fn watch<T: Send + Unpin + 'static>(&self, body: Body, held: T) -> Body {
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        // It may never be asked for: with HTTP/2 a client says how much it is ready to take.
        waiting.since.insert(number, Instant::now());
        drop(waiting);
        let watched = Watched {
            rest: Bytes::new(),
            number,
            progress: self.clone(),
            _held: held,
        };
        wrap_body(body, watched)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Watched<T> {
    /// What the body gave and the client has not asked for.
    rest: Bytes,
    number: u64,
    progress: Progress,
    _held: T,
}

impl<T> Watched<T> {
    /// Passes the body on in small pieces.
    fn split(&mut self, body: Pin<&mut Body>, context: &mut Context<'_>) -> Poll<NextFrame> {
        if self.rest.is_empty() {
            let polled = body.poll_frame(context);
            let Poll::Ready(Some(Ok(frame))) = polled else {
                return polled;
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let chunk = self.rest.split_to(self.rest.len().min(CHUNK));
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

impl<T: Send + Unpin + 'static> BodyHook for Watched<T> {
    fn poll_next(&mut self, body: Pin<&mut Body>, context: &mut Context<'_>) -> Poll<NextFrame> {
        let polled = self.split(body, context);
        let mut waiting = self.progress.lock();
        // The last piece waits for the client, too: a body that is sent is dropped.
        if polled.is_ready() {
            waiting.since.insert(self.number, Instant::now());
        } else {
            waiting.since.remove(&self.number);
        }
        drop(waiting);
        polled
    }

    fn buffered(&self) -> u64 {
        self.rest.len() as u64
    }
}

impl<T> Drop for Watched<T> {
    fn drop(&mut self) {
        self.progress.lock().since.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const NOW: Duration = Duration::ZERO;

    async fn next(body: &mut Body) -> Option<usize> {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        Some(frame?.unwrap().into_data().unwrap().len())
    }

    #[tokio::test]
    async fn sends_response_in_chunks_and_waits_for_the_client() {
        let progress = Progress::default();
        let held = Arc::new(());
        let whole = Body::from(vec![0; CHUNK + 1]);
        let mut body = progress.watch(whole, Arc::clone(&held));
        assert_eq!(body.size_hint().exact(), Some(CHUNK as u64 + 1));
        assert!(progress.has_stalled(NOW));
        assert!(!progress.has_stalled(Duration::from_secs(3600)));
        assert_eq!(next(&mut body).await, Some(CHUNK));
        assert_eq!(body.size_hint().exact(), Some(1));
        assert!(progress.has_stalled(NOW) && Arc::strong_count(&held) == 2);
        assert_eq!(next(&mut body).await, Some(1));
        assert!(body.is_end_stream() && progress.has_stalled(NOW));
        assert_eq!(next(&mut body).await, None);
        drop(body);
        assert!(!progress.has_stalled(NOW) && Arc::strong_count(&held) == 1);
    }

    #[tokio::test]
    async fn does_not_wait_for_client_without_data_to_send() {
        let progress = Progress::default();
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
        let events = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let mut body = progress.watch(Body::from_stream(events), ());
        let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut body).poll_frame(context))).await;
        assert!(polled.is_pending() && !progress.has_stalled(NOW));
        sender.send(Ok(Bytes::from_static(b"event"))).await.unwrap();
        assert_eq!(next(&mut body).await, Some(5));
        assert!(progress.has_stalled(NOW));
        drop(body);
        assert!(!progress.has_stalled(NOW));
    }
}
