//! The members of an archive, one after the other. Every size is checked before that much is read.

use crate::compression::Unpacked;
use crate::error::PackageError;
use crate::header::{BLOCK, Header, looks_packed};
use crate::pax::Records;

/// More members than any package has, extended headers included.
const MAX_MEMBERS: u64 = 1_000_000;
/// The bytes of an extended header, or of a long name.
const MAX_EXTENSION: u64 = 64 << 10;
/// The bytes of a path; Linux knows no longer ones.
const MAX_PATH: usize = 4_096;
/// How much of a name is shown.
const SHOWN: usize = 100;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A folder, a link, a device or a pipe.
    Other,
}

/// A member whose content was not read yet.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its path without `./` and repeated slashes.
    pub(crate) name: Vec<u8>,
    /// What it is.
    pub(crate) kind: Kind,
    /// Whether pacman makes a folder of it.
    pub(crate) is_folder: bool,
    /// Whether it has holes that are not in the archive.
    pub(crate) is_sparse: bool,
    pub(crate) size: u64,
}

/// What was said about the next member.
#[derive(Default)]
struct Extensions {
    pax: Option<Records>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

/// Reads an archive from front to back.
pub(crate) struct Archive<'a> {
    reader: Unpacked<'a>,
    members: u64,
    /// The bytes of the current member that were not read yet.
    content: u64,
    /// The bytes after them, up to the next header.
    padding: u64,
    /// The bytes of holes so far; they are no part of the archive.
    holes: u64,
    buffer: Vec<u8>,
}

impl<'a> Archive<'a> {
    pub(crate) fn new(reader: Unpacked<'a>) -> Self {
        Self {
            reader,
            members: 0,
            content: 0,
            padding: 0,
            holes: 0,
            buffer: vec![0; 64 * 1024],
        }
    }

