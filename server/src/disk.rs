//! The space on the disk of the data folder, and the reserve below which the server accepts nothing that needs more:
//! uploads, namespaces, iterations and dispatch wait, so that outcomes, logs and deletions still have room.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use buildbtw_metrics::Space;
use buildbtw_model::Explanation;
use buildbtw_model::api::ProblemKind;

use crate::error::{Error, Refusal};
use crate::outage::Failure;
use crate::wakers::Waker;

/// The pause between two measurements during a shortage.
pub(crate) const PAUSE_DURING_SHORTAGE: Duration = Duration::from_secs(5);
/// The default reserve is this part of the disk …
const DEFAULT_PART: u64 = 20;
/// … but no more than this.
const MAX_DEFAULT_RESERVE: u64 = 5 << 30;
/// The least free space where there is no reserve: enough for the database to write what is in progress.
pub(crate) const MIN_FREE_SPACE: u64 = 64 << 20;
/// A shortage ends when this part of the reserve is free in addition to it, so that it does not begin again at once.
const MARGIN: u64 = 10;

/// Less free space than the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The free space in bytes.
    pub free: u64,
    /// The reserve in bytes.
    pub reserve: u64,
}

impl Shortage {
    /// Returns what pages, command line and log say during it.
    #[must_use]
    pub fn failure(self) -> Failure {
        let Self { free, reserve } = self;
        Failure::DiskReserve { free, reserve }
    }
}

/// Measures the disk of a folder.
type Measure = dyn Fn(&Path) -> io::Result<Space> + Send + Sync;

/// The disk of the data folder. Cheap to clone.
#[derive(Clone)]
pub struct Disk(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    measure: Box<Measure>,
    reserve: u64,
    is_short: AtomicBool,
    /// Woken when a request finds a shortage.
    found: Waker,
}

impl Disk {
    /// Measures the disk of a folder, and chooses the reserve if `reserve_mib` does not set it.
    ///
    /// # Errors
    /// When the disk cannot be measured, or is smaller than its reserve.
    pub fn open(folder: &Path, reserve_mib: Option<u32>) -> anyhow::Result<Self> {
        Self::measured_by(folder, reserve_mib, Box::new(buildbtw_metrics::space))
    }

    fn measured_by(
        folder: &Path,
        reserve_mib: Option<u32>,
        measure: Box<Measure>,
    ) -> anyhow::Result<Self> {
        let space = measure(folder).map_err(|error| not_measured(folder, &error))?;
        let reserve = match reserve_mib {
            Some(mib) => u64::from(mib) << 20,
            None => (space.total / DEFAULT_PART).min(MAX_DEFAULT_RESERVE),
        };
        anyhow::ensure!(reserve <= space.total, large_reserve(folder, reserve));
        Ok(Self(Arc::new(Inner {
            folder: folder.to_owned(),
            measure,
            reserve,
            is_short: AtomicBool::new(false),
            found: Waker::default(),
        })))
    }

    /// Returns the measured folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Returns the current space.
    ///
    /// # Errors
    /// When the disk cannot be measured.
    pub fn space(&self) -> io::Result<Space> {
        (self.0.measure)(&self.0.folder)
    }

    /// Returns the reserve in bytes; 0 if there is none.
    #[must_use]
    pub fn reserve(&self) -> u64 {
        self.0.reserve
    }

    /// Waits until a request finds a shortage.
    pub(crate) async fn shortage_found(&self) {
        self.0.found.woken().await;
    }

    /// Measures the disk, and returns the current shortage. A system call, so it is always up to date.
    ///
    /// # Errors
    /// When the disk cannot be measured.
    pub fn shortage(&self) -> io::Result<Option<Shortage>> {
        let reserve = self.0.reserve;
        if reserve == 0 {
            return Ok(None);
        }
        let free = self.space()?.available;
        let limit = match self.0.is_short.load(Ordering::Relaxed) {
            true => reserve + reserve / MARGIN,
            false => reserve,
        };
        let is_short = free < limit;
        if !self.0.is_short.swap(is_short, Ordering::Relaxed) && is_short {
            self.0.found.wake();
        }
        Ok(is_short.then_some(Shortage { free, reserve }))
    }

    /// Returns the current shortage, to show it. None while the disk cannot be measured.
    #[must_use]
    pub fn current_shortage(&self) -> Option<Shortage> {
        self.shortage().ok().flatten()
    }

    /// Checks that there is room for something that is not accepted during a shortage.
    ///
    /// # Errors
    /// During a shortage, or when the disk cannot be measured.
    pub fn ensure_room(&self) -> Result<(), Error> {
        match self.shortage()? {
            Some(shortage) => Err(refusal(&shortage).into()),
            None => Ok(()),
        }
    }

    /// Checks that there is room for an upload of this size.
    ///
    /// # Errors
    /// During a shortage, when the upload would cause one, or when the disk cannot be measured.
    pub fn ensure_room_for(&self, bytes: u64) -> Result<(), Error> {
        self.ensure_room()?;
        let reserve = self.0.reserve;
        if reserve == 0 {
            return Ok(());
        }
        let free = self.space()?.available;
        if free.saturating_sub(bytes) >= reserve {
            return Ok(());
        }
        Err(no_room(&Shortage { free, reserve }, bytes).into())
    }
}

