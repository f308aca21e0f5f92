//! Opens a compressed archive, with limits on the memory of decoders and the size of the content.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::path::Path;

use liblzma::stream::{CONCATENATED, Stream};

use crate::error::PackageError;
use crate::{lz4, lzop};

/// The largest window of zstd as a power of two, in bytes of memory. pacman has the same limit; makepkg's default level
/// needs 2^21.
const MAX_WINDOW_LOG: u32 = 27;
/// The memory limit of xz, in bytes; its highest preset needs 65 MiB.
const MAX_XZ_MEMORY: u64 = 128 << 20;
/// The unpacked size that every package may have, in bytes.
const BASE_LIMIT: u64 = 1 << 30;
/// The additional unpacked size for each byte of the file.
const LIMIT_PER_BYTE: u64 = 1_000;

/// Opens the archive in a package file with any supported compression. Blocking.
pub(crate) fn open<'a>(
    path: &Path,
    stop: &'a dyn Fn() -> bool,
) -> Result<Unpacked<'a>, PackageError> {
    let file = fs_err::File::open(path).map_err(PackageError::Io)?;
    let packed = file.metadata().map_err(PackageError::Io)?.len();
    let reader = decompress(Disk(file)).map_err(into_package_error)?;
    Ok(Unpacked {
        reader: BufReader::with_capacity(64 * 1024, reader),
        taken: 0,
        limit: BASE_LIMIT.saturating_add(packed.saturating_mul(LIMIT_PER_BYTE)),
        stop,
    })
}

/// Chooses the decoder by the first bytes: zstd, xz, gzip, bzip2, lz4, lzop or none. Consecutive streams are
/// concatenated, as in pacman's library, so that this reader sees the second one, too.
fn decompress(file: Disk) -> io::Result<Box<dyn Read>> {
    use io::BufRead as _;
    let mut file = BufReader::with_capacity(64 * 1024, file);
    Ok(match file.fill_buf()? {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::Decoder::with_buffer(file)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            Box::new(decoder)
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let stream = Stream::new_stream_decoder(MAX_XZ_MEMORY, CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(file, stream))
        }
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        start if start.starts_with(&lz4::MAGIC) => Box::new(lz4::Frames::new(file)),
        start if start.starts_with(&lzop::MAGIC) => Box::new(lzop::Parts::new(file)),
        _ => Box::new(file),
    })
}

/// The file itself, whose errors are distinguished from those of the decoders.
struct Disk(fs_err::File);

impl Read for Disk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(io::Error::other(Cause::Disk(error)))
            }
            result => result,
        }
    }
}

/// Why reading ended early, inside an [`io::Error`].
#[derive(Debug)]
enum Cause {
    Disk(io::Error),
    Stopped,
    TooLarge(u64),
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(error) => error.fmt(formatter),
            Self::Stopped => formatter.write_str("stopped"),
            Self::TooLarge(limit) => write!(formatter, "more than {limit} bytes"),
        }
    }
}

impl std::error::Error for Cause {}

/// The unpacked archive. Counts the bytes that are read.
pub(crate) struct Unpacked<'a> {
    reader: BufReader<Box<dyn Read>>,
    taken: u64,
    limit: u64,
    stop: &'a dyn Fn() -> bool,
}

impl Unpacked<'_> {
    /// Fails if the next `bytes` exceed the limit.
    pub(crate) fn check_limit(&self, bytes: u64) -> Result<(), PackageError> {
        if self.taken.saturating_add(bytes) > self.limit {
            return Err(too_large(self.limit));
        }
        Ok(())
    }

    /// Fills the buffer as far as possible. Returns the number of bytes, which is smaller at the end.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, PackageError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(into_package_error(error)),
            }
        }
        Ok(filled)
    }

    /// Fills the whole buffer. Fails at the end of the archive.
    pub(crate) fn fill_all(&mut self, buffer: &mut [u8]) -> Result<(), PackageError> {
        if self.fill(buffer)? == buffer.len() {
            return Ok(());
        }
        let error = io::Error::new(io::ErrorKind::UnexpectedEof, "it is truncated");
        Err(PackageError::Archive(error))
    }
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.stop)() {
            return Err(io::Error::other(Cause::Stopped));
        }
        let count = self.reader.read(buffer)?;
        self.taken = self.taken.saturating_add(count as u64);
        if self.taken > self.limit {
            return Err(io::Error::other(Cause::TooLarge(self.limit)));
        }
        Ok(count)
    }
}

fn too_large(limit: u64) -> PackageError {
    PackageError::Refused(format!(
        "it unpacks to more than {limit} bytes (1 GiB and 1,000 times its own size)"
    ))
}

fn into_package_error(error: io::Error) -> PackageError {
    match error.downcast::<Cause>() {
        Ok(Cause::Disk(error)) => PackageError::Io(error),
        Ok(Cause::Stopped) => PackageError::Stopped,
        Ok(Cause::TooLarge(limit)) => too_large(limit),
        Err(error) => PackageError::Archive(error),
    }
}
