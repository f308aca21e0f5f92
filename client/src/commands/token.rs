//! `buildbtw token`: creates, lists and revokes tokens.

use buildbtw_model::TokenId;
use buildbtw_model::api::{CreateToken, TokenSummary};
use jiff::Timestamp;

use super::rows::more;
use crate::cli::{LimitArgs, TokenCommand, TokenCreateArgs};
use crate::config::PrivateFile;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::{Cell, Table, clean, time};

/// The lines of the list besides its rows: the header, how many are missing, and the prompt.
const OTHER_LINES: usize = 3;

pub(super) async fn run(context: &Context, args: TokenCommand) -> Result<u8> {
    match args {
        TokenCommand::Create(args) => create(context, args).await,
        TokenCommand::List(args) => list(context, args.limit).await,
        TokenCommand::Revoke { id, force } => revoke(context, id, force).await,
    }
}

async fn create(context: &Context, args: TokenCreateArgs) -> Result<u8> {
    // Checked before the token is created: it is shown only once, so the file must be writable, and a
    // token that the file already holds must not be lost.
    if let Some(path) = &args.output
        && path.symlink_metadata().is_ok()
    {
        return Err(Error::with_hint(
            format!("`{}` already exists", path.display()),
            "choose another file, or remove this one first",
        ));
    }
    let file = args.output.as_deref().map(PrivateFile::create);
    let file = file.transpose()?;
    let request = CreateToken {
        name: args.name,
        scope: args.scope,
        expires_in_s: args.expires,
    };
    let created = context.check(context.client.create_token(&request).await)?;
    let output = &context.output;
    let written = match (file, args.output) {
        (Some(mut file), Some(path)) => {
            file.write(&format!("{}\n", created.token))?;
            file.finish()?;
            Some(path)
        }
        _ => None,
    };
    match (&written, output.is_json()) {
        // The token is in the requested file, and printed nowhere.
        (Some(_), true) => output.json(&created.summary)?,
        (None, true) => output.json(&created)?,
        (Some(_), false) => {}
        (None, false) => output.line(&created.token)?,
    }
    let summary = &created.summary;
    let place = match &written {
        Some(path) => format!("written to {}", path.display()),
        None => "shown only once".to_owned(),
    };
    output.note(format_args!(
        "token {} ({}, scope {}), {place}; {}",
        summary.id,
        clean(&summary.name),
        summary.scope,
        expiry(summary)
    ));
    Ok(0)
}

async fn list(context: &Context, limit: LimitArgs) -> Result<u8> {
    let mut tokens = context.check(context.client.tokens().await)?;
    let output = &context.output;
    if output.is_json() {
        let most = limit.rows_of_json();
        tokens.truncate(most.map_or(usize::MAX, buildbtw_model::saturating));
        output.json(&tokens)?;
        return Ok(0);
    }
    let mut table = Table::new(&["ID", "SCOPE", "CREATED", "STATE", "NAME"]);
    let rows = limit.rows(output.screen.height.saturating_sub(OTHER_LINES));
    for token in tokens.iter().take(rows) {
        table.row([
            Cell::new(token.id),
            Cell::new(token.scope),
            Cell::new(time::date(token.created_at)),
            Cell::new(expiry(token)),
            Cell::new(&token.name),
        ]);
    }
    table.print(output)?;
    if let Some(more) = more(tokens.len().saturating_sub(rows)) {
        output.line(more)?;
    }
    Ok(0)
}

async fn revoke(context: &Context, id: TokenId, force: bool) -> Result<u8> {
    let revoked = if force {
        context.client.force_revoke_token(id).await
    } else {
        context.client.revoke_token(id).await
    };
    let token = context.check(revoked)?;
    let output = &context.output;
    if output.is_json() {
        output.json(&token)?;
    } else {
        output.line(format_args!("revoked token {id} ({})", clean(&token.name)))?;
    }
    Ok(0)
}

fn expiry(token: &TokenSummary) -> String {
    match (token.revoked_at, token.expires_at) {
        (Some(at), _) => format!("revoked {}", time::date(at)),
        (None, Some(at)) if at <= Timestamp::now() => format!("expired {}", time::date(at)),
        (None, Some(at)) => format!("expires {}", time::date(at)),
        (None, None) => "never expires".into(),
    }
}
