//! The environment of a build: what makechrootpkg gives a PKGBUILD, and nothing of the worker's
//! own.

use std::process::Command;

use crate::support::{Fixture, file_in, script_package};

/// Runs a script as `build()`, and returns the log.
async fn log_of(fixture: &Fixture, name: &str, script: &str) -> String {
    let (_, log) = fixture
        .built(&fixture.request(name, &script_package(name, script)))
        .await;
    log
}

fn assert_lines(log: &str, lines: &[&str]) {
    for line in lines {
        assert!(log.lines().any(|found| found == *line), "{line}: {log}");
    }
}

/// Goes beyond `case_17_own_host_name_unknown`.
#[tokio::test]
async fn provides_hostname_services_and_terminals() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let script = r#"
  python3 -c 'import socket;print("host", socket.gethostbyname(socket.gethostname()))'
  python3 -c 'import socket;print("http", socket.getservbyname("http"), socket.getprotobyname("tcp"))'
  getent hosts "$(</etc/hostname)" >/dev/null && echo HOST-OK
  getent protocols tcp >/dev/null && getent services http >/dev/null && echo DATABASES-OK
  python3 -c 'import mimetypes;print("mime", mimetypes.MimeTypes(["/etc/mime.types"]).guess_type("a.webp")[0])'
  python3 -c 'import os;a,b=os.openpty();os.write(b,b"x");print("openpty", os.ttyname(b).startswith("/dev/pts/"))'
  script -qec 'test -t 0 && test -t 1 && echo in a terminal' /dev/null
  python3 -c 'import tempfile,os;print("tmp", os.path.dirname(tempfile.mkdtemp()))'
  python3 -c 'import socket;s=socket.socket(socket.AF_INET6);s.bind(("::1",0));print("V6OK")'
  python3 -c 'import socket;s=socket.socket();s.bind(("127.0.0.1",0));s.listen();socket.create_connection(s.getsockname());print("TCPOK")'
  python3 -c 'import multiprocessing as m;m.Lock();print("SEMOK")'
  python -c 'print("PYTHON-OK")'
  printf 'int main(){return 0;}' >/tmp/x.c && gcc -o /tmp/x /tmp/x.c && /tmp/x && echo EXEC-TMP-OK
  touch /var/tmp/b && echo VARTMP-OK
  [[ -d /dev/shm && -d /dev/pts && -e /dev/fd/0 && -c /dev/full && -c /dev/ptmx ]] && echo DEV-OK
  [[ -L /dev/stdin && -c /dev/null && -c /dev/zero && -c /dev/urandom ]] && echo DEV-TOO
  echo x 2>/dev/null >/dev/full || echo FULL-OK
  # A build has no terminal for interaction.
  { : >/dev/tty; } 2>/dev/null || echo NO-TTY
  [[ $(date +%Z) == UTC && $(readlink /etc/localtime) == */UTC ]] && echo TIME-OK
  grep -qxE '[0-9a-f]{32}' /etc/machine-id && echo MACHINE-ID-OK
  cat /etc/machine-id; echo "ulimit $(ulimit -Sn) $(ulimit -c)""#;
    let log = log_of(&fixture, "hostcheck", script).await;
    let lines = [
        "host 127.0.0.1",
        "http 80 6",
        "HOST-OK",
        "DATABASES-OK",
        "mime image/webp",
        "openpty True",
        "tmp /tmp",
        "V6OK",
        "TCPOK",
        "SEMOK",
        "PYTHON-OK",
        "EXEC-TMP-OK",
        "VARTMP-OK",
        "DEV-OK",
        "DEV-TOO",
        "FULL-OK",
        "NO-TTY",
        "TIME-OK",
        "MACHINE-ID-OK",
        "ulimit 1024 0",
    ];
    assert_lines(&log, &lines);
    assert!(log.contains("in a terminal"), "{log}");
    let own = fs_err::read_to_string("/etc/machine-id").unwrap_or_default();
    assert!(own.trim().is_empty() || !log.contains(own.trim()), "{log}");
}

