//! Parses extended headers, which are records `length key=value` (tar(5), "Pax Interchange Format").

/// The records of an extended header that affect the next member.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// The member's name.
    pub(crate) path: Option<Vec<u8>>,
    /// The target of a link.
    pub(crate) link: Option<Vec<u8>>,
    /// The member's size in the archive.
    pub(crate) size: Option<u64>,
    /// The name of a sparse member, for which GNU tar and bsdtar write another `path`.
    pub(crate) sparse_name: Option<Vec<u8>>,
    /// The size of a sparse member, including holes.
    pub(crate) real_size: Option<u64>,
    /// Whether the member is sparse.
    pub(crate) is_sparse: bool,
}

impl Records {
    /// Parses the content of an extended header.
    pub(crate) fn parse(mut text: &[u8]) -> Result<Self, String> {
        let mut this = Self::default();
        while !text.is_empty() {
            let (key, value, rest) = record(text).ok_or("it contains a damaged extended header")?;
            this.apply(key, value)?;
            text = rest;
        }
        Ok(this)
    }

    /// Returns whether no record affects how members are read.
    pub(crate) fn is_empty(&self) -> bool {
        let names = [&self.path, &self.link, &self.sparse_name];
        let sizes = [self.size, self.real_size];
        !self.is_sparse
            && names.iter().all(|name| name.is_none())
            && sizes.iter().all(Option::is_none)
    }

    fn apply(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        if key.starts_with(b"GNU.sparse.") || key == b"SUN.holesdata" || key == b"SCHILY.realsize" {
            self.is_sparse = true;
        }
        match key {
            b"path" => set_once(key, &mut self.path, value.to_vec()),
            b"linkpath" => set_once(key, &mut self.link, value.to_vec()),
            b"size" => set_once(key, &mut self.size, decimal(key, value)?),
            b"GNU.sparse.name" => set_once(key, &mut self.sparse_name, value.to_vec()),
            b"GNU.sparse.realsize" | b"GNU.sparse.size" | b"SCHILY.realsize" => {
                set_once(key, &mut self.real_size, decimal(key, value)?)
            }
            _ => Ok(()),
        }
    }
}

/// Sets a value that must not be repeated: readers differ in which of two values they use.
fn set_once<T>(key: &[u8], place: &mut Option<T>, value: T) -> Result<(), String> {
    if place.replace(value).is_some() {
        let key = String::from_utf8_lossy(key);
        return Err(format!("an extended header has {key} twice"));
    }
    Ok(())
}

fn decimal(key: &[u8], value: &[u8]) -> Result<u64, String> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| is_number);
    let number = text.and_then(|text| text.parse().ok());
    number
        .filter(|number| i64::try_from(*number).is_ok())
        .ok_or_else(|| {
            let key = String::from_utf8_lossy(key);
            format!("an extended header has an invalid {key}")
        })
}

/// Splits off the first record. Returns its key, its value and the rest.
fn record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = text.iter().position(|byte| *byte == b' ')?;
    let digits = text.get(..space)?;
    if digits.is_empty() || digits.len() > 6 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let (record, rest) = text.split_at_checked(length)?;
    let body = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    let (key, value) = body.split_at_checked(equals)?;
    Some((key, value.get(1..)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_records() {
        let text = b"30 mtime=1795963104.833425424\n12 path=a=b\n9 size=7\n";
        let records = Records::parse(text).unwrap();
        assert_eq!(records.path.as_deref(), Some(&b"a=b"[..]));
        assert_eq!(records.size, Some(7));
        assert!(!records.is_sparse);
    }

    #[test]
    fn rejects_damaged_and_ambiguous_records() {
        for text in [
            &b"x"[..],
            b"12 path=a=b",
            b"13 path=a=b\n",
            b"11 path=a=b\n",
            b"-2 path=a=b\n",
            b" 12 path=a=b\n",
            b"0000012 path=a\n",
            b"7 path\n",
            b"10 size=-7\n",
            b"8 size=\n",
            b"9 path=a\n9 path=a\n",
            b"28 size=9223372036854775808\n",
        ] {
            assert!(Records::parse(text).is_err(), "{text:?}");
        }
    }
}
