//! The subcommands of `gitlab-runner` that the scripts of jobs call: uploading and downloading artifacts.

use std::io::{Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// The subcommands of gitlab-runner that scripts call
#[derive(Debug, Parser)]
#[command(name = "gitlab-runner", version = crate::api::VERSION)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Pack files and upload them to GitLab
    ArtifactsUploader(Upload),
    /// Download files from GitLab and unpack them
    ArtifactsDownloader(Download),
}

#[derive(Debug, clap::Args)]
struct Upload {
    #[arg(long)]
    url: String,
    #[arg(long)]
    token: String,
    #[arg(long)]
    id: u64,
    #[arg(long = "path")]
    paths: Vec<String>,
    #[arg(long = "exclude")]
    excludes: Vec<String>,
    #[arg(long)]
    untracked: bool,
    #[arg(long, default_value = "")]
    name: String,
    #[arg(long, default_value = "zip")]
    artifact_format: String,
    #[arg(long, default_value = "archive")]
    artifact_type: String,
    #[arg(long, default_value = "")]
    expire_in: String,
}

#[derive(Debug, clap::Args)]
struct Download {
    #[arg(long)]
    url: String,
    #[arg(long)]
    token: String,
    #[arg(long)]
    id: u64,
}

/// The number of attempts while GitLab is overloaded, and after other errors.
const BUSY_ATTEMPTS: u32 = 6;
const ATTEMPTS: u32 = 3;

/// Runs the subcommand in the arguments of the process.
pub async fn main() -> Result<()> {
    match Cli::parse().command {
        Command::ArtifactsUploader(upload) => upload.run().await,
        Command::ArtifactsDownloader(download) => download.run().await,
    }
}

impl Upload {
    async fn run(&self) -> Result<()> {
        if self.artifact_format != "zip" {
            bail!(
                "this stand-in supports zip only, not {}",
                self.artifact_format
            );
        }
        if self.untracked {
            bail!("this stand-in does not support untracked files");
        }
        let files = self.files()?;
        if files.is_empty() {
            eprint_line("ERROR: No files to upload");
            return Ok(());
        }
        let archive = pack(&files)?;
        let name = match self.name.as_str() {
            "" => "artifacts.zip".to_owned(),
            name => format!("{name}.zip"),
        };
        let client = client()?;
        let mut base = self.url.trim_end_matches('/').to_owned();
        let (mut tries, mut busy) = (0, 0);
        loop {
            let response = self.send(&client, &base, &name, &archive).await;
            let status = response
                .as_ref()
                .ok()
                .map(|response| response.status().as_u16());
            match (status, response) {
                (Some(201), _) => return Ok(()),
                (Some(307), Ok(response)) => {
                    base = moved(&response)?;
                    tries += 1;
                }
                (Some(403), _) => bail!("GitLab rejected the files: 403 Forbidden"),
                (Some(413), _) => bail!("the files are too large for GitLab: 413"),
                (Some(503), _) => busy += 1,
                _ => tries += 1,
            }
            if tries >= ATTEMPTS || busy >= BUSY_ATTEMPTS {
                bail!("GitLab rejected the files ({status:?})");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn send(
        &self,
        client: &reqwest::Client,
        base: &str,
        name: &str,
        archive: &[u8],
    ) -> reqwest::Result<reqwest::Response> {
        // A stream, whose length is unknown until its end.
        let pieces: Vec<std::io::Result<Vec<u8>>> = archive
            .chunks(64 * 1024)
            .map(|piece| Ok(piece.to_vec()))
            .collect();
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let part = reqwest::multipart::Part::stream(body).file_name(name.to_owned());
        let form = reqwest::multipart::Form::new().part("file", part);
        let mut query = vec![
            ("artifact_format", self.artifact_format.as_str()),
            ("artifact_type", self.artifact_type.as_str()),
        ];
        if !self.expire_in.is_empty() {
            query.push(("expire_in", &self.expire_in));
        }
        client
            .post(format!("{base}/api/v4/jobs/{}/artifacts", self.id))
            .header("JOB-TOKEN", &self.token)
            .query(&query)
            .multipart(form)
            .send()
            .await
    }

    /// Returns the selected files below the current folder.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        walk(Path::new(""), &mut found)?;
        found.sort_unstable();
        found.retain(|file| {
            let name = file.to_string_lossy();
            let is_in = |patterns: &[String]| patterns.iter().any(|one| matches(one, &name));
            is_in(&self.paths) && !is_in(&self.excludes)
        });
        Ok(found)
    }
}

fn moved(response: &reqwest::Response) -> Result<String> {
    let location = response.headers().get("location");
    let location = location.and_then(|location| location.to_str().ok());
    let url: reqwest::Url = location.context("a redirect without a location")?.parse()?;
    Ok(url.origin().ascii_serialization())
}

fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()?)
}

