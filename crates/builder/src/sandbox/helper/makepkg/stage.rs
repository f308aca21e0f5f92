//! Tracks the progress of makepkg by its output. A PKGBUILD can imitate that, which only misleads the reader:
//! nothing here turns a failure into one of the host.

use buildbtw_model::PackageVersion;

/// The last part that makepkg announced.
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// The function that is running.
    function: Option<String>,
    /// Whether any function was started.
    has_run: bool,
    /// Whether makepkg reported an error since.
    has_error: bool,
    /// Programs that makepkg did not find.
    missing: Vec<String>,
    /// The version that makepkg wrote into the PKGBUILD because `pkgver()` computed another one.
    updated: Option<String>,
}

/// More programs than makepkg looks for.
const MAX_MISSING: usize = 20;

impl Stage {
    /// Processes the next line of the log.
    pub(super) fn line(&mut self, line: &str) {
        let Some(message) = line.strip_prefix("==> ") else {
            return;
        };
        if let Some(error) = message.strip_prefix("ERROR: ") {
            self.has_error = true;
            let named = error.strip_prefix("Cannot find the ");
            let program = named.and_then(|rest| rest.split_once(" binary"));
            if let Some((program, _)) = program
                && self.missing.len() < MAX_MISSING
            {
                self.missing.push(program.to_owned());
            }
        } else if !message.starts_with("WARNING: ") && !message.starts_with("Finished making") {
            self.has_error = false;
            // A function can print the same, but only pkgver() itself is misjudged by it.
            if let Some(updated) = message.strip_prefix("Updated version: ")
                && self.function.as_deref() == Some("pkgver")
            {
                self.updated = updated.rsplit(' ').next().map(str::to_owned);
            }
            let function = message.strip_prefix("Starting ");
            self.function = function
                .and_then(|rest| rest.strip_suffix("()..."))
                .map(str::to_owned);
            self.has_run |= self.function.is_some();
        }
    }

    /// Returns whether a function of the PKGBUILD was started: makepkg checks its own requirements before.
    pub(super) fn has_run(&self) -> bool {
        self.has_run
    }

    /// Returns the programs that makepkg did not find.
    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Returns the version that makepkg wrote into the PKGBUILD, if it differs from `version`.
    pub(super) fn changed_version(&self, version: &PackageVersion) -> Option<&str> {
        let updated = self.updated.as_deref();
        updated.filter(|updated| *updated != version.as_str())
    }

    /// Returns the function that ended makepkg without a message of makepkg.
    pub(super) fn interrupted(&self) -> Option<&str> {
        self.function.as_deref().filter(|_| !self.has_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(log: &str) -> Stage {
        let mut stage = Stage::default();
        log.lines().for_each(|line| stage.line(line));
        stage
    }

    #[test]
    fn reads_version_computed_by_pkgver() {
        let log = "==> Starting pkgver()...\nx\n==> Updated version: x-git 1:r2.abc-1\n==> Starting build()...\n";
        let [same, other] = ["1:r2.abc-1", "1:r1.abc-1.1"].map(|text| text.parse().unwrap());
        assert_eq!(after(log).changed_version(&other), Some("1:r2.abc-1"));
        assert_eq!(after(log).changed_version(&same), None);
        let log = "==> Starting build()...\n==> Updated version: x 2-1\n";
        assert_eq!(after(log).changed_version(&other), None);
    }

    #[test]
    fn attributes_failure_to_the_last_function() {
        let log = "==> Starting build()...\nx\n==> Entering fakeroot environment...\n\
                   ==> Starting package_x()...\n==> WARNING: y\nz\n";
        assert_eq!(after(log).interrupted(), Some("package_x"));
        let log = format!("{log}==> ERROR: A failure occurred in package_x().\n    Aborting...\n");
        assert_eq!(after(&log).interrupted(), None);
        assert_eq!(
            after("==> Starting package()...\n==> Tidying install...\n").interrupted(),
            None
        );
        assert!(after("==> Starting build()...\n==> Making package: x\n").has_run());
        assert!(!after("==> Making package: x\n").has_run());
        // makepkg prints this also when a package function exits with 0.
        let log = "==> Starting package()...\n==> Finished making: x 1-1\n";
        assert_eq!(after(log).interrupted(), Some("package"));
    }
}
