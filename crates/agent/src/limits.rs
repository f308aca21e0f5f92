//! Resource limits of one build, as command line arguments. The server sets the time limit.

use std::time::Duration;

use buildbtw_builder::Limits;
use buildbtw_model::settings::number;
use clap::Args;

/// Limits of one build.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits of one build")]
pub struct LimitArgs {
    /// Memory of all processes together, in MiB
    ///
    /// Range: 64 to 1073741824.
    #[arg(long, value_name = "MIB", env = "BUILDBTW_LIMIT_MEMORY_MIB", default_value_t = 8192,
        value_parser = number::<u64>(64..=1 << 30))]
    limit_memory_mib: u64,
    /// Disk space, in MiB
    ///
    /// Counts installed dependencies, sources, the build tree and packages. Space in the scratch
    /// folder is taken only as it is used; with files in memory, the memory limit applies as well.
    /// Range: 64 to 1073741824.
    #[arg(long, value_name = "MIB", env = "BUILDBTW_LIMIT_DISK_MIB", default_value_t = 40_960,
        value_parser = number::<u64>(64..=1 << 30))]
    limit_disk_mib: u64,
    /// Number of processes and threads
    ///
    /// Range: 32 to 4194304.
    #[arg(long, value_name = "COUNT", env = "BUILDBTW_LIMIT_PROCESSES", default_value_t = 4096,
        value_parser = number::<u64>(32..=1 << 22))]
    limit_processes: u64,
    /// Seconds without a line of output
    ///
    /// Range: 1 to 2592000.
    #[arg(long, value_name = "SECONDS", env = "BUILDBTW_LIMIT_SILENCE_SECONDS", default_value_t = 3600,
        value_parser = number::<u64>(1..=30 * 86_400))]
    limit_silence_seconds: u64,
    /// Size of the log, in MiB
    ///
    /// The server has a limit of its own. Range: 1 to 1048576.
    #[arg(long, value_name = "MIB", env = "BUILDBTW_LIMIT_LOG_MIB", default_value_t = 64,
        value_parser = number::<u64>(1..=1 << 20))]
    limit_log_mib: u64,
    /// Size of all packages of a build together, in MiB
    ///
    /// The server has a limit per package. Range: 1 to 1073741824.
    #[arg(long, value_name = "MIB", env = "BUILDBTW_LIMIT_OUTPUT_MIB", default_value_t = 4096,
        value_parser = number::<u64>(1..=1 << 30))]
    limit_output_mib: u64,
    /// Do not use cgroups
    ///
    /// The memory limit then applies to each process, not to all together.
    #[arg(long, env = "BUILDBTW_NO_CGROUPS", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_cgroups: bool,
}

impl LimitArgs {
    /// Returns the limits, with defaults for those without an argument.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            silence: Duration::from_secs(self.limit_silence_seconds),
            memory_bytes: self.limit_memory_mib << 20,
            processes: self.limit_processes,
            disk_bytes: self.limit_disk_mib << 20,
            log_bytes: self.limit_log_mib << 20,
            output_bytes: self.limit_output_mib << 20,
            ..Limits::default()
        }
    }
}
