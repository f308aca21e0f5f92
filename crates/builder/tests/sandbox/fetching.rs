//! Every tool other than git with which makepkg downloads sources.

use buildbtw_builder::BuildRequest;
use buildbtw_model::{FailureKind, NetworkPolicy};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Fixture, file_in};
use crate::test_network::{TestNetwork, page};

pub(crate) fn has(program: &str) -> bool {
    ["/usr/bin", "/usr/local/bin", "/bin"]
        .iter()
        .any(|folder| std::path::Path::new(folder).join(program).exists())
}

pub(crate) fn request(fixture: &Fixture, name: &str, source: &str, install: &str) -> BuildRequest {
    let pkgbuild = format!(
        "pkgname={name}\npkgver=1\npkgrel=1\narch=(any)\n\
         source=('{source}')\nsha256sums=(SKIP)\n\
         package() {{ install -Dm644 {install} \"$pkgdir/usr/share/{name}\"; }}\n"
    );
    let mut request = fixture.request(name, &pkgbuild);
    request.sources = vec![source.to_owned()];
    request
}

/// The host's makepkg.conf names programs for protocols, including some of its own.
#[tokio::test]
async fn downloads_with_programs_of_makepkg_conf() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let test_network = TestNetwork::new(&mut fixture);
    test_network.behind_router(8000, |_| page("agent\n"));
    let conf = fixture.path("makepkg.conf");
    let mut text = fs_err::read_to_string("/etc/makepkg.conf").unwrap();
    text.push_str(
        "DLAGENTS=('http::/usr/bin/curl -gqb \"\" -fLC - --header X-Own:1 -o %o %u'\n\
         'own::/usr/bin/perl -e open(F,\">%o\");print(F\"%u\\n\")'\n\
         'bare::/usr/bin/perl -e $u=pop;open(F,\">\",$u=~s{.*/}{}r);print(F\"bare\\n\")'\n\
         'lost::/usr/bin/there-is-no-such-program %o %u')\n",
    );
    fs_err::write(&conf, text).unwrap();
    fixture.start_helper_by(&format!(
        "exec unshare --mount --propagation private sh -c '\
         mount --bind {} /etc/makepkg.conf && exec \"$@\"' sh \"$@\"",
        conf.display()
    ));
    let source = "own://somewhere/data.txt";
    let (packages, _) = fixture
        .built(&request(&fixture, "own", source, "data.txt"))
        .await;
    assert_eq!(
        file_in(&packages[0].path, "usr/share/own"),
        "own://somewhere/data.txt\n"
    );
    let source = "bare://somewhere/data.txt";
    let (packages, _) = fixture
        .built(&request(&fixture, "bare", source, "data.txt"))
        .await;
    assert_eq!(file_in(&packages[0].path, "usr/share/bare"), "bare\n");
    let source = "http://198.51.100.10:8000/data.txt";
    let (packages, _) = fixture
        .built(&request(&fixture, "usual", source, "data.txt"))
        .await;
    assert_eq!(file_in(&packages[0].path, "usr/share/usual"), "agent\n");

    let (kind, message, _) = fixture
        .fails(&request(&fixture, "lost", "lost://x/data.txt", "data.txt"))
        .await;
    assert_eq!(kind, FailureKind::Infrastructure);
    assert!(
        message.contains("/usr/bin/there-is-no-such-program"),
        "{message}"
    );
    let (kind, message, _) = fixture
        .fails(&request(
            &fixture,
            "other",
            "other://x/data.txt",
            "data.txt",
        ))
        .await;
    assert_eq!(kind, FailureKind::Package);
    assert!(
        message.contains("`other`") && message.contains("DLAGENTS"),
        "{message}"
    );
}

/// Serves one file by FTP (RFC 959, RFC 2428) for as long as the test runs, and returns the port.
async fn serve_ftp(body: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Clients may disconnect at any time.
            tokio::spawn(async move { ftp_session(stream, body).await });
        }
    });
    port
}

