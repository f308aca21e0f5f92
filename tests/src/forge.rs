//! A stand-in for GitLab with the sources, and the files that programs need to access it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use buildbtw_fake_gitlab::{
    FakeGitlab, HookOptions, HookScope, JobId, JobView, Options, ProjectId,
};
use buildbtw_fake_runner::plain_log;
use tokio::runtime::Runtime;

use crate::sources::git;

/// The watched group.
pub const GROUP: &str = "packaging/packages";
/// The project of the CI template, and the path by which projects refer to it.
const CI_PROJECT: &str = "packaging/ci";
const CI_CONFIG: &str = "buildbtw.yml@packaging/ci";
pub const TEMPLATE: &str = include_str!("../../ci/buildbtw.yml");
const SIGNING: &str = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// A GitLab stand-in with the group, which serves in its own threads.
pub struct Forge {
    pub gitlab: FakeGitlab,
    folder: PathBuf,
    /// The token of workers, which may only read repositories.
    pub worker_token: String,
    packager_token: String,
    /// The authentication token of the runner, if jobs run.
    pub runner_token: Option<String>,
    /// Last: the stand-in runs in it.
    _runtime: Runtime,
}

impl Forge {
    pub fn new(folder: &Path) -> Self {
        Self::with_token(folder, "read_api")
    }

    /// Starts a stand-in that has the CI template, and a runner for its projects.
    pub fn that_builds(folder: &Path) -> Self {
        let mut this = Self::with_token(folder, "api");
        let project = this.gitlab.create_project(CI_PROJECT).unwrap();
        let files = [("buildbtw.yml", Some(TEMPLATE.as_bytes()))];
        this.gitlab
            .commit(project, "main", &files, "Add the template")
            .unwrap();
        this.runner_token = Some(this.gitlab.create_runner(&["buildbtw", "x86_64"]));
        this
    }

