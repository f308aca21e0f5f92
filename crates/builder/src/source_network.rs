//! An IP network in CIDR notation, from which fetching sources is allowed or forbidden.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A network of IPv4 or IPv6 addresses, as `192.0.2.0/24` or `2001:db8::/32`. A single address is a network
/// with one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SourceNetwork {
    address: IpAddr,
    prefix: u8,
}

/// A text that is not a network, or names one that cannot be allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {why}")]
pub struct InvalidNetwork {
    text: String,
    why: String,
}

impl SourceNetwork {
    /// Returns the network with this prefix that contains the address.
    pub(crate) fn of(address: IpAddr, prefix: u8) -> Self {
        let prefix = prefix.min(bits_of(address));
        Self {
            address: masked(address, prefix),
            prefix,
        }
    }

    /// Returns the network that consists of one address.
    pub(crate) fn single(address: IpAddr) -> Self {
        Self::of(address, bits_of(address))
    }

    /// Returns the length of the prefix in bits.
    pub(crate) fn prefix(self) -> u8 {
        self.prefix
    }

    /// Returns whether the network consists of one address.
    pub(crate) fn is_single(self) -> bool {
        self.prefix == bits_of(self.address)
    }

    /// Returns whether this is an IPv6 network.
    pub(crate) fn is_ipv6(self) -> bool {
        self.address.is_ipv6()
    }

    /// Returns whether every address of the other network belongs to this one.
    pub(crate) fn contains(self, other: Self) -> bool {
        self.is_ipv6() == other.is_ipv6()
            && self.prefix <= other.prefix
            && masked(other.address, self.prefix) == self.address
    }

    /// Returns whether some address belongs to both.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// Returns the IPv6 networks that stand for this IPv4 network: mapped addresses, and those that
    /// translators (RFC 6052) and tunnels (RFC 3056) convert to IPv4.
    pub(crate) fn ipv6_equivalents(self) -> Vec<Self> {
        let IpAddr::V4(address) = self.address else {
            return Vec::new();
        };
        let low = u128::from(address.to_bits());
        let form = |high: u128, shift: u32, length: u8| {
            let address = Ipv6Addr::from_bits(high | (low << shift));
            Self::of(address.into(), length + self.prefix)
        };
        vec![
            form(0xffff << 32, 0, 96),
            form(0x0064_ff9b << 96, 0, 96),
            form(0x2002 << 112, 80, 16),
        ]
    }
}

fn bits_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl fmt::Display for SourceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for SourceNetwork {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = |why: String| InvalidNetwork {
            text: text.chars().take(60).collect(),
            why,
        };
        let expected = || {
            invalid("is not a network; expected one like 192.0.2.0/24 or 2001:db8::/32".to_owned())
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| expected())?;
        let prefix = match prefix {
            None => bits_of(address),
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().map_err(|_| expected())?
            }
            Some(_) => return Err(expected()),
        };
        if prefix > bits_of(address) {
            return Err(expected());
        }
        let network = Self::of(address, prefix);
        if network.address != address {
            return Err(invalid(format!(
                "has bits set after its prefix; did you mean {network}?"
            )));
        }
        if let IpAddr::V6(address) = address {
            if network == Self::single(Ipv6Addr::LOCALHOST.into()) {
                let why = "cannot be allowed: the kernel does not route ::1; use 127.0.0.1/32";
                return Err(invalid(why.to_owned()));
            }
            if address.to_ipv4_mapped().is_some() && prefix >= 96 {
                return Err(invalid("must be written as an IPv4 network".to_owned()));
            }
        }
        Ok(network)
    }
}

impl From<SourceNetwork> for String {
    fn from(network: SourceNetwork) -> Self {
        network.to_string()
    }
}

impl TryFrom<String> for SourceNetwork {
    type Error = InvalidNetwork;

    fn try_from(text: String) -> Result<Self, InvalidNetwork> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> SourceNetwork {
        text.parse().unwrap()
    }

    #[test]
    fn parses_networks_and_single_addresses() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("fd00::2", "fd00::2/128"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(network(text).to_string(), shown);
        }
    }

    #[test]
    fn refusals_of_malformed_networks_match_snapshot() {
        let refused = [
            "",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0/8",
            "localhost",
            "10.1.0.0/8",
            "::1",
            "::ffff:10.0.0.0/104",
        ]
        .map(|text| text.parse::<SourceNetwork>().unwrap_err().to_string());
        insta::assert_snapshot!(refused.join("\n"));
    }

    #[test]
    fn contains_its_addresses() {
        let ten = network("10.0.0.0/8");
        assert!(ten.contains(network("10.3.0.0/16")) && ten.contains(ten));
        assert!(!ten.contains(network("0.0.0.0/0")) && ten.overlaps(network("0.0.0.0/0")));
        assert!(!ten.overlaps(network("11.0.0.0/8")) && !ten.overlaps(network("::/0")));
    }

    #[test]
    fn lists_ipv6_forms_of_ipv4_networks() {
        let forms: Vec<String> = network("10.0.0.0/8")
            .ipv6_equivalents()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            forms,
            ["::ffff:10.0.0.0/104", "64:ff9b::a00:0/104", "2002:a00::/24"]
        );
        assert!(network("fc00::/7").ipv6_equivalents().is_empty());
    }
}
