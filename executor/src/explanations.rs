//! What an operator reads when a host cannot run jobs, and what to do about it. Errors of the settings' values are in
//! `config`, those of the server in `exchange.rs`.

use std::fmt::Display;
use std::path::Path;

use buildbtw_model::client::{ClientError, ConnectionProblem};
use buildbtw_model::{Architecture, Explanation, WorkerName};

/// The hint for jobs that do not come from the template.
const TEMPLATE_HINT: &str = "create jobs with buildbtw's pipeline template, buildbtw.yml; \
                             /usr/share/doc/buildbtw-executor/gitlab.md (notes/gitlab.md) describes it";

/// Explains that the host has no name of its own.
pub(crate) fn no_name() -> Explanation {
    Explanation::with_hint(
        "the host name cannot be used as a name for the server",
        "set `name`",
    )
}

/// Explains why the server cannot be used. Hints name settings, where those of other programs name flags.
pub(crate) fn of_client(error: &ClientError) -> Explanation {
    let hint = match error {
        ClientError::Connection {
            problem: ConnectionProblem::Network,
            ..
        } => Some("check that buildbtw-server runs there, or correct `server` in executor.toml".to_owned()),
        ClientError::Connection {
            problem: ConnectionProblem::UnknownAuthority,
            ..
        } => Some("set `ca` in executor.toml to the PEM file of that authority".to_owned()),
        ClientError::InvalidServer { .. } => {
            Some("set `server` in executor.toml to a URL like `https://build.example.org`".to_owned())
        }
        ClientError::InvalidCa { .. } => Some(
            "set `ca` in executor.toml to a PEM file, with lines like `-----BEGIN CERTIFICATE-----`"
                .to_owned(),
        ),
        other => other.hint(),
    };
    Explanation {
        message: error.to_string(),
        hint,
    }
}

/// Explains that the server cannot be used for builds.
pub(crate) fn unusable_server(error: &ClientError) -> Explanation {
    of_client(error).map(|why| format!("cannot use the buildbtw server: {why}"))
}

/// Explains that the path of the settings depends on the current folder.
pub(crate) fn relative_settings(variable: &str) -> Explanation {
    Explanation::with_hint(
        "the path must be absolute",
        format!("set {variable} to an absolute path"),
    )
}

/// Explains that the settings are a folder or a device.
pub(crate) fn irregular_settings() -> Explanation {
    Explanation::with_hint(
        "it is not a regular file",
        "replace it with a file like executor.toml.example",
    )
}

/// Explains that a user other than root controls what root trusts.
pub(crate) fn untrusted_owner(path: &Path, owner: u32) -> Explanation {
    let path = path.display();
    Explanation::with_hint(
        format!("`{path}` belongs to user {owner}, who could replace its content"),
        format!("run `chown root '{path}'`"),
    )
}

/// Explains that users other than the owner can change what root trusts.
pub(crate) fn untrusted_mode(path: &Path) -> Explanation {
    let path = path.display();
    Explanation::with_hint(
        format!("`{path}` is writable by users other than its owner"),
        format!("run `chmod go-w '{path}'`"),
    )
}

/// Explains that gitlab-runner is missing: the runner's scripts then skip artifacts silently.
pub(crate) fn no_gitlab_runner() -> Explanation {
    Explanation::with_hint(
        "jobs cannot have artifacts: gitlab-runner was not found",
        "set `gitlab_runner` to its path",
    )
}

/// Explains that a program is missing.
pub(crate) fn no_program(program: &str, package: &str) -> Explanation {
    Explanation::with_hint(
        format!("`{program}` was not found"),
        format!("install {package}"),
    )
}

/// Explains that the folder of the jobs cannot be read for metrics.
pub(crate) fn unreadable_jobs(folder: &Path, error: impl Display) -> Explanation {
    Explanation::with_hint(
        format!("cannot read the jobs in `{}`: {error}", folder.display()),
        "run it as root or as the user of gitlab-runner",
    )
}

/// Explains that a runner got a build for another architecture.
pub(crate) fn other_architecture(
    name: &WorkerName,
    own: impl Display,
    wanted: &Architecture,
) -> Explanation {
    Explanation::with_hint(
        format!("`{name}` builds for {own}, not for {wanted}"),
        "change the tags of its runner",
    )
}

/// Explains that the root side does not run as root.
pub(crate) fn not_root() -> Explanation {
    Explanation::with_hint(
        "builds need root, and the root side runs as another user",
        "check `sudo` in executor.toml",
    )
}