/// Explains that the free space is unknown.
fn not_measured(folder: &Path, error: &io::Error) -> Explanation {
    Explanation::with_hint(
        format!("cannot measure the disk of `{}`: {error}", folder.display()),
        "check that the disk is mounted and works, or choose another --data-dir",
    )
}

/// Explains that a reserve does not fit on the disk.
fn large_reserve(folder: &Path, reserve: u64) -> Explanation {
    Explanation::with_hint(
        format!(
            "--disk-reserve-mib {}: the disk of `{}` is smaller, so the server would never accept \
             anything",
            reserve >> 20,
            folder.display()
        ),
        "choose a smaller reserve, or a --data-dir on a larger disk",
    )
}

/// `Retry-After` during a shortage.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Creates the refusal of an upload that would cause a shortage.
fn no_room(space: &Shortage, bytes: u64) -> Refusal {
    let title = "the server's disk has no room for this upload above its reserve";
    Refusal::new(ProblemKind::Unavailable, title)
        .detail(format!(
            "{} MiB are free, {} MiB are reserved, and the upload has {} MiB",
            space.free >> 20,
            space.reserve >> 20,
            bytes.div_ceil(1 << 20)
        ))
        .hint("delete a namespace, or free space otherwise; the upload is then accepted")
        .retry_after(RETRY_AFTER)
}

fn refusal(shortage: &Shortage) -> Refusal {
    let title = "the server's disk is below its reserve";
    Refusal::new(ProblemKind::Unavailable, title)
        .detail(format!(
            "{} MiB are free, {} MiB are reserved (--disk-reserve-mib)",
            shortage.free >> 20,
            shortage.reserve >> 20
        ))
        .hint("delete a namespace, or free space otherwise; nothing is lost, and the server resumes then")
        .retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// Creates a disk of 1,000 MiB whose free space the test sets.
    fn disk(reserve_mib: Option<u32>) -> anyhow::Result<(Disk, Arc<AtomicU64>)> {
        let free = Arc::new(AtomicU64::new(1_000 * MIB));
        let measured = Arc::clone(&free);
        let measure = move |_: &Path| {
            Ok(Space {
                available: measured.load(Ordering::Relaxed),
                total: 1_000 * MIB,
            })
        };
        let disk = Disk::measured_by(Path::new("data"), reserve_mib, Box::new(measure))?;
        Ok((disk, free))
    }

    #[test]
    fn begins_below_reserve_and_ends_well_above_it() {
        let (disk, free) = disk(Some(100)).unwrap();
        let is_short_with = |mib: u64| {
            free.store(mib * MIB, Ordering::Relaxed);
            disk.shortage().unwrap().is_some()
        };
        assert!(!is_short_with(100));
        assert!(is_short_with(99));
        assert!(is_short_with(105));
        assert!(!is_short_with(110));
        assert!(!is_short_with(105));
    }

    #[test]
    fn refusal_names_free_space_and_reserve() {
        let (disk, free) = disk(Some(100)).unwrap();
        assert!(disk.ensure_room().is_ok());
        free.store(30 * MIB, Ordering::Relaxed);
        let problem = disk.ensure_room().unwrap_err().into_problem();
        assert_eq!(problem.kind, ProblemKind::Unavailable);
        let detail = problem.detail.unwrap();
        assert!(detail.contains("30 MiB are free, 100 MiB"), "{detail}");
        assert!(problem.hint.unwrap().contains("delete a namespace"));
        let shortage = disk.shortage().unwrap().unwrap().failure().to_string();
        assert!(shortage.contains("30 MiB are free, 100 MiB"), "{shortage}");
    }

    #[test]
    fn refuses_upload_that_would_use_the_reserve() {
        let (disk, free) = disk(Some(100)).unwrap();
        free.store(150 * MIB, Ordering::Relaxed);
        assert!(disk.ensure_room_for(50 * MIB).is_ok());
        let problem = disk.ensure_room_for(51 * MIB).unwrap_err().into_problem();
        assert_eq!(problem.kind, ProblemKind::Unavailable);
        assert!(problem.detail.unwrap().contains("51 MiB"));
        // It is too large for the disk, but others are not.
        assert!(disk.ensure_room().is_ok());
    }

    #[test]
    fn reserves_a_twentieth_by_default_and_nothing_on_request() {
        assert_eq!(disk(None).unwrap().0.reserve(), 50 * MIB);
        let (none, free) = disk(Some(0)).unwrap();
        free.store(0, Ordering::Relaxed);
        assert!(none.ensure_room_for(MIB).is_ok());
        let refused = disk(Some(1_001)).err().unwrap().to_string();
        assert!(refused.contains("--disk-reserve-mib 1001"), "{refused}");
    }

    #[test]
    fn errors_of_the_start_match_snapshot() {
        let data = Path::new("/srv/data");
        let errors = [
            not_measured(data, &io::Error::from_raw_os_error(5)),
            large_reserve(data, 2_048 << 20),
        ];
        insta::assert_snapshot!(errors.map(|error| error.to_string()).join("\n\n"));
    }

    #[test]
    fn refusals_match_snapshot() {
        let shortage = Shortage {
            free: 1_000 << 20,
            reserve: 5_120 << 20,
        };
        let text = crate::testing::refusals([
            ("disk below its reserve", refusal(&shortage).into()),
            ("large upload", no_room(&shortage, 2_048 << 20).into()),
        ]);
        insta::assert_snapshot!(text);
    }
}
