//! Reads the names of the libraries that a program or library links, from its dynamic section (elf(5)).
//!
//! Files are streamed once: their beginning is kept up to a limit, and the dynamic section wherever it is. Names
//! outside of these, and damaged or contradictory entries are ignored.

use crate::archive::Archive;
use crate::error::PackageError;

/// The size of the kept beginning of a file, in bytes, which usually contains the names of libraries.
const MAX_START: usize = 16 << 20;
/// The size of the longest header, in bytes.
const MAX_HEADER: usize = 64;
/// The largest dynamic section, in bytes; large programs have a few kB.
const MAX_DYNAMIC: usize = 256 << 10;
/// The largest number of program headers; more than a dozen are rare.
const MAX_SEGMENTS: u64 = 256;
/// The largest number of linked libraries.
const MAX_NEEDED: usize = 4_096;

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;

/// The linkage of a program or library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Elf {
    pub(crate) is_64_bit: bool,
    pub(crate) soname: Option<String>,
    pub(crate) needed: Vec<String>,
}

/// Reads the member of an archive that was returned last. Returns `None` when it is not a dynamically linked program or
/// library.
///
/// # Errors
/// When the archive cannot be read further.
pub(crate) fn read(archive: &mut Archive<'_>) -> Result<Option<Elf>, PackageError> {
    let mut start = Vec::new();
    archive.read_up_to(&mut start, MAX_HEADER)?;
    let Some(header) = Header::parse(&start) else {
        return Ok(None);
    };
    let more = MAX_START - start.len();
    archive.read_up_to(&mut start, more)?;
    let file = Layout::new(&start, header);
    let Some((offset, size)) = file.dynamic() else {
        // Statically linked.
        return Ok(None);
    };
    let size = size.min(MAX_DYNAMIC);
    let mut section = start
        .get(offset.min(start.len())..offset.saturating_add(size).min(start.len()))
        .unwrap_or_default()
        .to_vec();
    if section.len() < size {
        archive.skip_content((offset.saturating_sub(start.len())) as u64)?;
        let missing = size - section.len();
        archive.read_up_to(&mut section, missing)?;
    }
    Ok(file.parse_dynamic(&section))
}

/// Reads numbers in a file's byte order and word size.
#[derive(Clone, Copy)]
struct NumberReader {
    is_big: bool,
    is_64_bit: bool,
}

impl NumberReader {
    fn get(self, bytes: &[u8], at: usize, size: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(size)?)?;
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.is_big {
            bytes.iter().fold(0, join)
        } else {
            bytes.iter().rev().fold(0, join)
        })
    }

    /// Reads a number of the size of an address.
    fn read_address(self, bytes: &[u8], at: usize) -> Option<u64> {
        self.get(bytes, at, self.address_size())
    }

    fn address_size(self) -> usize {
        if self.is_64_bit { 8 } else { 4 }
    }
}

#[derive(Clone, Copy)]
struct Header {
    numbers: NumberReader,
    /// Offset, entry size and number of the program headers.
    segments: (u64, u64, u64),
}

impl Header {
    fn parse(start: &[u8]) -> Option<Self> {
        if !start.starts_with(b"\x7fELF") {
            return None;
        }
        let is_64_bit = match start.get(4)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let is_big = match start.get(5)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let numbers = NumberReader { is_big, is_64_bit };
        // ET_EXEC and ET_DYN: objects and core files are not linked.
        if !matches!(numbers.get(start, 16, 2)?, 2 | 3) {
            return None;
        }
        let (offset, size, count) = if is_64_bit {
            (32, 54, 56)
        } else {
            (28, 42, 44)
        };
        let segments = (
            numbers.read_address(start, offset)?,
            numbers.get(start, size, 2)?,
            numbers.get(start, count, 2)?.min(MAX_SEGMENTS),
        );
        Some(Self { numbers, segments })
    }
}

/// A program header.
struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    size: u64,
}

/// The beginning of a file, and its program headers.
struct Layout<'a> {
    start: &'a [u8],
    numbers: NumberReader,
    segments: Vec<Segment>,
}

impl<'a> Layout<'a> {
    fn new(start: &'a [u8], header: Header) -> Self {
        let numbers = header.numbers;
        let (offset, size, count) = header.segments;
        let segment = |number: u64| {
            let at = offset.checked_add(size.checked_mul(number)?)?;
            let at = usize::try_from(at).ok()?;
            let (offset, address, length) = if numbers.is_64_bit {
                (8, 16, 32)
            } else {
                (4, 8, 16)
            };
            Some(Segment {
                kind: numbers.get(start, at, 4)?,
                offset: numbers.read_address(start, at.checked_add(offset)?)?,
                address: numbers.read_address(start, at.checked_add(address)?)?,
                size: numbers.read_address(start, at.checked_add(length)?)?,
            })
        };
        Self {
            start,
            numbers,
            segments: (0..count).map_while(segment).collect(),
        }
    }

    /// Returns offset and size of the dynamic section.
    fn dynamic(&self) -> Option<(usize, usize)> {
        let mut segments = self.segments.iter();
        let found = segments.find(|segment| segment.kind == PT_DYNAMIC)?;
        Some((
            usize::try_from(found.offset).ok()?,
            usize::try_from(found.size).ok()?,
        ))
    }

    /// Returns the file offset that is loaded to an address.
    fn file_offset(&self, address: u64) -> Option<u64> {
        let mut segments = self.segments.iter();
        segments.find_map(|segment| {
            let inside = address.checked_sub(segment.address)?;
            (segment.kind == PT_LOAD && inside < segment.size)
                .then(|| segment.offset.checked_add(inside))
                .flatten()
        })
    }

    /// Parses the dynamic section.
    fn parse_dynamic(&self, section: &[u8]) -> Option<Elf> {
        let word = self.numbers.address_size();
        let entries = section.chunks_exact(2 * word);
        let entries = entries.map_while(|entry| {
            let tag = self.numbers.read_address(entry, 0)?;
            // DT_NULL ends the section.
            (tag != 0).then_some((tag, self.numbers.read_address(entry, word)?))
        });
        let (mut table, mut soname, mut needed) = (None, None, Vec::new());
        for (tag, value) in entries {
            match tag {
                DT_STRTAB => table = Some(value),
                DT_SONAME => soname = Some(value),
                DT_NEEDED if needed.len() < MAX_NEEDED => needed.push(value),
                _ => {}
            }
        }
        let table = self.file_offset(table?)?;
        let name = |offset: u64| self.name(table.checked_add(offset)?);
        Some(Elf {
            is_64_bit: self.numbers.is_64_bit,
            soname: soname.and_then(name),
            needed: needed.into_iter().filter_map(name).collect(),
        })
    }

    /// Reads the name at a file offset, if it is a valid name of a library.
    fn name(&self, offset: u64) -> Option<String> {
        let rest = self.start.get(usize::try_from(offset).ok()?..)?;
        // At most NAME_MAX bytes and the terminating zero.
        let rest = rest.get(..rest.len().min(256))?;
        let length = rest.iter().position(|byte| *byte == 0)?;
        let name = rest.get(..length)?;
        let is_plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'/';
        if name.is_empty() || !name.iter().all(is_plain) {
            return None;
        }
        String::from_utf8(name.to_vec()).ok()
    }
}
