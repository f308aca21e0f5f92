//! Small questions about the text of a line.

use buildbtw_model::ansi::{Reader, Token};

/// Characters of a line in a message.
pub(super) const MAX_CHARS: usize = 300;

/// Texts that end what the C library says about a failed call.
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

/// A line without escape sequences and control characters; tabs become blanks.
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

/// Whether any of the texts occurs.
pub(super) fn has_any(line: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| line.contains(text))
}

/// Whether the line starts with any of the texts.
pub(super) fn starts_any(line: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| line.starts_with(text))
}

/// Whether the line ends with any of the texts.
pub(super) fn ends_any(line: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| line.ends_with(text))
}

/// What follows `program: ` or `path/to/program: `, when the line starts like that.
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

/// What follows a number, or a range of numbers.
fn after_number(text: &str) -> Option<&str> {
    // Vala and bison: `3.5-3.9`.
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    (rest.len() < text.len() && text.starts_with(|c: char| c.is_ascii_digit())).then_some(rest)
}

/// Whether the text starts with the name of an exception and a colon: `pkg.FooError: …`.
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
        && ends_any(
            last,
            &["Error", "Exception", "Exit", "Interrupt", "Failure"],
        )
}

/// Whether the text ends with an exception of Ruby: `x.rb:3:in `f': no table (Pkg::TableError)`.
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

/// Whether the text is an exception that Java did not catch, or the cause of one.
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

/// Whether the text is an exception of Elixir: `** (CompileError) x.ex:3: …`.
pub(super) fn is_elixir_exception(line: &str) -> bool {
    let name = line
        .strip_prefix("** (")
        .and_then(|rest| rest.split_once(") "));
    name.is_some_and(|(name, _)| {
        matches!(name, "Mix" | "exit" | "throw") || is_exception(&format!("{name}:"))
    })
}

/// Whether the text is a call on the stack of an exception (Java, Node, Ruby).
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

/// Whether two lines differ in blanks only.
pub(super) fn same_words(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

/// Whether a line is a command that was echoed, not something that a program said.
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

/// Cuts a text to what a message has room for: out of the middle, since some errors begin with what matters
/// and others end with it.
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