#[tokio::test]
async fn runs_makepkg_like_makechrootpkg() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let script = r#"
  echo "user $(id -un) $(id -gn) $(id -u):$(id -g) $(id -G)"
  echo "names $USER $LOGNAME $HOME $SHELL"
  echo "locale $LANG $TZ $(locale charmap)"
  echo "folders $BUILDDIR $PKGDEST $SRCDEST $startdir $srcdir $PWD"
  echo "path $PATH"
  echo "make $MAKEFLAGS epoch $SOURCE_DATE_EPOCH"
  getent passwd builduser http nobody; getent group games utmp wheel
  python3 -c 'import os,pwd;print("pwd", pwd.getpwuid(os.getuid()).pw_dir)'
  [[ ! -e /proc/self/loginuid || $(</proc/self/loginuid) == 1000 ]] && echo LOGIN-OK
  touch ~/home-is-writable && echo HOME-OK
  git -C "$startdir" init -q . && echo GIT-OK
  [[ $(umask) == 0022 ]] && echo UMASK-OK"#;
    let log = log_of(&fixture, "who", script).await;
    let lines = [
        "user builduser builduser 1000:1000 1000",
        "names builduser builduser /build /bin/bash",
        "locale C.UTF-8 UTC UTF-8",
        "folders /build /pkgdest /srcdest /startdir /build/who/src /build/who/src",
        "make -j2 epoch 1700000000",
        "builduser:x:1000:1000:builduser:/build:/bin/bash",
        "http:x:33:33::/srv/http:/usr/sbin/nologin",
        "games:x:50:",
        "pwd /build",
        "LOGIN-OK",
        "HOME-OK",
        "GIT-OK",
        "UMASK-OK",
    ];
    assert_lines(&log, &lines);
    let path = "path /usr/local/sbin:/usr/local/bin:/usr/bin";
    assert!(log.lines().any(|line| line.starts_with(path)), "{log}");
}

/// Network cards, disks and firmware have unique identifiers.
#[tokio::test]
async fn exposes_processors_without_host_devices() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let script = r#"
  [[ -r /sys/devices/system/cpu/online ]] && echo "cpus $(</sys/devices/system/cpu/online)"
  [[ ! -e /sys/devices/system/node/online ]] || echo "nodes $(</sys/devices/system/node/online)"
  for folder in class block bus; do [[ -d /sys/$folder ]] && echo "$folder $(ls -A /sys/$folder | wc -l)"; done
  echo "top $(ls -A /sys | xargs) $(ls -A /sys/devices | xargs) $(ls -A /sys/devices/system | xargs)"
  touch /sys/x 2>/dev/null || echo READ-ONLY
  { echo 0 >/sys/devices/system/cpu/cpu1/online; } 2>/dev/null || echo READ-ONLY-TOO
  find /sys -name address -o -name 'dmi*' -o -name product_uuid -o -name serial 2>/dev/null | sed 's/^/LEAK /'
  grep -c . /proc/partitions /proc/diskstats || true
  echo "cards $(tail -n +3 /proc/net/dev | cut -d: -f1 | xargs)"
  nproc"#;
    let log = log_of(&fixture, "machine", script).await;
    let lines = [
        "class 0",
        "block 0",
        "bus 0",
        "READ-ONLY",
        "READ-ONLY-TOO",
        "/proc/partitions:0",
        "/proc/diskstats:0",
        "cards lo",
        "top block bus class devices system cpu node",
    ];
    assert_lines(&log, &lines);
    let online = fs_err::read_to_string("/sys/devices/system/cpu/online").unwrap();
    assert_lines(&log, &[&format!("cpus {}", online.trim())]);
    assert!(!log.contains("LEAK"), "{log}");
    for address in addresses() {
        assert!(!log.contains(&address), "{address}");
    }
}

/// Returns the hardware addresses of the host's network cards, except loopback.
fn addresses() -> Vec<String> {
    let cards = fs_err::read_dir("/sys/class/net").unwrap();
    let addresses = cards.map(|card| {
        let address = fs_err::read_to_string(card.unwrap().path().join("address"));
        address.unwrap_or_default().trim().to_owned()
    });
    addresses
        .filter(|address| !address.is_empty() && !address.starts_with("00:00:00:00:00:00"))
        .collect()
}

