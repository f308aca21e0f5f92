//! The address at which a request reached the server.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};

use crate::address::{BaseUrl, checked_host};
use crate::config::Config;
use crate::serve::Local;
use crate::state::AppState;

impl FromRequestParts<AppState> for BaseUrl {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Self, Self::Rejection> {
        Ok(of_request(&state.config, parts))
    }
}

/// Returns the address at which a request reached the server.
fn of_request(config: &Config, parts: &Parts) -> BaseUrl {
    if !config.url_by_host {
        return config.base_url();
    }
    let local = parts.extensions.get::<Local>();
    match requested_host(&parts.headers, &parts.uri) {
        Some(host) => BaseUrl::new(format!("http://{host}")),
        None => match local {
            Some(Local(address)) => BaseUrl::new(format!("http://{address}")),
            None => config.base_url(),
        },
    }
}

/// Returns the valid host of a request, with its port if there is one. It is used in pages and in the
/// configuration of package managers.
fn requested_host(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    // HTTP/2 and requests with an absolute URL have it there, which takes precedence (RFC 9112, 3.2.2).
    if let Some(authority) = uri.authority() {
        return checked_host(authority.as_str());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => checked_host(host.to_str().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn config(arguments: &[&str], address: &str) -> anyhow::Result<Config> {
        use clap::Parser as _;
        let program = ["buildbtw-server", "run", "--listen", address];
        let arguments = program.iter().chain(arguments);
        match crate::cli::Cli::try_parse_from(arguments)?.command {
            crate::cli::Command::Run(args) => args.config(args.listen, None),
            _ => bail!("these are not the arguments of a server"),
        }
    }

    fn base(config: &Config, host: &str, local: Option<&str>) -> String {
        let request = axum::http::Request::get("/").header(header::HOST, host);
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        if let Some(local) = local {
            parts.extensions.insert(Local(local.parse().unwrap()));
        }
        of_request(config, &parts).to_string()
    }

    #[test]
    fn uses_the_host_of_the_request_on_all_interfaces_only() {
        let everywhere = config(&[], "0.0.0.0:8080").unwrap();
        assert_eq!(everywhere.url, "http://127.0.0.1:8080");
        let local = Some("10.0.0.7:8080");
        let of = |host| base(&everywhere, host, local);
        assert_eq!(of("build.example.org:80"), "http://build.example.org:80");
        assert_eq!(of("0.0.0.0:8080"), "http://10.0.0.7:8080");
        assert_eq!(of("x\"y"), "http://10.0.0.7:8080");
        assert_eq!(base(&everywhere, "x\"y", None), "http://127.0.0.1:8080");
        let somewhere = config(&[], "10.0.0.7:8080").unwrap();
        assert_eq!(base(&somewhere, "other", local), "http://10.0.0.7:8080");
        let named = config(&["--url", "https://x/b"], "0.0.0.0:8080").unwrap();
        assert_eq!(base(&named, "other", local), "https://x/b");
        assert_eq!(named.prefix, "/b");
    }

    #[test]
    fn requires_url_for_reports_when_listening_on_all_interfaces() {
        let reports = ["--gitlab-report", "commit-status"];
        let error = config(&reports, "[::]:8080").unwrap_err();
        assert!(error.to_string().contains("set --url"), "{error}");
        let with_url = [&reports[..], &["--url", "http://x"]].concat();
        assert!(config(&with_url, "[::]:8080").is_ok());
        assert!(config(&reports, "127.0.0.1:8080").is_ok());
    }
}
