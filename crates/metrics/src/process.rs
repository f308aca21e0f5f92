//! The figures of this process, read from `/proc` at each scrape (proc(5)). The names are those that dashboards of all
//! programs use.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Metric, Unit};

/// Reads the figures of this process.
#[derive(Debug)]
pub(crate) struct Process {
    ticks_per_second: f64,
    page_size: u64,
    /// When the machine booted, in seconds since the Unix epoch.
    boot: f64,
}

/// What `/proc/self/stat` says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// Parses the file. The name of the program, in parentheses, may contain anything.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: number(11)? + number(12)?,
            threads: number(17)?,
            start_ticks: number(19)?,
            virtual_bytes: number(20)?,
            resident_pages: number(21)?,
        })
    }
}

impl Process {
    pub(crate) fn new() -> Self {
        Self {
            ticks_per_second: as_f64(rustix::param::clock_ticks_per_second()),
            page_size: u64::try_from(rustix::param::page_size()).unwrap_or(4_096),
            boot: boot_time().unwrap_or_default(),
        }
    }

    fn stat() -> Stat {
        let text = fs_err::read_to_string("/proc/self/stat").unwrap_or_default();
        Stat::parse(&text).unwrap_or_default()
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let stat = Self::stat();
        let cpu = as_f64(stat.cpu_ticks) / self.ticks_per_second;
        let started = self.boot + as_f64(stat.start_ticks) / self.ticks_per_second;
        let resident = stat.resident_pages.saturating_mul(self.page_size);
        let mut write = |name, unit, help, metric: &dyn Metric| {
            let encoder = encoder.encode_descriptor(name, help, unit, metric.metric_type())?;
            metric.encode(encoder)
        };
        write(
            "process_cpu",
            Some(&Unit::Seconds),
            "Processor time of the process",
            &ConstCounter::new(cpu),
        )?;
        write(
            "process_start_time",
            Some(&Unit::Seconds),
            "When the process started, since the Unix epoch",
            &ConstGauge::new(started),
        )?;
        write(
            "process_resident_memory",
            Some(&Unit::Bytes),
            "Memory of the process",
            &ConstGauge::new(resident),
        )?;
        write(
            "process_virtual_memory",
            Some(&Unit::Bytes),
            "Address space of the process",
            &ConstGauge::new(stat.virtual_bytes),
        )?;
        write(
            "process_threads",
            None,
            "Threads of the process",
            &ConstGauge::new(stat.threads),
        )?;
        write(
            "process_open_fds",
            None,
            "Open file descriptors",
            &ConstGauge::new(open_descriptors()),
        )?;
        write(
            "process_max_fds",
            None,
            "Maximum number of open file descriptors",
            &ConstGauge::new(most_descriptors()),
        )
    }
}

/// Counts open descriptors, without the one that reads the folder.
fn open_descriptors() -> u64 {
    let count = fs_err::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    u64::try_from(count.saturating_sub(1)).unwrap_or(u64::MAX)
}

fn most_descriptors() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.unwrap_or(u64::MAX)
}

/// Returns when the machine booted (proc(5), `btime`).
fn boot_time() -> Option<f64> {
    let text = fs_err::read_to_string("/proc/stat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures of a process are far below 2^53"
)]
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_stat_of_a_program_with_a_strange_name() {
        let fields: Vec<String> = (3..=24).map(|number| number.to_string()).collect();
        let text = format!("42 (a ) (b) S {}", fields[1..].join(" "));
        let stat = Stat::parse(&text).unwrap();
        let expected = Stat {
            cpu_ticks: 14 + 15,
            threads: 20,
            start_ticks: 22,
            virtual_bytes: 23,
            resident_pages: 24,
        };
        assert_eq!(stat, expected);
        assert_eq!(Stat::parse("42 (a) S 1"), None);
    }

    #[test]
    fn reads_own_process() {
        let stat = Process::stat();
        assert!(stat.threads > 0 && stat.resident_pages > 0 && stat.start_ticks > 0);
        assert!(open_descriptors() > 0 && open_descriptors() < most_descriptors());
        assert!(boot_time().unwrap() > 1e9);
    }
}
