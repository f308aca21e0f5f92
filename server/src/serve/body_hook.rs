//! Response bodies with hooks.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// The next frame of a body; nothing at its end.
pub(crate) type NextFrame = Option<Result<Frame<Bytes>, axum::Error>>;

/// A hook around a body. It is dropped when the body was sent, or its client disconnected.
pub(crate) trait BodyHook: Send + Unpin + 'static {
    /// Polls the body for its next frame.
    fn poll_next(&mut self, body: Pin<&mut Body>, context: &mut Context<'_>) -> Poll<NextFrame> {
        body.poll_frame(context)
    }

    /// Returns how many bytes were taken from the body and not passed on yet.
    fn buffered(&self) -> u64 {
        0
    }
}

/// Wraps a body in a hook.
pub(crate) fn wrap_body(body: Body, hook: impl BodyHook) -> Body {
    Body::new(Wrapped { body, hook })
}

/// Keeps a value until a body is sent, or its client disconnected.
pub(crate) fn hold_until_sent<T: Send + Unpin + 'static>(body: Body, held: T) -> Body {
    wrap_body(body, HeldPermit { _held: held })
}

struct HeldPermit<T> {
    _held: T,
}

impl<T: Send + Unpin + 'static> BodyHook for HeldPermit<T> {}

struct Wrapped<H> {
    body: Body,
    hook: H,
}

impl<H: BodyHook> HttpBody for Wrapped<H> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<NextFrame> {
        let this = &mut *self;
        this.hook.poll_next(Pin::new(&mut this.body), context)
    }

    fn is_end_stream(&self) -> bool {
        self.hook.buffered() == 0 && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let buffered = self.hook.buffered();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(buffered));
        }
        hint.set_lower(hint.lower().saturating_add(buffered));
        hint
    }
}
