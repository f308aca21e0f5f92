//! Limits memory and processes of a whole build: by cgroup v2 where it has the controllers, otherwise by v1,
//! otherwise per process.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::request::Limits;

const MOUNT: &str = "/sys/fs/cgroup";

/// The cgroup of one attempt; with v1 it has several folders.
#[derive(Debug, Default)]
pub(crate) struct Cgroup {
    folders: Vec<PathBuf>,
}

/// The limits that were exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) memory: bool,
    pub(crate) processes: bool,
}

impl Exceeded {
    /// Describes the exceeded limit as human-readable text.
    pub(crate) fn describe(self, limits: &Limits) -> Option<String> {
        if self.memory {
            let bytes = limits.memory_bytes;
            return Some(format!("the memory limit of {bytes} bytes was exceeded"));
        }
        let processes = limits.processes;
        self.processes
            .then(|| format!("the limit of {processes} processes was exceeded"))
    }
}

impl Cgroup {
    /// Creates the cgroup; returns `None` where the host does not allow creating one.
    pub(crate) fn create(name: &str, limits: &Limits) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        create_v2(Path::new(MOUNT), name, &own, limits).or_else(|| create_v1(name, &own, limits))
    }

    /// Returns the folders that [`Self::create`] may create, to be recorded before it does.
    pub(crate) fn candidates(name: &str) -> Vec<PathBuf> {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mount = Path::new(MOUNT);
        let v2 = parents_v2(mount, &own).into_iter().flatten();
        let v1 = CONTROLLERS.iter().flat_map(|(controller, _)| {
            let parents = parents_v1(&mount.join(controller), controller, &own);
            parents.into_iter().flatten()
        });
        v2.chain(v1).map(|parent| parent.join(name)).collect()
    }

    /// Returns the cgroup with these folders, which were created earlier.
    pub(crate) fn from_folders(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// Returns the files through which a process joins the cgroup.
    pub(crate) fn procs(&self) -> Vec<PathBuf> {
        self.folders
            .iter()
            .map(|f| f.join("cgroup.procs"))
            .collect()
    }

    /// Returns the limits that were exceeded so far.
    pub(crate) fn exceeded(&self) -> Exceeded {
        let count = |file: &str, key: &str| {
            self.folders.iter().any(|folder| {
                let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
                text.lines()
                    .filter_map(|line| line.split_once(' '))
                    .any(|(name, value)| name == key && value.trim() != "0")
            })
        };
        Exceeded {
            memory: count("memory.events", "oom_kill") || count("memory.oom_control", "oom_kill"),
            processes: count("pids.events", "max"),
        }
    }

    /// Kills the remaining processes and removes the cgroup.
    pub(crate) async fn remove(&self) -> io::Result<()> {
        // Killed processes leave a moment later, and v1 has no notification for it.
        const TRIES: u32 = 200;
        for try_number in 0..TRIES {
            match self.try_remove() {
                Ok(()) => return Ok(()),
                Err(error) if try_number + 1 == TRIES => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        Ok(())
    }

    fn try_remove(&self) -> io::Result<()> {
        for folder in &self.folders {
            if !fs::exists(folder)? {
                continue;
            }
            if fs::write(folder.join("cgroup.kill"), "1").is_err() {
                for line in fs::read_to_string(folder.join("cgroup.procs"))?.lines() {
                    if let Ok(pid) = line.parse() {
                        // The process may have exited already.
                        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                    }
                }
            }
            fs::remove_dir(folder)?;
        }
        Ok(())
    }
}

/// Returns whether builds of this process get cgroups, by creating one.
pub async fn has_cgroups() -> bool {
    let name = format!("buildbtw-doctor-{}", std::process::id());
    let Some(cgroup) = Cgroup::create(&name, &Limits::default()) else {
        return false;
    };
    // It is empty. One that cannot be removed is of no use to builds either.
    cgroup.remove().await.is_ok()
}

/// Returns the folders in which a group may be created. A group with processes cannot limit children; the new
/// one is then created next to ours.
fn parents_v2(mount: &Path, own: &str) -> Option<[PathBuf; 2]> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let own = mount.join(own);
    let above = own.parent()?.to_owned();
    Some([own, above])
}

fn create_v2(mount: &Path, name: &str, own: &str, limits: &Limits) -> Option<Cgroup> {
    let parent = parents_v2(mount, own)?
        .into_iter()
        .filter(|parent| parent.starts_with(mount))
        .find(|parent| can_limit_children(parent))?;
    let folder = parent.join(name);
    fs::create_dir(&folder).ok()?;
    let set = |file: &str, value: u64| fs::write(folder.join(file), value.to_string());
    let limited =
        set("memory.max", limits.memory_bytes).is_ok() && set("pids.max", limits.processes).is_ok();
    if !limited {
        // The group is empty, so this removes it completely.
        let _ = fs::remove_dir(&folder);
        return None;
    }
    // Not every kernel counts swap.
    let _ = set("memory.swap.max", 0);
    Some(Cgroup {
        folders: vec![folder],
    })
}

/// Enables the controllers for children of the group, and returns whether they are enabled.
fn can_limit_children(group: &Path) -> bool {
    let control = group.join("cgroup.subtree_control");
    let has_both = || {
        fs::read_to_string(&control).is_ok_and(|text| {
            ["memory", "pids"]
                .iter()
                .all(|name| text.split_whitespace().any(|word| word == *name))
        })
    };
    has_both() || (fs::write(&control, "+memory +pids").is_ok() && has_both())
}

/// The v1 controllers in use, each with the file of its limit.
const CONTROLLERS: [(&str, &str); 2] = [("memory", "memory.limit_in_bytes"), ("pids", "pids.max")];

/// Returns the folders in which a group of a controller may be created. In a container, the path may refer to
/// the host.
fn parents_v1(mount: &Path, controller: &str, own: &str) -> Option<[PathBuf; 2]> {
    let own = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers
            .split(',')
            .any(|name| name == controller)
            .then(|| path.trim_start_matches('/'))
    });
    Some([mount.join(own?), mount.to_owned()])
}

