//! The texts of errors and hints that no simple command produces.

use buildbtw_model::NamespaceName;

use super::{control, logs};
use crate::follow::follow_again;

#[test]
fn errors_match_snapshot() {
    let name: NamespaceName = "set".parse().unwrap();
    let errors = [
        control::not_confirmed(&name, "not confirmed"),
        logs::stream::closed(),
    ];
    let mut lines: Vec<String> = errors
        .iter()
        .map(|error| format!("{error}\nhint: {}", error.hint().unwrap_or_default()))
        .collect();
    lines.push(format!("hint: {}", follow_again(&name)));
    lines.push(format!("hint: {}", control::build_newer(&name)));
    insta::assert_snapshot!(lines.join("\n\n"));
}
