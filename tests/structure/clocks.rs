//! Reads of the machine's wall clock, also by identifiers that contain the time.

use std::path::Path;

use syn::Macro;
use syn::visit::{self, Visit};

use crate::{production, production_files};

/// The functions that return the time of the machine's clock.
const READS: [&str; 5] = [
    "Millis::now",
    "SystemTime::now",
    "Timestamp::now",
    IDENTIFIER,
    "Zoned::now",
];
/// Generates an identifier that contains the time.
const IDENTIFIER: &str = "Uuid::now_v7";
/// The only file that may generate them. Nothing reads the time of an identifier; it only sorts later ones later.
const IDENTIFIERS: &str = "crates/model/src/ids/numbers.rs";
/// The only file of the server that may call them; all others ask the clock that it defines.
const CLOCK: &str = "server/src/time.rs";

/// Returns which of [`READS`] a file names outside of tests.
fn reads(text: &str) -> syn::Result<Vec<&'static str>> {
    let file = production::parse(text)?;
    let mut reader = Reader::default();
    reader.visit_file(&file);
    Ok(reader.found)
}

#[derive(Default)]
struct Reader {
    found: Vec<&'static str>,
}

impl Reader {
    fn add(&mut self, is_read: impl Fn(&str) -> bool) {
        self.found
            .extend(READS.into_iter().filter(|read| is_read(read)));
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut names = path
            .segments
            .iter()
            .rev()
            .map(|part| part.ident.to_string());
        if let (Some(function), Some(owner)) = (names.next(), names.next()) {
            let name = format!("{owner}::{function}");
            self.add(|read| name == read);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        // Their arguments are not parsed.
        let tokens: String = call.tokens.to_string().split_whitespace().collect();
        self.add(|read| tokens.contains(read));
        visit::visit_macro(self, call);
    }
}

#[test]
fn reads_the_machines_clock_in_one_file_of_the_server() {
    let mut elsewhere = Vec::new();
    for (file, text) in production_files() {
        let found = reads(&text).unwrap();
        if file == Path::new(CLOCK) {
            assert!(!found.is_empty(), "{CLOCK} no longer reads the clock");
        } else if file == Path::new(IDENTIFIERS) {
            assert_eq!(found, [IDENTIFIER], "{IDENTIFIERS}");
        } else {
            let is_server = file.starts_with("server/src");
            let found = found.into_iter();
            let found = found.filter(|read| is_server || *read == IDENTIFIER);
            elsewhere.extend(found.map(|read| format!("{} calls {read}", file.display())));
        }
    }
    assert!(elsewhere.is_empty(), "{}", elsewhere.join("\n"));
}

#[test]
fn finds_reads_in_paths_and_macros_outside_of_tests() {
    let text = "
        fn one() {
            let _ = jiff::Timestamp::now();
            let _ = before.map_or_else(Zoned::now, |before| before.since);
            let _ = Instant::now();
            println!(\"{}\", SystemTime::now());
            let _ = uuid::Uuid::now_v7();
        }
        impl Two {
            #[cfg(test)]
            fn for_tests() {
                Millis::now();
            }
        }
        #[cfg(test)]
        mod tests {
            fn three() {
                Millis::now();
            }
        }
    ";
    let expected = [
        "Timestamp::now",
        "Zoned::now",
        "SystemTime::now",
        IDENTIFIER,
    ];
    assert_eq!(reads(text).unwrap(), expected);
}