async fn ftp_session(stream: TcpStream, body: &str) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let passive = TcpListener::bind("127.0.0.1:0").await?;
    let port = passive.local_addr()?.port();
    stream.write_all(b"220 ready\r\n").await?;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let command = line.split_whitespace().next().unwrap_or_default();
        let reply = match command.to_ascii_uppercase().as_str() {
            "USER" => "331 and the password".to_owned(),
            "PASS" => "230 come in".to_owned(),
            "PWD" => "257 \"/\"".to_owned(),
            "CWD" | "TYPE" => "200 so be it".to_owned(),
            "EPSV" => format!("229 there (|||{port}|)"),
            "SIZE" => format!("213 {}", body.len()),
            "RETR" => {
                stream.write_all(b"150 here it comes\r\n").await?;
                let (mut data, _) = passive.accept().await?;
                data.write_all(body.as_bytes()).await?;
                data.shutdown().await?;
                "226 that was all".to_owned()
            }
            "QUIT" => "221 bye".to_owned(),
            _ => "502 what?".to_owned(),
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

#[tokio::test]
async fn downloads_source_by_ftp() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let port = serve_ftp("by ftp\n").await;
    let source = format!("ftp://127.0.0.1:{port}/pub/data.txt");
    let (packages, _) = fixture
        .built(&request(&fixture, "old", &source, "data.txt"))
        .await;
    assert_eq!(file_in(&packages[0].path, "usr/share/old"), "by ftp\n");
}

/// Ends when the test ends.
struct TlsServer {
    process: std::process::Child,
    /// It logs what it serves.
    _output: std::io::BufReader<std::process::ChildStdout>,
    port: u16,
}

impl TlsServer {
    /// Serves a folder by HTTPS, with a certificate of its own, `cert.pem`.
    fn start(folder: &std::path::Path) -> Self {
        use std::io::{BufRead as _, Read as _};
        let mut process = std::process::Command::new("openssl")
            .args(["s_server", "-WWW", "-accept", "127.0.0.1:0"])
            .args(["-cert", "cert.pem", "-key", "key.pem"])
            .current_dir(folder)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
        let port = output.by_ref().lines().find_map(|line| {
            let line = line.unwrap();
            let address = line.strip_prefix("ACCEPT ")?;
            address.rsplit(':').next()?.parse().ok()
        });
        Self {
            process,
            _output: output,
            port: port.unwrap(),
        }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn downloads_source_by_https_with_trusted_certificate() {
    const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
    if !has("openssl") || !std::path::Path::new(AUTHORITIES).exists() {
        eprintln!("SKIPPED: openssl or {AUTHORITIES} is missing");
        return;
    }
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    fixture.sh("mkdir tls && cd tls && echo by https >data.txt
         openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 \
           -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null");
    let server = TlsServer::start(&fixture.path("tls"));
    let source = format!("https://127.0.0.1:{}/data.txt", server.port);
    let request = |fixture: &Fixture, name| request(fixture, name, &source, "data.txt");
    let (kind, message, _) = fixture.fails(&request(&fixture, "unknown")).await;
    assert_eq!(kind, FailureKind::Infrastructure, "{message}");
    assert!(message.contains("curl: exit 60"), "{message}");

    let certificate = fixture.path("tls/cert.pem");
    fixture.start_helper_by(&format!(
        "exec unshare --mount --propagation private sh -c '\
         mount --bind {} {AUTHORITIES} && exec \"$@\"' sh \"$@\"",
        certificate.display()
    ));
    let (packages, _) = fixture.built(&request(&fixture, "trusted")).await;
    assert_eq!(
        file_in(&packages[0].path, "usr/share/trusted"),
        "by https\n"
    );
}

#[tokio::test]
async fn fetches_mercurial_source_and_builds_offline() {
    if !has("hg") {
        eprintln!("SKIPPED: mercurial is not installed");
        return;
    }
    let Some(fixture) = Fixture::new() else {
        return;
    };
    fixture.sh(
        "hg init up && cd up && echo one >src.txt && hg add -q src.txt && hg commit -q -u t -m one
         hg tag -u t first && echo two >src.txt && hg commit -q -u t -m two",
    );
    let (mut server, port) = serve_mercurial(&fixture.path("up"));
    let source = format!("up::hg+http://127.0.0.1:{port}/#tag=first");
    let outcome = fixture
        .build(&request(&fixture, "hgsrc", &source, "up/src.txt"))
        .await;
    let missing = format!("up::hg+http://127.0.0.1:{port}/gone");
    let (kind, message, _) = fixture
        .fails(&request(&fixture, "hggone", &missing, "up/src.txt"))
        .await;
    server.kill().unwrap();
    server.wait().unwrap();
    let (buildbtw_builder::BuildOutcome::Succeeded { packages, .. }, _) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(file_in(&packages[0].path, "usr/share/hgsrc"), "one\n");
    assert!(
        message.contains("/gone could not be fetched"),
        "{kind}: {message}"
    );
}

fn serve_mercurial(folder: &std::path::Path) -> (std::process::Child, u16) {
    use std::io::BufRead as _;
    let mut server = std::process::Command::new("hg")
        .args([
            "serve",
            "--address",
            "127.0.0.1",
            "--port",
            "0",
            "--print-url",
            "--accesslog",
            "/dev/null",
        ])
        .current_dir(folder)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = server.stdout.take().unwrap();
    std::io::BufReader::new(stdout)
        .read_line(&mut line)
        .unwrap();
    let port = line
        .trim()
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap();
    (server, port.parse().unwrap())
}

/// Reported before anything is downloaded, not when makepkg unpacks it.
#[tokio::test]
async fn names_missing_download_tool() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    // A device is not a program.
    fixture.start_helper_by(
        "exec unshare --mount --propagation private sh -c '\
         for tool in /usr/local/*bin/svn /usr/*bin/svn /*bin/svn; do \
           [ ! -e $tool ] || mount --bind /dev/null $tool || exit; done; exec \"$@\"' sh \"$@\"",
    );
    let mut request = request(&fixture, "lacks", "svn://127.0.0.1:1/x", "x");
    request
        .sources
        .insert(0, "http://127.0.0.1:1/fetched-first".into());
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Infrastructure);
    assert!(message.contains("`svn` is not installed"), "{message}");
    assert!(message.contains("hint: install"), "{message}");
}

/// makepkg looks for a file in the folder of the PKGBUILD before it downloads it.
#[tokio::test]
async fn does_not_download_files_of_the_repository() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let sources = ["file://installer.bin", "http://192.0.2.1/x.txt"];
    let pkgbuild = format!(
        "pkgname=found\npkgver=1\npkgrel=1\narch=(any)\nsource=('{}' '{}')\nsha256sums=(SKIP SKIP)\n\
         package() {{ cat installer.bin x.txt >all; install -Dm644 all \"$pkgdir/usr/share/found\"; }}\n",
        sources[0], sources[1]
    );
    let files = [
        ("PKGBUILD", &*pkgbuild),
        ("installer.bin", "installer\n"),
        ("x.txt", "text\n"),
    ];
    for network in [NetworkPolicy::None, NetworkPolicy::Sources] {
        let mut request = fixture.request_with("found", &files);
        request.sources = sources.map(str::to_owned).to_vec();
        request.network = network;
        let (packages, _) = fixture.built(&request).await;
        let text = file_in(&packages[0].path, "usr/share/found");
        assert_eq!(text, "installer\ntext\n");
    }
}

