//! `buildbtw-server gitlab set-ci-config`: the template for all projects of the group.

use buildbtw_fake_gitlab::{Fault, On, Role, Times};
use buildbtw_gitlab::{Gitlab, GitlabArgs};
use buildbtw_server::maintenance::ci_config::{Options, Summary, set_ci_config};

use super::{Forge, GROUP};
use crate::support::Srcinfo;

const TEMPLATE: &str = "buildbtw.yml@packaging/ci";

impl Forge {
    async fn with_packages(names: &[&str]) -> Self {
        let mut forge = Self::empty().await;
        forge.token = forge.gitlab.create_token(&["api"]);
        forge.write("token", &forge.token);
        for name in names {
            forge.push(&Srcinfo::new(name, "1-1"));
        }
        forge
    }

    async fn set_ci_config(&self, apply: bool) -> (Result<Summary, String>, usize) {
        let args = GitlabArgs {
            gitlab_url: Some(self.gitlab.url().to_owned()),
            gitlab_group: Some(GROUP.to_owned()),
            gitlab_token_file: Some(self.file("token")),
            ..GitlabArgs::default()
        };
        let gitlab = Gitlab::new(args.settings().unwrap().unwrap()).unwrap();
        let options = Options {
            template: TEMPLATE.to_owned(),
            apply,
        };
        let mut reported = 0;
        let done = set_ci_config(&gitlab, &options, |_| reported += 1).await;
        (done.map_err(|error| error.to_string()), reported)
    }

    fn has_template(&self, name: &str) -> bool {
        let path = self.gitlab.ci_config_path(self.project(name)).unwrap();
        path.as_deref() == Some(TEMPLATE)
    }
}

#[tokio::test]
async fn dry_run_changes_nothing_and_apply_is_idempotent() {
    let forge = Forge::with_packages(&["a", "b", "c"]).await;
    forge
        .gitlab
        .set_ci_config_path(forge.project("b"), TEMPLATE)
        .unwrap();
    let (dry, reported) = forge.set_ci_config(false).await;
    let dry = dry.unwrap();
    assert_eq!((dry.changed, dry.unchanged, reported), (2, 1, 2));
    assert!(!forge.has_template("a"));
    let (done, _) = forge.set_ci_config(true).await;
    assert_eq!(done.unwrap().changed, 2);
    assert!(["a", "b", "c"].iter().all(|name| forge.has_template(name)));
    let (again, reported) = forge.set_ci_config(true).await;
    assert_eq!((again.unwrap().unchanged, reported), (3, 0));
}

#[tokio::test]
async fn names_rejecting_project_and_continues() {
    let forge = Forge::with_packages(&["a", "b", "c"]).await;
    let refusing = forge.project("b");
    forge.gitlab.set_role(refusing, Role::Developer).unwrap();
    let (done, _) = forge.set_ci_config(true).await;
    let done = done.unwrap();
    assert_eq!(done.changed, 2);
    let (path, error) = &done.rejected[0];
    assert_eq!(path, "packaging/packages/b");
    assert!(error.to_string().contains("forbidden"), "{error}");
}

#[tokio::test]
async fn continues_with_remaining_projects_after_interruption() {
    let forge = Forge::with_packages(&["a", "b", "c"]).await;
    let method = |end: String| On::Method {
        method: "PUT".into(),
        end,
    };
    let expired = Fault::Respond {
        status: 401,
        headers: vec![],
        body: r#"{"message":"401 Unauthorized"}"#.into(),
    };
    let end = format!("/projects/{}", forge.project("b").0);
    let faults = forge.gitlab.faults();
    let rule = faults.add(method(end), Times::Always, expired);
    let (stopped, _) = forge.set_ci_config(true).await;
    assert!(stopped.unwrap_err().contains("token rejected"));
    faults.remove(rule);
    let (done, _) = forge.set_ci_config(true).await;
    let done = done.unwrap();
    assert!(
        done.unchanged + done.changed == 3 && done.changed >= 1,
        "{done:?}"
    );
    assert!(["a", "b", "c"].iter().all(|name| forge.has_template(name)));
}
