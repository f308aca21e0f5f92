//! Certificate authorities of servers whose certificates no public authority signed.

use std::path::Path;

use super::ClientError;
use crate::{innermost, settings};

/// Certificate authorities that a client trusts in addition to those of the machine; none by default.
#[derive(Clone, Debug, Default)]
pub struct Authorities(pub(super) Vec<reqwest::Certificate>);

impl Authorities {
    /// Reads the PEM file of a setting, if it is set.
    ///
    /// # Errors
    /// Fails when the file cannot be read, contains no certificate, or something else as one.
    pub fn read(file: Option<&Path>) -> Result<Self, ClientError> {
        let Some(path) = file else {
            return Ok(Self::default());
        };
        let invalid = |reason: String| ClientError::InvalidCa {
            path: path.to_owned(),
            reason,
        };
        let text = settings::read_bytes(path).map_err(|error| invalid(error.to_string()))?;
        Self::parse(&text).map_err(invalid)
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let parsed = reqwest::Certificate::from_pem_bundle(text);
        let certificates = parsed.map_err(|error| {
            let cause = innermost(&error);
            format!("it is not a valid PEM file: {cause}")
        })?;
        if certificates.is_empty() {
            return Err("it contains no PEM certificate".into());
        }
        // Only a client looks into them.
        for (index, certificate) in certificates.iter().enumerate() {
            let client = reqwest::Client::builder().tls_certs_only([certificate.clone()]);
            if let Err(error) = client.build() {
                let (number, cause) = (index + 1, innermost(&error));
                return Err(format!("its certificate {number} is invalid: {cause}"));
            }
        }
        Ok(Self(certificates))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A self-signed certificate of an elliptic curve, which has no use outside this test.
    const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdjCCARugAwIBAgIUb2a77/xSTFNqkDnxwU0wLQ92jUEwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMzAwMzU2MjBaGA8yMTI2MTEwNjAzNTYy
MFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABM0S
dpeXRB00ccAmxu9Io8Y9tPidEJqnoRudITZ3ltc6A6bHUIAzPhR8FhwvyLt+yBdm
kcuh0AQaculs0a4JgQ+jUzBRMB0GA1UdDgQWBBTsaG7mZaUnqvWLYQ4iDrbhIImG
fzAfBgNVHSMEGDAWgBTsaG7mZaUnqvWLYQ4iDrbhIImGfzAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0kAMEYCIQDv1uQCW1ZqI+GxR3jpKVj1xOsqPYccUuNV
qUD6SOnFHgIhAMrxE49uYfjlOWKlEdjPdu9f/veXgISOhfEmCkdPIK1A
-----END CERTIFICATE-----";

    #[test]
    fn reads_every_certificate_of_a_file() {
        let two = format!("# the old and the new one\n{CERTIFICATE}\n{CERTIFICATE}");
        assert_eq!(Authorities::parse(two.as_bytes()).unwrap().0.len(), 2);
        assert!(Authorities::read(None).unwrap().0.is_empty());
    }

    #[test]
    fn names_unusable_file_and_reason() {
        let reason = |text: &str| Authorities::parse(text.as_bytes()).unwrap_err();
        assert_eq!(reason("a token"), "it contains no PEM certificate");
        let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
        let other = format!("{CERTIFICATE}\n{begin}\nZ2FyYmFnZQ==\n{end}");
        let found = reason(&other);
        assert!(
            found.starts_with("its certificate 2 is invalid: "),
            "{found}"
        );
        let found = reason(&format!("{begin}\n!!!\n{end}"));
        assert!(found.starts_with("it is not a valid PEM file"), "{found}");
        let error = Authorities::read(Some(Path::new("/nonexistent/ca.pem"))).unwrap_err();
        let expected = "cannot use the certificate authorities in `/nonexistent/ca.pem`: No such file or directory (os error 2)";
        assert_eq!(error.to_string(), expected);
    }
}
