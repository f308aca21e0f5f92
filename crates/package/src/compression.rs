//! Opens a compressed archive so that neither its dictionaries nor its content cost more than they may.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::path::Path;

use liblzma::stream::{CONCATENATED, Stream};

use crate::error::PackageError;
use crate::{lz4, lzop};

/// zstd may ask for a window of 2^n bytes of memory. This is the most that pacman accepts, too;
/// makepkg's default level needs 2^21.
const LARGEST_WINDOW: u32 = 27;
/// The memory that xz may ask for; its highest preset needs 65 MiB.
const LARGEST_DICTIONARY: u64 = 128 << 20;
/// Every package may unpack to this much,
const UNPACKED: u64 = 1 << 30;
/// and to this much more for each byte of its file.
const UNPACKED_PER_BYTE: u64 = 1_000;

/// Opens the archive in a package file, whatever it is compressed with. Blocking.
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
        limit: UNPACKED.saturating_add(packed.saturating_mul(UNPACKED_PER_BYTE)),
        stop,
    })
}

/// Chooses by the first bytes: zstd, xz, gzip, bzip2, lz4, lzop, or none of them. Several streams in a row are one, as
/// for pacman's library: a second one must not hide behind the first.
fn decompress(file: Disk) -> io::Result<Box<dyn Read>> {
    use io::BufRead as _;
    let mut file = BufReader::with_capacity(64 * 1024, file);
    Ok(match file.fill_buf()? {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::Decoder::with_buffer(file)?;
            decoder.window_log_max(LARGEST_WINDOW)?;
            Box::new(decoder)
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let stream = Stream::new_stream_decoder(LARGEST_DICTIONARY, CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(file, stream))
        }
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        start if start.starts_with(&lz4::MAGIC) => Box::new(lz4::Frames::new(file)),
        start if start.starts_with(&lzop::MAGIC) => Box::new(lzop::Parts::new(file)),
        _ => Box::new(file),
    })
}

/// The file itself. Its errors are told apart from those of the decoders above it.
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

/// The unpacked archive, counted while it is read.
pub(crate) struct Unpacked<'a> {
    reader: BufReader<Box<dyn Read>>,
    taken: u64,
    limit: u64,
    stop: &'a dyn Fn() -> bool,
}

impl Unpacked<'_> {
    /// Refuses what would go beyond the limit before it is read.
    pub(crate) fn expect_room(&self, bytes: u64) -> Result<(), PackageError> {
        if self.taken.saturating_add(bytes) > self.limit {
            return Err(too_large(self.limit));
        }
        Ok(())
    }

    /// Fills the buffer; returns how many bytes there were before the end.
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

    /// Fills the buffer, which must not reach beyond the end.
    pub(crate) fn fill_all(&mut self, buffer: &mut [u8]) -> Result<(), PackageError> {
        if self.fill(buffer)? == buffer.len() {
            return Ok(());
        }
        let error = io::Error::new(io::ErrorKind::UnexpectedEof, "it is cut off");
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
