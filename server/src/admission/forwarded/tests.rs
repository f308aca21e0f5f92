use axum::http::HeaderValue;

use super::*;

const PROXY: &str = "10.0.0.1";

/// Returns the client address found behind the proxies 10.0.0.0/8 and fd00::/8.
fn found(lines: &[(&'static str, &[u8])]) -> String {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let value = HeaderValue::from_bytes(value).unwrap();
        headers.append(HeaderName::from_static(name), value);
    }
    let is_trusted = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.segments()[0] & 0xff00 == 0xfd00,
    };
    client(PROXY.parse().unwrap(), &headers, is_trusted).to_string()
}

#[test]
fn uses_rightmost_address_that_is_not_a_trusted_proxy() {
    for (line, expected) in [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.0.0.7", "203.0.113.9"),
        ("198.51.100.1,203.0.113.9 , 10.0.0.7,fd00::7", "203.0.113.9"),
        ("10.0.0.9, 10.0.0.8", "10.0.0.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
    ] {
        let address = found(&[("x-forwarded-for", line.as_bytes())]);
        assert_eq!(address, expected, "{line}");
    }
    for (line, expected) in [
        ("for=203.0.113.9", "203.0.113.9"),
        (
            "For=198.51.100.1, FOR=\"203.0.113.9:80\";proto=http;by=10.0.0.1",
            "203.0.113.9",
        ),
        ("proto=http; for=203.0.113.9 , for=10.0.0.3", "203.0.113.9"),
        ("for=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
        (
            "for=\"[2001:db8:cafe::17]:_port\", for=\"[fd00::2]\"",
            "2001:db8:cafe::17",
        ),
        ("for=\"203.0\\.113.9\"", "203.0.113.9"),
        (
            "for=198.51.100.1;host=\"a,for=1.2.3.4;\", for=203.0.113.9",
            "203.0.113.9",
        ),
    ] {
        let address = found(&[("forwarded", line.as_bytes())]);
        assert_eq!(address, expected, "{line}");
    }
}

#[test]
fn joins_repeated_headers_into_one_list() {
    let lines: [(&str, &[u8]); 3] = [
        ("x-forwarded-for", b"198.51.100.1"),
        ("x-forwarded-for", b"203.0.113.9"),
        ("x-forwarded-for", b"10.0.0.4, 10.0.0.5"),
    ];
    assert_eq!(found(&lines), "203.0.113.9");
}

#[test]
fn falls_back_to_the_proxy_for_entries_without_address() {
    for line in [
        &b""[..],
        b",",
        b", ,",
        b"unknown",
        b"_hidden",
        b"203.0.113.9, unknown",
        b"1.2.3",
        b"1.2.3.4.5",
        b"1.2.3.4:",
        b"1.2.3.4:x y",
        b"[::1",
        b"[::1]x",
        b"[1.2.3.4]",
        b"::1]",
        b"[]",
        b":",
        b"\xff",
        b"203.0.113.9, \xff\xfe",
        b"0.0.0.0",
        b"[::]",
        b"\"203.0.113.9\"",
    ] {
        let address = found(&[("x-forwarded-for", line)]);
        assert_eq!(address, PROXY, "{line:?}");
    }
    for line in [
        &b""[..],
        b",",
        b";",
        b"for",
        b"for=",
        b"for=\"",
        b"for=\"\\",
        b"for=unknown",
        b"for=_x",
        b"for=\"[::1\"",
        b"for=1.2.3.4;for=1.2.3.4",
        b"by=1.2.3.4",
        b"for=1.2.3.4, for",
        b"for=\"1.2.3.4",
        b"\xff",
        b"for=\"198.51.100.1, for=203.0.113.9",
    ] {
        let address = found(&[("forwarded", line)]);
        assert_eq!(address, PROXY, "{line:?}");
    }
    let address = found(&[("x-forwarded-for", b"203.0.113.9, unknown, 10.0.0.6")]);
    assert_eq!(address, "10.0.0.6");
}

#[test]
fn ignores_contradicting_headers() {
    let both = |standard: &'static [u8], usual: &'static [u8]| {
        found(&[("forwarded", standard), ("x-forwarded-for", usual)])
    };
    assert_eq!(both(b"for=203.0.113.9", b"203.0.113.9"), "203.0.113.9");
    assert_eq!(both(b"for=198.51.100.1", b"203.0.113.9"), PROXY);
    assert_eq!(both(b"for=unknown", b"203.0.113.9"), PROXY);
}

#[test]
fn tolerates_long_and_malformed_headers() {
    let long = "1.2.3.4,".repeat(8_000);
    assert_eq!(found(&[("x-forwarded-for", long.as_bytes())]), PROXY);
    for byte in 0x20..=0xff_u8 {
        if byte == 0x7f {
            continue;
        }
        let odd = [b'f', b'o', b'r', b'=', byte, b'"', byte, b'\\', byte];
        for name in ["forwarded", "x-forwarded-for"] {
            assert_eq!(found(&[(name, &odd)]), PROXY);
        }
    }
}
