//! `buildbtw login`: saves the URL of a server and a token that the server accepts.

use std::io::{IsTerminal as _, Read as _, Write as _};

use buildbtw_model::hide_user_info;
use buildbtw_model::settings::read_text;
use buildbtw_telemetry::spawn_blocking_named;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

use crate::chosen::{Chosen, choose};
use crate::cli::{Global, LoginArgs};
use crate::config::SavedLogin;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::{Projection, clean};

/// How to get a token.
const TOKEN_HINT: &str = "an admin creates one with `buildbtw token create`";
/// The most bytes read from standard input; tokens are shorter.
const MAX_INPUT: u64 = 64 * 1024;

pub(super) async fn run(global: &Global, args: &LoginArgs, json: Option<Projection>) -> Result<u8> {
    let path = SavedLogin::default_path().ok_or_else(|| {
        Error::with_hint(
            "cannot save the login: neither XDG_CONFIG_HOME nor HOME is set to an absolute path",
            "set one of them, or pass the token in BUILDBTW_TOKEN",
        )
    })?;
    // The saved login may be damaged or for another server; it is replaced in any case.
    let saved = SavedLogin::load(&path).unwrap_or_default();
    let chosen = choose(&global.wanted(), &saved);
    // Later commands may run in another folder.
    let ca = chosen.ca.as_deref().map(std::path::absolute).transpose()?;
    let server = chosen.server.clone();
    // An invalid URL or file is reported before the prompt for the token.
    let server_error = |error| Error::Server {
        error: Box::new(error),
        had_token: true,
    };
    let tokenless = Chosen {
        token: None,
        ..chosen
    };
    tokenless.client().map_err(server_error)?;
    let prompt = format!("Token for {}: ", hide_user_info(&server));
    let token = token(global, args, prompt).await?;
    let login = SavedLogin {
        server: Some(server),
        token: Some(token.trim().to_owned()).filter(|token| !token.is_empty()),
        ca,
    };
    if login.token.is_none() {
        return Err(Error::with_hint("the token is empty", TOKEN_HINT));
    }
    let context = Context::with_login(&Global::default(), &login, json)?;
    let identity = context.check(context.client.identity().await)?;
    login.save(&path)?;
    if context.output.is_json() {
        context.output.json(&identity)?;
    } else {
        let (name, scope) = (clean(&identity.name), identity.scope);
        let server = context.client.server();
        context.output.line(format_args!(
            "logged in to {server} with the token \"{name}\" (scope {scope})"
        ))?;
        context
            .output
            .note(format_args!("saved to {}", path.display()));
    }
    Ok(0)
}

/// Returns the token from its file, from the options, or from the terminal.
async fn token(global: &Global, args: &LoginArgs, prompt: String) -> Result<String> {
    match (&args.token_file, &global.token) {
        (Some(file), _) => read_text("--token-file", file)
            .map_err(|error| Error::with_hint(error.message, TOKEN_HINT)),
        (None, Some(token)) => Ok(token.clone()),
        (None, None) => {
            // A signal would end this program before the terminal gets its echo back.
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let is_terminal = std::io::stdin().is_terminal();
            let _hidden = is_terminal.then(HiddenInput::begin).flatten();
            let read = spawn_blocking_named("token prompt", move || read_token(&prompt));
            tokio::select! {
                read = read => read.map_err(|error| Error::new(error.to_string()))?,
                _ = interrupt.recv() => Err(interrupted()),
                _ = terminate.recv() => Err(interrupted()),
            }
        }
    }
}

fn interrupted() -> Error {
    Error::with_hint(
        "interrupted; the login is unchanged",
        "`buildbtw login --token-file FILE` does not ask",
    )
}

/// Prompts for the token, or reads standard input to its end if it is not a terminal.
fn read_token(prompt: &str) -> Result<String> {
    let stdin = std::io::stdin();
    let mut text = String::new();
    if !stdin.is_terminal() {
        stdin.take(MAX_INPUT).read_to_string(&mut text)?;
        return Ok(text);
    }
    let mut stderr = std::io::stderr();
    stderr.write_all(prompt.as_bytes())?;
    stderr.flush()?;
    let read = stdin.read_line(&mut text);
    stderr.write_all(b"\n")?;
    read?;
    Ok(text)
}

/// Switches the echo of the terminal off, and on again when dropped.
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
        // A terminal that refuses cannot be restored in another way.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}
