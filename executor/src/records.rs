//! Records of attempts, for metrics. The processes of jobs are short-lived, so each appends a line to a file, which
//! the command `metrics` reads.

use std::fs::Permissions;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use buildbtw_model::api::Outcome;
use buildbtw_model::{FailureKind, saturating};
use serde::{Deserialize, Serialize};

/// The file, in the state folder.
const FILE: &str = "attempts";
/// The one before.
const OLD: &str = "attempts.old";
/// A longer file is replaced: about 15,000 attempts.
const LONGEST: u64 = 1 << 20;

/// An attempt that ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The kind of its failure, if it failed.
    pub(crate) failure: Option<FailureKind>,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// Records an attempt. A failure does not matter for its job: it is logged.
pub(crate) fn append(state_dir: &Path, outcome: &Outcome, took: Duration) {
    let failure = match outcome {
        Outcome::Succeeded { .. } => None,
        Outcome::Failed { kind, .. } => Some(*kind),
    };
    let record = Record {
        failure,
        seconds: took.as_secs_f64(),
    };
    if let Err(error) = write(state_dir, record) {
        tracing::warn!(%error, "cannot record the attempt for metrics");
    }
}

fn write(state_dir: &Path, record: Record) -> io::Result<()> {
    let path = state_dir.join(FILE);
    if fs_err::metadata(&path).is_ok_and(|file| file.len() > LONGEST) {
        // Another job may do the same at this moment, and then finds a short file or none.
        let _ = fs_err::rename(&path, state_dir.join(OLD));
    }
    let mut line = serde_json::to_vec(&record).map_err(io::Error::other)?;
    line.push(b'\n');
    let mut file = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)?;
    // The user of gitlab-runner may read it, whatever the umask of this process is.
    file.set_permissions(Permissions::from_mode(0o644))?;
    // One write, so that lines of jobs that end at the same time do not mix.
    file.write_all(&line)
}

/// Reads the records that were appended since the last call.
#[derive(Debug)]
pub(crate) struct Reader {
    state_dir: PathBuf,
    /// The file that was read last, and how far.
    at: Option<(u64, u64)>,
}

impl Reader {
    /// Creates a reader that begins with the oldest record.
    pub(crate) fn new(state_dir: PathBuf) -> Self {
        Self {
            state_dir,
            at: None,
        }
    }

    /// Returns the new records. Lines that are not records are skipped.
    pub(crate) fn read(&mut self) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        for name in [OLD, FILE] {
            let file = match fs_err::File::open(self.state_dir.join(name)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let inode = file.metadata()?.ino();
            let offset = match self.at {
                Some((known, offset)) if known == inode => offset,
                // It was read to its end before the current one.
                Some(_) if name == OLD => continue,
                _ => 0,
            };
            let end = read_from(file, offset, &mut records)?;
            self.at = Some((inode, end));
        }
        Ok(records)
    }
}

/// Reads complete lines from an offset. Returns where the next one begins.
fn read_from(mut file: fs_err::File, offset: u64, records: &mut Vec<Record>) -> io::Result<u64> {
    file.seek(SeekFrom::Start(offset))?;
    let mut end = offset;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = reader.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Ok(end);
        }
        end += saturating::<u64, _>(count);
        records.extend(serde_json::from_slice::<Record>(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seconds: f64) -> Record {
        Record {
            failure: None,
            seconds,
        }
    }

    #[test]
    fn reads_each_record_once_also_after_the_file_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let mut reader = Reader::new(folder.path().to_owned());
        assert!(reader.read().unwrap().is_empty());
        write(folder.path(), record(1.0)).unwrap();
        assert_eq!(reader.read().unwrap(), [record(1.0)]);
        assert!(reader.read().unwrap().is_empty());
        write(folder.path(), record(2.0)).unwrap();
        fs_err::rename(folder.path().join(FILE), folder.path().join(OLD)).unwrap();
        write(folder.path(), record(3.0)).unwrap();
        assert_eq!(reader.read().unwrap(), [record(2.0), record(3.0)]);
        assert!(reader.read().unwrap().is_empty());
        let mut fresh = Reader::new(folder.path().to_owned());
        assert_eq!(fresh.read().unwrap().len(), 3);
    }

    #[test]
    fn skips_incomplete_and_foreign_lines() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), record(1.0)).unwrap();
        let mut file = fs_err::OpenOptions::new()
            .append(true)
            .open(folder.path().join(FILE))
            .unwrap();
        file.write_all(b"nonsense\n{\"failure\":\"timeout\",")
            .unwrap();
        let mut reader = Reader::new(folder.path().to_owned());
        assert_eq!(reader.read().unwrap(), [record(1.0)]);
        file.write_all(b"\"seconds\":4}\n").unwrap();
        let timeout = Record {
            failure: Some(FailureKind::Timeout),
            seconds: 4.0,
        };
        assert_eq!(reader.read().unwrap(), [timeout]);
    }

    #[test]
    fn replaces_long_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs_err::write(&path, vec![b'x'; usize::try_from(LONGEST).unwrap() + 1]).unwrap();
        write(folder.path(), record(1.0)).unwrap();
        assert!(fs_err::metadata(&path).unwrap().len() < 100);
        assert!(folder.path().join(OLD).exists());
    }
}
