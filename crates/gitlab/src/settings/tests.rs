use super::*;

fn args(folder: &Path) -> GitlabArgs {
    GitlabArgs {
        gitlab_url: Some("gitlab.example.org/".into()),
        gitlab_group: Some("/packaging/packages".into()),
        gitlab_token_file: Some(folder.join("token")),
        ..GitlabArgs::default()
    }
}

#[test]
fn requires_all_settings_of_a_group() {
    let folder = tempfile::tempdir().unwrap();
    assert!(GitlabArgs::default().settings().unwrap().is_none());
    let settings = args(folder.path()).settings().unwrap().unwrap();
    assert_eq!(settings.url.as_str(), "https://gitlab.example.org/");
    assert_eq!(settings.group, "packaging/packages");
    let partial = GitlabArgs {
        gitlab_poll_seconds: Some(5),
        gitlab_group: Some("g".into()),
        ..GitlabArgs::default()
    };
    let message = partial.settings().unwrap_err().to_string();
    assert!(
        message.contains("requires --gitlab-url and --gitlab-token-file"),
        "{message}"
    );
}

#[test]
fn rejects_credentials_in_addresses_and_hides_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let with_password = GitlabArgs {
        gitlab_url: Some("https://me:glpat-secret@gitlab.example.org".into()),
        ..args(folder.path())
    };
    let message = with_password.settings().unwrap_err().to_string();
    assert!(!message.contains("glpat-secret"), "{message}");
    let secret = folder.path().join("secret");
    fs_err::write(&secret, "abc\n").unwrap();
    let with_secret = GitlabArgs {
        gitlab_webhook_secret_file: Some(secret),
        ..args(folder.path())
    };
    let settings = with_secret.settings().unwrap().unwrap();
    assert_eq!(settings.webhook.token.as_ref().unwrap().reveal(), "abc");
    assert!(!format!("{settings:?}").contains("abc"));
}

#[test]
fn validates_signing_token_format() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signing");
    let with = || GitlabArgs {
        gitlab_webhook_signing_token_file: Some(file.clone()),
        ..args(folder.path())
    };
    for bad in ["abc", "whsec_!", "whsec_YWJj"] {
        fs_err::write(&file, bad).unwrap();
        assert!(with().settings().is_err(), "{bad}");
    }
    fs_err::write(&file, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=").unwrap();
    let settings = with().settings().unwrap().unwrap();
    assert_eq!(settings.webhook.signing_key.unwrap().reveal().len(), 32);
}

#[test]
fn errors_match_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs_err::write(&path, text).unwrap();
        path
    };
    file("token", "glpat-x");
    let empty = file("empty", "\n");
    let with_url = |url: &str| GitlabArgs {
        gitlab_url: Some(url.to_owned()),
        ..args(folder.path())
    };
    let with_group = |group: &str| GitlabArgs {
        gitlab_group: Some(group.to_owned()),
        ..args(folder.path())
    };
    let with_ca = |path: PathBuf| GitlabArgs {
        gitlab_ca: Some(path),
        ..args(folder.path())
    };
    let refused = [
        with_url("https://gitlab.example:99999"),
        with_url("ftp://gitlab.example"),
        with_url("gitlab.example/?a=b"),
        with_url("https://me@gitlab.example"),
        with_group("a//b"),
        with_ca(folder.path().join("nowhere")),
        with_ca(empty),
        GitlabArgs {
            gitlab_proxy: Some("http://[".to_owned()),
            ..args(folder.path())
        },
    ];
    let refused = refused.map(|args| {
        let settings = args.settings();
        let opened = settings.and_then(|settings| crate::Gitlab::new(settings.unwrap()));
        let text = opened.err().unwrap().to_string();
        text.replace(folder.path().to_str().unwrap(), "FOLDER")
    });
    insta::assert_snapshot!(refused.join("\n\n"));
}
