//! Human-readable durations: `6 hours`, `1h 30m`, `90 minutes`.

/// Parses a duration, in seconds.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let text = text
        .trim()
        .to_lowercase()
        .replace(',', " ")
        .replace(" and ", " ");
    if let Ok(plain) = text.parse::<i64>() {
        return Some(plain).filter(|seconds| *seconds > 0);
    }
    let mut sum = 0;
    let mut rest = text.as_str().trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        sum += number.checked_mul(unit(&rest[..letters])?)?;
        rest = rest[letters..].trim_start();
    }
    Some(sum).filter(|seconds| *seconds > 0)
}

fn unit(name: &str) -> Option<i64> {
    Some(match name {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn parses_human_written_durations() {
        for (text, wanted) in [
            ("6 hours", Some(21_600)),
            ("1h 30m", Some(5_400)),
            ("3h30m", Some(12_600)),
            ("90", Some(90)),
            ("1 week and 1 day", Some(691_200)),
            ("soon", None),
            ("", None),
            ("0", None),
            ("5 fortnights", None),
        ] {
            assert_eq!(seconds(text), wanted, "{text}");
        }
    }
}