#[expect(clippy::print_stderr, reason = "this is a program of its own")]
fn eprint_line(text: &str) {
    eprintln!("{text}");
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let shown = if folder == Path::new("") {
        Path::new(".")
    } else {
        folder
    };
    for entry in fs_err::read_dir(shown)? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            walk(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Returns whether a pattern matches a file or a parent folder. `*` is anything except slashes, `**` anything.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
    let below = name.match_indices('/').map(|(at, _)| &name[..at]);
    std::iter::once(name)
        .chain(below)
        .any(|part| glob(pattern, part))
}

fn glob(pattern: &str, name: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("**/") {
        let starts = name.match_indices('/').map(|(at, _)| &name[at + 1..]);
        return std::iter::once(name)
            .chain(starts)
            .any(|name| glob(rest, name));
    }
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            let end = name.find('/').unwrap_or(name.len());
            (0..=end).any(|at| name.is_char_boundary(at) && glob(rest, &name[at..]))
        }
        Some('?') => {
            let mut characters = name.chars();
            characters.next().is_some_and(|c| c != '/') && glob(&pattern[1..], characters.as_str())
        }
        Some(c) => name
            .strip_prefix(c)
            .is_some_and(|name| glob(&pattern[c.len_utf8()..], name)),
    }
}

fn pack(files: &[PathBuf]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        zip.start_file(file.to_string_lossy(), SimpleFileOptions::default())?;
        zip.write_all(&fs_err::read(file)?)?;
    }
    Ok(zip.finish()?.into_inner())
}

impl Download {
    async fn run(&self) -> Result<()> {
        let base = self.url.trim_end_matches('/');
        let response = client()?
            .get(format!("{base}/api/v4/jobs/{}/artifacts", self.id))
            .header("JOB-TOKEN", &self.token)
            .send()
            .await?
            .error_for_status()?;
        let bytes = response.bytes().await?;
        let mut archive = ZipArchive::new(Cursor::new(bytes))?;
        for index in 0..archive.len() {
            let mut file = archive.by_index(index)?;
            let path = file
                .enclosed_name()
                .context("the archive contains a file with an invalid path")?;
            if file.is_dir() {
                continue;
            }
            if let Some(folder) = path.parent() {
                fs_err::create_dir_all(folder)?;
            }
            let mut data = Vec::new();
            file.read_to_end(&mut data)?;
            fs_err::write(&path, data)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn artifact_patterns_match_files_and_folders() {
        for (pattern, name, is) in [
            ("out/*.zst", "out/a.zst", true),
            ("out/*.zst", "out/b/a.zst", false),
            ("out", "out/b/a.zst", true),
            ("**/*.log", "x/y/z.log", true),
            ("*.log", "x/y.log", false),
            ("o?t/", "out/a", true),
            ("out/**/*", "out/a/b", true),
        ] {
            assert_eq!(matches(pattern, name), is, "{pattern} {name}");
        }
    }
}
