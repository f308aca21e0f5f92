//! The content of packages.

use std::path::Path;
use std::process::Command;

use crate::program::printed;

/// Returns the text of a file in a package.
pub fn file_in(package: &Path, name: &str) -> String {
    let output = Command::new("bsdtar")
        .arg("-xOf")
        .arg(package)
        .arg(name)
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", printed(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
