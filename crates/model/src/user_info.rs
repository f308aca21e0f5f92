//! Users and passwords in URLs, which no message shows.

use std::borrow::Cow;

/// What a message shows in place of a user and a password.
const HIDDEN: &str = "(hidden)@";

/// Returns a URL as messages show it: without its user and password. Texts without a scheme are treated like URLs if
/// they look like `user:password@host`; every other text is returned as it is.
#[must_use]
pub fn hide_user_info(text: &str) -> Cow<'_, str> {
    let (scheme, rest) = match text.find("://") {
        Some(end) => text.split_at(end + "://".len()),
        None => ("", text),
    };
    match user_info_end(rest, !scheme.is_empty()) {
        Some(end) => {
            let (_, shown) = rest.split_at(end);
            Cow::Owned(format!("{scheme}{HIDDEN}{shown}"))
        }
        None => Cow::Borrowed(text),
    }
}

/// Returns a URL without its user and password, for people who have credentials of their own. The user of an address
/// for ssh stays: it is not a secret, and the address is useless without.
#[must_use]
pub fn remove_user_info(url: &str) -> Cow<'_, str> {
    let Some(end) = url.find("://") else {
        return Cow::Borrowed(url);
    };
    let (scheme, rest) = url.split_at(end + "://".len());
    let Some(end) = user_info_end(rest, true) else {
        return Cow::Borrowed(url);
    };
    let (user_info, shown) = rest.split_at(end);
    if scheme != "ssh://" {
        return Cow::Owned(format!("{scheme}{shown}"));
    }
    match user_info.split_once(':') {
        Some((user, _)) => Cow::Owned(format!("{scheme}{user}@{shown}")),
        None => Cow::Borrowed(url),
    }
}

/// Returns where the host begins in a text without its scheme, if a user precedes it.
fn user_info_end(rest: &str, is_url: bool) -> Option<usize> {
    let after = |at: usize| at + 1;
    if is_url {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, _) = rest.split_at(end);
        if let Some(at) = authority.rfind('@') {
            return Some(after(at));
        }
        // A password with one of these characters makes the URL invalid, and the message about that must not show it.
        let port = authority.rsplit_once(':').map(|(_, port)| port);
        let is_port = |port: &str| {
            port.bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b']')
        };
        return match port {
            Some(port) if !is_port(port) => rest.rfind('@').map(after),
            _ => None,
        };
    }
    let at = rest.rfind('@')?;
    let (user, _) = rest.split_at(at);
    let has_password = user.contains(':') && !user.contains(char::is_whitespace);
    has_password.then_some(after(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_users_and_passwords() {
        for (text, shown) in [
            ("http://u:s3cret@h:80/a?b", "http://(hidden)@h:80/a?b"),
            ("https://s3cret@h", "https://(hidden)@h"),
            ("https://u:s3@cret@h/", "https://(hidden)@h/"),
            // Not valid, which a message says.
            ("https://u:s3/cret@h", "https://(hidden)@h"),
            ("u:s3cret@h/path", "(hidden)@h/path"),
            ("http:u:s3cret@h", "(hidden)@h"),
        ] {
            assert_eq!(hide_user_info(text), shown);
        }
    }

    #[test]
    fn removes_users_and_passwords_from_urls() {
        for (url, usable) in [
            ("https://u:s3cret@h:80/a.git", "https://h:80/a.git"),
            ("https://s3cret@h/$repo/$arch", "https://h/$repo/$arch"),
            ("https://h/a@b.git", "https://h/a@b.git"),
            ("ssh://git@h/a.git", "ssh://git@h/a.git"),
            ("ssh://git:s3cret@h:22/a.git", "ssh://git@h:22/a.git"),
            ("git@h:packages/a.git", "git@h:packages/a.git"),
            ("/srv/sources/a", "/srv/sources/a"),
        ] {
            assert_eq!(remove_user_info(url), usable);
        }
    }

    #[test]
    fn keeps_texts_without_a_password() {
        for text in [
            "http://h:8080",
            "https://h/a@b",
            "https://h:80/a:b@c",
            "http://[::1]:80/@",
            "http://[2001:db8::1]/@",
            "Jane: Doe <jane@example.org>",
            "git@h:packaging/libgreet.git",
            "buildbtw.yml@packaging/ci",
            "127.0.0.1:8080",
            "",
        ] {
            assert_eq!(hide_user_info(text), text);
        }
    }
}
