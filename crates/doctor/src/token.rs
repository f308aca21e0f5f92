//! Whether the server accepts a token for what a program does.

use buildbtw_model::TokenScope;
use buildbtw_model::api::{ProblemKind, TokenIdentity};
use buildbtw_model::client::ClientError;

use crate::Check;

/// What a program needs a token for.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// The scope that it must allow.
    pub scope: TokenScope,
    /// How to get such a token.
    pub create: &'static str,
    /// Whether the program works without one.
    pub is_optional: bool,
}

/// Judges the server's answer about a token.
#[must_use]
pub fn check(
    name: &str,
    need: Need,
    has_token: bool,
    answer: Result<TokenIdentity, ClientError>,
) -> Check {
    if !has_token && need.is_optional {
        return Check::warning(
            name,
            "no token is set, so only commands that read work",
            need.create,
        );
    }
    match answer {
        Ok(identity) if identity.scope.allows(need.scope) => Check::ok(
            name,
            format!(
                "`{}` is valid and has the scope `{}`",
                identity.name, identity.scope
            ),
        ),
        Ok(identity) => Check::failure(
            name,
            format!(
                "`{}` has the scope `{}`, and `{}` is needed",
                identity.name, identity.scope, need.scope
            ),
            need.create,
        ),
        Err(error) if error.problem_kind() == Some(ProblemKind::Unauthenticated) => {
            let message = match has_token {
                true => "the server rejected the token: it is unknown, expired or revoked",
                false => "no token is set",
            };
            Check::failure(name, message, need.create)
        }
        Err(error) => Check::failed(name, error.explanation(), need.create),
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_model::api::Problem;

    use super::*;
    use crate::Status;

    const NEED: Need = Need {
        scope: TokenScope::Worker,
        create: "buildbtw token create --scope worker",
        is_optional: false,
    };

    fn identity(scope: TokenScope) -> Result<TokenIdentity, ClientError> {
        Ok(TokenIdentity {
            name: "builder-1".into(),
            scope,
        })
    }

    fn unauthenticated() -> Result<TokenIdentity, ClientError> {
        Err(ClientError::Refused(Problem {
            kind: ProblemKind::Unauthenticated,
            title: "no".into(),
            status: 401,
            detail: None,
            hint: None,
            trace_id: None,
        }))
    }

    #[test]
    fn judges_scope_of_a_token() {
        let check = |answer| check("token", NEED, true, answer);
        assert_eq!(check(identity(TokenScope::Worker)).status, Status::Ok);
        let client = check(identity(TokenScope::Client));
        assert_eq!(
            client.message,
            "`builder-1` has the scope `client`, and `worker` is needed"
        );
        let rejected = check(unauthenticated());
        assert_eq!(rejected.status, Status::Failure);
        assert_eq!(rejected.repair.as_deref(), Some(NEED.create));
    }

    #[test]
    fn distinguishes_missing_from_rejected_tokens() {
        let missing = check("token", NEED, false, unauthenticated());
        assert_eq!(missing.message, "no token is set");
        let optional = Need {
            is_optional: true,
            ..NEED
        };
        let missing = check("token", optional, false, unauthenticated());
        assert_eq!(missing.status, Status::Warning);
    }
}