fn create_v1(name: &str, own: &str, limits: &Limits) -> Option<Cgroup> {
    let mut cgroup = Cgroup::default();
    let values = [limits.memory_bytes, limits.processes];
    for ((controller, file), value) in CONTROLLERS.into_iter().zip(values) {
        let parents = parents_v1(&Path::new(MOUNT).join(controller), controller, own);
        let created = parents.into_iter().flatten().find_map(|parent| {
            let folder = parent.join(name);
            fs::create_dir(&folder).ok()?;
            Some(folder)
        });
        let limited = created
            .as_ref()
            .is_some_and(|folder| fs::write(folder.join(file), value.to_string()).is_ok());
        cgroup.folders.extend(created);
        if !limited {
            // The groups are empty, so this removes them completely.
            let _ = cgroup.try_remove();
            return None;
        }
    }
    Some(cgroup)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder in the layout of cgroup v2: shows what is written where, without a kernel that acts
    /// on it.
    #[test]
    fn creates_one_group_with_both_limits_in_cgroup_v2() {
        let mount = tempfile::tempdir().unwrap();
        let own = mount.path().join("system.slice/worker.service");
        fs::create_dir_all(&own).unwrap();
        // The own group contains processes, so it cannot enable controllers; its parent does.
        let offered = own.parent().unwrap().join("cgroup.subtree_control");
        fs::write(offered, "cpu memory pids").unwrap();
        fs::create_dir(own.join("cgroup.subtree_control")).unwrap();
        let limits = Limits {
            memory_bytes: 1 << 30,
            processes: 64,
            ..Limits::default()
        };
        let line = "0::/system.slice/worker.service\n";
        let cgroup = create_v2(mount.path(), "buildbtw-x", line, &limits).unwrap();
        let folder = mount.path().join("system.slice/buildbtw-x");
        assert_eq!(cgroup.folders, std::slice::from_ref(&folder));
        let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
        assert_eq!(read("memory.max"), "1073741824");
        assert_eq!(read("memory.swap.max"), "0");
        assert_eq!(read("pids.max"), "64");

        let elsewhere = "0::/../../etc\n";
        assert!(create_v2(mount.path(), "y", elsewhere, &limits).is_none());
        assert!(create_v2(mount.path(), "y", "1:name=x:/\n", &limits).is_none());
    }

    #[test]
    fn reads_counters_of_both_cgroup_versions() {
        let folder = tempfile::tempdir().unwrap();
        let cgroup = Cgroup::from_folders(vec![folder.path().to_owned()]);
        assert_eq!(cgroup.exceeded(), Exceeded::default());
        fs::write(folder.path().join("memory.events"), "oom 3\noom_kill 1\n").unwrap();
        fs::write(folder.path().join("pids.events"), "max 0\n").unwrap();
        let exceeded = cgroup.exceeded();
        assert!(exceeded.memory && !exceeded.processes);
        fs::write(folder.path().join("memory.events"), "oom_kill 0\n").unwrap();
        let v1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n";
        fs::write(folder.path().join("memory.oom_control"), v1).unwrap();
        fs::write(folder.path().join("pids.events"), "max 12\n").unwrap();
        let exceeded = cgroup.exceeded();
        assert!(exceeded.memory && exceeded.processes);
    }
}