    /// Goes to the next member; `None` after the last one, when nothing follows it.
    pub(crate) fn next_member(&mut self) -> Result<Option<Member>, PackageError> {
        let mut extensions = Extensions::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                self.expect_nothing_more()?;
                return match extensions {
                    Extensions {
                        pax: None,
                        name: None,
                        link: None,
                    } => Ok(None),
                    _ => Err(PackageError::refused("it ends in the middle of a member")),
                };
            };
            let twice = match header.flag {
                b'x' => {
                    let records = self.records(&header)?;
                    extensions.pax.replace(records).is_some()
                }
                b'g' => {
                    // Some readers apply them to everything that follows, pacman's does not.
                    if !self.records(&header)?.is_empty() {
                        let why = "an extended header is meant for all of its members";
                        return Err(PackageError::refused(why));
                    }
                    false
                }
                b'L' => {
                    let name = self.long_name(&header)?;
                    extensions.name.replace(name).is_some()
                }
                b'K' => {
                    let link = self.long_name(&header)?;
                    extensions.link.replace(link).is_some()
                }
                _ => return self.member(header, extensions).map(Some),
            };
            if twice {
                let why = "it holds a member with two extended headers of one kind";
                return Err(PackageError::refused(why));
            }
        }
    }

    /// Reads the content of the member that was returned last.
    pub(crate) fn content(&mut self, member: &Member, limit: u64) -> Result<Vec<u8>, PackageError> {
        self.read(member.size, limit, || {
            format!("its {}", shown(&String::from_utf8_lossy(&member.name)))
        })
    }

    /// Appends the next bytes of the content of the member that was returned last: as many as there are,
    /// up to a limit.
    pub(crate) fn take(&mut self, into: &mut Vec<u8>, limit: usize) -> Result<(), PackageError> {
        let left = usize::try_from(self.content).unwrap_or(usize::MAX);
        let length = left.min(limit);
        let before = into.len();
        into.resize(before + length, 0);
        self.reader
            .fill_all(into.get_mut(before..).unwrap_or_default())?;
        self.content -= length as u64;
        Ok(())
    }

    /// Leaves out the next bytes of the content.
    pub(crate) fn leave_out(&mut self, bytes: u64) -> Result<(), PackageError> {
        let mut left = self.content.min(bytes);
        self.content -= left;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX);
            let length = length.min(self.buffer.len());
            let part = self.buffer.get_mut(..length).unwrap_or_default();
            self.reader.fill_all(part)?;
            left -= length as u64;
        }
        Ok(())
    }

    /// Reads the next header and sets out to its content; `None` at the mark of the archive's end.
    fn header(&mut self) -> Result<Option<Header>, PackageError> {
        let mut block = [0; BLOCK];
        self.reader.fill_all(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if self.members == 0 && looks_packed(&block) {
            let why = "its first member has a name like the beginning of a compressed file";
            return Err(PackageError::refused(why));
        }
        self.members += 1;
        if self.members > MAX_MEMBERS {
            let why = format!("it holds more than {MAX_MEMBERS} members");
            return Err(PackageError::Refused(why));
        }
        let header = Header::parse(&block)
            .map_err(|why| PackageError::Archive(std::io::Error::other(why)))?;
        self.reader
            .expect_room(header.size.saturating_add(self.holes))?;
        self.content = header.size;
        self.padding = header.size.next_multiple_of(BLOCK as u64) - header.size;
        Ok(Some(header))
    }

    fn member(&mut self, header: Header, said: Extensions) -> Result<Member, PackageError> {
        let kind = match header.flag {
            b'0' | 0 => Kind::File,
            b'1'..=b'7' => Kind::Other,
            flag => {
                let why = format!(
                    "it holds a member of the unknown type {:?}",
                    char::from(flag)
                );
                return Err(PackageError::Refused(why));
            }
        };
        // Whether content follows one of these is something readers disagree about.
        if header.size > 0 && (b'1'..=b'6').contains(&header.flag) {
            let why = "it holds a folder, link or device with content";
            return Err(PackageError::refused(why));
        }
        let pax = said.pax.unwrap_or_default();
        if pax.size.is_some_and(|size| size != header.size) {
            let why = "an extended header contradicts the size of its member";
            return Err(PackageError::refused(why));
        }
        if pax.path.is_some() && said.name.is_some() || pax.link.is_some() && said.link.is_some() {
            let why = "it holds a member with two long names";
            return Err(PackageError::refused(why));
        }
        let holes = pax.real_size.unwrap_or(0).saturating_sub(header.size);
        self.holes = self.holes.saturating_add(holes);
        self.reader
            .expect_room(header.size.saturating_add(self.holes))?;
        check_text(&pax.link.or(said.link).unwrap_or(header.link))?;
        let name = pax.sparse_name.or(pax.path).or(said.name);
        let name = name.unwrap_or(header.name);
        let ends_with_slash = name.ends_with(b"/");
        Ok(Member {
            name: plain_path(&name)?,
            kind: if ends_with_slash { Kind::Other } else { kind },
            is_folder: header.flag == b'5' || ends_with_slash,
            is_sparse: pax.is_sparse,
            size: header.size,
        })
    }

    fn records(&mut self, header: &Header) -> Result<Records, PackageError> {
        let text = self.extension(header)?;
        Records::parse(&text).map_err(PackageError::Refused)
    }

    /// A name of GNU tar, which ends with NUL.
    fn long_name(&mut self, header: &Header) -> Result<Vec<u8>, PackageError> {
        let mut name = self.extension(header)?;
        if name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, PackageError> {
        let what = || "a long name or extended header".to_owned();
        self.read(header.size, MAX_EXTENSION, what)
    }

    fn read(
        &mut self,
        size: u64,
        limit: u64,
        what: impl Fn() -> String,
    ) -> Result<Vec<u8>, PackageError> {
        let length = usize::try_from(size).ok().filter(|_| size <= limit);
        let Some(length) = length else {
            return Err(PackageError::Refused(format!(
                "{} has {size} bytes, more than {limit}",
                what()
            )));
        };
        let mut content = vec![0; length];
        self.reader.fill_all(&mut content)?;
        self.content = 0;
        Ok(content)
    }

    /// Goes to the next header.
    fn skip(&mut self) -> Result<(), PackageError> {
        self.content = self.content.saturating_add(self.padding);
        self.padding = 0;
        self.leave_out(self.content)
    }

    /// Archives are filled up with zeros. Another archive behind them would be read by some.
    fn expect_nothing_more(&mut self) -> Result<(), PackageError> {
        loop {
            let count = self.reader.fill(&mut self.buffer)?;
            let part = self.buffer.get(..count).unwrap_or_default();
            if part.iter().any(|byte| *byte != 0) {
                let why = "something follows the end of its archive";
                return Err(PackageError::refused(why));
            }
            if count < self.buffer.len() {
                return Ok(());
            }
        }
    }
}

/// The path of a member as it is below the root.
fn plain_path(name: &[u8]) -> Result<Vec<u8>, PackageError> {
    check_text(name)?;
    let parts = || name.split(|byte| *byte == b'/');
    let leads_elsewhere = name.starts_with(b"/") || parts().any(|part| part == b"..");
    if name.is_empty() || leads_elsewhere {
        let why = format!(
            "it holds a file with the name {}",
            shown(&String::from_utf8_lossy(name))
        );
        return Err(PackageError::Refused(why));
    }
    let parts: Vec<&[u8]> = parts()
        .filter(|part| !part.is_empty() && *part != b".")
        .collect();
    Ok(parts.join(&b'/'))
}

/// Checks the text of a path, of a member or of what a link leads to. It need not be UTF-8.
fn check_text(name: &[u8]) -> Result<(), PackageError> {
    if name.len() > MAX_PATH {
        let why = format!(
            "it holds a path of {} bytes, more than {MAX_PATH}",
            name.len()
        );
        return Err(PackageError::Refused(why));
    }
    let text = String::from_utf8_lossy(name);
    if text.contains(char::is_control) {
        let why = format!(
            "it holds a file with a control character in its name {}",
            shown(&text)
        );
        return Err(PackageError::Refused(why));
    }
    Ok(())
}

/// A name in quotes, its beginning when it is long.
fn shown(name: &str) -> String {
    let start: String = name.chars().take(SHOWN).collect();
    let more = if start.len() < name.len() { "…" } else { "" };
    format!("{start:?}{more}")
}
