//! `buildbtw open`: opens a page of the server in a browser.

use std::process::{Command, Stdio};

use buildbtw_model::client::BuildQuery;
use serde_json::json;

use super::unknown::unknown_build;
use crate::cli::OpenArgs;
use crate::context::Context;
use crate::error::{Error, Result};

/// Opens an address with the program that the desktop prefers.
const DEFAULT_OPENER: &str = "xdg-open";

pub(super) async fn run(context: &Context, args: &OpenArgs) -> Result<u8> {
    let url = address(context, args).await?;
    let output = &context.output;
    if output.is_json() {
        output.json(&json!({ "url": url }))?;
        return Ok(0);
    }
    output.line(&url)?;
    if !args.print {
        open(&url)?;
    }
    Ok(0)
}

async fn address(context: &Context, args: &OpenArgs) -> Result<String> {
    let client = &context.client;
    let Some(name) = &args.namespace else {
        return Ok(client.server().to_owned());
    };
    let Some(pkgbase) = &args.pkgbase else {
        return Ok(context.check(client.namespace(name).await)?.web_url);
    };
    let iteration = context.check(client.iteration_overview(name, None).await)?;
    let query = BuildQuery {
        package: Some(pkgbase.clone()),
        ..BuildQuery::default()
    };
    let builds = client.builds(name, iteration.summary.number, &query, Some(1));
    match context.check(builds.await)?.first() {
        Some(build) => Ok(format!("{}/builds/{}", client.server(), build.id)),
        None => Err(unknown_build(context, name, &iteration, pkgbase).await),
    }
}

/// Starts the browser without waiting for its end.
fn open(url: &str) -> Result<()> {
    let set = std::env::var_os("BROWSER").filter(|program| !program.is_empty());
    let program = set.unwrap_or_else(|| DEFAULT_OPENER.into());
    let started = Command::new(&program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    started.map(drop).map_err(|error| {
        Error::with_hint(
            format!("cannot start `{}`: {error}", program.display()),
            "set BROWSER to a browser, or use --print",
        )
    })
}
