//! Reads repositories in the way pacman's users do.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Response, StatusCode};

/// A repository of a server.
pub(crate) struct Repository {
    url: String,
    name: String,
    http: reqwest::Client,
}

impl Repository {
    /// Returns the repository of an iteration: its number, `current` or `latest`.
    pub(crate) fn new(server: &str, namespace: &str, iteration: &str, architecture: &str) -> Self {
        let url = format!("{server}/repo/{namespace}/{iteration}/{architecture}");
        Self::at(&url, namespace)
    }

    /// Returns the repository at an address.
    pub(crate) fn at(url: &str, name: &str) -> Self {
        Self {
            url: url.to_owned(),
            name: name.to_owned(),
            http: reqwest::Client::new(),
        }
    }

    /// Returns the view of a build.
    pub(crate) fn seen_by(&self, build: buildbtw_model::BuildId) -> Self {
        Self {
            url: format!("{}/builds/{build}", self.url),
            name: self.name.clone(),
            http: self.http.clone(),
        }
    }

    pub(crate) async fn get(&self, file: &str) -> Response {
        let url = format!("{}/{file}", self.url);
        self.http.get(url).send().await.unwrap()
    }

    pub(crate) async fn bytes(&self, file: &str) -> Vec<u8> {
        let response = self.get(file).await;
        assert_eq!(response.status(), StatusCode::OK, "{file}");
        response.bytes().await.unwrap().to_vec()
    }

    /// Returns the folders of the database: `name-version` of each package, sorted.
    pub(crate) async fn lists(&self) -> Vec<String> {
        let name = format!("{}.db", self.name);
        let mut packages: Vec<String> = entries(&self.bytes(&name).await)
            .into_iter()
            .filter_map(|(path, _)| path.strip_suffix("/desc").map(str::to_owned))
            .collect();
        packages.sort_unstable();
        packages
    }

    /// Returns the content of a file in a database, for example `libgreet-2.0-1/desc`.
    pub(crate) async fn entry(&self, database: &str, path: &str) -> Option<String> {
        let entries = entries(&self.bytes(database).await);
        let found = entries.into_iter().find(|(found, _)| found == path);
        found.map(|(_, text)| text)
    }
}

fn entries(database: &[u8]) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(zstd::Decoder::new(database).unwrap());
    let mut entries = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        entries.push((path, text));
    }
    entries
}

/// Pacman with its own system, on which it only downloads.
pub(crate) struct Pacman {
    folder: PathBuf,
    config: PathBuf,
}

/// Configures pacman for a repository; `None`, with a message, if it cannot run here.
pub(crate) fn have_pacman(folder: &Path, section: &str) -> Option<Pacman> {
    if Command::new("pacman").arg("--version").output().is_err() {
        eprintln!("SKIPPED: pacman is not installed");
        return None;
    }
    // It syncs databases for root only.
    if fs_err::metadata(folder).unwrap().uid() != 0 {
        eprintln!("SKIPPED: pacman runs as root only");
        return None;
    }
    for name in ["root", "db", "cache", "hooks", "gnupg"] {
        fs_err::create_dir_all(folder.join(name)).unwrap();
    }
    let config = folder.join("pacman.conf");
    let text = format!("[options]\nArchitecture = x86_64\n\n{section}");
    fs_err::write(&config, text).unwrap();
    Some(Pacman {
        folder: folder.to_owned(),
        config,
    })
}

impl Pacman {
    /// Runs it and returns what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let folder = |name: &str| self.folder.join(name);
        let output = Command::new("pacman")
            .args(arguments)
            .arg("--config")
            .arg(&self.config)
            .arg("--root")
            .arg(folder("root"))
            .arg("--dbpath")
            .arg(folder("db"))
            .arg("--cachedir")
            .arg(folder("cache"))
            .arg("--hookdir")
            .arg(folder("hooks"))
            .arg("--gpgdir")
            .arg(folder("gnupg"))
            .arg("--logfile")
            .arg(folder("log"))
            .args(["--noconfirm", "--noprogressbar", "--color", "never"])
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        assert!(output.status.success(), "pacman {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Returns the path of a downloaded package.
    pub(crate) fn cached(&self, file: &str) -> PathBuf {
        self.folder.join("cache").join(file)
    }
}
