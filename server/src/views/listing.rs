//! The listing of a repository folder.

use askama::Template;

use super::layout::{Layout, Section};
use super::links::Links;
use super::size::size;
use crate::service::repository::folders::Entry;

/// The listing of a repository folder.
#[derive(Template)]
#[template(path = "listing.html")]
pub(crate) struct ListingPage {
    layout: Layout,
    /// The path of the folder, itself included.
    crumbs: Vec<Breadcrumb>,
    title: String,
    parent: Option<String>,
    rows: Vec<Row>,
}

struct Breadcrumb {
    name: String,
    href: String,
}

struct Row {
    name: String,
    href: String,
    size: String,
    bytes: String,
    modified: String,
}

impl ListingPage {
    /// Creates the listing of a folder below `/repo/`.
    pub(crate) fn new(folders: &[&str], entries: Vec<Entry>, links: &Links) -> Self {
        let above = |count: usize| folders.get(..count).unwrap_or_default();
        let mut crumbs = vec![Breadcrumb {
            name: "repo".to_owned(),
            href: links.repositories(&[]),
        }];
        for (position, name) in folders.iter().enumerate() {
            crumbs.push(Breadcrumb {
                name: (*name).to_owned(),
                href: links.repositories(above(position + 1)),
            });
        }
        // Encoded once, since there can be thousands of files.
        let here = links.repositories(folders);
        Self {
            title: format!(
                "/repo/{}",
                folders
                    .iter()
                    .map(|name| format!("{name}/"))
                    .collect::<String>()
            ),
            layout: Layout::new(
                links,
                Section::Other,
                format!("Repository {}", folders.join("/")),
            ),
            parent: folders
                .len()
                .checked_sub(1)
                .map(|count| links.repositories(above(count))),
            crumbs,
            rows: entries.into_iter().map(|entry| row(entry, &here)).collect(),
        }
    }
}

fn row(entry: Entry, here: &str) -> Row {
    let end = if entry.is_folder { "/" } else { "" };
    Row {
        href: format!("{here}{}{end}", super::links::encoded(&entry.name)),
        name: entry.name + end,
        size: entry.size.map(size).unwrap_or_default(),
        bytes: entry
            .size
            .map(|size| format!("{size} bytes"))
            .unwrap_or_default(),
        modified: entry
            .modified
            .map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
            .unwrap_or_default(),
    }
}
