//! The programs with which the host fetches sources, besides git: those of makepkg.conf, and other
//! version control systems.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::programs::{SEARCH_PATH, find_program};

/// Prints DLAGENTS as makepkg sees it after it has read its settings.
const PRINT_AGENTS: &str = r#"
shopt -s nullglob
for file in /etc/makepkg.conf /etc/makepkg.conf.d/*.conf; do
  [[ -r $file ]] && source "$file" >/dev/null
done
printf '%s\n' "${DLAGENTS[@]}"
"#;

/// A version control system with which makepkg fetches sources. git is not listed, because it is always
/// installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VcsTool {
    Bzr,
    Fossil,
    Hg,
    Svn,
}

impl VcsTool {
    pub(crate) const ALL: [Self; 4] = [Self::Bzr, Self::Fossil, Self::Hg, Self::Svn];

    /// Returns the tool for a protocol.
    pub(crate) fn of(protocol: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|tool| tool.program() == protocol)
    }

    /// Returns the name of the program, which is also the protocol.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Bzr => "bzr",
            Self::Fossil => "fossil",
            Self::Hg => "hg",
            Self::Svn => "svn",
        }
    }

    /// Returns the package that contains the program.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Bzr => "brz (breezy)",
            Self::Fossil => "fossil",
            Self::Hg => "mercurial",
            Self::Svn => "subversion",
        }
    }

    pub(crate) fn is_installed(self) -> bool {
        find_program(self.program()).is_some()
    }
}

/// A line of DLAGENTS (makepkg.conf(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    protocol: String,
    words: Vec<String>,
}

impl Agent {
    /// Returns the agents of the host's makepkg.conf, which its operator controls.
    pub(crate) fn all() -> Vec<Self> {
        let output = Command::new("bash")
            .args(["--norc", "--noprofile", "-c", PRINT_AGENTS])
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .current_dir("/")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().filter_map(Self::parse).collect()
    }

    /// Returns the first agent for a protocol, as makepkg does.
    pub(crate) fn of<'a>(agents: &'a [Self], protocol: &str) -> Option<&'a Self> {
        agents.iter().find(|agent| agent.protocol == protocol)
    }

    fn parse(line: &str) -> Option<Self> {
        let (protocol, command) = line.split_once("::")?;
        let words: Vec<String> = command
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        (!words.is_empty()).then(|| Self {
            protocol: protocol.to_owned(),
            words,
        })
    }

    pub(crate) fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    pub(crate) fn is_installed(&self) -> bool {
        let program = self.program();
        match program.contains('/') {
            true => Path::new(program).is_file(),
            false => find_program(program).is_some(),
        }
    }

    pub(crate) fn is_curl(&self) -> bool {
        self.program().rsplit('/').next() == Some("curl")
    }

    /// Returns the command that fetches a URL, and the file that it writes: `part`, or the last component of
    /// the URL if the command does not accept a file name.
    pub(crate) fn command(&self, url: &str, part: &str) -> (Vec<String>, String) {
        // makepkg omits the scheme only for scp.
        let url = match url.split_once("://") {
            Some(("scp", address)) => address,
            _ => url,
        };
        let last = url.rsplit('/').next().unwrap_or(url);
        let has = |mark: &str| self.words.iter().any(|word| word.contains(mark));
        let output = if has("%o") { part } else { last };
        let replaced = self
            .words
            .iter()
            .map(|word| word.replace("%o", output).replace("%u", url));
        let mut command: Vec<String> = replaced.collect();
        if !has("%u") {
            command.push(url.to_owned());
        }
        (command, output.to_owned())
    }
}

/// Returns the protocols by which the host fetches sources, besides those that every host supports
/// (http, https, ftp and git).
pub(crate) fn installed_protocols() -> Vec<String> {
    let tools = VcsTool::ALL
        .into_iter()
        .filter(|tool| tool.is_installed())
        .map(|tool| tool.program().to_owned());
    let agents = Agent::all()
        .into_iter()
        .filter(Agent::is_installed)
        .map(|agent| agent.protocol);
    let always = ["file", "ftp", "git", "http", "https"];
    tools
        .chain(agents)
        .filter(|protocol| !always.contains(&protocol.as_str()))
        .collect()
}

/// Returns all protocols that makepkg knows, besides those that every host supports.
pub(crate) fn known_protocols() -> Vec<String> {
    let tools = VcsTool::ALL.into_iter().map(VcsTool::program);
    tools.chain(["rsync", "scp"]).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://example.org/x-1.tar.gz";

    fn command(line: &str) -> (String, String) {
        let (command, output) = Agent::parse(line).unwrap().command(URL, "x.part");
        (command.join(" "), output)
    }

    #[test]
    fn builds_download_commands_like_makepkg() {
        let (words, output) = command("https::/usr/bin/curl -gqb \"\" -fLC - -o %o %u");
        assert_eq!(
            words,
            format!("/usr/bin/curl -gqb \"\" -fLC - -o x.part {URL}")
        );
        assert_eq!(output, "x.part");
        let (words, output) = command("own::/usr/local/bin/fetch  --quiet");
        assert_eq!(words, format!("/usr/local/bin/fetch --quiet {URL}"));
        assert_eq!(output, "x-1.tar.gz");
        let agent = Agent::parse("scp::/usr/bin/scp -C %u %o").unwrap();
        let (words, _) = agent.command("scp://host:/srv/x", "x.part");
        assert_eq!(words, ["/usr/bin/scp", "-C", "host:/srv/x", "x.part"]);
    }

    #[test]
    fn recognizes_curl_by_its_name() {
        let agent = |line: &str| Agent::parse(line).unwrap();
        assert!(agent("http::/usr/bin/curl %u").is_curl());
        assert!(!agent("http::/usr/bin/curlie %u").is_curl());
        assert!(Agent::parse("http::").is_none() && Agent::parse("http").is_none());
    }

    #[test]
    fn maps_protocols_to_download_tools() {
        for tool in VcsTool::ALL {
            assert_eq!(VcsTool::of(tool.program()), Some(tool));
        }
        assert_eq!(VcsTool::of("git"), None);
    }
}
