//! One header block of an archive (tar(5)), read more strictly than pacman's library does: where
//! readers of archives disagree about a block, it is refused.

/// The unit of an archive.
pub(crate) const BLOCK: usize = 512;

/// What a header block says.
#[derive(Debug)]
pub(crate) struct Header {
    /// The name, without what extended headers say.
    pub(crate) name: Vec<u8>,
    /// The name that a link leads to.
    pub(crate) link: Vec<u8>,
    /// The bytes of content that follow.
    pub(crate) size: u64,
    /// The type flag.
    pub(crate) flag: u8,
}

/// How files begin that pacman's library unpacks before it looks for an archive. A name may begin so, too:
/// pacman would then see another archive than we do.
const PACKED: [&[u8]; 15] = [
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
/// The magic numbers of LZ4's newer frames end alike.
const LZ4: &[u8] = b"\x4d\x18";

/// Whether the beginning of an archive could be taken for that of a compressed file.
pub(crate) fn looks_packed(block: &[u8; BLOCK]) -> bool {
    PACKED.iter().any(|magic| block.starts_with(magic)) || block.get(2..4) == Some(LZ4)
}

const GNU: &[u8] = b"ustar  \0";
const POSIX: &[u8] = b"ustar\x0000";

impl Header {
    /// Reads a block that is not all zeros.
    pub(crate) fn parse(block: &[u8; BLOCK]) -> Result<Self, String> {
        let field = |from: usize, to: usize| block.get(from..to).unwrap_or_default();
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        let checksum = field(148, 156);
        let own: u64 = checksum.iter().map(|byte| u64::from(*byte)).sum();
        if number(checksum) != Some(sum - own + 8 * u64::from(b' ')) {
            return Err("a header has a wrong checksum".into());
        }
        let magic = field(257, 265);
        // Without one of these, pacman's library may take the file for something else than an archive.
        if ![GNU, POSIX].contains(&magic) {
            return Err("a header is of an unknown format".into());
        }
        let size = number(field(124, 136)).ok_or("a header has a size that is no number")?;
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

/// Reads a field of octal digits, or of binary ones when its first bit is set. Negative numbers,
/// numbers beyond 2^63 and anything besides digits are none.
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
    // At most twelve digits: nothing overflows.
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
