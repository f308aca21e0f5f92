//! Parsers of user input: changesets, names, refs, versions, file names.
#![no_main]

use buildbtw_model::{
    Changeset, CommitHash, GitRef, NamespaceName, PackageFileName, PackageVersion, Pkgbase,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(changeset) = text.parse::<Changeset>() {
        assert_eq!(
            changeset.to_string().parse::<Changeset>().unwrap(),
            changeset
        );
    }
    if let Ok(name) = text.parse::<PackageFileName>() {
        assert!(!text.contains('/') && !text.starts_with('.'), "{text:?}");
        let _ = (name.pkgname(), name.version(), name.architecture());
    }
    if let Ok(name) = text.parse::<NamespaceName>() {
        assert!(!name.as_str().contains('/') && !name.as_str().starts_with('.'));
    }
    let _ = text.parse::<Pkgbase>();
    let _ = text.parse::<GitRef>();
    let _ = text.parse::<CommitHash>();
    if let Ok(version) = text.parse::<PackageVersion>() {
        assert!(buildbtw_model::compare_versions(version.as_str(), version.as_str()).is_eq());
    }
});
