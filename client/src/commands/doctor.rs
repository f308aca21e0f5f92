//! `buildbtw doctor`: checks the settings of this user, the server and the token.

use std::path::Path;

use buildbtw_doctor::server::Expected;
use buildbtw_doctor::token::Need;
use buildbtw_doctor::{Check, Report, ShownSetting, files, server};
use buildbtw_model::{Explanation, TokenScope};
use buildbtw_settings::{Origin, Setting};
use jiff::Timestamp;

use crate::chosen::{Chosen, DEFAULT_SERVER, choose};
use crate::cli::Global;
use crate::config::SavedLogin;
use crate::error::{Error, Result};
use crate::output::{Output, Projection};

const PROGRAM: &str = "buildbtw";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The name of the check of the saved login.
const LOGIN: &str = "login file";

pub(super) async fn run(global: &Global, json: Option<Projection>) -> Result<u8> {
    let path = SavedLogin::default_path();
    let report = examine(global, path.as_deref()).await;
    let output = Output::new(json);
    if output.is_json() {
        output.json(&report)?;
        return Ok(report.exit_code());
    }
    // A closed standard output is not a failure of the checks.
    report.print(false).map_err(Error::from)
}

async fn examine(global: &Global, path: Option<&Path>) -> Report {
    let mut report = Report::new(PROGRAM, VERSION);
    let saved = match path.map(SavedLogin::load).transpose() {
        Ok(saved) => saved.unwrap_or_default(),
        Err(error) => {
            let explanation = Explanation {
                message: error.to_string(),
                hint: error.hint(),
            };
            report.add(Check::failed(
                "configuration",
                explanation,
                "run `buildbtw login`",
            ));
            SavedLogin::default()
        }
    };
    report.add(check_login(path));
    let chosen = choose(&global.wanted(), &saved);
    report.settings = settings(global, &chosen, path);
    let has_token = chosen.token.is_some();
    match chosen.client() {
        Ok(client) => {
            let expected = Expected {
                version: VERSION,
                setting: "--server",
                token: Some(Need {
                    scope: TokenScope::Client,
                    create: "run `buildbtw login` with a token of scope `client` or `admin`",
                    is_optional: true,
                }),
                has_token,
            };
            server::check_all(&mut report, &client, expected, Timestamp::now).await;
        }
        Err(error) => report.add(Check::failed(
            "server",
            error.explanation(),
            "let --server name a URL like https://buildbtw.example.org",
        )),
    }
    report
}

/// Checks that other users cannot read the saved token.
fn check_login(path: Option<&Path>) -> Check {
    match path {
        None => Check::skipped(LOGIN, "there is no home folder, so no login is saved"),
        Some(path) if !path.exists() => {
            Check::skipped(LOGIN, format!("`{}` does not exist", path.display()))
        }
        Some(path) => files::secret(LOGIN, path),
    }
}

/// Lists the settings that were chosen, and where each came from.
fn settings(global: &Global, chosen: &Chosen, path: Option<&Path>) -> Vec<ShownSetting> {
    let origin = |given: bool, variable: &str, value: Option<&str>| match (given, value, path) {
        (true, Some(value), _) => {
            let set = std::env::var(variable).ok();
            match set.as_deref().map(str::trim) == Some(value) {
                true => Origin::Environment(variable.to_owned()),
                false => Origin::CommandLine,
            }
        }
        (false, Some(_), Some(path)) => Origin::File(path.to_owned()),
        _ => Origin::Default,
    };
    let is_given = |value: &Option<String>| {
        let value = value.as_deref().map(str::trim);
        value.is_some_and(|value| !value.is_empty())
    };
    let is_default = !is_given(&global.server) && chosen.server == DEFAULT_SERVER;
    let server = Some(chosen.server.as_str()).filter(|_| !is_default);
    let ca = chosen.ca.as_ref().map(|path| path.display().to_string());
    let settings = [
        Setting {
            name: "server".into(),
            value: Some(chosen.server.clone()),
            origin: origin(is_given(&global.server), "BUILDBTW_SERVER", server),
            secret: false,
        },
        Setting {
            name: "ca".into(),
            origin: origin(global.ca.is_some(), "BUILDBTW_CA", ca.as_deref()),
            value: ca,
            secret: false,
        },
        Setting {
            name: "token".into(),
            value: chosen.token.clone(),
            origin: origin(
                is_given(&global.token),
                "BUILDBTW_TOKEN",
                chosen.token.as_deref(),
            ),
            secret: true,
        },
    ];
    settings.into_iter().map(ShownSetting::from).collect()
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;

    use super::*;

    fn global(server: Option<&str>) -> Global {
        Global {
            server: server.map(str::to_owned),
            ..Global::default()
        }
    }

    #[test]
    fn names_origin_of_every_setting_and_hides_the_token() {
        let saved = SavedLogin {
            server: Some("http://a".into()),
            token: Some("bbtw_secret".into()),
            ca: None,
        };
        let path = Path::new("/home/x/config.toml");
        let shown = |global: &Global, saved: &SavedLogin| {
            let settings = settings(global, &choose(&global.wanted(), saved), Some(path));
            assert!(!format!("{settings:?}").contains("bbtw_secret"));
            let origins = settings.into_iter().map(|setting| setting.origin);
            origins.collect::<Vec<_>>()
        };
        let file = "file: /home/x/config.toml";
        assert_eq!(shown(&global(None), &saved), [file, "default", file]);
        let other = global(Some("http://b"));
        assert_eq!(
            shown(&other, &saved),
            ["command line", "default", "default"]
        );
        let none = SavedLogin::default();
        assert_eq!(shown(&global(None), &none), ["default"; 3]);
    }

    #[tokio::test]
    async fn checks_the_server_although_the_login_file_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs_err::write(&path, "server = [").unwrap();
        let global = global(Some("http://127.0.0.1:1"));
        let report = examine(&global, Some(&path)).await;
        let find = |name: &str| {
            report
                .checks
                .iter()
                .find(|check| check.name == name)
                .unwrap()
        };
        let damaged = find("configuration");
        assert_eq!(damaged.status, Status::Failure);
        assert!(
            damaged
                .repair
                .as_deref()
                .unwrap()
                .contains("buildbtw login")
        );
        assert_eq!(find("server").status, Status::Failure);
        assert_eq!(find("token").status, Status::Skipped);
    }
}
