//! Masking of secrets: the values of masked variables, and everything with the prefix of a token.

const MASK: &[u8] = b"[MASKED]";
/// Masked regardless of GitLab's settings.
const USUAL_PREFIX: &str = "glpat-";
/// The maximum number of prefixes from GitLab.
const MAX_PREFIXES: usize = 10;

/// The secrets of a job's log.
#[derive(Debug, Default)]
pub(crate) struct Masks {
    /// Longest first.
    secrets: Vec<Vec<u8>>,
    /// Longest first.
    prefixes: Vec<Vec<u8>>,
}

impl Masks {
    pub(crate) fn new(secrets: impl Iterator<Item = String>, prefixes: &[String]) -> Self {
        let longest_first = |all: Vec<Vec<u8>>| {
            let mut all: Vec<_> = all.into_iter().filter(|one| !one.is_empty()).collect();
            all.sort_by_key(|one| std::cmp::Reverse(one.len()));
            all.dedup();
            all
        };
        let prefixes = prefixes.iter().take(MAX_PREFIXES);
        let prefixes = prefixes.map(|prefix| prefix.trim());
        Self {
            secrets: longest_first(secrets.map(String::into_bytes).collect()),
            prefixes: longest_first(
                prefixes
                    .chain([USUAL_PREFIX])
                    .map(|prefix| prefix.as_bytes().to_vec())
                    .collect(),
            ),
        }
    }
}

/// Masks one stream, whose chunks may end anywhere.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    /// The possible beginning of a secret.
    held: Vec<u8>,
    /// The state within a token, after its prefix.
    token: Token,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Token {
    #[default]
    None,
    Begins,
    Goes,
}

/// Returns whether tokens contain this byte.
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._=".contains(&byte)
}

impl Mask {
    /// Adds bytes, and returns those that can be printed.
    pub(crate) fn write(&mut self, masks: &Masks, bytes: &[u8]) -> Vec<u8> {
        self.pass(masks, bytes, false)
    }

    /// Returns the remaining bytes.
    pub(crate) fn end(&mut self, masks: &Masks) -> Vec<u8> {
        let rest = self.pass(masks, b"", true);
        self.token = Token::None;
        rest
    }

    fn pass(&mut self, masks: &Masks, bytes: &[u8], is_last: bool) -> Vec<u8> {
        let mut input = std::mem::take(&mut self.held);
        input.extend_from_slice(bytes);
        let mut clean = Vec::with_capacity(input.len());
        let mut at = 0;
        while at < input.len() {
            if self.token != Token::None {
                if is_of_token(input[at]) {
                    if self.token == Token::Begins {
                        clean.extend_from_slice(MASK);
                    }
                    self.token = Token::Goes;
                    at += 1;
                    continue;
                }
                self.token = Token::None;
            }
            let rest = &input[at..];
            let may_go_on = |word: &Vec<u8>| word.len() > rest.len() && word.starts_with(rest);
            let values = || masks.secrets.iter().chain(&masks.prefixes);
            if !is_last && values().any(may_go_on) {
                self.held = rest.to_vec();
                break;
            }
            let begins = |word: &&Vec<u8>| rest.starts_with(word);
            if let Some(secret) = masks.secrets.iter().find(begins) {
                clean.extend_from_slice(MASK);
                at += secret.len();
            } else if let Some(prefix) = masks.prefixes.iter().find(begins) {
                clean.extend_from_slice(prefix);
                self.token = Token::Begins;
                at += prefix.len();
            } else {
                clean.push(input[at]);
                at += 1;
            }
        }
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_text_after_prefix_at_any_chunk_boundary() {
        let masks = Masks::new(
            ["whole".to_owned()].into_iter(),
            &[" gljt-".to_owned(), String::new()],
        );
        let text = b"a gljt-abc.D=_-9, glpat-x glpat-, glpa whole gljt-whole\ngljt-end";
        let expected =
            "a gljt-[MASKED], glpat-[MASKED] glpat-, glpa [MASKED] gljt-[MASKED]\ngljt-[MASKED]";
        for size in 1..=text.len() {
            let mut mask = Mask::default();
            let mut out = Vec::new();
            for piece in text.chunks(size) {
                out.extend(mask.write(&masks, piece));
            }
            out.extend(mask.end(&masks));
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{size}");
        }
    }
}
