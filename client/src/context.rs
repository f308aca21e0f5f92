//! The context of commands: the connection to the server, and how results are printed.

use buildbtw_model::client::{Client, ClientError};

use crate::chosen::choose;
use crate::cli::Global;
use crate::config::SavedLogin;
use crate::error::{Error, Result};
use crate::output::{Output, Projection};

/// The context of a command.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) output: Output,
    pub(crate) had_token: bool,
}

impl Context {
    /// Creates it from flags, environment and the last login.
    pub(crate) fn new(global: &Global, json: Option<Projection>) -> Result<Self> {
        let saved = match SavedLogin::default_path() {
            Some(path) => SavedLogin::load(&path)?,
            None => SavedLogin::default(),
        };
        Self::with_login(global, &saved, json)
    }

    /// Creates it from flags, environment and a login.
    pub(crate) fn with_login(
        global: &Global,
        saved: &SavedLogin,
        json: Option<Projection>,
    ) -> Result<Self> {
        let chosen = choose(&global.wanted(), saved);
        let had_token = chosen.token.is_some();
        let client = chosen.client().map_err(|error| Error::Server {
            error: Box::new(error),
            had_token,
        })?;
        Ok(Self {
            client,
            output: Output::new(json),
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
