//! The package that represents the host's `/usr`. It is registered in a root's database as if pacman had
//! installed it, so that dependencies on compilers and shells are satisfied.

use std::io;
use std::path::Path;

use fs_err as fs;

use super::files::make_dir;

/// The version of the format of pacman's local database.
const DATABASE_VERSION: &str = "9\n";

/// Registers the package in the root's local database.
pub(super) fn register(local_database: &Path, provides: &[String]) -> io::Result<()> {
    fs::write(local_database.join("ALPM_DB_VERSION"), DATABASE_VERSION)?;
    let folder = local_database.join("host-base-1-1");
    make_dir(&folder, 0o755)?;
    let mut desc = String::new();
    for (key, value) in [
        ("NAME", "host-base"),
        ("VERSION", "1-1"),
        ("BASE", "host-base"),
        ("DESC", "What the machine below this root holds"),
        ("ARCH", "any"),
        ("BUILDDATE", "1"),
        ("INSTALLDATE", "1"),
        ("PACKAGER", "buildbtw"),
        ("SIZE", "0"),
        ("VALIDATION", "none"),
        ("PROVIDES", &provides.join("\n")),
    ] {
        desc.push_str(&format!("%{key}%\n{value}\n\n"));
    }
    fs::write(folder.join("desc"), desc)?;
    fs::write(folder.join("files"), "")
}
