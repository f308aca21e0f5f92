//! The context of commands: the connection to the server, and how results are printed.

use buildbtw_model::client::{Client, ClientError};

use crate::cli::Global;
use crate::config::SavedLogin;
use crate::error::{Error, Result};
use crate::output::Output;

const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

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
        let (server, token) = choose(global, saved);
        let had_token = token.is_some();
        let client = Client::new(&server, token).map_err(|error| Error::Server {
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

/// Returns the server and the token to use. A saved token is only sent to the server that it was
/// saved for.
pub(crate) fn choose(global: &Global, saved: &SavedLogin) -> (String, Option<String>) {
    let set = |value: &Option<String>| {
        let value = value.as_deref().map(str::trim);
        value.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let server = set(&global.server)
        .or_else(|| saved.server.clone())
        .unwrap_or_else(|| DEFAULT_SERVER.into());
    let same = |saved: &String| saved.trim_end_matches('/') == server.trim_end_matches('/');
    let token = set(&global.token).or_else(|| {
        saved
            .server
            .as_ref()
            .filter(|saved| same(saved))
            .and(saved.token.clone())
    });
    (server, token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(server: Option<&str>, token: Option<&str>) -> Global {
        Global {
            server: server.map(str::to_owned),
            token: token.map(str::to_owned),
            json: false,
            color: crate::output::ColorChoice::default(),
        }
    }

    #[test]
    fn sends_saved_token_to_its_server_only() {
        let saved = SavedLogin {
            server: Some("http://a/".into()),
            token: Some("secret".into()),
        };
        let choose = |server, token| choose(&global(server, token), &saved);
        let secret = Some("secret".to_owned());
        assert_eq!(choose(None, None), ("http://a/".into(), secret.clone()));
        assert_eq!(choose(Some("http://a"), None), ("http://a".into(), secret));
        assert_eq!(choose(Some("http://b"), None), ("http://b".into(), None));
        let other = Some("other".to_owned());
        assert_eq!(choose(None, Some("other\n")), ("http://a/".into(), other));
    }
}
