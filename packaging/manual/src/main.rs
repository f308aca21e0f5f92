//! `buildbtw-manual DIR` writes the man pages and shell completions of all programs below a folder.

use std::path::PathBuf;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.context("usage: buildbtw-manual DIR")?;
    buildbtw_manual::write(&folder)
}