/// Explains that sudo does not start the root side.
pub(crate) fn sudo_refused(user: &str, program: &Path, reason: impl Display) -> Explanation {
    Explanation::with_hint(
        format!("builds need root, and sudo does not permit `{user}` to start them: {reason}"),
        format!(
            "add this line with `visudo -f /etc/sudoers.d/buildbtw-executor`:\n\
             {user} ALL=(root) NOPASSWD: {} as-root",
            program.display()
        ),
    )
}

/// Explains that the runner did not start this command.
pub(crate) fn no_job_response() -> Explanation {
    Explanation::with_hint(
        "JOB_RESPONSE_FILE is not set",
        "use GitLab Runner 14 or newer, which starts this command; `buildbtw-executor check` checks the host",
    )
}

/// Explains that the runner's description of a job is too large.
pub(crate) fn large_job(path: &Path, max_bytes: u64) -> Explanation {
    Explanation::with_hint(
        format!("`{}` is larger than {max_bytes} bytes", path.display()),
        "remove large variables from the job",
    )
}

/// Explains that the runner's description of a job has another format.
pub(crate) fn no_job_id() -> Explanation {
    Explanation::with_hint("it has no job id", "use GitLab Runner 14 or newer")
}

/// Explains that a stage of a job has no folder on this host, or cannot have it.
pub(crate) fn not_prepared(job: impl Display, error: impl Display) -> Explanation {
    Explanation::with_hint(
        format!("job {job} was not prepared on this host: {error}"),
        "retry the job",
    )
}

/// Explains that a job builds already.
pub(crate) fn job_in_use(job: impl Display) -> Explanation {
    Explanation::with_hint(
        format!("another process is building job {job}"),
        "retry the job when that process has ended",
    )
}

/// Explains that a job wants its artifacts in a folder of the host.
pub(crate) fn foreign_project(project: &Path, builds: &Path) -> Explanation {
    Explanation::with_hint(
        format!(
            "the project's folder `{}` is not below the job's folder `{}`",
            project.display(),
            builds.display()
        ),
        "remove CI_PROJECT_DIR from the job's variables",
    )
}

/// Explains that the root side ended early.
pub(crate) fn root_side_died(status: impl Display, stderr: &str) -> Explanation {
    let message = format!("the root side ended without a result ({status})");
    Explanation::with_hint(
        match stderr.trim() {
            "" => message,
            stderr => format!("{message}: {stderr}"),
        },
        "check the host's log for the reason, for example a lack of memory with `journalctl -k`",
    )
}

/// Explains that the root side ended without the outcome of a build.
pub(crate) fn no_outcome() -> Explanation {
    Explanation::with_hint(
        "the root side reported no outcome",
        "let `program` in executor.toml name the program that gitlab-runner starts",
    )
}

/// Explains that the environment of a script ended early.
pub(crate) fn script_died(status: impl Display) -> Explanation {
    Explanation::with_hint(
        format!("the script's environment was not created, or was killed ({status})"),
        "check the host's log for the reason, for example a lack of memory with `journalctl -k`",
    )
}

/// Explains that the result of a build came too late.
pub(crate) fn attempt_ended() -> Explanation {
    Explanation::with_hint(
        "the server had ended this attempt before: it was cancelled, or its lease expired",
        "check the build's page, whose address is above, for the attempt that replaces it",
    )
}

/// Explains that the folder of the jobs cannot be created.
pub(crate) fn no_job_folder(folder: &Path, user: impl Display, error: impl Display) -> Explanation {
    Explanation::with_hint(
        error.to_string(),
        format!(
            "as root, run `install -d -m 0711 -o {user} {}`",
            folder.display()
        ),
    )
}

/// Explains that another user owns the folder of the jobs.
pub(crate) fn foreign_job_folder(folder: &Path, owner: u32) -> Explanation {
    Explanation::with_hint(
        format!("`{}` belongs to user {owner}", folder.display()),
        "run this command as that user",
    )
}

/// Explains that a job lacks variables.
pub(crate) fn missing_variables(names: &[&str]) -> Explanation {
    Explanation::with_hint(
        format!(
            "this runner builds packages for buildbtw only, and the job lacks {}",
            names.join(" and ")
        ),
        TEMPLATE_HINT,
    )
}

