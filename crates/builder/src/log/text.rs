//! Predicates and helpers for the text of a line.

use buildbtw_model::ansi::{Reader, Token};

/// The maximum number of characters of a line in a message.
pub(super) const MAX_CHARS: usize = 300;

/// The C library's messages for failed calls.
pub(super) const SYSTEM_ERRORS: &[&str] = &[
    "No such file or directory",
    "Permission denied",
    "Operation not permitted",
    "File exists",
    "Is a directory",
    "Not a directory",
    "Directory not empty",
    "Read-only file system",
    "Text file busy",
    "Argument list too long",
    "Exec format error",
    "Connection refused",
    "Temporary failure in name resolution",
    "Name or service not known",
    "Cannot allocate memory",
    "Too many open files",
    "command not found",
    ": not found",
    "unbound variable",
    "File name too long",
];

/// Returns a line without escape sequences and control characters; tabs become spaces.
pub(super) fn plain(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    let mut keep = |token: Token<'_>| match token {
        Token::Char(char) => text.push(char),
        Token::Control('\t') => text.push(' '),
        Token::Control(_) | Token::Style(_) | Token::Hidden(_) => {}
    };
    let mut reader = Reader::default();
    reader.feed(line, &mut keep);
    reader.finish(keep);
    text.truncate(text.trim_end().len());
    text
}

/// Returns whether any of the texts occurs.
pub(super) fn has_any(line: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| line.contains(text))
}

/// Returns whether the line starts with any of the texts.
pub(super) fn starts_with_any(line: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| line.starts_with(text))
}

/// Returns whether the line ends with any of the texts.
pub(super) fn ends_with_any(line: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| line.ends_with(text))
}

/// Splits `program: rest` or `path/to/program: rest` into the program's name and the rest.
pub(super) fn after_program(line: &str) -> Option<(&str, &str)> {
    let (program, rest) = line.split_once(": ")?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_./+-[]".contains(c);
    (!program.is_empty() && program.chars().all(is_word)).then(|| {
        let name = program.rsplit('/').next().unwrap_or(program);
        (name, rest)
    })
}

/// Splits `file:line: rest` and `file:line:column: rest` into file and rest.
pub(super) fn after_location(line: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    loop {
        let colon = from + line.get(from..)?.find(':')?;
        let (file, rest) = (line.get(..colon)?, line.get(colon + 1..)?);
        if let Some(rest) = after_number(rest) {
            let rest = rest.strip_prefix(':')?;
            let rest = after_number(rest)
                .and_then(|rest| rest.strip_prefix(':'))
                .unwrap_or(rest);
            return (!file.is_empty() && !file.contains("  ")).then_some((file, rest.trim_start()));
        }
        from = colon + 1;
    }
}

/// Returns the text after a number or a range of numbers.
fn after_number(text: &str) -> Option<&str> {
    // Vala and bison: `3.5-3.9`.
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    (rest.len() < text.len() && text.starts_with(|c: char| c.is_ascii_digit())).then_some(rest)
}

/// Returns whether the text starts with the name of an exception and a colon: `pkg.FooError: …`.
pub(super) fn is_exception(line: &str) -> bool {
    let Some((name, _)) = line.split_once(':') else {
        return false;
    };
    // Node adds a code: `TypeError [ERR_X]: …`.
    let name = name.split_once(" [").map_or(name, |(name, _)| name);
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.' || c == '$';
    let last = name.rsplit('.').next().unwrap_or(name);
    name.chars().all(is_word)
        && last.starts_with(char::is_uppercase)
        && ends_with_any(
            last,
            &["Error", "Exception", "Exit", "Interrupt", "Failure"],
        )
}

/// Returns whether the text ends with a Ruby exception: `x.rb:3:in `f': no table (Pkg::TableError)`.
pub(super) fn is_ruby_exception(line: &str) -> bool {
    let name = line
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once(" ("));
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    has_any(line, &[":in `", ":in '"])
        && name.is_some_and(|(_, name)| {
            name.starts_with(char::is_uppercase) && name.chars().all(is_word)
        })
}

/// Returns whether the text is an uncaught Java exception or its cause.
pub(super) fn is_java_exception(line: &str) -> bool {
    let thread = line
        .strip_prefix("Exception in thread \"")
        .and_then(|rest| rest.split_once("\" "));
    let name = thread
        .map(|(_, rest)| rest)
        .or_else(|| line.strip_prefix("Caused by: "));
    name.is_some_and(|name| {
        let class = name.split(':').next().unwrap_or(name);
        is_exception(&format!("{class}:"))
    })
}

/// Returns whether the text is an Elixir exception: `** (CompileError) x.ex:3: …`.
pub(super) fn is_elixir_exception(line: &str) -> bool {
    let name = line
        .strip_prefix("** (")
        .and_then(|rest| rest.split_once(") "));
    name.is_some_and(|(name, _)| {
        matches!(name, "Mix" | "exit" | "throw") || is_exception(&format!("{name}:"))
    })
}

/// Returns whether the text is a frame of an exception's stack (Java, Node, Ruby).
pub(super) fn is_stack(text: &str) -> bool {
    let is_more = |rest: &str| {
        rest.split_once(' ').is_some_and(|(number, rest)| {
            number.bytes().all(|b| b.is_ascii_digit()) && rest.ends_with("more")
        })
    };
    (text.starts_with("at ") && text.contains('('))
        || (text.starts_with("from ") && has_any(text, &[":in `", ":in '"]))
        || text.strip_prefix("... ").is_some_and(is_more)
}

/// Returns whether two lines differ only in whitespace.
pub(super) fn equal_except_whitespace(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

/// Returns whether a line is an echoed command rather than output of a program.
pub(super) fn is_command(line: &str) -> bool {
    const COMMANDS: &[&str] = &[
        "gcc",
        "g++",
        "cc",
        "c++",
        "cpp",
        "clang",
        "clang++",
        "ld",
        "ar",
        "libtool:",
        "rustc",
        "javac",
        "go",
        "ghc",
        "echo",
        "printf",
        "if",
        "for",
        "test",
        "[",
        "+",
        "++",
        "sh",
        "bash",
        "/bin/sh",
        "/bin/bash",
        "/usr/bin/sh",
        "/usr/bin/bash",
    ];
    let first = line.split(' ').next().unwrap_or_default();
    let name = first.rsplit('/').next().unwrap_or(first);
    COMMANDS.contains(&first) || COMMANDS.contains(&name) || name.ends_with("-gcc")
}

/// Shortens a text for a message by removing its middle, because some errors are informative at the beginning
/// and others at the end.
pub(super) fn shorten(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let end = most / 3;
    let start = most.saturating_sub(end);
    let chars = text.chars();
    let kept = chars.clone().take(start).chain(['…']);
    kept.chain(chars.skip(length - end)).collect()
}
