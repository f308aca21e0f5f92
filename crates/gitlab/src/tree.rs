//! Computes the hash of a tree from its entries: GraphQL returns the entries, but not the hash.

use buildbtw_model::TreeHash;

/// The mode of a folder in a tree.
pub(crate) const FOLDER: &str = "40000";

/// An entry of a root tree.
pub(crate) struct Entry {
    /// In git's notation, with or without a leading zero.
    pub(crate) mode: String,
    pub(crate) name: String,
    pub(crate) sha: String,
}

impl Entry {
    /// Returns the sort key of git: folders sort as if followed by a slash.
    fn key(&self) -> Vec<u8> {
        let mut key = self.name.clone().into_bytes();
        if self.mode.trim_start_matches('0') == FOLDER {
            key.push(b'/');
        }
        key
    }
}

/// Returns git's hash of a tree with these entries; `None` when an entry has an invalid hash.
pub(crate) fn tree_hash(mut entries: Vec<Entry>) -> Option<TreeHash> {
    entries.sort_by_cached_key(Entry::key);
    let mut kind = gix::hash::Kind::Sha1;
    let mut data = Vec::new();
    for entry in &entries {
        let id = gix::ObjectId::from_hex(entry.sha.as_bytes()).ok()?;
        kind = id.kind();
        data.extend_from_slice(entry.mode.trim_start_matches('0').as_bytes());
        data.push(b' ');
        data.extend_from_slice(entry.name.as_bytes());
        data.push(0);
        data.extend_from_slice(id.as_slice());
    }
    let hash = gix::objs::compute_hash(kind, gix::objs::Kind::Tree, &data).ok()?;
    hash.to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn git(folder: &std::path::Path, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=P", "-c", "user.email=p@example.org"])
            .args(arguments)
            .current_dir(folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn computes_git_tree_hash() {
        for format in ["sha1", "sha256"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path();
            git(path, &["init", "--quiet", "--object-format", format]);
            for name in [".SRCINFO", "a.b", "a", "z/patch", "run"] {
                let name = if name == "a" { "a/file" } else { name };
                let file = path.join(name);
                fs_err::create_dir_all(file.parent().unwrap()).unwrap();
                fs_err::write(file, name).unwrap();
            }
            std::os::unix::fs::symlink("run", path.join("link")).unwrap();
            git(path, &["add", "--all", "--chmod=-x"]);
            git(path, &["update-index", "--chmod=+x", "run"]);
            git(path, &["commit", "--quiet", "--message", "x"]);
            let listed = git(path, &["ls-tree", "HEAD"]);
            let mut entries: Vec<Entry> = listed
                .lines()
                .map(|line| {
                    let (about, name) = line.split_once('\t').unwrap();
                    let words: Vec<_> = about.split(' ').collect();
                    Entry {
                        mode: words[0].to_owned(),
                        name: name.to_owned(),
                        sha: words[2].to_owned(),
                    }
                })
                .collect();
            // GitLab lists folders and files separately.
            entries.reverse();
            let expected = git(path, &["rev-parse", "HEAD^{tree}"]);
            assert_eq!(tree_hash(entries).unwrap().as_str(), expected, "{format}");
        }
    }

    #[test]
    fn treats_tree_with_malformed_hash_as_unknown() {
        let entry = Entry {
            mode: "100644".to_owned(),
            name: "a".to_owned(),
            sha: "nonsense".to_owned(),
        };
        assert_eq!(tree_hash(vec![entry]), None);
    }
}
