//! Why the server cannot use its data folder, and why it stops by itself.

use std::fmt::Display;
use std::io;
use std::path::Path;

use buildbtw_model::Explanation;

/// Explains that no file can be created in the data folder.
pub(super) fn not_writable(data: &Path, error: &io::Error) -> Explanation {
    let data = data.display();
    let hint = match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("mount the disk of `{data}` read-write, or choose another --data-dir")
        }
        _ => format!("let the server's user write to `{data}`, or choose another --data-dir"),
    };
    Explanation::with_hint(
        format!("cannot lock the data folder `{data}`: {error}"),
        hint,
    )
}

/// Explains that the file system of the data folder refuses locks.
pub(super) fn not_lockable(data: &Path, error: &io::Error) -> Explanation {
    Explanation::with_hint(
        format!("cannot lock the data folder `{}`: {error}", data.display()),
        "choose a --data-dir on a file system that supports locks (flock)",
    )
}

/// Explains that another server has locked the data folder.
pub(super) fn in_use(data: &Path) -> Explanation {
    Explanation::with_hint(
        format!("another server uses the data folder `{}`", data.display()),
        "stop it, or choose another --data-dir",
    )
}

/// Explains that the packages in the data folder belong to a database that is not complete.
pub(super) fn restore_interrupted(data: &Path) -> Explanation {
    Explanation::with_hint(
        format!(
            "`restore` into the data folder `{}` was interrupted",
            data.display()
        ),
        "run it again, or empty the folder",
    )
}

/// What to do after a fault of the server itself.
const START_AGAIN: &str =
    "start the server again; the lines of its log before this one have the cause";

/// Explains that a part of the server has ended, so that the server stops.
pub(super) fn ended(part: impl Display) -> Explanation {
    Explanation::with_hint(format!("{part} ended unexpectedly"), START_AGAIN)
}

/// Explains that a background task has returned its name, or panicked.
pub(super) fn task_ended(result: Result<&str, impl Display>) -> Explanation {
    match result {
        Ok(name) => ended(format_args!("the background task `{name}`")),
        Err(error) => failed("a background task", error),
    }
}

/// Explains that the HTTP service has returned or panicked.
pub(super) fn service_ended(result: Result<(), impl Display>) -> Explanation {
    match result {
        Ok(()) => ended("the HTTP service"),
        Err(error) => failed("the HTTP service", error),
    }
}

fn failed(part: &str, error: impl Display) -> Explanation {
    Explanation::with_hint(format!("{part} failed: {error}"), START_AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_match_snapshot() {
        let data = Path::new("/srv/data");
        let explanations = [
            not_writable(data, &io::ErrorKind::ReadOnlyFilesystem.into()),
            not_writable(data, &io::ErrorKind::PermissionDenied.into()),
            not_lockable(data, &io::ErrorKind::Unsupported.into()),
            in_use(data),
            restore_interrupted(data),
            ended("the task that commits writes"),
            task_ended(Ok::<_, &str>("publisher")),
            task_ended(Err("task 7 panicked")),
            service_ended(Ok::<_, &str>(())),
            service_ended(Err("task 8 panicked")),
        ];
        insta::assert_snapshot!(explanations.map(|text| text.to_string()).join("\n\n"));
    }
}
