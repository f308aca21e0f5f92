//! Downloads files with the programs of DLAGENTS in the host's makepkg.conf. Most are curl, whose output
//! shows what failed.

use super::command::Fetch;
use super::{failures, refusal};
use crate::failure::Failure;
use crate::fetchers::Agent;
use crate::sandbox::helper::run::exit_code;

/// Protocols that do not need DLAGENTS, with the arguments that makepkg.conf passes to curl.
const BUILT_IN: &[(&str, &[&str])] = &[
    (
        "ftp",
        &["--globoff", "--fail", "--ftp-pasv", "--retry", "3"],
    ),
    ("http", WEB),
    ("https", WEB),
];
/// Some hosts redirect to themselves until the client sends a cookie back, which is kept in memory.
const WEB: &[&str] = &[
    "--globoff",
    "--cookie",
    "",
    "--fail",
    "--location",
    "--retry",
    "3",
];
/// Arguments that are added to those of any curl: limits, and machine-readable output. The last of several
/// options of the same kind takes effect.
const ALWAYS: &[&str] = &[
    "--silent",
    "--show-error",
    "--proto-redir",
    "=http,https,ftp",
    "--max-redirs",
    "10",
    "--connect-timeout",
    "30",
    "--speed-limit",
    "1000",
    "--speed-time",
    "60",
    "--write-out",
    "%{http_code} %{url_effective}",
];
/// The protocols that curl may use, besides the one for which makepkg.conf names it.
const PROTOCOLS: &str = "=http,https,ftp";
/// An exit code of curl.
const COULD_NOT_CONNECT: i32 = 7;

/// Returns whether a protocol is supported without a program of DLAGENTS.
pub(super) fn is_built_in(protocol: &str) -> bool {
    BUILT_IN.iter().any(|(known, _)| *known == protocol)
}

/// Returns the command for a protocol that DLAGENTS does not name.
fn built_in(protocol: &str, url: &str, part: &str) -> Vec<String> {
    let known = BUILT_IN.iter().find(|(known, _)| *known == protocol);
    let options = known.map_or(WEB, |(_, options)| options);
    let words = [&["curl"], options, &["--output", part, url]].concat();
    words.into_iter().map(str::to_owned).collect()
}

impl Fetch<'_> {
    pub(super) fn download(&self, url: &str, name: &str, protocol: &str) -> Result<(), Failure> {
        let part = format!("{name}.part");
        let agent = Agent::of(self.agents, protocol);
        let (mut command, output) = match agent {
            Some(agent) => agent.command(url, &part),
            None => (built_in(protocol, url, &part), part.clone()),
        };
        if agent.is_none_or(Agent::is_curl) {
            // It must be the first option; it disables the settings of the host's users.
            command.insert(1, "--disable".to_owned());
            let protocols = match is_built_in(protocol) {
                true => PROTOCOLS.to_owned(),
                false => format!("{PROTOCOLS},{protocol}"),
            };
            command.extend(["--proto".to_owned(), protocols]);
            command.extend(ALWAYS.iter().map(|word| (*word).to_owned()));
            command.push("--max-filesize".to_owned());
            command.push(self.largest.to_string());
            self.run_curl(&command, url)?;
        } else {
            self.run_agent(&command, url)?;
        }
        let is_there = match output == name {
            true => fs_err::symlink_metadata(self.folder.join(name)).is_ok(),
            false => self
                .tool()
                .run(&["mv", "-f", "--", &output, name])?
                .success(),
        };
        match is_there {
            true => Ok(()),
            false => Err(failures::not_written(url, &output)),
        }
    }

    fn run_curl(&self, command: &[String], url: &str) -> Result<(), Failure> {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let output = self.tool().output(&words)?;
        let code = exit_code(output.status);
        if code == 0 {
            return Ok(());
        }
        let report = String::from_utf8_lossy(&output.stdout);
        let (status, last) = report.split_once(' ').unwrap_or((&report, ""));
        if code == COULD_NOT_CONNECT
            && let Some(failure) = self.refused(url, last)?
        {
            return Err(failure);
        }
        Err(refusal::of_curl(code, status, url, last))
    }

    /// Runs a program whose failures do not say whose fault they are.
    fn run_agent(&self, command: &[String], url: &str) -> Result<(), Failure> {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let status = self.tool().run(&words)?;
        if status.success() {
            return Ok(());
        }
        if let Some(failure) = self.refused(url, "")? {
            return Err(failure);
        }
        let program = words.first().copied().unwrap_or_default();
        Err(failures::of_agent(url, program, exit_code(status)))
    }
}
