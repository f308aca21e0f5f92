//! When a rebuild is expected to end, as people read it.

use buildbtw_model::IterationStatus;
use buildbtw_model::api::IterationSummary;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Ranges begin and end at multiples of this, because estimates are not exact to the minute.
const STEP_S: i64 = 300;

/// When a rebuild is expected to end, and how much of it is not known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Eta {
    from: Option<Timestamp>,
    middle: Option<Timestamp>,
    to: Option<Timestamp>,
    /// How many of the builds that have not ended have no known duration.
    unknown: u64,
    /// How many builds have not ended.
    open: u64,
}

impl Eta {
    /// Returns that of an iteration; an ended one has none.
    pub(crate) fn of(summary: &IterationSummary) -> Self {
        if summary.status != IterationStatus::Running {
            return Self::default();
        }
        let counts = &summary.counts;
        Self {
            from: summary.eta_from,
            middle: summary.eta,
            to: summary.eta_to,
            unknown: summary.unknown_durations,
            open: counts.blocked + counts.ready + counts.building,
        }
    }

    /// Formats the time: `14:00 to 15:30`, `by 15:30`, `unknown`.
    pub(crate) fn time(&self, now: Timestamp) -> Option<String> {
        self.time_in(now, &TimeZone::system())
    }

    /// Formats the time in few columns: `14:00 to 15:30 (12 unknown)`.
    pub(crate) fn brief(&self, now: Timestamp) -> Option<String> {
        let time = self.time(now)?;
        Some(match self.unknown {
            // That it is unknown says enough.
            0 => time,
            _ if self.middle.is_none() => time,
            unknown => format!("{time} ({unknown} unknown)"),
        })
    }

    /// Formats the time: `14:00 to 15:30 (12 of 40 durations unknown)`.
    pub(crate) fn text(&self, now: Timestamp) -> Option<String> {
        let time = self.time(now)?;
        let (unknown, open) = (self.unknown, self.open);
        Some(match unknown {
            0 => time,
            _ => format!("{time} ({unknown} of {open} durations unknown)"),
        })
    }

    fn time_in(&self, now: Timestamp, zone: &TimeZone) -> Option<String> {
        let Some(middle) = self.middle else {
            return (self.unknown > 0).then(|| "unknown".to_owned());
        };
        // Older servers expect a time, not a range.
        let (from, to) = (self.from.unwrap_or(middle), self.to.unwrap_or(middle));
        if to <= now {
            return None;
        }
        if to.duration_since(from) < SignedDuration::from_secs(STEP_S) {
            return Some(format!("about {}", moment(middle.max(now), now, zone)));
        }
        // Rounded first: a range does not begin in the past.
        let (from, to) = (earlier(from), later(to));
        if from <= now {
            return Some(format!("by {}", moment(to, now, zone)));
        }
        let (first, last) = (moment(from, now, zone), moment(to, from, zone));
        Some(format!("{first} to {last}"))
    }
}

/// Rounds down.
fn earlier(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    Timestamp::from_second(second - second.rem_euclid(STEP_S)).unwrap_or(at)
}

/// Rounds up.
fn later(at: Timestamp) -> Timestamp {
    let rounded = at.checked_add(SignedDuration::from_secs(STEP_S - 1));
    rounded.map_or(at, earlier)
}

/// Formats the time of day, with the date if it is not that of `known`.
fn moment(at: Timestamp, known: Timestamp, zone: &TimeZone) -> String {
    let (at, known) = (at.to_zoned(zone.clone()), known.to_zoned(zone.clone()));
    let format = match at.date() == known.date() {
        true => "%H:%M",
        false => "%Y-%m-%d %H:%M",
    };
    at.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-30T{time}Z").parse().unwrap()
    }

    fn eta(from: &str, middle: &str, to: &str) -> Eta {
        let [from, middle, to] = [from, middle, to].map(|time| Some(at(time)));
        Eta {
            from,
            middle,
            to,
            unknown: 0,
            open: 40,
        }
    }

    #[test]
    fn formats_ranges_in_steps_of_five_minutes() {
        let now = at("10:00:00");
        let time = |eta: Eta| eta.time_in(now, &TimeZone::UTC);
        for (from, middle, to, expected) in [
            ("14:04:59", "15:00:00", "15:25:01", "14:00 to 15:30"),
            ("14:05:00", "15:00:00", "15:25:00", "14:05 to 15:25"),
            ("09:00:00", "10:30:00", "11:00:00", "by 11:00"),
            ("10:04:00", "10:30:00", "11:00:00", "by 11:00"),
            ("14:01:00", "14:02:00", "14:03:00", "about 14:02"),
        ] {
            assert_eq!(time(eta(from, middle, to)).as_deref(), Some(expected));
        }
        assert_eq!(time(eta("08:00:00", "09:00:00", "09:30:00")), None);
        assert_eq!(time(Eta::default()), None);
        // A server that knows no ranges.
        let old = Eta {
            middle: Some(at("14:02:00")),
            ..Eta::default()
        };
        assert_eq!(time(old).as_deref(), Some("about 14:02"));
    }

    #[test]
    fn names_the_dates_of_other_days() {
        let time = |now: &str, eta: Eta| eta.time_in(now.parse().unwrap(), &TimeZone::UTC).unwrap();
        let mut eta = eta("22:00:00", "23:00:00", "23:30:00");
        assert_eq!(
            time("2026-11-29T10:00:00Z", eta),
            "2026-11-30 22:00 to 23:30"
        );
        eta.to = Some("2026-12-01T03:00:00Z".parse().unwrap());
        assert_eq!(
            time("2026-11-30T10:00:00Z", eta),
            "22:00 to 2026-12-01 03:00"
        );
    }

    #[test]
    fn says_what_is_unknown() {
        let now = at("10:00:00");
        let mut eta = eta("10:00:00", "10:00:00", "10:00:00");
        (eta.from, eta.middle, eta.to, eta.unknown) = (None, None, None, 40);
        assert_eq!(eta.brief(now).unwrap(), "unknown");
        assert_eq!(
            eta.text(now).unwrap(),
            "unknown (40 of 40 durations unknown)"
        );
        (eta.middle, eta.unknown) = (Some(at("14:00:00")), 12);
        assert!(eta.brief(now).unwrap().ends_with(" (12 unknown)"));
        let text = eta.text(now).unwrap();
        assert!(text.ends_with(" (12 of 40 durations unknown)"), "{text}");
    }
}
