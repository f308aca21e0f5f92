//! Reads the members of an archive in order. Every size is checked before as many bytes are read.

use buildbtw_model::saturating;

use crate::compression::Unpacked;
use crate::error::PackageError;
use crate::header::{BLOCK, Header, looks_compressed};
use crate::pax::Records;

/// The largest number of members, including extended headers. No package has as many.
const MAX_MEMBERS: u64 = 1_000_000;
/// The largest extended header or long name, in bytes.
const MAX_EXTENSION: u64 = 64 << 10;
/// The longest path, in bytes: `PATH_MAX` of Linux.
const MAX_PATH: usize = 4_096;
/// The number of characters of a name in an error message.
const MAX_QUOTED: usize = 100;

/// The kind of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A folder, a link, a device or a pipe.
    Other,
}

/// A member whose content has not been read.
#[derive(Debug)]
pub(crate) struct Member {
    /// The path without `./` and repeated slashes.
    pub(crate) name: Vec<u8>,
    /// The kind.
    pub(crate) kind: Kind,
    /// Whether pacman creates a folder for it.
    pub(crate) is_folder: bool,
    /// Whether it has holes that are not in the archive.
    pub(crate) is_sparse: bool,
    /// The size of its content in the archive, in bytes.
    pub(crate) size: u64,
}

