//! Whether two versions of our programs work together.

use crate::Check;

/// Compares the version of this program with that of the server.
///
/// Versions that differ in their last number have the same API. Before version 1, the second number counts like the
/// first one of later versions.
#[must_use]
pub fn check(name: &str, ours: &str, server: Option<&str>) -> Check {
    let repair = "install the same version on both sides";
    let Some(server) = server else {
        let message = format!("the server does not tell its version, so it is older than {ours}");
        return Check::warning(name, message, repair);
    };
    if ours == server {
        return Check::ok(name, format!("{ours}, as the server"));
    }
    let both = format!("this program has version {ours}, the server {server}");
    match (series(ours), series(server)) {
        (Some(own), Some(other)) if own == other => {
            Check::ok(name, format!("{both}; they are compatible"))
        }
        (Some((0, _)), Some((0, _))) => Check::warning(name, both, repair),
        (Some((own, _)), Some((other, _))) if own == other => {
            Check::ok(name, format!("{both}; they are compatible"))
        }
        _ => Check::failure(name, format!("{both}, which has another API"), repair),
    }
}

/// Returns the first two numbers of a version.
fn series(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.split(['.', '-', '+']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;

    #[test]
    fn compares_versions() {
        for (ours, server, status) in [
            ("0.1.0", Some("0.1.0"), Status::Ok),
            ("0.1.0", Some("0.1.7"), Status::Ok),
            ("0.1.0", Some("0.2.0"), Status::Warning),
            ("1.1.0", Some("1.2.0"), Status::Ok),
            ("1.1.0", Some("2.0.0"), Status::Failure),
            ("0.9.0", Some("1.0.0"), Status::Failure),
            ("0.1.0", Some("nightly"), Status::Failure),
            ("0.1.0", None, Status::Warning),
        ] {
            let check = check("version", ours, server);
            assert_eq!(check.status, status, "{check:?}");
            assert_eq!(check.repair.is_some(), status != Status::Ok, "{check:?}");
        }
    }
}
