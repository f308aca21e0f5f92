//! `buildbtw login`: keeps a server's address and a token that it accepts.

use std::io::{IsTerminal as _, Read as _, Write as _};

use buildbtw_model::client::Client;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::cli::{Global, Login};
use crate::config::Saved;
use crate::context::{Context, choose};
use crate::error::{Error, Result};
use crate::output::clean;

/// More than any token has.
const LONGEST_INPUT: u64 = 64 * 1024;

pub(super) async fn run(global: &Global, args: &Login) -> Result<u8> {
    let path = Saved::default_path().ok_or_else(|| {
        Error::with_hint(
            "there is no place to keep the login",
            "set XDG_CONFIG_HOME or HOME, or use BUILDBTW_TOKEN instead",
        )
    })?;
    // What was saved before may be damaged or for another server; it is replaced in any case.
    let saved = Saved::load(&path).unwrap_or_default();
    let (server, _) = choose(global, &saved);
    // A mistyped address is better noticed before the token is asked for.
    let unusable = |error| Error::Server {
        error: Box::new(error),
        had_token: true,
    };
    Client::new(&server, None).map_err(unusable)?;
    let token = match (&args.token_file, &global.token) {
        (Some(file), _) => fs_err::read_to_string(file)?,
        (None, Some(token)) => token.clone(),
        (None, None) => {
            let prompt = format!("Token for {server}: ");
            let read = tokio::task::spawn_blocking(move || read_token(&prompt));
            read.await
                .map_err(|error| Error::new(error.to_string()))??
        }
    };
    let login = Saved {
        server: Some(server),
        token: Some(token.trim().to_owned()).filter(|token| !token.is_empty()),
    };
    if login.token.is_none() {
        return Err(Error::with_hint(
            "the token is empty",
            "an administrator makes one with `buildbtw token create`",
        ));
    }
    let fresh = Global {
        server: None,
        token: None,
        ..*global
    };
    let context = Context::with_login(&fresh, &login)?;
    let identity = context.ask(context.client.identity().await)?;
    login.save(&path)?;
    if context.output.json {
        context.output.json(&identity)?;
    } else {
        let (name, scope) = (clean(&identity.name), identity.scope);
        let server = context.client.server();
        context.output.line(format_args!(
            "logged in to {server} with the token \"{name}\" (scope {scope})"
        ))?;
        context
            .output
            .note(format_args!("kept in {}", path.display()));
    }
    Ok(0)
}

/// Asks for the token without showing it, or reads all of what is piped in.
fn read_token(prompt: &str) -> Result<String> {
    let stdin = std::io::stdin();
    let mut text = String::new();
    if !stdin.is_terminal() {
        stdin.take(LONGEST_INPUT).read_to_string(&mut text)?;
        return Ok(text);
    }
    let mut stderr = std::io::stderr();
    stderr.write_all(prompt.as_bytes())?;
    stderr.flush()?;
    let hidden = HiddenInput::begin();
    let read = stdin.read_line(&mut text);
    drop(hidden);
    stderr.write_all(b"\n")?;
    read?;
    Ok(text)
}

/// Shows what is typed again when it goes out of scope.
struct HiddenInput(Termios);

impl HiddenInput {
    fn begin() -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &quiet).ok()?;
        Some(Self(before))
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        // Nothing more can be done about a terminal that refuses.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}
