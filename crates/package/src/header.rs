//! Parses header blocks of archives (tar(5)), more strictly than pacman's library: blocks that readers of archives
//! interpret differently are rejected.

/// The block size of archives, in bytes.
pub(crate) const BLOCK: usize = 512;

/// A parsed header block.
#[derive(Debug)]
pub(crate) struct Header {
    /// The name, without extended headers.
    pub(crate) name: Vec<u8>,
    /// The target of a link.
    pub(crate) link: Vec<u8>,
    /// The size of the content, in bytes.
    pub(crate) size: u64,
    /// The type flag.
    pub(crate) flag: u8,
}

/// Magic numbers of files that pacman's library decompresses. A member's name can begin with one, too: pacman would
/// then read another archive than this crate.
const COMPRESSED: [&[u8]; 15] = [
    b"BZh",
    b"\x1f\x8b",
    b"\x1f\x9d",
    b"\x1f\xa0",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"\x5d\0\0",
    b"LZIP",
    b"LRZI",
    b"GRZip",
    b"\x89LZO",
    b"\xed\xab\xee\xdb",
    b"\x02\x21\x4c\x18",
    b"begin ",
    b"begin-base64 ",
];
/// The end that the magic numbers of LZ4's newer frames share.
const LZ4: &[u8] = b"\x4d\x18";

/// Returns whether readers could detect the beginning of an archive as a compressed file.
pub(crate) fn looks_compressed(block: &[u8; BLOCK]) -> bool {
    COMPRESSED.iter().any(|magic| block.starts_with(magic)) || block.get(2..4) == Some(LZ4)
}

const GNU: &[u8] = b"ustar  \0";
const POSIX: &[u8] = b"ustar\x0000";

impl Header {
    /// Parses a block that is not all zeros.
    pub(crate) fn parse(block: &[u8; BLOCK]) -> Result<Self, String> {
        let field = |from: usize, to: usize| block.get(from..to).unwrap_or_default();
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        let checksum = field(148, 156);
        let own: u64 = checksum.iter().map(|byte| u64::from(*byte)).sum();
        if number(checksum) != Some(sum - own + 8 * u64::from(b' ')) {
            return Err("a header has a wrong checksum".into());
        }
        let magic = field(257, 265);
        // Without one of these, pacman's library may detect another format.
        if ![GNU, POSIX].contains(&magic) {
            return Err("a header has an unknown format".into());
        }
        let size = number(field(124, 136)).ok_or("a header has an invalid size")?;
        let mut name = until_nul(field(0, 100)).to_vec();
        let prefix = until_nul(field(345, 500));
        if magic == POSIX && !prefix.is_empty() {
            name = [prefix, b"/", &name].concat();
        }
        Ok(Self {
            name,
            link: until_nul(field(157, 257)).to_vec(),
            size,
            flag: field(156, 157).first().copied().unwrap_or_default(),
        })
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Parses a field of octal digits, or a binary number when its first bit is set. Returns `None` for negative numbers,
/// numbers above 2^63 and other characters.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((0x80, digits)) = field.split_first() {
        let (high, low) = digits.split_at_checked(digits.len().checked_sub(8)?)?;
        let value = u64::from_be_bytes(low.try_into().ok()?);
        return (high.iter().all(|byte| *byte == 0) && i64::try_from(value).is_ok())
            .then_some(value);
    }
    let digits = field.trim_ascii_start();
    let end = digits
        .iter()
        .position(|byte| !(b'0'..=b'7').contains(byte))
        .unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    if !rest.iter().all(|byte| matches!(byte, b' ' | 0)) {
        return None;
    }
    // Cannot overflow: at most twelve digits.
    let value = digits
        .iter()
        .fold(0, |value, digit| value * 8 + u64::from(digit - b'0'));
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_like_every_reader_or_rejects_them() {
        let mut large = [0; 12];
        large[0] = 0x80;
        large[7] = 1;
        let mut beyond = large;
        beyond[4] = 0x80;
        let mut wide = large;
        wide[3] = 1;
        for (field, expected) in [
            (&b"00000000017\0"[..], Some(15)),
            (b"000000000017", Some(15)),
            (b"       17  \0", Some(15)),
            (b"\0\0\0\0\0\0\0\0\0\0\0\0", Some(0)),
            (b"           \0", Some(0)),
            (&large, Some(1 << 32)),
            (&beyond, None),
            (&wide, None),
            (&[0xff; 12], None),
            (b"-0000000017\0", None),
            (b"+0000000017\0", None),
            (b"0000000001x\0", None),
            (b"0000000008\0\0", None),
            (b"0000001\x007\0\0\0", None),
            (b"\x00000000017\0", None),
        ] {
            assert_eq!(number(field), expected, "{field:?}");
        }
    }
}
