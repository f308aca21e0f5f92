//! The context of commands: the connection to the server, and how results are printed.

use std::path::PathBuf;

use buildbtw_model::client::{Authorities, Client, ClientError};

use crate::cli::Global;
use crate::config::SavedLogin;
use crate::error::{Error, Result};
use crate::output::Output;

pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// The context of a command.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) output: Output,
    pub(crate) had_token: bool,
}

impl Context {
    /// Creates it from flags, environment and the last login.
    pub(crate) fn new(global: &Global) -> Result<Self> {
        let saved = match SavedLogin::default_path() {
            Some(path) => SavedLogin::load(&path)?,
            None => SavedLogin::default(),
        };
        Self::with_login(global, &saved)
    }

    /// Creates it from flags, environment and a login.
    pub(crate) fn with_login(global: &Global, saved: &SavedLogin) -> Result<Self> {
        let chosen = choose(global, saved);
        let had_token = chosen.token.is_some();
        let client = chosen.client().map_err(|error| Error::Server {
            error: Box::new(error),
            had_token,
        })?;
        Ok(Self {
            client,
            output: Output::new(global.json),
            had_token,
        })
    }

    /// Converts the error of a request into one with a hint.
    pub(crate) fn check<T>(&self, response: std::result::Result<T, ClientError>) -> Result<T> {
        response.map_err(|error| Error::Server {
            error: Box::new(error),
            had_token: self.had_token,
        })
    }
}

/// The server to use, and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) server: String,
    pub(crate) token: Option<String>,
    /// File of certificate authorities to trust in addition.
    pub(crate) ca: Option<PathBuf>,
}

impl Chosen {
    /// Creates a client of the server.
    pub(crate) fn client(self) -> std::result::Result<Client, ClientError> {
        let authorities = Authorities::read(self.ca.as_deref())?;
        Client::trusting(&self.server, self.token, &authorities)
    }
}

/// Returns the server to use. The token and the certificate authorities of the last login are only
/// used for the server that they were saved for.
pub(crate) fn choose(global: &Global, saved: &SavedLogin) -> Chosen {
    let set = |value: &Option<String>| {
        let value = value.as_deref().map(str::trim);
        value.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let server = set(&global.server)
        .or_else(|| saved.server.clone())
        .unwrap_or_else(|| DEFAULT_SERVER.into());
    let same = |saved: &String| saved.trim_end_matches('/') == server.trim_end_matches('/');
    let last = saved
        .server
        .as_ref()
        .filter(|saved| same(saved))
        .and(Some(saved));
    let token = set(&global.token).or_else(|| last?.token.clone());
    let ca = global.ca.clone().or_else(|| last?.ca.clone());
    Chosen { server, token, ca }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(server: Option<&str>, token: Option<&str>) -> Global {
        Global {
            server: server.map(str::to_owned),
            token: token.map(str::to_owned),
            ca: None,
            json: false,
            color: crate::output::ColorChoice::default(),
        }
    }

    #[test]
    fn sends_saved_token_to_its_server_only() {
        let saved = SavedLogin {
            server: Some("http://a/".into()),
            token: Some("secret".into()),
            ca: None,
        };
        let choose = |server, token| {
            let chosen = choose(&global(server, token), &saved);
            (chosen.server, chosen.token)
        };
        let secret = Some("secret".to_owned());
        assert_eq!(choose(None, None), ("http://a/".into(), secret.clone()));
        assert_eq!(choose(Some("http://a"), None), ("http://a".into(), secret));
        assert_eq!(choose(Some("http://b"), None), ("http://b".into(), None));
        let other = Some("other".to_owned());
        assert_eq!(choose(None, Some("other\n")), ("http://a/".into(), other));
    }

    #[test]
    fn trusts_saved_authorities_for_their_server_only() {
        let saved = SavedLogin {
            server: Some("https://a".into()),
            token: None,
            ca: Some("/saved.pem".into()),
        };
        let ca = |server, flag: Option<&str>| {
            let global = Global {
                ca: flag.map(PathBuf::from),
                ..global(server, None)
            };
            choose(&global, &saved).ca
        };
        assert_eq!(ca(None, None), Some("/saved.pem".into()));
        assert_eq!(ca(Some("https://b"), None), None);
        assert_eq!(ca(None, Some("/other.pem")), Some("/other.pem".into()));
    }
}
