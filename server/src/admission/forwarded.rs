//! The client of a request that a trusted proxy forwards: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! Clients can send these headers too. Only what a trusted proxy appended counts, and proxies append at the
//! end, so the headers are read from the right until an address is not a trusted proxy. If the two headers
//! disagree, the client wrote one of them: both are ignored, and the request counts as the proxy's own.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderName, header};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Returns the address of the client whose request a trusted peer forwarded.
pub(super) fn client(
    peer: IpAddr,
    headers: &HeaderMap,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let walk = |name: &HeaderName, hops: fn(&str) -> Vec<Option<IpAddr>>| {
        headers
            .contains_key(name)
            .then(|| walk(peer, headers, name, hops, &is_trusted))
    };
    let standard = walk(&header::FORWARDED, forwarded_hops);
    let usual = walk(&X_FORWARDED_FOR, listed_hops);
    match (standard, usual) {
        (Some(one), Some(other)) if one != other => peer,
        (Some(found), _) | (None, Some(found)) => found,
        (None, None) => peer,
    }
}

/// Reads one header from the right up to the first address that is not a trusted proxy. Stops at the proxy
/// that wrote a hop without an address.
fn walk(
    peer: IpAddr,
    headers: &HeaderMap,
    name: &HeaderName,
    hops: fn(&str) -> Vec<Option<IpAddr>>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut current = peer;
    for line in headers.get_all(name).iter().rev() {
        let hops = line.to_str().map_or_else(|_| vec![None], hops);
        for hop in hops.into_iter().rev() {
            if !is_trusted(current) {
                return current;
            }
            match hop {
                Some(address) => current = address,
                None => return current,
            }
        }
    }
    current
}

/// Returns the hops of an `X-Forwarded-For` line.
fn listed_hops(line: &str) -> Vec<Option<IpAddr>> {
    line.split(',').map(|hop| node(hop.trim())).collect()
}

/// Returns the hops of a `Forwarded` line, or none if a quote stays open: the entry that a proxy appends
/// would be inside the quotes.
fn forwarded_hops(line: &str) -> Vec<Option<IpAddr>> {
    let Some(elements) = split_unquoted(line, ',') else {
        return vec![None];
    };
    elements.into_iter().map(for_node).collect()
}

/// Returns the address after `for=` in an element.
fn for_node(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split_unquoted(element, ';')? {
        let (name, value) = pair.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("for") {
            continue;
        }
        if found.is_some() {
            return None;
        }
        let value = value.trim();
        let value = match value.strip_prefix('"') {
            Some(rest) => unescape(rest.strip_suffix('"')?),
            None => value.to_owned(),
        };
        found = Some(node(&value)?);
    }
    found
}

/// Splits at a separator outside of quotes; returns nothing if a quote stays open.
fn split_unquoted(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if character == separator && !is_quoted => {
                parts.push(&text[start..at]);
                start = at + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!is_quoted).then_some(parts)
}

/// Returns the text of a quoted string (RFC 9110, section 5.6.4).
fn unescape(text: &str) -> String {
    let mut characters = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            character => plain.push(character),
        }
    }
    plain
}

/// Returns the address of a node, which may have a port; nothing for `unknown` and obfuscated names.
fn node(text: &str) -> Option<IpAddr> {
    let is_port = |port: &str| {
        let digits = port.strip_prefix('_').unwrap_or(port);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let address: IpAddr = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
            return None;
        }
        address.parse::<Ipv6Addr>().ok()?.into()
    } else if let Ok(address) = text.parse() {
        address
    } else {
        let (address, port) = text.rsplit_once(':')?;
        let address = address.parse().ok().filter(IpAddr::is_ipv4)?;
        is_port(port).then_some(address)?
    };
    let address = address.to_canonical();
    // The unspecified address cannot be a peer.
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests;