/// Goes beyond `case_19_ca_certificates_claimed_but_absent`.
#[tokio::test]
async fn provides_ca_certificates_when_claimed() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    fixture.publish_some("base").await;
    let script = r#"
  test -e /etc/ssl/certs/ca-certificates.crt && test -s /etc/ssl/cert.pem && echo BUNDLE-OK
  test -s /etc/ca-certificates/extracted/tls-ca-bundle.pem && echo ARCH-BUNDLE-OK
  python3 -c 'import ssl;c=ssl.create_default_context();print("CAS", len(c.get_ca_certs()) > 0)'
  openssl version -d >/dev/null && test -r /etc/ssl/openssl.cnf && echo CONFIG-OK
  ls -A /etc/ssl | sed 's/^/ssl: /'; find /etc/ssl/certs -type f ! -path '*/java/cacerts' | sed 's/^/own: /'
  ls -d /etc/services /etc/protocols /etc/mime.types /etc/login.defs"#;
    let mut request = fixture.request("cacheck", &script_package("cacheck", script));
    request.dependencies = vec!["ca-certificates".into()];
    let (_, log) = fixture.built(&request).await;
    let lines = [
        "BUNDLE-OK",
        "ARCH-BUNDLE-OK",
        "CAS True",
        "CONFIG-OK",
        "own: /etc/ssl/certs/ca-certificates.crt",
        "/etc/login.defs",
    ];
    assert_lines(&log, &lines);
    // Keys and certificates of the host.
    assert!(!log.contains("ssl: private"), "{log}");
    assert_eq!(log.matches("own: ").count(), 1, "{log}");
}

#[tokio::test]
async fn accepts_packages_with_files_written_for_every_root() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let pkgbuild = "pkgname=mailcap\npkgver=1\npkgrel=1\narch=(any)\nbackup=(etc/passwd)\npackage() {\n\
         cd \"$pkgdir\"; mkdir -p etc/ssl; echo of the package >etc/mime.types\n\
         echo of the package >etc/ssl/openssl.cnf; echo of the package >etc/passwd\n}\n";
    let (packages, _) = fixture.built(&fixture.request("mailcap", pkgbuild)).await;
    fixture.publish("base", &packages);
    let script = "cat /etc/mime.types /etc/ssl/openssl.cnf; id -un";
    let mut request = fixture.request("user", &script_package("user", script));
    request.dependencies = vec!["mailcap".into()];
    let (_, log) = fixture.built(&request).await;
    assert_eq!(log.matches("of the package\n").count(), 2, "{log}");
    assert_lines(&log, &["builduser"]);
}

/// A package may contain them; they grant the build no privileges, and pacman installs them
/// unchanged.
#[tokio::test]
async fn packages_setuid_files_without_effect_during_builds() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let pkgbuild = "pkgname=setuid\npkgver=1\npkgrel=1\narch=(x86_64)\noptions=(!strip)\npackage() {\n\
         install -Dm4755 /usr/bin/id \"$pkgdir/usr/bin/idsu\"\n\
         install -Dm2755 /usr/bin/id \"$pkgdir/usr/bin/idsg\"\n\
         \"$pkgdir/usr/bin/idsu\" -u | sed 's/^/in package: /'\n}\n";
    let (packages, _) = fixture.built(&fixture.request("setuid", pkgbuild)).await;
    let list = Command::new("bsdtar")
        .arg("-tvf")
        .arg(&packages[0].path)
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("-rwsr-xr-x"), "{list}");
    assert!(list.contains("-rwxr-sr-x"), "{list}");
    fixture.publish("base", &packages);
    let script = r#"
  stat -c 'mode %a %u' /usr/bin/idsu
  echo "effective $(idsu -u) $(idsg -g)"
  cp /usr/bin/id ./own && chmod 6755 own && echo "own $(./own -u)""#;
    let mut request = fixture.request("user", &script_package("user", script));
    request.dependencies = vec!["setuid".into()];
    let (_, log) = fixture.built(&request).await;
    assert_lines(&log, &["mode 4755 0", "effective 1000 1000", "own 1000"]);
    assert!(file_in(&packages[0].path, ".PKGINFO").contains("pkgname = setuid"));
}
