//! The login shell of the build user. makechrootpkg starts makepkg from one (`sudo -iu builduser`), so files
//! that packages put into `/etc/profile.d` take effect.

use super::accounts::BUILD_USER_NAME;

/// The home folder of the build user.
pub(super) const HOME: &str = "/build";
/// The initial environment of its login shell, as with sudo and systemd-nspawn. The files that it reads may
/// change it.
pub(super) const ENVIRONMENT: &[(&str, &str)] = &[
    ("HOME", HOME),
    ("LANG", "C.UTF-8"),
    ("LOGNAME", BUILD_USER_NAME),
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/bin"),
    ("SHELL", "/bin/bash"),
    ("TERM", "dumb"),
    ("TZ", "UTC"),
    ("USER", BUILD_USER_NAME),
];

/// Reads what a login shell reads from the root. It is not a login shell, because that would also read files
/// which an earlier run left in the home folder; with makechrootpkg, that folder is empty.
const READ_PROFILE: &str = "if [[ -r /etc/profile ]]; then source /etc/profile; fi";

/// Returns the command line of a login shell that starts a command in a folder. Variables in `environment`
/// override what the shell reads. The command is part of the script, so that a `set --` in those files cannot
/// change it.
pub(super) fn shell(folder: &str, environment: &[(&str, String)], command: &[&str]) -> [String; 5] {
    let mut script = format!("{READ_PROFILE}\ncd {}", quoted(folder));
    for (name, value) in environment {
        script.push_str(&format!(" && export {name}={}", quoted(value)));
    }
    script.push_str(" && exec");
    for word in command {
        script.push(' ');
        script.push_str(&quoted(word));
    }
    ["bash", "--norc", "-c", &script, "-bash"].map(str::to_owned)
}

/// Quotes a word for a shell.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_words_and_values() {
        let environment = [("PACKAGER", "O'Hara & $(x) <o@x>".to_owned())];
        let command = shell("/startdir", &environment, &["printf", "%s", "a b'c"]);
        assert_eq!(
            command[3],
            "if [[ -r /etc/profile ]]; then source /etc/profile; fi\ncd '/startdir' && export PACKAGER='O'\\''Hara & $(x) <o@x>' && exec 'printf' '%s' \
             'a b'\\''c'"
        );
    }
}
