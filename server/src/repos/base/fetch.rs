//! Fetches the databases of base repositories from local files or mirrors, the latter with conditional requests.

use std::time::Duration;

use buildbtw_model::api::Repository;
use buildbtw_model::{Architecture, hide_user_info};
use reqwest::StatusCode;
use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use tokio::io::AsyncReadExt as _;

/// The maximum size of a database; Arch's largest has about 10 MiB.
const MAX_DATABASE: u64 = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);

/// The origin of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    url: String,
    /// The entity tag, if the mirror sends one.
    tag: Option<HeaderValue>,
}

/// The result of fetching a database.
pub(super) enum Fetched {
    /// It has not changed.
    Unchanged,
    /// Its origin and content.
    Content(Place, Vec<u8>),
}

/// Fetches a database from the first server that has it, unless it has not changed since `known`.
pub(super) async fn fetch(
    repository: &Repository,
    architecture: &Architecture,
    known: Option<&Place>,
) -> Result<Fetched, String> {
    let mut problem = "no servers are configured for it".to_owned();
    for server in &repository.servers {
        let server = server
            .replace("$repo", repository.name.as_str())
            .replace("$arch", architecture.as_str());
        let url = format!("{}/{}.db", server.trim_end_matches('/'), repository.name);
        let fetched = match url.strip_prefix("file://") {
            Some(path) => read_file(path).await.map(|bytes| {
                let place = Place {
                    url: url.clone(),
                    tag: None,
                };
                Fetched::Content(place, bytes)
            }),
            None => fetch_http(&url, known.filter(|known| known.url == url)).await,
        };
        match fetched {
            Ok(fetched) => return Ok(fetched),
            Err(reason) => problem = format!("{}: {reason}", hide_user_info(&url)),
        }
    }
    Err(problem)
}

async fn read_file(path: &str) -> Result<Vec<u8>, String> {
    let read = async {
        let file = fs_err::tokio::File::open(path).await?;
        let mut bytes = Vec::new();
        file.take(MAX_DATABASE + 1).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = read.await.map_err(|error| error.to_string())?;
    check_size(bytes.len() as u64)?;
    Ok(bytes)
}

async fn fetch_http(url: &str, known: Option<&Place>) -> Result<Fetched, String> {
    let fetch = async {
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        let mut request = client.get(url);
        if let Some(tag) = known.and_then(|known| known.tag.clone()) {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let mut response = request.send().await?.error_for_status()?;
        if response.status() == StatusCode::NOT_MODIFIED && known.is_some() {
            return Ok(None);
        }
        let tag = response.headers().get(ETAG).cloned();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > MAX_DATABASE {
                break;
            }
        }
        Ok::<_, reqwest::Error>(Some((tag, bytes)))
    };
    let fetched = fetch
        .await
        .map_err(|error| error.without_url().to_string())?;
    let Some((tag, bytes)) = fetched else {
        return Ok(Fetched::Unchanged);
    };
    check_size(bytes.len() as u64)?;
    let place = Place {
        url: url.to_owned(),
        tag,
    };
    Ok(Fetched::Content(place, bytes))
}

fn check_size(bytes: u64) -> Result<(), String> {
    match bytes > MAX_DATABASE {
        true => Err(format!("it is larger than {} MiB", MAX_DATABASE >> 20)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reasons_match_snapshot() {
        let repository = Repository {
            name: "core".parse().unwrap(),
            servers: Vec::new(),
            sig_level: "Never".to_owned(),
        };
        let fetched = fetch(&repository, &"x86_64".parse().unwrap(), None).await;
        let reasons = [
            fetched.err().unwrap(),
            check_size(MAX_DATABASE + 1).unwrap_err(),
        ];
        insta::assert_snapshot!(reasons.join("\n"));
    }
}
