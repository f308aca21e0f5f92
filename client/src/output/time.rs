//! Times and durations in the form that people read and write.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Returns the time of day in the local time zone.
pub(crate) fn clock(at: Timestamp) -> String {
    let local = at.to_zoned(TimeZone::system());
    local.strftime("%H:%M:%S").to_string()
}

/// Returns date and time in the local time zone.
pub(crate) fn date(at: Timestamp) -> String {
    let local = at.to_zoned(TimeZone::system());
    local.strftime("%Y-%m-%d %H:%M").to_string()
}

/// Says how long ago something was, with one unit: `now`, `12 min ago`, `3 h ago`, `4 days ago`.
pub(crate) fn ago(now: Timestamp, at: Timestamp) -> String {
    // An instant in the future is one of a server whose clock is ahead.
    let minutes = now.duration_since(at).as_mins().max(0);
    match minutes {
        0 => "now".to_owned(),
        1..60 => format!("{minutes} min ago"),
        60..2880 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    }
}

/// Formats a duration: `3.1 s`, `2 min 05 s`, `1 h 02 min`.
pub(crate) fn duration(duration: SignedDuration) -> String {
    let millis = duration.as_millis().max(0);
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{}.{} s", seconds, millis % 1000 / 100),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Formats the time between two instants, if both are known.
pub(crate) fn between(start: Option<Timestamp>, end: Option<Timestamp>) -> Option<String> {
    Some(duration(end?.duration_since(start?)))
}

/// Parses `90s`, `15m`, `12h`, `30d` or `8w` as seconds.
pub(crate) fn parse_seconds(text: &str) -> Result<u32, String> {
    let invalid =
        || format!("`{text}` is not a duration: expected for example 90s, 12h, 30d or 8w");
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .ok_or_else(invalid)?;
    let (number, unit) = text.split_at(unit_at);
    let number: u32 = number.parse().map_err(|_| invalid())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return Err(invalid()),
    };
    match number.checked_mul(seconds) {
        Some(0) => Err(format!("`{text}` is too short: expected at least 1s")),
        Some(seconds) => Ok(seconds),
        None => Err(format!("`{text}` is too long: expected at most 7101w")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_durations_with_two_units() {
        let text = |millis| duration(SignedDuration::from_millis(millis));
        assert_eq!(text(-5), "0.0 s");
        assert_eq!(text(3_149), "3.1 s");
        assert_eq!(text(125_000), "2 min 05 s");
        assert_eq!(text(3_720_000), "1 h 02 min");
    }

    #[test]
    fn says_how_long_ago_with_one_unit() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let text = |seconds| ago(now, now - SignedDuration::from_secs(seconds));
        assert_eq!(text(-90), "now");
        assert_eq!(text(59), "now");
        assert_eq!(text(12 * 60 + 5), "12 min ago");
        assert_eq!(text(47 * 3_600), "47 h ago");
        assert_eq!(text(49 * 3_600), "2 days ago");
    }

    #[test]
    fn parses_durations() {
        assert_eq!(parse_seconds("30d"), Ok(2_592_000));
        assert_eq!(parse_seconds("90s"), Ok(90));
        for bad in ["", "d", "30", "1y", "0d", "-1d", "99999w", "3 d"] {
            assert!(parse_seconds(bad).is_err(), "{bad:?}");
        }
    }
}
