//! `buildbtw config`: lists and saves settings of the client.

use std::path::Path;

use buildbtw_model::client::Authorities;
use buildbtw_model::hide_user_info;
use serde::Serialize;

use crate::chosen::{Chosen, Wanted, choose};
use crate::cli::{ConfigArgs, ConfigCommand, ConfigKey, Global};
use crate::config::SavedLogin;
use crate::error::{Error, Result};
use crate::output::{Cell, Output, Projection, Table};

/// A setting with its value.
#[derive(Serialize)]
struct Setting {
    key: &'static str,
    value: Option<String>,
    source: String,
}

pub(super) fn run(global: &Global, args: &ConfigArgs, json: Option<Projection>) -> Result<u8> {
    let path = SavedLogin::default_path().ok_or_else(|| {
        Error::with_hint(
            "there is no file for settings: neither XDG_CONFIG_HOME nor HOME is an absolute path",
            "set one of them",
        )
    })?;
    let mut saved = SavedLogin::load(&path)?;
    let output = Output::new(json);
    let file = path.display().to_string();
    match &args.action {
        None | Some(ConfigCommand::List) => list(&output, &settings(global, &saved, &file)),
        Some(ConfigCommand::Get { key }) => {
            let mut settings = settings(global, &saved, &file);
            settings.retain(|setting| setting.key == key.as_str());
            match settings.first().and_then(|setting| setting.value.clone()) {
                _ if output.is_json() => list(&output, &settings),
                Some(value) => output.line(value).map(|()| 0),
                None => Err(Error::with_hint(
                    format!("`{}` is not set", key.as_str()),
                    format!("`buildbtw config set {} VALUE` sets it", key.as_str()),
                )),
            }
        }
        Some(ConfigCommand::Set { key, value }) => {
            set(&mut saved, *key, value)?;
            saved.save(&path)?;
            list(&output, &settings(&Global::default(), &saved, &file))
        }
        Some(ConfigCommand::Unset { key }) => {
            match key {
                // Token and authorities are those of the server.
                ConfigKey::Server => saved = SavedLogin::default(),
                ConfigKey::Ca => saved.ca = None,
            }
            saved.save(&path)?;
            list(&output, &settings(&Global::default(), &saved, &file))
        }
    }
}

/// Saves a setting after checking it.
fn set(saved: &mut SavedLogin, key: ConfigKey, value: &str) -> Result<()> {
    let refused = |error| Error::Server {
        error: Box::new(error),
        had_token: true,
    };
    match key {
        ConfigKey::Server => {
            let wanted = Wanted {
                server: Some(value.to_owned()),
                ..Wanted::default()
            };
            let before = saved.clone();
            let Chosen { server, token, ca } = choose(&wanted, &before);
            let tried = Chosen {
                server: server.clone(),
                token: None,
                ca: None,
            };
            tried.client().map_err(refused)?;
            // The token of another server is never sent to this one.
            *saved = SavedLogin {
                server: Some(server),
                token,
                ca,
            };
        }
        ConfigKey::Ca => {
            if saved.server.is_none() {
                return Err(Error::with_hint(
                    "authorities are saved for a server, and none is saved",
                    "run `buildbtw config set server URL` first",
                ));
            }
            let path = std::path::absolute(value)?;
            Authorities::read(Some(&path)).map_err(refused)?;
            saved.ca = Some(path);
        }
    }
    Ok(())
}

/// Returns all settings in effect.
fn settings(global: &Global, saved: &SavedLogin, file: &str) -> Vec<Setting> {
    let wanted = global.wanted();
    let Chosen { server, token, ca } = choose(&wanted, saved);
    let source = |given: Option<&str>, variable: &str, option: &str, is_saved: bool| match given {
        // An option is stronger than the variable.
        Some(given) if std::env::var(variable).is_ok_and(|set| set == given) => variable.to_owned(),
        Some(_) => option.to_owned(),
        None if is_saved => file.to_owned(),
        None => "default".to_owned(),
    };
    let wanted_server = wanted.server.as_deref().filter(|text| is_set(text));
    let wanted_token = wanted.token.as_deref().filter(|text| is_set(text));
    let wanted_ca = wanted.ca.as_deref().map(Path::to_string_lossy);
    vec![
        Setting {
            key: "server",
            // As doctor shows it: a URL may have a password.
            value: Some(hide_user_info(&server).into_owned()),
            source: source(
                wanted_server,
                "BUILDBTW_SERVER",
                "--server",
                saved.server.is_some(),
            ),
        },
        Setting {
            key: "token",
            // Never printed.
            value: token.as_ref().map(|_| "(hidden)".to_owned()),
            source: source(wanted_token, "BUILDBTW_TOKEN", "--token", token.is_some()),
        },
        Setting {
            key: "ca",
            source: source(wanted_ca.as_deref(), "BUILDBTW_CA", "--ca", ca.is_some()),
            value: ca.map(|path| path.display().to_string()),
        },
    ]
}

/// Returns whether a text is a value; a variable may be set to nothing.
fn is_set(text: &str) -> bool {
    !text.trim().is_empty()
}

fn list(output: &Output, settings: &[Setting]) -> Result<u8> {
    if output.is_json() {
        output.json(&settings)?;
        return Ok(0);
    }
    let mut table = Table::new(&["SETTING", "VALUE", "FROM"]);
    for setting in settings {
        let value = setting.value.as_deref().unwrap_or_default();
        table.row([
            Cell::new(setting.key),
            Cell::new(value),
            Cell::new(&setting.source),
        ]);
    }
    table.print(output)?;
    Ok(0)
}
