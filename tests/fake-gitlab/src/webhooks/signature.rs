//! Signatures of deliveries, according to Standard Webhooks.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Decodes the key in a signing token.
pub(crate) fn key(token: &str) -> Result<Vec<u8>> {
    let encoded = token
        .strip_prefix("whsec_")
        .context("a signing token begins with whsec_")?;
    STANDARD
        .decode(encoded)
        .context("the signing token is not base64")
}

/// Returns the value of `webhook-signature`.
pub(crate) fn sign(token: &str, id: &str, timestamp: i64, body: &[u8]) -> Result<String> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key(token)?).context("the signing key is invalid")?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Ok(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

#[cfg(test)]
mod tests {
    use super::sign;

    #[test]
    fn signs_the_example_of_the_specification() {
        let signature = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signature.unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
