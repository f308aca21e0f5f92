//! Verifies a repository with pacman.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use buildbtw_builder::BuiltPackage;
use buildbtw_package::TinyPackage;

use crate::machine::{has_tool, is_root};
use crate::program::printed;
use crate::server::Server;
use crate::sources::Sources;

/// Returns the packages that real pacman would install from a namespace repository, after downloading and checking
/// them.
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
    let pacman = |args: &[&str]| pacman(Command::new("pacman"), &config, &root, args);
    // Only downloads: code of packages runs in sandboxes only, even in tests.
    pacman(&[&["-Syw"], packages].concat());
    let list = pacman(&[&["-Sp", "--print-format", "%n %v"], packages].concat());
    let mut list: Vec<_> = list.lines().map(str::to_owned).collect();
    list.sort();
    list
}

fn pacman(mut pacman: Command, config: &Path, root: &Path, args: &[&str]) -> String {
    let output = pacman
        .args(["--noconfirm", "--config"])
        .arg(config)
        .arg("--root")
        .arg(root)
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
}

/// Checks that pacman upgrades a system on which the packages of a namespace are installed with their previous
/// releases: those of the `.SRCINFO` files, and something older for the origins.
pub fn pacman_upgrades(folder: &Path, server: &Server, namespace: &str) {
    pacman_upgrades_some(folder, server, namespace, usize::MAX);
}

/// Checks [`pacman_upgrades`] on a system that has only the packages of the first builds.
pub fn pacman_upgrades_some(folder: &Path, server: &Server, namespace: &str, builds: usize) {
    if !PreviousDistribution::is_possible() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = server.client();
    let name = namespace.parse().unwrap();
    let iteration = runtime.block_on(client.iteration(&name, None)).unwrap();
    let mut packages = BTreeMap::new();
    for build in iteration.builds.iter().take(builds) {
        let detail = runtime.block_on(client.build(build.id)).unwrap();
        for package in detail.packages {
            let version = package.file_name.version();
            let release = version.pkgrel().split('.').next().unwrap().to_owned();
            let old = match build.reason.len() {
                1 => "0-1".to_owned(),
                _ => format!("{}-{release}", version.without_pkgrel()),
            };
            packages.insert(package.file_name.pkgname().to_string(), old);
        }
    }
    let set = PreviousDistribution::empty(&folder.join(format!("before-{namespace}")));
    for (name, version) in &packages {
        let package = OldPackage {
            name: name.clone(),
            version: version.clone(),
            relations: Vec::new(),
        };
        package.write(&set.repository());
    }
    let members: Vec<String> = packages.keys().cloned().collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    assert!(!members.is_empty(), "nothing was built");
    PreviousDistribution { packages, ..set }
        .indexed()
        .upgrades(server, namespace, &members);
}

/// The packages of a distribution before a rebuild: a base repository, and a system on which all of
/// it is installed. `pacman -Syu` on it verifies a rebuild.
pub struct PreviousDistribution {
    folder: PathBuf,
    /// Versions by name.
    packages: BTreeMap<String, String>,
}

