use super::*;

fn measured(folder: &Path) -> u64 {
    let mut measured = Measured::new(u64::MAX);
    measured.add(folder).unwrap();
    measured.bytes
}

#[test]
fn counts_hard_links_once_and_follows_no_symlinks() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("folder");
    fs_err::create_dir_all(folder.join("a/b")).unwrap();
    fs_err::write(place.path().join("other"), vec![1; 1 << 20]).unwrap();
    let empty = measured(&folder);
    fs_err::write(folder.join("a/b/file"), vec![1; 64 << 10]).unwrap();
    let one = measured(&folder);
    assert!(one >= empty + (64 << 10), "{one} {empty}");
    fs_err::hard_link(folder.join("a/b/file"), folder.join("a/again")).unwrap();
    std::os::unix::fs::symlink(place.path().join("other"), folder.join("link")).unwrap();
    std::os::unix::fs::symlink(place.path(), folder.join("a/up")).unwrap();
    assert!(measured(&folder) < one + (64 << 10));
    for number in 0..100 {
        fs_err::write(folder.join(format!("empty-{number}")), "").unwrap();
    }
    assert!(measured(&folder) >= one + 100 * BYTES_PER_FILE);
}

/// Deeper than the longest path.
#[test]
fn measures_folders_of_any_depth() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("folder");
    fs_err::create_dir(&folder).unwrap();
    let mut deepest = open(AT_FDCWD, &folder).unwrap();
    for _ in 0..3_000 {
        nix::sys::stat::mkdirat(&deepest, "d", Mode::S_IRWXU).unwrap();
        deepest = open(&deepest, "d").unwrap();
    }
    let flags = OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let file = openat(&deepest, "file", flags, Mode::S_IRUSR).unwrap();
    std::io::Write::write_all(&mut std::fs::File::from(file), &[1; 100_000]).unwrap();
    assert!(measured(&folder) > 100_000 + 3_000 * BYTES_PER_FILE);
    buildbtw_builder::remove_folder(&folder).unwrap();
}

/// Starts a watch with a file system that stays as it is: a real one may be nearly full, and others write to it.
fn watch(folder: &Path, limit: u64, exceeded: impl FnOnce() + Send + 'static) -> DiskWatch {
    let space = || {
        Some(Space {
            free: 50,
            total: 100,
        })
    };
    let limit = Limit::new(vec![folder.to_owned()], limit, space);
    DiskWatch::start_with(limit, exceeded)
}

#[test]
fn detects_limit_during_and_after_a_script() {
    let folder = tempfile::tempdir().unwrap();
    let (notify, notified) = mpsc::channel();
    let running = watch(folder.path(), 1 << 20, move || notify.send(()).unwrap());
    fs_err::write(folder.path().join("file"), vec![1; 1 << 20]).unwrap();
    notified.recv().unwrap();
    assert_eq!(running.end(), Some(LimitExceeded::Folders));
    let again = watch(folder.path(), 1 << 20, || {});
    assert_eq!(again.end(), Some(LimitExceeded::Folders));
    assert_eq!(watch(folder.path(), 2 << 20, || {}).end(), None);
}

/// Content of unreadable folders is only counted by the file system, which others use as well.
#[test]
fn uses_file_system_usage_for_unmeasurable_folders() {
    const LIMIT: u64 = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let space = |free| {
        Some(Space {
            free,
            total: 100 * LIMIT,
        })
    };
    let check = |was_denied: bool, early, left: u64| {
        let before = 50 * LIMIT;
        let now = std::cell::Cell::new(before);
        let mut limit = Limit::new(vec![folder.path().to_owned()], LIMIT, || space(now.get()));
        limit.early = early;
        now.set(left);
        limit.check_file_system(was_denied)
    };
    let lost = |bytes| Some(LimitExceeded::FileSystem(bytes));
    assert_eq!(check(false, 0, 48 * LIMIT), None);
    assert_eq!(check(true, 0, 50 * LIMIT - 1), None);
    assert_eq!(check(true, 0, 49 * LIMIT), lost(LIMIT));
    assert_eq!(check(false, MAX_EARLY - 1, 48 * LIMIT), None);
    assert_eq!(check(false, MAX_EARLY, 48 * LIMIT), lost(2 * LIMIT));
    assert_eq!(check(false, 0, 9 * LIMIT), lost(41 * LIMIT));
}

#[test]
fn reports_unreadable_folders() {
    use std::os::unix::fs::PermissionsExt;
    if nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: root can read every folder");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    fs_err::create_dir(&closed).unwrap();
    fs_err::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    let mut measured = Measured::new(u64::MAX);
    measured.add(folder.path()).unwrap();
    assert!(measured.was_denied && !measured.ended_early);
    fs_err::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
}
