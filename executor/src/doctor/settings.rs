//! The settings of this host, and where each value came from.

use std::path::Path;

use buildbtw_doctor::ShownSetting;
use buildbtw_model::settings::read;
use buildbtw_settings::{Origin, Setting};

use crate::config::{DEFAULT_PATH, PATH_VARIABLE, setting_names};
use crate::front::Host;

/// Lists all settings; only the path of the file if that cannot be used.
pub(super) fn shown(path: &Path, host: Option<&Host>) -> Vec<ShownSetting> {
    let mut settings = vec![Setting {
        name: "config".to_owned(),
        value: Some(path.display().to_string()),
        origin: origin_of_path(path, std::env::var_os(PATH_VARIABLE).as_deref()),
        secret: false,
    }];
    if let (Some(host), Ok(text)) = (host, read(path)) {
        settings.extend(of_file(path, &text, &host.config.defaults()));
    }
    settings.into_iter().map(ShownSetting::from).collect()
}

fn origin_of_path(path: &Path, variable: Option<&std::ffi::OsStr>) -> Origin {
    match variable {
        Some(variable) if path == Path::new(variable) => {
            Origin::Environment(PATH_VARIABLE.to_owned())
        }
        _ if path == Path::new(DEFAULT_PATH) => Origin::Default,
        _ => Origin::CommandLine,
    }
}

/// Lists the settings of a file with this text, none of which is a secret.
fn of_file(path: &Path, text: &str, defaults: &[(String, String)]) -> Vec<Setting> {
    let table: toml::Table = toml::from_str(text).unwrap_or_default();
    let settings = setting_names().into_iter().map(|name| {
        let set = find(&table, &name).map(text_of);
        let (value, origin) = match set {
            Some(value) => (Some(value), Origin::File(path.to_owned())),
            None => {
                let default = defaults.iter().find(|(known, _)| *known == name);
                (default.map(|(_, value)| value.clone()), Origin::Default)
            }
        };
        Setting {
            name,
            value,
            origin,
            secret: false,
        }
    });
    settings.collect()
}

fn find<'a>(table: &'a toml::Table, name: &str) -> Option<&'a toml::Value> {
    match name.split_once('.') {
        Some((outer, inner)) => table.get(outer)?.get(inner),
        None => table.get(name),
    }
}

/// Returns a value as it is written in the file, without quotes around a text.
fn text_of(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(values) => {
            let values: Vec<_> = values.iter().map(text_of).collect();
            values.join(",")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn names_origin_of_every_setting() {
        let text =
            "server = 'http://b'\narchitectures = ['x86_64', 'any2']\n\n[limits]\ndisk_mib = 100";
        let config = Config::parse(text).unwrap();
        let path = Path::new("/etc/buildbtw/executor.toml");
        let found = of_file(path, text, &config.defaults());
        let of = |name: &str| {
            let setting = found.iter().find(|setting| setting.name == name).unwrap();
            (
                setting.value.clone().unwrap_or_default(),
                setting.origin.clone(),
            )
        };
        let file = Origin::File(path.to_owned());
        assert_eq!(of("server"), ("http://b".into(), file.clone()));
        assert_eq!(of("architectures"), ("x86_64,any2".into(), file.clone()));
        assert_eq!(of("limits.disk_mib"), ("100".into(), file));
        assert_eq!(of("script_user"), ("nobody".into(), Origin::Default));
        assert_eq!(of("limits.cgroups"), ("true".into(), Origin::Default));
        assert_eq!(of("git_ca"), (String::new(), Origin::Default));
    }

    #[test]
    fn every_default_has_the_name_of_a_setting() {
        let config = Config::parse("server = 'x'").unwrap();
        let names = setting_names();
        for (name, _) in config.defaults() {
            assert!(names.contains(&name), "{name}");
        }
    }

    #[test]
    fn names_origin_of_the_files_path() {
        let origin = |path: &str, variable: Option<&str>| {
            origin_of_path(Path::new(path), variable.map(std::ffi::OsStr::new))
        };
        assert_eq!(origin(DEFAULT_PATH, None), Origin::Default);
        assert_eq!(origin("/x", None), Origin::CommandLine);
        let variable = Origin::Environment(PATH_VARIABLE.to_owned());
        assert_eq!(origin("/x", Some("/x")), variable);
    }
}
