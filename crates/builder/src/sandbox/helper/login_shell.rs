//! The login shell of the user that builds. makechrootpkg starts makepkg from one
//! (`sudo -iu builduser`), so what packages put into `/etc/profile.d` counts.

/// The home folder of the user that builds.
pub(super) const HOME: &str = "/build";
/// What its login shell starts with, as sudo and systemd-nspawn have it. What it reads may change that.
pub(super) const ENVIRONMENT: &[(&str, &str)] = &[
    ("HOME", HOME),
    ("LANG", "C.UTF-8"),
    ("LOGNAME", "builduser"),
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/bin"),
    ("SHELL", "/bin/bash"),
    ("TERM", "dumb"),
    ("TZ", "UTC"),
    ("USER", "builduser"),
];

/// What a login shell reads of the root. It is not one: files of the user would be those that an
/// earlier run left in the home folder, which is empty when makechrootpkg starts its only run.
const READ_PROFILE: &str = "if [[ -r /etc/profile ]]; then source /etc/profile; fi";

/// The command line of a login shell that starts a command in a folder. Variables with a value here
/// have it whatever the shell reads; a `set --` there must not change the command either, so that
/// everything is part of the script.
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

/// A word that a shell takes as it is.
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
