//! pacman's version order, on borrowed text.
//!
//! A plan compares hundreds of thousands of versions, most of them once. alpm-types parses a version into owned
//! segments first; this code reads both texts side by side and does not allocate. Tests compare it with alpm-types and
//! with the `vercmp` program.

use std::cmp::Ordering;

/// The three parts of `[epoch:]pkgver[-pkgrel]`.
struct Parts<'a> {
    epoch: &'a str,
    version: &'a str,
    release: Option<&'a str>,
}

fn split(text: &str) -> Parts<'_> {
    let (epoch, rest) = match text.split_once(':') {
        // As in pacman, an epoch consists of digits, and an empty one counts as zero.
        Some((epoch, rest)) if epoch.bytes().all(|b| b.is_ascii_digit()) => {
            (if epoch.is_empty() { "0" } else { epoch }, rest)
        }
        _ => ("0", text),
    };
    match rest.rsplit_once('-') {
        Some((version, release)) => Parts {
            epoch,
            version,
            release: Some(release),
        },
        None => Parts {
            epoch,
            version: rest,
            release: None,
        },
    }
}

/// Returns whether makepkg omits an epoch because `(( epoch > 0 ))` is false. bash reads digits after a zero as octal,
/// and `08` is an error, which counts as false. `01` is kept as written.
#[must_use]
pub fn is_epoch_left_out(epoch: &str) -> bool {
    let is_zero = epoch.bytes().all(|byte| byte == b'0');
    let is_octal = epoch.starts_with('0') && epoch.bytes().all(|byte| byte.is_ascii_digit());
    is_zero || is_octal && epoch.contains(['8', '9'])
}

/// Compares two versions like vercmp(8). The releases count only if both versions have one.
#[must_use]
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (a, b) = (split(a), split(b));
    compare_segments(a.epoch, b.epoch)
        .then_with(|| compare_segments(a.version, b.version))
        .then_with(|| match (a.release, b.release) {
            (Some(a), Some(b)) => compare_segments(a, b),
            _ => Ordering::Equal,
        })
}

/// Splits the text after the leading bytes that `accept` returns true for.
fn take_while(text: &[u8], accept: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|&byte| !accept(byte))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Compares two texts run by run: runs of digits by value, runs of letters by byte. A number is newer than letters.
fn compare_segments(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() && !b.is_empty() {
        let separator = |byte: u8| !byte.is_ascii_alphanumeric();
        let (separator_a, rest_a) = take_while(a, separator);
        let (separator_b, rest_b) = take_while(b, separator);
        (a, b) = (rest_a, rest_b);
        if a.is_empty() || b.is_empty() {
            break;
        }
        if separator_a.len() != separator_b.len() {
            return separator_a.len().cmp(&separator_b.len());
        }
        let numeric = a.first().is_some_and(u8::is_ascii_digit);
        let same_kind = |byte: u8| {
            if numeric {
                byte.is_ascii_digit()
            } else {
                byte.is_ascii_alphabetic()
            }
        };
        let (run_a, rest_a) = take_while(a, same_kind);
        let (run_b, rest_b) = take_while(b, same_kind);
        if run_b.is_empty() {
            return if numeric {
                Ordering::Greater
            } else {
                Ordering::Less
            };
        }
        let order = if numeric {
            let (_, value_a) = take_while(run_a, |byte| byte == b'0');
            let (_, value_b) = take_while(run_b, |byte| byte == b'0');
            value_a
                .len()
                .cmp(&value_b.len())
                .then_with(|| value_a.cmp(value_b))
        } else {
            run_a.cmp(run_b)
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    // One has ended. Remaining letters make a version older (1.0rc < 1.0), anything else newer.
    let letter = |text: &[u8]| text.first().is_some_and(u8::is_ascii_alphabetic);
    match (a.is_empty(), b.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) if letter(b) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, _) if letter(a) => Ordering::Less,
        (false, _) => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::str::FromStr as _;

    use proptest::prelude::*;

    use super::*;

    const SAMPLES: &[&str] = &[
        "1", "1-1", "1-2", "1-1.1", "1-1.10", "1:1", "0:1", ":1", "1.0", "1.0.", "1.0rc", "1.0rc1",
        "1.0.rc1", "1.0alpha", "1.0beta", "1.01", "1.001", "1.1", "1_1", "1+1", "1..1", "r12.abc",
        "2.r0", "a", "a1", "1a", "2:0", "10:0", "20240101", "1.0-0", "é1", "1é1", "1-64", "1.so",
        "3.14.7", "00", "0", "1.0.0", "1.0a1", "1.0a", "1~1",
    ];

    const VERSION: &str = "([1-9]:)?[0-9a-z]{1,3}([.+_][0-9a-z]{1,3}){0,3}-[0-9](\\.[0-9])?";

    #[test]
    fn agrees_with_the_vercmp_program() {
        if Command::new("vercmp").arg("--help").output().is_err() {
            println!("skipped: vercmp is not installed");
            return;
        }
        for (i, a) in SAMPLES.iter().enumerate() {
            // Starting a program takes a millisecond, so only a sample of the pairs is compared.
            for b in SAMPLES.iter().skip(i % 3).step_by(3) {
                let output = Command::new("vercmp").args([a, b]).output().unwrap();
                let expected: i32 = String::from_utf8(output.stdout)
                    .unwrap()
                    .trim()
                    .parse()
                    .unwrap();
                let got = compare_versions(a, b) as i32;
                assert_eq!(got, expected.signum(), "{a} and {b}");
            }
        }
    }

    proptest! {
        // alpm-types differs from vercmp where separators come first or twice and where an epoch of
        // zero is written out; vercmp decides.
        #[test]
        fn agrees_with_alpm_types(a in VERSION, b in VERSION) {
            let parse = |text: &str| alpm_types::FullVersion::from_str(text);
            let (Ok(x), Ok(y)) = (parse(&a), parse(&b)) else {
                return Ok(());
            };
            prop_assert_eq!(compare_versions(&a, &b), x.cmp(&y), "{} and {}", a, b);
        }

        #[test]
        fn is_an_antisymmetric_order(a in "[0-9a-b.:-]{0,6}", b in "[0-9a-b.:-]{0,6}") {
            prop_assert_eq!(compare_versions(&a, &b), compare_versions(&b, &a).reverse());
        }
    }
}
