//! Human-readable times and durations. The script formats them in the same way when it updates them.

use askama::Template;
use jiff::Timestamp;

use super::html_part;

/// A time, relative to now.
#[derive(Template)]
#[template(path = "parts/when.html")]
pub(crate) struct TimeAgo {
    datetime: String,
    absolute: String,
    relative: String,
}

impl TimeAgo {
    pub(crate) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self {
            datetime: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            absolute: at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            relative: ago(seconds_between(at, now)),
        }
    }
}

/// A duration that may be running.
#[derive(Template)]
#[template(path = "parts/elapsed.html")]
pub(crate) struct Elapsed {
    text: String,
    /// When it began, while it is running.
    since: Option<String>,
}

impl Elapsed {
    /// Returns the duration between two times.
    pub(crate) fn between(from: Timestamp, to: Timestamp) -> Self {
        Self {
            text: duration(seconds_between(from, to)),
            since: None,
        }
    }

    /// Returns the running duration since a time.
    pub(crate) fn since(from: Timestamp, now: Timestamp) -> Self {
        Self {
            text: duration(seconds_between(from, now)),
            since: Some(from.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        }
    }
}

/// An expected time.
#[derive(Template)]
#[template(path = "parts/expected.html")]
pub(crate) struct Expected {
    datetime: String,
    absolute: String,
    text: String,
}

impl Expected {
    /// Returns a time between two others.
    pub(crate) fn between(from: Timestamp, to: Timestamp, now: Timestamp) -> Self {
        let (first, last) = (seconds_between(now, from), seconds_between(now, to));
        let absolute = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        Self {
            datetime: to.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            absolute: format!("{} to {}", absolute(from), absolute(to)),
            text: match (rough(first), rough(last)) {
                _ if last < 60 => "within a minute".to_owned(),
                (_, last) if first < 60 => format!("within {last}"),
                (first, last) if first == last => format!("in about {last}"),
                (first, last) => format!("in {first} to {last}"),
            },
        }
    }
}

/// Formats an estimated duration, which has no seconds.
fn rough(seconds: u64) -> String {
    let minutes = seconds / 60;
    match seconds {
        0..3_600 => format!("{minutes}m"),
        _ => duration(seconds),
    }
}

html_part!(TimeAgo, Elapsed, Expected);

/// Returns the seconds between two times; zero if a clock was set back.
fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    let seconds = to.as_second().saturating_sub(from.as_second());
    seconds.max(0).unsigned_abs()
}

fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if minutes == 0 {
        format!("{seconds}s")
    } else if hours == 0 {
        format!("{minutes}m {:02}s", seconds % 60)
    } else if days == 0 {
        format!("{hours}h {:02}m", minutes % 60)
    } else {
        format!("{days}d {:02}h", hours % 24)
    }
}

fn ago(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if minutes == 0 {
        "just now".to_owned()
    } else if hours == 0 {
        format!("{minutes} min ago")
    } else if days == 0 {
        format!("{hours} h ago")
    } else if days == 1 {
        "1 day ago".to_owned()
    } else {
        format!("{days} days ago")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_durations_with_at_most_two_units() {
        let texts = [0, 59, 60, 3_599, 3_661, 90_000].map(duration);
        assert_eq!(
            texts,
            ["0s", "59s", "1m 00s", "59m 59s", "1h 01m", "1d 01h"]
        );
    }

    #[test]
    fn formats_ages_with_one_unit() {
        let texts = [0, 60, 7_200, 86_400, 200_000].map(ago);
        assert_eq!(
            texts,
            [
                "just now",
                "1 min ago",
                "2 h ago",
                "1 day ago",
                "2 days ago"
            ]
        );
    }

    #[test]
    fn rounds_estimates() {
        let now: Timestamp = "2026-01-02T03:00:00Z".parse().unwrap();
        for (from, to, expected) in [
            ("02:00:00", "02:30:00", ">within a minute<"),
            ("03:00:20", "03:00:50", ">within a minute<"),
            ("02:00:00", "03:40:30", ">within 40m<"),
            ("03:05:10", "03:05:50", ">in about 5m<"),
            ("03:40:10", "05:05:50", ">in 40m to 2h 05m<"),
        ] {
            let at = |time| format!("2026-01-02T{time}Z").parse().unwrap();
            let expects = Expected::between(at(from), at(to), now);
            let html = expects.render().unwrap();
            assert!(html.contains(expected), "{html}");
        }
    }

    #[test]
    fn tolerates_clock_set_back() {
        let later: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let earlier: Timestamp = "2026-01-02T03:00:00Z".parse().unwrap();
        let when = TimeAgo::new(later, earlier).render().unwrap();
        assert!(when.contains("just now"), "{when}");
        assert!(when.contains("title=\"2026-01-02 03:04:05 UTC\""), "{when}");
        assert!(
            Elapsed::between(later, earlier)
                .render()
                .unwrap()
                .contains("0s")
        );
    }
}
