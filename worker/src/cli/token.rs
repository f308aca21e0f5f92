//! The token of the worker.

use std::path::Path;

use buildbtw_model::Explanation;
use buildbtw_model::settings::read_text;

/// How to get a token.
pub(crate) const TOKEN_HINT: &str =
    "`buildbtw token create --scope worker --name NAME --output FILE` writes one to a file";

/// Returns the token from the file if there is one, else the given one: `BUILDBTW_TOKEN` is often set for the client in
/// the same shell.
pub(super) fn read_token(
    file: Option<&Path>,
    given: Option<String>,
) -> anyhow::Result<Option<String>> {
    let token = match file {
        Some(file) => {
            let text = read_text("--token-file", file);
            Some(text.map_err(|error| error.hint(TOKEN_HINT))?)
        }
        None => given,
    };
    let token = token.map(|token| token.trim().to_owned());
    if token.as_deref() == Some("") {
        match file {
            Some(file) => anyhow::bail!(Explanation::with_hint(
                format!("the token file `{}` is empty", file.display()),
                TOKEN_HINT,
            )),
            None => anyhow::bail!(Explanation::with_hint(
                "the token is empty",
                "set --token-file, or leave --token out to contact the server without a token",
            )),
        }
    }
    Ok(token)
}