/// Explains that a variable of a job has an unusable value.
pub(crate) fn invalid_variable(name: &str, error: impl Display) -> Explanation {
    Explanation::with_hint(
        format!("the job's {name} is not valid: {error}"),
        TEMPLATE_HINT,
    )
}

/// Explains that the settings cannot be read.
pub(crate) fn unreadable_settings(path: &Path, error: impl Display) -> Explanation {
    Explanation::with_hint(
        format!("cannot read the settings in `{}`: {error}", path.display()),
        "check --config; /usr/share/doc/buildbtw-executor/gitlab.md (notes/gitlab.md) describes the settings",
    )
}

/// Explains that the user of scripts does not exist.
pub(crate) fn no_script_user(name: &str) -> Explanation {
    Explanation::with_hint(
        format!("this host has no user `{name}`"),
        "set `script_user` to another user",
    )
}

/// Explains that jobs cannot have a cache: each has its own folder, which is removed afterwards.
pub(crate) fn no_cache() -> Explanation {
    Explanation::with_hint(
        "this runner does not support the job's cache",
        "remove `cache:` from its CI configuration: a build's dependencies come from the repositories",
    )
}

/// Explains that the user of scripts is root.
pub(crate) fn script_user_is_root() -> Explanation {
    Explanation::with_hint(
        "scripts of jobs must not run as root",
        "set `script_user` to another user",
    )
}

/// Explains that scripts cannot be isolated.
pub(crate) fn no_script_environment(reason: impl Display) -> Explanation {
    Explanation::with_hint(
        format!("cannot create the environment for scripts of jobs: {reason}"),
        "permit users to create namespaces on this host",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id_token::IdToken;

    #[test]
    fn explanations_match_snapshot() {
        let (folder, program) = (Path::new("/var/lib/buildbtw"), Path::new("/usr/bin/x"));
        let name: WorkerName = "host".parse().unwrap();
        let wanted: Architecture = "aarch64".parse().unwrap();
        let denied = "Permission denied (os error 13)";
        let unreachable = ClientError::Connection {
            server: "http://127.0.0.1:8080".to_owned(),
            reason: "Connection refused (os error 111)".to_owned(),
            problem: ConnectionProblem::Network,
        };
        let text = [
            no_name(),
            of_client(&ClientError::InvalidServer {
                server: "localhost".to_owned(),
                reason: "expected http://host:port or https://host".to_owned(),
            }),
            of_client(&ClientError::InvalidCa {
                path: "/etc/ca.pem".into(),
                reason: "it contains no PEM certificate".to_owned(),
            }),
            of_client(&unreachable),
            unusable_server(&unreachable),
            relative_settings("BUILDBTW_EXECUTOR_CONFIG"),
            irregular_settings(),
            untrusted_owner(folder, 1000),
            untrusted_mode(folder),
            no_gitlab_runner(),
            no_program("/usr/bin/bwrap", "bubblewrap"),
            unreadable_jobs(folder, denied),
            other_architecture(&name, "x86_64", &wanted),
            not_root(),
            sudo_refused("gitlab-runner", program, "a password is required"),
            no_job_response(),
            large_job(Path::new("/tmp/job.json"), 1 << 20),
            no_job_id(),
            not_prepared(7, denied),
            job_in_use(7),
            foreign_project(Path::new("/etc"), folder),
            root_side_died("signal: 9 (SIGKILL)", ""),
            root_side_died("exit status: 101", "thread 'main' panicked\n"),
            no_outcome(),
            script_died("signal: 9 (SIGKILL)"),
            no_job_folder(folder, "gitlab-runner", denied),
            foreign_job_folder(folder, 1000),
            missing_variables(&["BUILDBTW_ATTEMPT", "BUILDBTW_ID_TOKEN"]),
            invalid_variable("BUILDBTW_ATTEMPT", "not a UUID"),
            invalid_variable(
                "BUILDBTW_ID_TOKEN",
                IdToken::try_from(String::new()).unwrap_err(),
            ),
            invalid_variable(
                "BUILDBTW_ID_TOKEN",
                IdToken::try_from("a".repeat(64 << 10)).unwrap_err(),
            ),
            unreadable_settings(Path::new("/etc/buildbtw/executor.toml"), denied),
            no_script_user("builder"),
            no_cache(),
            script_user_is_root(),
            no_script_environment("bwrap: No permissions to create a new namespace"),
        ];
        let text: Vec<String> = text.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(text.join("\n\n"));
    }
}
