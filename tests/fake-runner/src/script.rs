//! The bash scripts of the stages.

use std::fmt::Write as _;
use std::path::Path;

use crate::job::{Artifacts, Job};
use crate::variables::{Folders, Variables};

/// Quotes any text for bash.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    out.push_str("$'");
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

fn quote_path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// Generates the scripts of a job.
pub(crate) struct Scripts<'a> {
    pub(crate) job: &'a Job,
    pub(crate) variables: &'a Variables,
    pub(crate) folders: &'a Folders,
    pub(crate) url: &'a str,
}

impl Scripts<'_> {
    /// Returns a whole script, whose body runs in a shell of its own without input.
    fn whole(&self, body: &str) -> String {
        let trace = match self.variables.are_debugged() {
            true => "set -o xtrace\n",
            false => "",
        };
        format!(
            "#!/usr/bin/env bash\n\ntrap 'exit 1' TERM\n\n{trace}\
             if set -o | grep pipefail > /dev/null; then set -o pipefail; fi; set -o errexit\n\
             set +o noclobber\n(eval {}) < /dev/null\nexit 0\n",
            quote(body)
        )
    }

    fn file_of(&self, key: &str) -> String {
        quote_path(&self.folders.temporary.join(key))
    }

    /// Returns the assignments of all variables. File variables are written to the folder that is kept between stages.
    fn exports(&self) -> String {
        let mut body = String::new();
        let folder = quote_path(&self.folders.temporary);
        let _ = writeln!(body, "mkdir -p {folder}");
        for (variable, value) in self.variables.all() {
            if variable.file {
                let file = self.file_of(&variable.key);
                let _ = writeln!(body, "printf '%s' {} > {file}", quote(&value));
                let _ = writeln!(body, "export {}={file}", variable.key);
            } else {
                let _ = writeln!(body, "export {}={}", variable.key, quote(&value));
            }
        }
        body
    }

    pub(crate) fn prepare(&self) -> String {
        self.whole("echo \"Running on $(hostname)...\"\n")
    }

    /// Returns the script that fetches the sources, or only creates their folder.
    pub(crate) fn get_sources(&self) -> String {
        let mut body = self.exports();
        let project = quote_path(&self.folders.project);
        let _ = writeln!(body, "mkdir -p {project}");
        let strategy = self.variables.get("GIT_STRATEGY");
        match strategy.as_deref() {
            Some("none") => {
                body.push_str("echo $'\\x1b[32;1mSkipping Git repository setup\\x1b[0;m'\n");
                let _ = writeln!(body, "cd {project}");
            }
            Some("empty") => {
                let _ = writeln!(body, "rm -rf {project}\nmkdir -p {project}\ncd {project}");
            }
            strategy => {
                if strategy == Some("clone") {
                    let _ = writeln!(body, "rm -rf {project}\nmkdir -p {project}");
                }
                self.fetch(&mut body, &project);
                self.update_submodules(&mut body);
            }
        }
        self.whole(&body)
    }

    fn fetch(&self, body: &mut String, project: &str) {
        let info = &self.job.git_info;
        let with_token = info
            .repo_url
            .replace("://", &format!("://gitlab-ci-token:{}@", self.job.token));
        let depth = match info.depth {
            depth if depth > 0 => format!(" --depth {depth}"),
            _ => String::new(),
        };
        let refspecs: Vec<String> = info.refspecs.iter().map(|spec| quote(spec)).collect();
        let _ = writeln!(body, "cd {project}\ngit init --quiet .");
        let _ = writeln!(
            body,
            "git -c {} fetch --quiet{depth} {} {}",
            quote(&format!("url.{with_token}.insteadOf={}", info.repo_url)),
            quote(&info.repo_url),
            refspecs.join(" "),
        );
        if self.variables.get("GIT_CHECKOUT").as_deref() != Some("false") {
            let _ = writeln!(body, "git checkout --quiet --detach {}", quote(&info.sha));
        }
    }

    fn update_submodules(&self, body: &mut String) {
        let strategy = self.variables.get("GIT_SUBMODULE_STRATEGY");
        let recursive = match strategy.as_deref() {
            Some("normal") => "",
            Some("recursive") => " --recursive",
            _ => return,
        };
        // The job token can read every project of this GitLab that its user can read.
        let with_token = self
            .url
            .replace("://", &format!("://gitlab-ci-token:{}@", self.job.token));
        let _ = writeln!(
            body,
            "echo $'\\x1b[32;1mUpdating/initializing submodules...\\x1b[0;m'\n\
             git submodule sync --quiet{recursive}\n\
             git -c {} submodule update --quiet --init{recursive}",
            quote(&format!("url.{with_token}/.insteadOf={}/", self.url)),
        );
    }

    pub(crate) fn clear_worktree(&self) -> String {
        let project = quote_path(&self.folders.project);
        self.whole(&format!("rm -rf {project}\n"))
    }

    /// Returns the script of a step.
    pub(crate) fn step(&self, lines: &[String]) -> String {
        let mut body = self.exports();
        let _ = writeln!(body, "cd {}", quote_path(&self.folders.project));
        for line in lines {
            let shown = match line.split_once('\n') {
                Some((first, _)) => format!("{first} # collapsed multi-line command"),
                None => line.clone(),
            };
            let _ = writeln!(
                body,
                "echo {}",
                quote(&format!("\u{1b}[32;1m$ {shown}\u{1b}[0;m"))
            );
            let _ = writeln!(body, "{line}");
        }
        self.whole(&body)
    }

    /// Returns a call of the helper. If it is not installed, nothing happens, and that is not an error.
    fn with_helper(&self, title: &str, command: &str) -> String {
        let mut body = self.exports();
        let project = quote_path(&self.folders.project);
        let _ = writeln!(body, "cd {project}");
        let _ = writeln!(
            body,
            "if gitlab-runner --version >/dev/null 2>/dev/null; then\n\
             echo {}\n{command}\nelse\necho {}\nfi",
            quote(&format!("\u{1b}[32;1m{title}...\u{1b}[0;m")),
            quote(&format!(
                "\u{1b}[33;1mMissing gitlab-runner. {title} is disabled.\u{1b}[0;m"
            )),
        );
        self.whole(&body)
    }

    pub(crate) fn upload(&self, artifacts: &[&Artifacts]) -> String {
        let commands: Vec<String> = artifacts.iter().map(|one| self.upload_one(one)).collect();
        self.with_helper("Uploading artifacts", &commands.join("\n"))
    }

    fn upload_one(&self, artifacts: &Artifacts) -> String {
        let mut command = format!(
            "gitlab-runner artifacts-uploader --url {} --token {} --id {}",
            quote(self.url),
            quote(&self.job.token),
            quote(&self.job.id.to_string()),
        );
        for path in &artifacts.paths {
            let _ = write!(command, " --path {}", quote(&self.variables.expand(path)));
        }
        for path in &artifacts.exclude {
            let _ = write!(
                command,
                " --exclude {}",
                quote(&self.variables.expand(path))
            );
        }
        if artifacts.untracked {
            command.push_str(" --untracked");
        }
        for (option, value) in [
            ("--name", &artifacts.name),
            ("--artifact-format", &artifacts.artifact_format),
            ("--artifact-type", &artifacts.artifact_type),
            ("--expire-in", &artifacts.expire_in),
        ] {
            if !value.is_empty() {
                let _ = write!(
                    command,
                    " {option} {}",
                    quote(&self.variables.expand(value))
                );
            }
        }
        command
    }

    pub(crate) fn download(&self) -> String {
        let mut command = String::new();
        for dependency in &self.job.dependencies {
            if !dependency.artifacts_file.filename.is_empty() {
                let _ = writeln!(
                    command,
                    "gitlab-runner artifacts-downloader --url {} --token {} --id {}",
                    quote(self.url),
                    quote(&dependency.token),
                    quote(&dependency.id.to_string()),
                );
            }
        }
        self.with_helper("Downloading artifacts", command.trim_end())
    }

    pub(crate) fn clean_up_files(&self) -> String {
        let mut body = String::new();
        for (variable, _) in self.variables.all() {
            if variable.file {
                let _ = writeln!(body, "rm -f {}", self.file_of(&variable.key));
            }
        }
        body.push_str("true\n");
        self.whole(&body)
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quotes_strings_for_bash() {
        let text = "it's \"$HOME\" `x` \\n\n\ttab \u{1b}[0m ü !";
        let script = format!("printf '%s' {}", quote(text));
        let output = std::process::Command::new("bash")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
    }
}
