//! Converts the values of a file to those of flags.

use std::any::TypeId;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use buildbtw_model::Explanation;
use clap::{Arg, ArgAction};

use crate::file::{Entry, Value};

/// How the secrets begin that are known here: tokens of GitLab and of this project, signing tokens, keys.
const SECRETS: [&str; 6] = [
    "gl",
    "whsec_",
    "bbtw_",
    "github_pat_",
    "ghp_",
    "-----BEGIN ",
];
/// Random texts are at least as long.
const MIN_SECRET_LENGTH: usize = 20;
/// Parts of the names of settings for files with secrets.
const SECRET_FILES: [&str; 4] = ["credentials", "key", "secret", "token"];

/// The type that a setting has in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Boolean,
    Integer,
    Number,
    Text,
}

impl Kind {
    fn of(arg: &Arg) -> Self {
        let id = arg.get_value_parser().type_id();
        let is = |types: &[TypeId]| types.iter().any(|known| id == *known);
        let is_flag = matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse);
        if is_flag || is(&[TypeId::of::<bool>()]) {
            Self::Boolean
        } else if is(&[
            TypeId::of::<u16>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<usize>(),
            TypeId::of::<NonZeroUsize>(),
        ]) {
            Self::Integer
        } else if is(&[TypeId::of::<Duration>(), TypeId::of::<f64>()]) {
            Self::Number
        } else {
            Self::Text
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Text => "a string",
        }
    }
}

impl Value {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number with fractions",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Time => "a date or time",
            Self::Table => "a table",
        }
    }

    /// Returns the text in a flag, if the value has the right type.
    fn text(&self, kind: Kind) -> Option<String> {
        match (kind, self) {
            (Kind::Boolean, Self::Boolean(value)) => Some(value.to_string()),
            (Kind::Integer | Kind::Number, Self::Integer(number))
            | (Kind::Number, Self::Float(number)) => Some(number.clone()),
            (Kind::Text, Self::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }
}

/// Returns the values of a flag. The explanation of an error says nothing about where the value is.
pub(crate) fn values(entry: &Entry, arg: &Arg) -> Result<Vec<String>, Explanation> {
    let (kind, key) = (Kind::of(arg), &entry.key);
    let values = match (arg.get_action(), &entry.value) {
        (ArgAction::Append, Value::List(values)) => {
            let texts: Option<Vec<String>> = values.iter().map(|value| value.text(kind)).collect();
            let texts = texts.ok_or_else(|| wrong_type(entry, arg, kind, true))?;
            // Without a value the flag would have its default instead.
            if texts.is_empty() && !arg.get_default_values().is_empty() {
                return Err(Explanation::with_hint(
                    format!("`{key}` is empty"),
                    format!("name at least one value, or remove `{key}`"),
                ));
            }
            texts
        }
        (ArgAction::Append, _) => return Err(wrong_type(entry, arg, kind, true)),
        (_, value) => vec![
            value
                .text(kind)
                .ok_or_else(|| wrong_type(entry, arg, kind, false))?,
        ],
    };
    let is_path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    if is_path && values.iter().any(|value| is_secret(key, value)) {
        return Err(Explanation::with_hint(
            format!("`{key}` must be the path of a file, not its content"),
            format!("write the secret to a file of its own, and its path to `{key}`"),
        ));
    }
    Ok(values)
}

/// Returns whether a text in place of a path is probably a secret, which no message may show.
fn is_secret(key: &str, text: &str) -> bool {
    if text.contains('\n') || text.contains("://") {
        return true;
    }
    let is_usual_path = text.contains('/') && !text.contains(['+', '=']);
    if is_usual_path || Path::new(text).exists() {
        return false;
    }
    let is_known = SECRETS.iter().any(|prefix| {
        let rest = text.strip_prefix(prefix);
        rest.is_some_and(|rest| *prefix != "gl" || rest.contains('-'))
    });
    let has = |part: fn(char) -> bool| text.contains(part);
    let is_random = SECRET_FILES.iter().any(|part| key.contains(part))
        && text.len() >= MIN_SECRET_LENGTH
        && !text.contains('.')
        && has(|c| c.is_ascii_digit())
        && has(|c| c.is_ascii_alphabetic());
    is_known || (is_random && !text.starts_with('/'))
}

fn is_address(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<SocketAddr>()
}

fn wrong_type(entry: &Entry, arg: &Arg, kind: Kind, is_list: bool) -> Explanation {
    let (key, found) = (&entry.key, &entry.value);
    let expected = match is_list {
        true => "a list of strings",
        false => kind.name(),
    };
    let found_name = match found {
        Value::List(_) if is_list => "one with other values",
        found => found.type_name(),
    };
    let hint = match (kind, found) {
        (Kind::Text, Value::Integer(port)) if is_address(arg) && port.parse::<u16>().is_ok() => {
            format!("write an address with its port: `{key} = \"127.0.0.1:{port}\"`")
        }
        _ if is_list => format!("write `{key} = [{}]`", list_example(found)),
        (Kind::Boolean, _) => {
            format!("write `{key} = true` or `{key} = false`, without quotes")
        }
        (Kind::Integer | Kind::Number, Value::Text(text)) if text.parse::<f64>().is_ok() => {
            format!("write `{key} = {text}`, without quotes")
        }
        (Kind::Integer, _) => format!("write a number without fractions and quotes: `{key} = 1`"),
        (Kind::Number, _) => format!("write a number without quotes: `{key} = 1.5`"),
        (Kind::Text, Value::Integer(text) | Value::Float(text)) => {
            format!("write it in quotes: `{key} = \"{text}\"`")
        }
        (Kind::Text, _) => format!("write a text in quotes: `{key} = \"…\"`"),
    };
    Explanation::with_hint(
        format!("`{key}` must be {expected}, not {found_name}"),
        hint,
    )
}

fn list_example(found: &Value) -> String {
    let Value::Text(text) = found else {
        return "\"…\", \"…\"".to_owned();
    };
    let parts: Vec<String> = text
        .split(',')
        .map(|part| format!("\"{}\"", part.trim()))
        .collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_secrets_from_paths() {
        for secret in [
            "glpat-abc",
            "whsec_c2VjcmV0",
            "bbtw_0123",
            "https://name:token@git.example.org",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "two\nlines",
            "Zm9vYmFyYmF6cXV4MTIz/w==",
            "0123456789abcdef0123",
        ] {
            assert!(is_secret("token_file", secret), "{secret}");
        }
        for path in [
            "token",
            "gltoken",
            "./gitlab-token",
            "/etc/buildbtw/gitlab-token",
            "/run/credentials/buildbtw-server.service/gitlab-token",
            "certificate-authority-2026.pem",
            "",
        ] {
            assert!(!is_secret("token_file", path), "{path}");
        }
        assert!(!is_secret("data_dir", "packages-of-2026-for-x86"));
    }
}
