//! LZ4 files: frames one after the other.

use std::io::{self, BufRead, Read};

use lz4_flex::frame::FrameDecoder;

/// How a frame begins. Older frames, and those without content, are written by no tool that makes packages.
pub(crate) const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// More frames without content in a row than any tool writes. The reader skips them without a check of its
/// deadline.
pub(crate) const MAX_EMPTY: usize = 1_000;

/// Reads all frames of a file.
pub(crate) struct Frames<R: Read> {
    /// `None` after the last one. Each has a decoder of its own, whose buffers have the frame's size.
    current: Option<FrameDecoder<Watched<R>>>,
}

/// A file that tells whether somebody tried to read beyond its end: the decoder takes a frame that is cut off
/// between two blocks for a complete one.
struct Watched<R> {
    file: R,
    was_short: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.was_short |= count == 0 && !buffer.is_empty();
        Ok(count)
    }
}

impl<R: BufRead> Frames<R> {
    /// Begins with the first frame.
    pub(crate) fn new(file: R) -> Self {
        Self {
            current: Some(decoder(file)),
        }
    }
}

fn decoder<R: Read>(file: R) -> FrameDecoder<Watched<R>> {
    FrameDecoder::new(Watched {
        file,
        was_short: false,
    })
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut empty = 0;
        while let Some(current) = &mut self.current {
            let count = current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            empty += 1;
            if empty > MAX_EMPTY {
                return Err(io::Error::other(
                    "its LZ4 has too many frames without content",
                ));
            }
            let watched = current.get_mut();
            if watched.was_short {
                let kind = io::ErrorKind::UnexpectedEof;
                return Err(io::Error::new(kind, "its LZ4 is cut off"));
            }
            let next = watched.file.fill_buf()?;
            let is_last = next.is_empty();
            // A piece of the magic number may be all that is buffered; the decoder reads it again.
            if !MAGIC.iter().zip(next).all(|(magic, byte)| magic == byte) {
                return Err(io::Error::other("something follows its LZ4"));
            }
            let file = self.current.take().map(FrameDecoder::into_inner);
            self.current = file
                .filter(|_| !is_last)
                .map(|watched| decoder(watched.file));
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminates_on_empty_frames() {
        let frame = lz4_flex::frame::FrameEncoder::new(Vec::new())
            .finish()
            .unwrap();
        let read = |count| Frames::new(&*frame.repeat(count)).read_to_end(&mut Vec::new());
        assert_eq!(read(MAX_EMPTY).unwrap(), 0);
        assert!(read(MAX_EMPTY + 1).is_err());
    }
}
