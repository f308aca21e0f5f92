//! pacman as the referee of a repository.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Server, printed};

/// What real pacman would install from a namespace repository, and with it downloads and checks.
pub fn pacman_installs(
    folder: &Path,
    server: &Server,
    namespace: &str,
    packages: &[&str],
) -> Vec<String> {
    let root = folder.join("root");
    fs::create_dir_all(root.join("var/lib/pacman")).unwrap();
    fs::create_dir_all(root.join("cache")).unwrap();
    let config = folder.join("pacman.conf");
    let url = format!("{}/repo/{namespace}/latest/$arch", server.url());
    let text = format!(
        "[options]\nArchitecture = x86_64\nSigLevel = Never\n[{namespace}]\nServer = {url}\n"
    );
    fs::write(&config, text).unwrap();
    let pacman = |args: &[&str]| {
        let output = Command::new("pacman")
            .args(["--noconfirm", "--config"])
            .arg(&config)
            .arg("--root")
            .arg(&root)
            .arg("--dbpath")
            .arg(root.join("var/lib/pacman"))
            .arg("--cachedir")
            .arg(root.join("cache"))
            .args(["--hookdir", "/nonexistent"])
            .args(args)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "pacman {args:?}: {}",
            printed(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    // Only downloads: what packages bring along runs in sandboxes alone, even in tests.
    pacman(&[&["-Syw"], packages].concat());
    let list = pacman(&[&["-Sp", "--print-format", "%n %v"], packages].concat());
    let mut list: Vec<_> = list.lines().map(str::to_owned).collect();
    list.sort();
    list
}