    fn with_token(folder: &Path, scope: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let gitlab = runtime
            .block_on(FakeGitlab::start(Options::default()))
            .unwrap();
        gitlab.create_group(GROUP).unwrap();
        let folder = folder.join("forge");
        std::fs::create_dir_all(&folder).unwrap();
        let this = Self {
            worker_token: gitlab.create_token(&["read_repository"]),
            packager_token: gitlab.create_token(&["write_repository"]),
            runner_token: None,
            gitlab,
            folder,
            _runtime: runtime,
        };
        let server_token = this.gitlab.create_token(&[scope]);
        this.write("token", &server_token);
        this.write("signing", SIGNING);
        this.write(
            "credentials",
            &this.address_for("worker", &this.worker_token),
        );
        this
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.file(name);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn address_for(&self, user: &str, token: &str) -> String {
        let url = self.gitlab.url();
        url.replacen("http://", &format!("http://{user}:{token}@"), 1)
    }

    /// Returns the git credentials of a worker.
    pub fn credentials(&self) -> PathBuf {
        self.file("credentials")
    }

    /// Returns the arguments with which a server watches the group. It polls so rarely that it depends on webhooks.
    pub fn server_arguments(&self) -> Vec<String> {
        self.arguments_with_poll("3600")
    }

    /// Returns the arguments of a server that misses webhooks, because it is killed repeatedly.
    pub fn polling_arguments(&self) -> Vec<String> {
        let mut arguments = self.arguments_with_poll("1");
        let more = [
            "--gitlab-pipeline-seconds=1",
            "--gitlab-pipelines-per-minute=6000",
            "--gitlab-settle-seconds=2",
        ];
        arguments.extend(more.map(str::to_owned));
        arguments
    }

    fn arguments_with_poll(&self, seconds: &str) -> Vec<String> {
        let file = |name| self.file(name).display().to_string();
        let builds = self.runner_token.is_some().to_string();
        [
            ("--run-builds-on-gitlab", builds),
            ("--gitlab-url", self.gitlab.url().to_owned()),
            ("--gitlab-group", GROUP.to_owned()),
            ("--gitlab-token-file", file("token")),
            ("--gitlab-poll-seconds", seconds.to_owned()),
            ("--gitlab-webhook-signing-token-file", file("signing")),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
    }

    /// Adds another CI template, for an existing package.
    pub fn build_with(&self, pkgbase: &str, file: &str, template: &str) {
        let ci = self.gitlab.project_id(CI_PROJECT).unwrap();
        let files = [(file, Some(template.as_bytes()))];
        self.gitlab
            .commit(ci, "main", &files, "Add a template")
            .unwrap();
        let project = self.project(pkgbase);
        self.gitlab
            .set_ci_config_path(project, &format!("{file}@{CI_PROJECT}"))
            .unwrap();
    }

    /// Creates a project with a CI configuration and a submodule.
    pub fn create_with_submodule(
        &self,
        project: &str,
        configuration: &str,
        path: &str,
        submodule: &str,
        commit: &str,
    ) -> ProjectId {
        let id = self.gitlab.create_project(project).unwrap();
        let clone = self.folder.join("with-submodule");
        std::fs::create_dir_all(&clone).unwrap();
        let url = format!("{}/{submodule}.git", self.gitlab.url());
        let modules = format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n");
        std::fs::write(clone.join(".gitmodules"), modules).unwrap();
        std::fs::write(clone.join(".gitlab-ci.yml"), configuration).unwrap();
        git(&clone, &["init", "--quiet", "--initial-branch", "main"]);
        git(&clone, &["add", "--all"]);
        let entry = format!("160000,{commit},{path}");
        git(&clone, &["update-index", "--add", "--cacheinfo", &entry]);
        git(&clone, &["commit", "--quiet", "--message", "Begin"]);
        let url = format!(
            "{}/{project}.git",
            self.address_for("packager", &self.packager_token)
        );
        git(&clone, &["push", "--quiet", &url, "main"]);
        id
    }

    /// Returns the project of a package.
    pub fn project(&self, pkgbase: &str) -> ProjectId {
        let project = self.gitlab.project_id(&format!("{GROUP}/{pkgbase}"));
        project.unwrap()
    }

    /// Returns the jobs of a package, oldest first.
    pub fn jobs(&self, pkgbase: &str) -> Vec<JobView> {
        let pipelines = self.gitlab.pipelines(self.project(pkgbase));
        let mut jobs: Vec<_> = pipelines
            .iter()
            .flat_map(|pipeline| self.gitlab.jobs(pipeline.id))
            .collect();
        jobs.sort_by_key(|job| job.id.0);
        jobs
    }

    /// Returns the log of a job, without timestamps.
    pub fn log(&self, job: JobId) -> String {
        plain_log(&self.gitlab.job_trace(job))
    }

    /// Sets the template of imported packages.
    pub fn build_all(&self, pkgbases: impl Iterator<Item = String>) {
        for pkgbase in pkgbases {
            let id = self.gitlab.project_id(&format!("{GROUP}/{pkgbase}"));
            self.gitlab
                .set_ci_config_path(id.unwrap(), CI_CONFIG)
                .unwrap();
        }
    }

    /// Sends the webhook of every push to a server.
    pub fn hook(&self, server: &str) {
        let options = HookOptions {
            signing_token: Some(SIGNING.to_owned()),
            ..HookOptions::everything(format!("{server}/api/v1/webhooks/gitlab"))
        };
        self.gitlab.add_hook(HookScope::System, options).unwrap();
    }

    /// Commits a package and pushes it over HTTP, as a packager does.
    pub fn push(&self, pkgbase: &str, srcinfo: &str, pkgbuild: &str) {
        let project = format!("{GROUP}/{pkgbase}");
        let clone = self.folder.join(pkgbase);
        if self.gitlab.project_id(&project).is_none() {
            let id = self.gitlab.create_project(&project).unwrap();
            if self.runner_token.is_some() {
                self.gitlab.set_ci_config_path(id, CI_CONFIG).unwrap();
            }
            git(
                &self.folder,
                &["init", "--quiet", "--initial-branch", "main", pkgbase],
            );
        }
        std::fs::write(clone.join(".SRCINFO"), srcinfo).unwrap();
        std::fs::write(clone.join("PKGBUILD"), pkgbuild).unwrap();
        self.push_clone(pkgbase);
    }

    /// Pushes another file of a package, or a change of it, and leaves the rest unchanged.
    pub fn push_file(&self, pkgbase: &str, name: &str, content: &str) {
        std::fs::write(self.folder.join(pkgbase).join(name), content).unwrap();
        self.push_clone(pkgbase);
    }

    fn push_clone(&self, pkgbase: &str) {
        let (project, clone) = (format!("{GROUP}/{pkgbase}"), self.folder.join(pkgbase));
        git(&clone, &["add", "--all"]);
        git(&clone, &["commit", "--quiet", "--message", "Update"]);
        let url = format!(
            "{}/{project}.git",
            self.address_for("packager", &self.packager_token)
        );
        git(&clone, &["push", "--quiet", &url, "main"]);
    }
}
