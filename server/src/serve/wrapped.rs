//! Bodies of responses with something around them.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// The next piece of a body; nothing at its end.
pub(crate) type Piece = Option<Result<Frame<Bytes>, axum::Error>>;

/// What is around a body. It is dropped when the body was sent, or its client is gone.
pub(crate) trait Around: Send + Unpin + 'static {
    /// Polls the body for its next piece.
    fn poll_piece(&mut self, body: Pin<&mut Body>, context: &mut Context<'_>) -> Poll<Piece> {
        body.poll_frame(context)
    }

    /// How many bytes were taken from the body and not passed on yet.
    fn kept_back(&self) -> u64 {
        0
    }
}

/// Puts something around a body.
pub(crate) fn wrap(body: Body, around: impl Around) -> Body {
    Body::new(Wrapped { body, around })
}

/// Lets a body hold something until it is sent, or its client is gone.
pub(crate) fn hold<T: Send + Unpin + 'static>(body: Body, held: T) -> Body {
    wrap(body, Holding { _held: held })
}

struct Holding<T> {
    _held: T,
}

impl<T: Send + Unpin + 'static> Around for Holding<T> {}

struct Wrapped<A> {
    body: Body,
    around: A,
}

impl<A: Around> HttpBody for Wrapped<A> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Piece> {
        let this = &mut *self;
        this.around.poll_piece(Pin::new(&mut this.body), context)
    }

    fn is_end_stream(&self) -> bool {
        self.around.kept_back() == 0 && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let kept_back = self.around.kept_back();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(kept_back));
        }
        hint.set_lower(hint.lower().saturating_add(kept_back));
        hint
    }
}
