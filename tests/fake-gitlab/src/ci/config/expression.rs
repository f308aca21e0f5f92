//! The expressions of rules: `$A == "x" && $B != null || $C =~ /^y/`.

use regex::Regex;

use super::{ConfigError, Known};

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Variable(String),
    Text(String),
    Null,
    Pattern(String),
    Operator(&'static str),
}

/// Longer ones first.
const OPERATORS: [&str; 8] = ["==", "!=", "=~", "!~", "&&", "||", "(", ")"];

/// Evaluates an expression.
pub(super) fn holds(text: &str, known: &Known) -> Result<bool, ConfigError> {
    let tokens = tokens(text)?;
    let mut reader = Reader {
        text,
        tokens: &tokens,
        known,
    };
    let value = reader.any()?;
    if !reader.tokens.is_empty() {
        return Err(invalid(text));
    }
    Ok(value)
}

fn invalid(text: &str) -> ConfigError {
    ConfigError::invalid(format!("rules:rule if invalid expression syntax: {text}"))
}

fn tokens(text: &str) -> Result<Vec<Token>, ConfigError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (token, after) = token(rest).ok_or_else(|| invalid(text))?;
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn token(rest: &str) -> Option<(Token, &str)> {
    if let Some(operator) = OPERATORS.into_iter().find(|one| rest.starts_with(one)) {
        return Some((Token::Operator(operator), &rest[operator.len()..]));
    }
    let quoted = |quote: char| {
        let inner = rest.strip_prefix(quote)?;
        let end = inner.find(quote)?;
        Some((inner[..end].to_owned(), &inner[end + 1..]))
    };
    if let Some((text, after)) = quoted('"').or_else(|| quoted('\'')) {
        return Some((Token::Text(text), after));
    }
    if let Some((pattern, after)) = quoted('/') {
        let flags = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let pattern = match &after[..flags] {
            "" => pattern,
            flags => format!("(?{flags}){pattern}"),
        };
        return Some((Token::Pattern(pattern), &after[flags..]));
    }
    let word = |text: &str| {
        text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(text.len())
    };
    if let Some(name) = rest.strip_prefix('$') {
        let end = word(name);
        return (end > 0).then(|| (Token::Variable(name[..end].to_owned()), &name[end..]));
    }
    let end = word(rest);
    (&rest[..end] == "null").then(|| (Token::Null, &rest[end..]))
}

struct Reader<'a> {
    text: &'a str,
    tokens: &'a [Token],
    known: &'a Known,
}

/// An operand's value.
enum Operand {
    Value(Option<String>),
    Pattern(Regex),
    Whole(bool),
}

impl Operand {
    fn is_true(&self) -> bool {
        match self {
            Self::Value(value) => value.as_ref().is_some_and(|value| !value.is_empty()),
            Self::Pattern(_) => true,
            Self::Whole(value) => *value,
        }
    }
}

impl Reader<'_> {
    fn take(&mut self, operator: &str) -> bool {
        match self.tokens.split_first() {
            Some((Token::Operator(first), rest)) if *first == operator => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn any(&mut self) -> Result<bool, ConfigError> {
        let mut value = self.all()?;
        while self.take("||") {
            // Both sides are parsed, whatever the first one is.
            value |= self.all()?;
        }
        Ok(value)
    }

    fn all(&mut self) -> Result<bool, ConfigError> {
        let mut value = self.comparison()?;
        while self.take("&&") {
            value &= self.comparison()?;
        }
        Ok(value)
    }

    fn comparison(&mut self) -> Result<bool, ConfigError> {
        let left = self.operand()?;
        for operator in ["==", "!=", "=~", "!~"] {
            if self.take(operator) {
                let right = self.operand()?;
                return self.compare(&left, operator, &right);
            }
        }
        Ok(left.is_true())
    }

    fn compare(
        &self,
        left: &Operand,
        operator: &str,
        right: &Operand,
    ) -> Result<bool, ConfigError> {
        match (left, operator, right) {
            (Operand::Value(left), "==", Operand::Value(right)) => Ok(left == right),
            (Operand::Value(left), "!=", Operand::Value(right)) => Ok(left != right),
            (Operand::Value(left), "=~" | "!~", Operand::Pattern(pattern)) => {
                let found = left.as_ref().is_some_and(|left| pattern.is_match(left));
                Ok(found == (operator == "=~"))
            }
            _ => Err(invalid(self.text)),
        }
    }

    fn operand(&mut self) -> Result<Operand, ConfigError> {
        if self.take("(") {
            let value = self.any()?;
            return match self.take(")") {
                true => Ok(Operand::Whole(value)),
                false => Err(invalid(self.text)),
            };
        }
        let Some((first, rest)) = self.tokens.split_first() else {
            return Err(invalid(self.text));
        };
        self.tokens = rest;
        Ok(match first {
            Token::Variable(name) => Operand::Value(self.known.get(name).cloned()),
            Token::Text(text) => Operand::Value(Some(text.clone())),
            Token::Null => Operand::Value(None),
            Token::Pattern(pattern) => {
                Operand::Pattern(Regex::new(pattern).map_err(|_| invalid(self.text))?)
            }
            Token::Operator(_) => return Err(invalid(self.text)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluates_comparisons_and_combinations() {
        let known: Known = [("A", "x"), ("E", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        for (text, wanted) in [
            ("$A", true),
            ("$E", false),
            ("$N", false),
            ("$A == \"x\"", true),
            ("$A == 'y'", false),
            ("$A != 'y'", true),
            ("$N == null", true),
            ("$E != null", true),
            ("$A && $E || $A == 'x'", true),
            ("$A && ($E || $N)", false),
            ("$A =~ /^X$/i", true),
            ("$A !~ /y/", true),
        ] {
            assert_eq!(holds(text, &known), Ok(wanted), "{text}");
        }
        for text in [
            "$A ==",
            "A == 'x'",
            "$A = 'x'",
            "$A 'x'",
            "($A",
            "$A =~ 'x'",
        ] {
            assert!(holds(text, &known).is_err(), "{text}");
        }
    }
}
