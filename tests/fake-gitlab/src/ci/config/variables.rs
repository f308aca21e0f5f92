//! Variables in texts.

use super::Known;

/// Expands `$NAME` and `${NAME}`; unknown variables are empty, `$$` is a dollar sign.
pub(crate) fn expand(text: &str, known: &Known) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let braced = rest.strip_prefix('{').and_then(|inner| {
            let end = inner.find('}')?;
            Some((&inner[..end], &inner[end + 1..]))
        });
        let (name, after) = braced.unwrap_or_else(|| {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            rest.split_at(end)
        });
        if name.is_empty() {
            out.push('$');
            continue;
        }
        out.push_str(known.get(name).map_or("", String::as_str));
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_known_variables() {
        let known: Known = [("A".to_owned(), "1".to_owned())].into();
        for (text, wanted) in [
            ("x $A y", "x 1 y"),
            ("${A}B", "1B"),
            ("$B.", "."),
            ("$$A", "$A"),
            ("5 $ or $", "5 $ or $"),
        ] {
            assert_eq!(expand(text, &known), wanted);
        }
    }
}