/// The extended headers and long names before a member.
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
    /// Unread bytes of the current member's content.
    content: u64,
    /// Bytes between the content and the next header.
    padding: u64,
    /// Total size of holes so far, which are not in the archive.
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

    /// Advances to the next member. Returns `None` at the end of the archive, and fails if data follows it.
    pub(crate) fn next_member(&mut self) -> Result<Option<Member>, PackageError> {
        let mut extensions = Extensions::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                self.expect_end()?;
                return match extensions {
                    Extensions {
                        pax: None,
                        name: None,
                        link: None,
                    } => Ok(None),
                    _ => Err(PackageError::refused("it ends within a member")),
                };
            };
            let is_repeated = match header.flag {
                b'x' => {
                    let records = self.records(&header)?;
                    extensions.pax.replace(records).is_some()
                }
                b'g' => {
                    // Some readers apply them to all following members, pacman's does not.
                    if !self.records(&header)?.is_empty() {
                        let why = "it contains a global extended header";
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
            if is_repeated {
                let why = "it contains a member with two extended headers of the same kind";
                return Err(PackageError::refused(why));
            }
        }
    }

    /// Reads the content of the member that was returned last.
    pub(crate) fn content(&mut self, member: &Member, limit: u64) -> Result<Vec<u8>, PackageError> {
        self.read(member.size, limit, || {
            format!(
                "its member {}",
                quoted(&String::from_utf8_lossy(&member.name))
            )
        })
    }

    /// Appends the next bytes of the content of the member that was returned last, up to `limit` or its end.
    pub(crate) fn read_up_to(
        &mut self,
        into: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), PackageError> {
        let left = saturating::<usize, _>(self.content);
        let length = left.min(limit);
        let before = into.len();
        into.resize(before + length, 0);
        self.reader
            .fill_all(into.get_mut(before..).unwrap_or_default())?;
        self.content -= length as u64;
        Ok(())
    }

    /// Skips the next bytes of the content.
    pub(crate) fn skip_content(&mut self, bytes: u64) -> Result<(), PackageError> {
        let mut left = self.content.min(bytes);
        self.content -= left;
        while left > 0 {
            let length = saturating::<usize, _>(left);
            let length = length.min(self.buffer.len());
            let part = self.buffer.get_mut(..length).unwrap_or_default();
            self.reader.fill_all(part)?;
            left -= length as u64;
        }
        Ok(())
    }

    /// Reads the next header. Returns `None` at the archive's end marker.
    fn header(&mut self) -> Result<Option<Header>, PackageError> {
        let mut block = [0; BLOCK];
        self.reader.fill_all(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if self.members == 0 && looks_compressed(&block) {
            let why = "the name of its first member begins like a compressed file";
            return Err(PackageError::refused(why));
        }
        self.members += 1;
        if self.members > MAX_MEMBERS {
            return Err(too_many_members());
        }
        let header = Header::parse(&block)
            .map_err(|why| PackageError::Archive(std::io::Error::other(why)))?;
        self.reader
            .check_limit(header.size.saturating_add(self.holes))?;
        self.content = header.size;
        self.padding = header.size.next_multiple_of(BLOCK as u64) - header.size;
        Ok(Some(header))
    }

    fn member(&mut self, header: Header, extensions: Extensions) -> Result<Member, PackageError> {
        let kind = match header.flag {
            b'0' | 0 => Kind::File,
            b'1'..=b'7' => Kind::Other,
            flag => {
                let why = format!(
                    "it contains a member of the unknown type {:?}",
                    char::from(flag)
                );
                return Err(PackageError::Refused(why));
            }
        };
        // Readers disagree about whether content follows one of these.
        if header.size > 0 && (b'1'..=b'6').contains(&header.flag) {
            let why = "it contains a folder, link or device with content";
            return Err(PackageError::refused(why));
        }
        let pax = extensions.pax.unwrap_or_default();
        if pax.size.is_some_and(|size| size != header.size) {
            let why = "an extended header contradicts the size of its member";
            return Err(PackageError::refused(why));
        }
        if pax.path.is_some() && extensions.name.is_some()
            || pax.link.is_some() && extensions.link.is_some()
        {
            let why = "it contains a member with two long names";
            return Err(PackageError::refused(why));
        }
        let holes = pax.real_size.unwrap_or(0).saturating_sub(header.size);
        self.holes = self.holes.saturating_add(holes);
        self.reader
            .check_limit(header.size.saturating_add(self.holes))?;
        check_text(&pax.link.or(extensions.link).unwrap_or(header.link))?;
        let name = pax.sparse_name.or(pax.path).or(extensions.name);
        let name = name.unwrap_or(header.name);
        let ends_with_slash = name.ends_with(b"/");
        Ok(Member {
            name: normalized_path(&name)?,
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

    /// Reads a long name of GNU tar, which ends with NUL.
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

    /// Skips to the next header.
    fn skip(&mut self) -> Result<(), PackageError> {
        self.content = self.content.saturating_add(self.padding);
        self.padding = 0;
        self.skip_content(self.content)
    }

    /// Checks that only zeros follow, which fill up archives. Some readers would read another archive after them.
    fn expect_end(&mut self) -> Result<(), PackageError> {
        loop {
            let count = self.reader.fill(&mut self.buffer)?;
            let part = self.buffer.get(..count).unwrap_or_default();
            if part.iter().any(|byte| *byte != 0) {
                let why = "data follows the end of its archive";
                return Err(PackageError::refused(why));
            }
            if count < self.buffer.len() {
                return Ok(());
            }
        }
    }
}

/// Returns the path of a member below the root. Fails if it leads elsewhere.
fn normalized_path(name: &[u8]) -> Result<Vec<u8>, PackageError> {
    check_text(name)?;
    let parts = || name.split(|byte| *byte == b'/');
    let leads_elsewhere = name.starts_with(b"/") || parts().any(|part| part == b"..");
    if name.is_empty() || leads_elsewhere {
        let why = format!(
            "it contains a file with the invalid path {}",
            quoted(&String::from_utf8_lossy(name))
        );
        return Err(PackageError::Refused(why));
    }
    let parts: Vec<&[u8]> = parts()
        .filter(|part| !part.is_empty() && *part != b".")
        .collect();
    Ok(parts.join(&b'/'))
}

/// Checks the path of a member or of a link's target. It need not be UTF-8.
fn check_text(name: &[u8]) -> Result<(), PackageError> {
    if name.len() > MAX_PATH {
        let why = format!(
            "it contains a path of {} bytes, more than {MAX_PATH}",
            name.len()
        );
        return Err(PackageError::Refused(why));
    }
    let text = String::from_utf8_lossy(name);
    if text.contains(char::is_control) {
        let why = format!(
            "it contains a file with a control character in its name {}",
            quoted(&text)
        );
        return Err(PackageError::Refused(why));
    }
    Ok(())
}

/// Returns a name in quotes, truncated when it is long.
fn quoted(name: &str) -> String {
    let start: String = name.chars().take(MAX_QUOTED).collect();
    let more = if start.len() < name.len() { "…" } else { "" };
    format!("{start:?}{more}")
}

/// Creates the refusal of a package with more members than any real one.
pub(crate) fn too_many_members() -> PackageError {
    PackageError::Refused(format!("it contains more than {MAX_MEMBERS} members"))
}
