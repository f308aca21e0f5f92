//! Detection of stalled connections, whose clients request responses and do not read them.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use hyper::body::{Body as _, Frame};

use super::body_hook::{BodyHook, NextFrame, wrap_body};

/// Maximum part of a response that is passed on at a time. What is passed on is buffered in memory that no
/// limit counts; the rest counts for its permit.
const CHUNK: usize = 64 * 1024;

/// The responses of a connection that wait for their client, and since when. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    since: HashMap<u64, Instant>,
}

impl Progress {
    /// Returns whether a response has waited for its client for this long.
    pub(super) fn has_stalled(&self, for_long: Duration) -> bool {
        let waiting = self.lock();
        waiting
            .since
            .values()
            .any(|since| since.elapsed() >= for_long)
    }

    /// Wraps a body to track whether its client reads it.
    pub(super) fn watch<T: Send + Unpin + 'static>(&self, body: Body, held: T) -> Body {
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        // Counted from the start: an HTTP/2 client may never open its window.
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
    /// What the body returned and the client has not requested yet.
    rest: Bytes,
    number: u64,
    progress: Progress,
    _held: T,
}

impl<T> Watched<T> {
    /// Passes the body on in small chunks.
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
        // The last chunk waits for the client, too: a sent body is dropped.
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
