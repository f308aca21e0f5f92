//! Archives written block by block.

use std::io::{self, Read as _, Write};

/// Returns a header block. Names longer than the field are truncated.
pub(crate) fn header(name: &[u8], flag: u8, size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    let length = name.len().min(100);
    block[..length].copy_from_slice(&name[..length]);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    set_size(&mut block, format!("{size:011o}\0").as_bytes());
    block
}

/// Sets the field of the size and the checksum.
pub(crate) fn set_size(block: &mut [u8; 512], field: &[u8]) {
    block[124..124 + field.len()].copy_from_slice(field);
    set_checksum(block);
}

pub(crate) fn set_checksum(block: &mut [u8; 512]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// An archive that is being written.
pub(crate) struct Tar<W: Write>(pub(crate) W);

impl<W: Write> Tar<W> {
    pub(crate) fn member(&mut self, name: &[u8], flag: u8, content: &[u8]) -> &mut Self {
        self.raw(&header(name, flag, content.len() as u64), content)
    }

    pub(crate) fn raw(&mut self, header: &[u8], content: &[u8]) -> &mut Self {
        self.0.write_all(header).unwrap();
        self.0.write_all(content).unwrap();
        let padding = content.len().next_multiple_of(512) - content.len();
        self.0.write_all(&vec![0; padding]).unwrap();
        self
    }

    /// Adds a member whose content is one repeated letter.
    pub(crate) fn repeated(&mut self, name: &[u8], flag: u8, size: u64) -> &mut Self {
        self.0.write_all(&header(name, flag, size)).unwrap();
        let padded = size.next_multiple_of(512);
        io::copy(&mut io::repeat(b'a').take(padded), &mut self.0).unwrap();
        self
    }

    pub(crate) fn pax(&mut self, records: &[(&str, &str)]) -> &mut Self {
        let mut text = String::new();
        for (key, value) in records {
            text.push_str(&record(key, value));
        }
        self.member(b"PaxHeader", b'x', text.as_bytes())
    }

    pub(crate) fn pkginfo(&mut self) -> &mut Self {
        self.member(b".PKGINFO", b'0', crate::PKGINFO)
    }

    /// Adds the two empty blocks at the end.
    pub(crate) fn end(&mut self) -> &mut Self {
        self.0.write_all(&[0; 1024]).unwrap();
        self
    }
}

/// Returns a record of an extended header, prefixed with its own length.
pub(crate) fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != format!("{length}{rest}").len() {
        length = format!("{length}{rest}").len();
    }
    format!("{length}{rest}")
}

/// Returns the archive that a closure writes.
pub(crate) fn tar(write: impl FnOnce(&mut Tar<Vec<u8>>)) -> Vec<u8> {
    let mut tar = Tar(Vec::new());
    write(&mut tar);
    tar.0
}