impl PreviousDistribution {
    /// Creates the packages that the `.SRCINFO` files of source repositories name, without content. `versions` are
    /// those that the distribution has in another version. `None`, with a message, without pacman or root.
    pub fn of(folder: &Path, sources: &Sources, versions: &[(&str, &str)]) -> Option<Self> {
        if !Self::is_possible() {
            return None;
        }
        let set = Self::empty(folder);
        let mut packages = BTreeMap::new();
        for entry in fs::read_dir(sources.folder()).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path().join(".SRCINFO")).unwrap();
            for package in OldPackage::of(&text, versions) {
                package.write(&set.repository());
                packages.insert(package.name, package.version);
            }
        }
        Some(Self { packages, ..set }.indexed())
    }

    /// Creates a set of the packages in a folder.
    pub fn in_folder(folder: &Path, files: &Path) -> Self {
        let set = Self::empty(folder);
        let mut packages = BTreeMap::new();
        for entry in fs::read_dir(files).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            if !file.contains(".pkg.tar") {
                continue;
            }
            fs::copy(&path, set.repository().join(file)).unwrap();
            let parts: Vec<&str> = file.rsplitn(4, '-').collect();
            packages.insert(parts[3].to_owned(), format!("{}-{}", parts[2], parts[1]));
        }
        Self { packages, ..set }.indexed()
    }

    fn is_possible() -> bool {
        let tools = ["pacman", "repo-add", "bsdtar"];
        is_root() && tools.iter().all(|tool| has_tool(tool))
    }

    fn empty(folder: &Path) -> Self {
        let set = Self {
            folder: folder.join("old"),
            packages: BTreeMap::new(),
        };
        fs::create_dir_all(set.repository()).unwrap();
        set
    }

    fn repository(&self) -> PathBuf {
        self.folder.join("base")
    }

    fn indexed(self) -> Self {
        let files = fs::read_dir(self.repository()).unwrap();
        let output = Command::new("repo-add")
            .arg("--quiet")
            .arg(self.repository().join("base.db.tar.gz"))
            .args(files.map(|entry| entry.unwrap().path()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", printed(&output));
        self
    }

    /// Returns the file that names the base repository for a server.
    pub fn base_repositories(&self) -> PathBuf {
        let path = self.folder.join("base.toml");
        let text = format!(
            "[[repository]]\nname = 'base'\narchitectures = ['x86_64']\n\
             servers = ['file://{}']\nsig_level = 'Never'\n",
            self.repository().display()
        );
        fs::write(&path, text).unwrap();
        path
    }

    /// Installs the old packages, adds the newest iteration of a namespace, and upgrades. Every one
    /// of these packages must become newer. Returns the versions after that.
    pub fn upgrades(
        &self,
        server: &Server,
        namespace: &str,
        members: &[&str],
    ) -> BTreeMap<String, String> {
        self.upgrades_from(&server.url(), namespace, members, &|| {
            Command::new("pacman")
        })
    }

    /// Upgrades from a server at the address that programs like `pacman` use.
    pub fn upgrades_from(
        &self,
        server: &str,
        namespace: &str,
        members: &[&str],
        program: &dyn Fn() -> Command,
    ) -> BTreeMap<String, String> {
        let root = self.folder.join(format!("root-{namespace}"));
        fs::create_dir_all(root.join("var/lib/pacman")).unwrap();
        fs::create_dir_all(root.join("cache")).unwrap();
        let base = format!("[base]\nServer = file://{}\n", self.repository().display());
        let url = format!("{server}/repo/{namespace}/current/$arch");
        let options = "[options]\nArchitecture = x86_64\nSigLevel = Never\n";
        let config = self.folder.join(format!("{namespace}.conf"));
        let pacman = |args: &[&str]| pacman(program(), &config, &root, args);
        // Code of packages runs in sandboxes only, even in tests.
        let only = ["--dbonly", "--noscriptlet"];
        fs::write(&config, format!("{options}{base}")).unwrap();
        let names: Vec<&str> = self.packages.keys().map(String::as_str).collect();
        pacman(&[&["-Sy"], &only[..], &names].concat());
        fs::write(
            &config,
            format!("{options}[{namespace}]\nServer = {url}\n{base}"),
        )
        .unwrap();
        pacman(&[&["-Syu"], &only[..]].concat());
        let list = pacman(&["-Q"]);
        let after: BTreeMap<String, String> = list
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .collect();
        for member in members {
            let (old, new) = (&self.packages[*member], &after[*member]);
            let output = Command::new("vercmp").args([new, old]).output().unwrap();
            let order = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            assert_eq!(
                order, "1",
                "{member} stayed at {new}, the distribution had {old}: {list}"
            );
        }
        after
    }
}

struct OldPackage {
    name: String,
    version: String,
    /// Lines of its `.PKGINFO`.
    relations: Vec<String>,
}

impl OldPackage {
    fn of(srcinfo: &str, versions: &[(&str, &str)]) -> Vec<Self> {
        let fields: Vec<(&str, &str)> = srcinfo
            .lines()
            .filter_map(|line| line.trim().split_once(" = "))
            .collect();
        let is_name = |(key, _): &&(&str, &str)| *key == "pkgname";
        let base = fields.split(|(key, _)| *key == "pkgname").next().unwrap();
        let value = |key: &str| {
            let found = base.iter().find(|(known, _)| *known == key);
            found.map_or("", |(_, value)| value).to_owned()
        };
        let epoch = match value("epoch") {
            epoch if epoch.is_empty() => epoch,
            epoch => format!("{epoch}:"),
        };
        let version = format!("{epoch}{}-{}", value("pkgver"), value("pkgrel"));
        let names = fields.iter().filter(is_name).map(|(_, name)| *name);
        let sections = fields.split(|(key, _)| *key == "pkgname").skip(1);
        names
            .zip(sections)
            .map(|(name, own)| {
                let relations = |key: &str, word: &str| {
                    let has_own = own.iter().any(|(known, _)| *known == key);
                    let section = if has_own { own } else { base };
                    let found = section.iter().filter(|(known, _)| *known == key);
                    found
                        .map(|(_, value)| format!("{word} = {value}"))
                        .collect::<Vec<String>>()
                };
                let other = versions.iter().find(|(known, _)| *known == name);
                Self {
                    name: name.to_owned(),
                    version: other.map_or(version.clone(), |(_, version)| (*version).to_owned()),
                    relations: [
                        relations("depends", "depend"),
                        relations("provides", "provides"),
                    ]
                    .concat(),
                }
            })
            .collect()
    }

    fn write(&self, repository: &Path) {
        let mut package = TinyPackage::new(
            self.name.parse().unwrap(),
            self.name.parse().unwrap(),
            self.version.parse().unwrap(),
            "any".parse().unwrap(),
        );
        package.info.clone_from(&self.relations);
        BuiltPackage::write(&package, repository).unwrap();
    }
}
