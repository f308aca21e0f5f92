//! Users and groups of a root on the host's `/usr`. Packages store owners as numbers, so the numbers are
//! those of Arch's `filesystem` package after a run of systemd-sysusers(8).

/// The id of the build user inside the sandbox.
pub(super) const BUILD_USER: u32 = 1000;
/// The name of the build user.
pub(super) const BUILD_USER_NAME: &str = "builduser";

/// `/etc/passwd`.
pub(super) const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
bin:x:1:1::/:/usr/sbin/nologin
daemon:x:2:2::/:/usr/sbin/nologin
mail:x:8:12::/var/spool/mail:/usr/sbin/nologin
ftp:x:14:11::/srv/ftp:/usr/sbin/nologin
http:x:33:33::/srv/http:/usr/sbin/nologin
dbus:x:81:81:System Message Bus:/:/usr/sbin/nologin
builduser:x:1000:1000:builduser:/build:/bin/bash
nobody:x:65534:65534:nobody:/:/usr/sbin/nologin
";

/// `/etc/group`.
pub(super) const GROUP: &str = "\
root:x:0:root
bin:x:1:daemon
daemon:x:2:bin
sys:x:3:bin
tty:x:5:
mem:x:8:
ftp:x:11:
mail:x:12:
log:x:19:
proc:x:26:
http:x:33:
games:x:50:
lock:x:54:
dbus:x:81:
network:x:90:
floppy:x:94:
scanner:x:96:
power:x:98:
users:x:984:
video:x:985:
uucp:x:986:
storage:x:987:
sgx:x:988:
render:x:989:
optical:x:990:
lp:x:991:
kvm:x:992:
kmem:x:993:
input:x:994:
disk:x:995:
audio:x:996:
utmp:x:997:
wheel:x:998:
adm:x:999:daemon
builduser:x:1000:
nobody:x:65534:
";

/// The account of the build user for bases that lack it: file and line.
pub(super) const BUILD_USER_LINES: [(&str, &str); 3] = [
    (
        "passwd",
        "builduser:x:1000:1000:builduser:/build:/bin/bash\n",
    ),
    ("group", "builduser:x:1000:\n"),
    ("shadow", "builduser:!!:::::::\n"),
];

/// Returns an account file in which the build user is the only account with its name and id, as makechrootpkg
/// does.
pub(super) fn with_build_user(text: &str, file: &str, line: &str) -> String {
    let is_other = |other: &&str| {
        let mut fields = other.split(':');
        let name = fields.next();
        let number = fields.nth(1);
        name != Some(BUILD_USER_NAME) && (file == "shadow" || number != Some("1000"))
    };
    let mut others: String = text.lines().filter(is_other).fold(
        String::with_capacity(text.len() + line.len()),
        |text, other| text + other + "\n",
    );
    others.push_str(line);
    others
}

/// `/etc/login.defs`: the settings of Arch's `shadow` that programs read.
pub(super) const LOGIN_DEFS: &str = "\
MAIL_DIR /var/spool/mail
ENV_SUPATH PATH=/usr/local/sbin:/usr/local/bin:/usr/bin
ENV_PATH PATH=/usr/local/sbin:/usr/local/bin:/usr/bin
TTYGROUP tty
TTYPERM 0600
UMASK 022
HOME_MODE 0700
PASS_MAX_DAYS 99999
PASS_MIN_DAYS 0
PASS_WARN_AGE 7
UID_MIN 1000
UID_MAX 60000
SYS_UID_MIN 500
SYS_UID_MAX 999
SUB_UID_MIN 100000
SUB_UID_MAX 600100000
SUB_UID_COUNT 65536
GID_MIN 1000
GID_MAX 60000
SYS_GID_MIN 500
SYS_GID_MAX 999
SUB_GID_MIN 100000
SUB_GID_MAX 600100000
SUB_GID_COUNT 65536
DEFAULT_HOME yes
USERGROUPS_ENAB yes
ENCRYPT_METHOD YESCRYPT
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_accounts_that_share_name_or_id_of_the_build_user() {
        let text = "root:x:0:0::/root:/bin/bash\nalarm:x:1000:1000::/home/alarm:/bin/bash\n\
                    builduser:x:1007:1007::/build:/bin/bash";
        let (file, line) = BUILD_USER_LINES[0];
        assert_eq!(
            with_build_user(text, file, line),
            format!("root:x:0:0::/root:/bin/bash\n{line}")
        );
        let (file, line) = BUILD_USER_LINES[2];
        assert_eq!(
            with_build_user("root:!:1000::::::\n", file, line),
            format!("root:!:1000::::::\n{line}")
        );
    }

    #[test]
    fn writes_same_build_user_into_every_account_file() {
        for (text, (_, line)) in [PASSWD, GROUP].iter().zip(BUILD_USER_LINES) {
            assert!(text.contains(line), "{line}");
        }
    }
}