#[tokio::test]
async fn rejects_host_files_as_sources() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    for source in [
        "file:///etc/passwd",
        "x::file:///etc/passwd",
        "git+file:///etc",
        "hg+file:///etc",
        "svn+file:///etc",
    ] {
        let (kind, message, _) = fixture
            .fails(&request(&fixture, "files", source, "x"))
            .await;
        assert_eq!(kind, FailureKind::Package, "{source}");
        assert!(message.contains(source), "{message}");
    }
}

/// Repositories of submodules are separate sources, and are checked out offline.
#[tokio::test]
async fn builds_git_source_with_submodule_offline() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let port = crate::serving::serve(fixture.path("repository")).await;
    fixture.sh(&format!(
        "export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@localhost GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@localhost
         git init -q part && cd part && echo part >part.txt && git add -A && git commit -qm one && cd ..
         git init -q whole && cd whole && git -c protocol.file.allow=always submodule --quiet add $PWD/../part part
         git config -f .gitmodules submodule.part.url http://127.0.0.1:{port}/part.git
         git add -A && git commit -qm one && cd ..
         for name in part whole; do git clone -q --mirror $name repository/$name.git
           git -C repository/$name.git update-server-info; done"
    ));
    let sources = ["whole", "part"].map(|name| format!("git+http://127.0.0.1:{port}/{name}.git"));
    let pkgbuild = format!(
        "pkgname=submodule\npkgver=1\npkgrel=1\narch=(any)\nmakedepends=(git)\n\
         source=('{}' '{}')\nsha256sums=(SKIP SKIP)\n\
         prepare() {{ cd whole && git submodule init && git config submodule.part.url \"$srcdir/part\" &&\n\
           git -c protocol.file.allow=always submodule update; }}\n\
         package() {{ install -Dm644 whole/part/part.txt \"$pkgdir/usr/share/submodule\"; }}\n",
        sources[0], sources[1]
    );
    let mut request = fixture.request("submodule", &pkgbuild);
    request.sources = sources.to_vec();
    let (packages, _) = fixture.built(&request).await;
    assert_eq!(file_in(&packages[0].path, "usr/share/submodule"), "part\n");
}
