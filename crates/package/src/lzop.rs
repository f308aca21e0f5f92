//! Reads files of lzop(1): blocks of LZO1X with checksums.

use std::io::{self, BufRead, Read};

use buildbtw_model::saturating;
use lzokay::decompress::decompress;

use crate::lz4::MAX_EMPTY;

/// The magic number of a file.
pub(crate) const MAGIC: [u8; 9] = [0x89, b'L', b'Z', b'O', 0, 0x0d, 0x0a, 0x1a, 0x0a];
/// The largest block, in bytes; lzop writes blocks of 256 KiB.
const MAX_BLOCK: usize = 4 << 20;
/// The first version whose headers have all fields.
const MIN_VERSION: u16 = 0x0940;
/// LZO1X-1, LZO1X-1(15) and LZO1X-999, which share a decoder.
const METHODS: [u8; 3] = [1, 2, 3];

// Flags of a part.
const ADLER_OF_CONTENT: u32 = 0x1;
const ADLER_OF_BLOCK: u32 = 0x2;
const EXTRA_FIELD: u32 = 0x40;
const CRC_OF_CONTENT: u32 = 0x100;
const CRC_OF_BLOCK: u32 = 0x200;
const FILTER: u32 = 0x800;

/// Reads all parts of a file: lzop can append parts.
pub(crate) struct Parts<R> {
    file: R,
    /// The flags of the current part, or `None` between two parts.
    flags: Option<u32>,
    block: Vec<u8>,
    /// The number of bytes of the block that were read.
    taken: usize,
}

impl<R: BufRead> Parts<R> {
    /// Creates a reader that begins with the first part.
    pub(crate) fn new(file: R) -> Self {
        Self {
            file,
            flags: None,
            block: Vec::new(),
            taken: 0,
        }
    }

    /// Unpacks the next block. Returns `false` after the last one.
    fn next_block(&mut self) -> io::Result<bool> {
        for _ in 0..=MAX_EMPTY {
            let flags = match self.flags {
                Some(flags) => flags,
                None if self.file.fill_buf()?.is_empty() => return Ok(false),
                None => *self.flags.insert(header(&mut self.file)?),
            };
            match size(&mut self.file)? {
                0 => self.flags = None,
                length => {
                    self.unpack(flags, length)?;
                    return Ok(true);
                }
            }
        }
        Err(damaged("too many parts without content"))
    }

    fn unpack(&mut self, flags: u32, length: usize) -> io::Result<()> {
        let packed_length = size(&mut self.file)?;
        if packed_length == 0 || packed_length > length {
            return Err(damaged("a block that is larger than its content"));
        }
        let sums = Sums::read(&mut self.file, flags, ADLER_OF_CONTENT, CRC_OF_CONTENT)?;
        // Incompressible blocks are stored.
        if packed_length == length {
            self.block = bytes(&mut self.file, length)?;
        } else {
            let packed_sums = Sums::read(&mut self.file, flags, ADLER_OF_BLOCK, CRC_OF_BLOCK)?;
            let packed = bytes(&mut self.file, packed_length)?;
            packed_sums.check(&packed)?;
            self.block.clear();
            self.block.resize(length, 0);
            let unpacked = decompress(&packed, &mut self.block).map_err(io::Error::other)?;
            if unpacked != length {
                return Err(damaged("a block whose size differs from its header"));
            }
        }
        self.taken = 0;
        sums.check(&self.block)
    }
}

impl<R: BufRead> Read for Parts<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.taken == self.block.len() && !self.next_block()? {
            return Ok(0);
        }
        let mut left = self.block.get(self.taken..).unwrap_or_default();
        let count = left.read(buffer)?;
        self.taken += count;
        Ok(count)
    }
}

/// The checksums of a block, as far as the file has them.
struct Sums {
    adler: Option<u32>,
    crc: Option<u32>,
}

impl Sums {
    fn read(file: &mut impl Read, flags: u32, adler: u32, crc: u32) -> io::Result<Self> {
        let mut sum = |flag| match flags & flag {
            0 => Ok(None),
            _ => array(file).map(u32::from_be_bytes).map(Some),
        };
        Ok(Self {
            adler: sum(adler)?,
            crc: sum(crc)?,
        })
    }

    fn check(&self, bytes: &[u8]) -> io::Result<()> {
        let is_adler_correct = self.adler.is_none_or(|sum| sum == adler32(bytes));
        if is_adler_correct && self.crc.is_none_or(|sum| sum == crc32fast::hash(bytes)) {
            return Ok(());
        }
        Err(damaged("a block with a wrong checksum"))
    }
}

/// Reads the header of a part. Returns its flags.
fn header(file: &mut impl Read) -> io::Result<u32> {
    if array(file)? != MAGIC {
        return Err(damaged("data after its end"));
    }
    let version = u16::from_be_bytes(array(file)?);
    let _library: [u8; 2] = array(file)?;
    if version < MIN_VERSION {
        return Err(damaged("a header of an old version"));
    }
    let _needed: [u8; 2] = array(file)?;
    let [method, _level] = array(file)?;
    if !METHODS.contains(&method) {
        return Err(damaged("an unknown method"));
    }
    let flags = u32::from_be_bytes(array(file)?);
    if flags & FILTER != 0 {
        return Err(damaged("a filter"));
    }
    let _mode_and_time: [u8; 12] = array(file)?;
    let [name_length] = array(file)?;
    let _name = bytes(file, name_length.into())?;
    let _checksum: [u8; 4] = array(file)?;
    if flags & EXTRA_FIELD != 0 {
        return Err(damaged("an extra field"));
    }
    Ok(flags)
}

fn size(file: &mut impl Read) -> io::Result<usize> {
    let size = saturating::<usize, _>(u32::from_be_bytes(array(file)?));
    if size > MAX_BLOCK {
        return Err(damaged("a block of more than 4 MiB"));
    }
    Ok(size)
}

fn array<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut array = [0; N];
    file.read_exact(&mut array)?;
    Ok(array)
}

fn bytes(file: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn damaged(why: &str) -> io::Error {
    io::Error::other(format!("its LZO data has {why}"))
}

/// Computes the checksum of RFC 1950.
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    /// The largest number of bytes that cannot overflow the sums.
    const CHUNK: usize = 5_552;
    let (mut low, mut high) = (1, 0);
    for part in bytes.chunks(CHUNK) {
        for byte in part {
            low += u32::from(*byte);
            high += low;
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    high << 16 | low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminates_on_empty_parts() {
        let mut part = MAGIC.to_vec();
        part.extend([0x10, 0x30, 0x20, 0xa0, 0x09, 0x40, 1, 5]);
        // Flags, mode and time, the length of a name, a checksum, and the end of the blocks.
        part.extend([0; 4 + 12 + 1 + 4 + 4]);
        let read = |count| Parts::new(&*part.repeat(count)).read_to_end(&mut Vec::new());
        assert_eq!(read(MAX_EMPTY).unwrap(), 0);
        assert!(read(MAX_EMPTY + 2).is_err());
    }

    #[test]
    fn computes_adler32_of_the_rfc() {
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(adler32(&[0xff; 100_000]), 0x149a_302c);
    }
}
