use jsonwebtoken::errors::ErrorKind;
use tokio::net::TcpListener;

use super::*;
use crate::{CloneBy, GitlabSettings, WebhookSecrets};

/// Verifies the tokens of the GitLab instance at this address.
fn id_tokens(folder: &std::path::Path, address: std::net::SocketAddr) -> IdTokens {
    let token_file = folder.join("token");
    fs_err::write(&token_file, "glpat-x").unwrap();
    let settings = GitlabSettings {
        url: format!("http://{address}").parse().unwrap(),
        group: "packages".to_owned(),
        token_file,
        proxy: None,
        ca: None,
        poll: Duration::from_secs(60),
        clone_by: CloneBy::Https,
        webhook: WebhookSecrets::default(),
        writes: true,
    };
    let gitlab = Gitlab::new(settings).unwrap();
    IdTokens::new(&gitlab, None, "here".to_owned())
}

#[tokio::test]
async fn uses_known_keys_while_fetching_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    // Accepts connections and never responds.
    let gitlab = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tokens = id_tokens(folder.path(), gitlab.local_addr().unwrap());
    {
        let mut keys = tokens.keys();
        let key = DecodingKey::from_secret(b"secret");
        keys.by_id.insert("known".to_owned(), key);
        keys.fetched_at = Some(Instant::now());
    }
    let mut unknown = std::pin::pin!(tokens.key("unknown", true));
    let _connection = tokio::select! {
        _ = &mut unknown => panic!("a result without GitLab"),
        connection = gitlab.accept() => connection.unwrap(),
    };
    assert!(tokens.key("known", true).await.is_ok());
    // The previous keys are used while new ones are requested.
    tokens.keys().fetched_at = None;
    assert!(tokens.key("known", true).await.is_ok());
    assert!(matches!(
        futures_util::poll!(unknown),
        std::task::Poll::Pending
    ));
}

#[tokio::test]
async fn refusals_match_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = id_tokens(folder.path(), ([127, 0, 0, 1], 1).into());
    let verified = async |token: &str| {
        let verified = tokens.verify(token, false).await;
        verified.err().unwrap().to_string()
    };
    // Headers with the algorithms HS256 and RS256, without a key.
    let [symmetric, asymmetric] = ["eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJSUzI1NiJ9"];
    let mut refused = vec![
        verified(&"a".repeat(MAX_TOKEN_BYTES + 1)).await,
        verified("token").await,
        verified(&format!("{symmetric}.e30.c2ln")).await,
        verified(&format!("{asymmetric}.e30.c2ln")).await,
        no_key().to_string(),
        unknown_key().to_string(),
    ];
    let kinds = [
        ErrorKind::ExpiredSignature,
        ErrorKind::ImmatureSignature,
        ErrorKind::InvalidIssuer,
        ErrorKind::InvalidAudience,
        ErrorKind::InvalidSignature,
        ErrorKind::MissingRequiredClaim("exp".to_owned()),
    ];
    refused.extend(kinds.map(|kind| tokens.describe(&kind.into())));
    for claims in [
        serde_json::json!({ "sub": "user" }),
        serde_json::json!({ "job_id": "first", "pipeline_id": "2" }),
    ] {
        refused.push(job_claims(claims).unwrap_err());
    }
    insta::assert_snapshot!(refused.join("\n"));
}
