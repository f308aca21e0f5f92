//! The server to use, from options, environment and the last login.

use std::path::PathBuf;

use buildbtw_model::client::{Authorities, Client, ClientError};

use crate::config::SavedLogin;

pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// What options and environment say about the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) server: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) ca: Option<PathBuf>,
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
pub(crate) fn choose(wanted: &Wanted, saved: &SavedLogin) -> Chosen {
    let set = |value: &Option<String>| {
        let value = value.as_deref().map(str::trim);
        value.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let server = set(&wanted.server)
        .or_else(|| saved.server.clone())
        .unwrap_or_else(|| DEFAULT_SERVER.into());
    let same = |saved: &String| saved.trim_end_matches('/') == server.trim_end_matches('/');
    let last = saved
        .server
        .as_ref()
        .filter(|saved| same(saved))
        .and(Some(saved));
    let token = set(&wanted.token).or_else(|| last?.token.clone());
    let ca = wanted.ca.clone().or_else(|| last?.ca.clone());
    Chosen { server, token, ca }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(server: Option<&str>, token: Option<&str>) -> Wanted {
        Wanted {
            server: server.map(str::to_owned),
            token: token.map(str::to_owned),
            ca: None,
        }
    }

    #[test]
    fn sends_saved_token_to_its_server_only() {
        let saved = SavedLogin {
            server: Some("http://a/".into()),
            token: Some("secret".into()),
            ..SavedLogin::default()
        };
        let choose = |server, token| {
            let chosen = choose(&wanted(server, token), &saved);
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
            ca: Some("/saved.pem".into()),
            ..SavedLogin::default()
        };
        let ca = |server, flag: Option<&str>| {
            let wanted = Wanted {
                ca: flag.map(PathBuf::from),
                ..wanted(server, None)
            };
            choose(&wanted, &saved).ca
        };
        assert_eq!(ca(None, None), Some("/saved.pem".into()));
        assert_eq!(ca(Some("https://b"), None), None);
        assert_eq!(ca(None, Some("/other.pem")), Some("/other.pem".into()));
    }
}
