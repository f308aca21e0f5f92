//! Reads LZ4 files, which are sequences of frames.

use std::io::{self, BufRead, Read};

use lz4_flex::frame::FrameDecoder;

/// The magic number of a frame. No tool that creates packages writes legacy or skippable frames.
pub(crate) const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// The largest number of consecutive frames without content, which are skipped without checking the deadline. No tool
/// writes as many.
pub(crate) const MAX_EMPTY: usize = 1_000;

/// Reads all frames of a file.
pub(crate) struct Frames<R: Read> {
    /// The decoder of the current frame, or `None` after the last one.
    current: Option<FrameDecoder<EofDetector<R>>>,
}

/// A file that records reads at its end: the decoder does not detect that a frame is truncated between two blocks.
struct EofDetector<R> {
    file: R,
    reached_end: bool,
}

impl<R: Read> Read for EofDetector<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.reached_end |= count == 0 && !buffer.is_empty();
        Ok(count)
    }
}

impl<R: BufRead> Frames<R> {
    /// Creates a reader that begins with the first frame.
    pub(crate) fn new(file: R) -> Self {
        Self {
            current: Some(decoder(file)),
        }
    }
}

fn decoder<R: Read>(file: R) -> FrameDecoder<EofDetector<R>> {
    FrameDecoder::new(EofDetector {
        file,
        reached_end: false,
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
                    "its LZ4 data has too many frames without content",
                ));
            }
            let detector = current.get_mut();
            if detector.reached_end {
                let kind = io::ErrorKind::UnexpectedEof;
                return Err(io::Error::new(kind, "its LZ4 data is truncated"));
            }
            let next = detector.file.fill_buf()?;
            let is_last = next.is_empty();
            // The buffer may contain only a part of the magic number, which the decoder checks again.
            if !MAGIC.iter().zip(next).all(|(magic, byte)| magic == byte) {
                return Err(io::Error::other("data follows its last LZ4 frame"));
            }
            let file = self.current.take().map(FrameDecoder::into_inner);
            self.current = file
                .filter(|_| !is_last)
                .map(|detector| decoder(detector.file));
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
