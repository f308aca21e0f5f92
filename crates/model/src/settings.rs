//! Values of settings, with errors that name what is expected.

use std::fmt::Display;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use crate::Explanation;

/// Returns a parser of numbers in a range, for the flags of a program.
pub fn number<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text: &str| {
        let number = text
            .parse::<T>()
            .ok()
            .filter(|number| range.contains(number));
        let (least, most) = (range.start(), range.end());
        number.ok_or_else(|| format!("expected a number from {least} to {most}"))
    }
}

/// Parses a number of any size, for the flags of a program.
///
/// # Errors
/// When it is not a number.
pub fn any_number<T: FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|_| "expected a number")
}

/// Parses an address to listen on, for the flags of a program.
///
/// # Errors
/// When it is not an IP address with a port.
pub fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8080")
}

/// Reads a text file that a setting names.
///
/// # Errors
/// Names the setting, the file and the cause.
pub fn read_text(setting: &str, path: &Path) -> Result<String, Explanation> {
    let error = match read(path) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    Err(format!("cannot read {setting} `{}`: {error}", path.display()).into())
}

/// Reads a text file whose path the caller adds to errors.
///
/// # Errors
/// When the file cannot be read, or is not UTF-8.
pub fn read(path: &Path) -> io::Result<String> {
    let text = String::from_utf8(read_bytes(path)?);
    text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Reads a file whose path the caller adds to errors: those of fs_err name it already, but in other words than
/// messages that users see.
///
/// # Errors
/// When the file cannot be read.
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::OpenOptions::new().read(true).open(path);
    file?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_range_of_rejected_number() {
        let parse = number::<u32>(1..=3_600);
        assert_eq!(parse("1"), Ok(1));
        assert_eq!(parse("3600"), Ok(3_600));
        for text in ["0", "3601", "-1", "soon", "", "4294967296"] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, "expected a number from 1 to 3600", "{text}");
        }
    }

    #[test]
    fn parses_numbers_of_any_size() {
        assert_eq!(any_number("4294967295"), Ok(u32::MAX));
        assert_eq!(any_number::<u32>("1x"), Err("expected a number"));
    }

    #[test]
    fn names_example_of_an_address() {
        assert_eq!(address("[::1]:0"), Ok("[::1]:0".parse().unwrap()));
        for text in [
            "",
            "localhost",
            "localhost:8080",
            "127.0.0.1",
            ":8080",
            "8080",
        ] {
            let error = address(text).unwrap_err();
            assert!(error.contains("such as 127.0.0.1:8080"), "{text}");
        }
    }

    #[test]
    fn names_setting_and_file_that_cannot_be_read() {
        let error = read_text("--token-file", Path::new("nowhere/token")).unwrap_err();
        let expected = "cannot read --token-file `nowhere/token`: No such file or directory";
        assert!(error.message.starts_with(expected), "{error}");
    }
}
