//! Pages of lists. A cursor is opaque to clients: the name of its list, a digest of what the list is restricted to, and
//! the key of the last entry, so that one of another list is refused instead of silently starting somewhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use buildbtw_model::api::{Page, ProblemKind};
use buildbtw_model::saturating;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Refusal};

/// The number of entries of a page, unless the request says otherwise.
const DEFAULT_LIMIT: u32 = 100;
/// The maximum number of entries of a page.
pub const MAX_LIMIT: u32 = 1000;

/// A list that is sent in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// What people did.
    Activity,
    /// All namespaces.
    Namespaces,
    /// The iterations of a namespace.
    Iterations,
    /// The builds of an iteration.
    Builds,
    /// The source repositories.
    Sources,
    /// All tokens.
    Tokens,
    /// The outages of background tasks.
    Outages,
    /// The workers.
    Workers,
}

impl List {
    fn name(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Namespaces => "namespaces",
            Self::Iterations => "iterations",
            Self::Builds => "builds",
            Self::Sources => "sources",
            Self::Tokens => "tokens",
            Self::Outages => "outages",
            Self::Workers => "workers",
        }
    }

    /// Returns the list restricted to what its path and its filters say; `restrictions` identifies them.
    #[must_use]
    pub fn of(self, restrictions: impl std::fmt::Debug) -> Selection {
        let digest = Sha256::digest(format!("{restrictions:?}"));
        let mut short = [0; 6];
        short.copy_from_slice(&digest[..6]);
        Selection {
            list: self,
            digest: URL_SAFE_NO_PAD.encode(short),
        }
    }

    /// Returns the whole list.
    #[must_use]
    pub fn whole(self) -> Selection {
        self.of(())
    }
}

/// A list, restricted to some of its entries. A cursor belongs to one.
#[derive(Clone, Debug)]
pub struct Selection {
    list: List,
    digest: String,
}

impl Selection {
    /// Returns what its cursors begin with.
    fn prefix(&self) -> String {
        format!("{} {} ", self.list.name(), self.digest)
    }
}

/// The page that a request asks for.
#[derive(Clone, Debug, Default)]
pub struct Paging {
    cursor: Option<String>,
    limit: Option<u32>,
}

impl Paging {
    /// Asks for the page at a cursor, the first one without, of at most `limit` entries.
    #[must_use]
    pub fn new(cursor: Option<String>, limit: Option<u32>) -> Self {
        Self { cursor, limit }
    }

    /// Returns the maximum number of entries.
    ///
    /// # Errors
    /// When the request asks for none or too many.
    pub fn limit(&self) -> Result<usize, Error> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if limit == 0 || limit > MAX_LIMIT {
            let title = format!("`limit` is {limit}, but a page has 1 to {MAX_LIMIT} entries");
            return Err(Refusal::new(ProblemKind::InvalidRequest, title)
                .hint("leave it out for pages of 100 entries")
                .into());
        }
        Ok(saturating(limit))
    }

    /// Returns the key of the last entry before the page.
    ///
    /// # Errors
    /// When the cursor is not one of this list.
    pub fn key(&self, list: &Selection) -> Result<Option<String>, Error> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let decoded = URL_SAFE_NO_PAD.decode(cursor).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let key = decoded.and_then(|text| text.strip_prefix(&list.prefix()).map(str::to_owned));
        key.map(Some).ok_or_else(|| refuse_cursor(list))
    }

    /// Returns the number of the last entry before the page.
    ///
    /// # Errors
    /// When the cursor is not one of this list.
    pub fn number(&self, list: &Selection) -> Result<Option<i64>, Error> {
        let key = self.key(list)?;
        let number = key.map(|key| key.parse().map_err(|_| refuse_cursor(list)));
        number.transpose()
    }

    /// Returns how many rows to read: one more than the page has, to see whether there is a next one.
    ///
    /// # Errors
    /// When the request asks for no or too many entries.
    pub fn rows(&self) -> Result<i64, Error> {
        Ok(i64::try_from(self.limit()? + 1).unwrap_or(i64::MAX))
    }

    /// Cuts rows to a page, and returns the cursor of the next one, if there is one.
    ///
    /// # Errors
    /// When the request asks for no or too many entries.
    pub fn cut<R>(
        &self,
        list: &Selection,
        rows: &mut Vec<R>,
        key: impl FnOnce(&R) -> String,
    ) -> Result<Option<String>, Error> {
        let limit = self.limit()?;
        if rows.len() <= limit {
            return Ok(None);
        }
        rows.truncate(limit);
        let next = rows.last().map(|row| {
            let text = format!("{}{}", list.prefix(), key(row));
            URL_SAFE_NO_PAD.encode(text)
        });
        Ok(next)
    }
}

fn refuse_cursor(list: &Selection) -> Error {
    let title = format!("`cursor` is not one of this list of {}", list.list.name());
    Refusal::new(ProblemKind::InvalidRequest, title)
        .hint(
            "pass `next` of the previous page unchanged, with the same path and filters, or leave it out for the \
             first page",
        )
        .into()
}

/// Returns a page of rows converted one by one.
pub fn page<R, T>(rows: Vec<R>, next: Option<String>, convert: impl FnMut(R) -> T) -> Page<T> {
    Page {
        items: rows.into_iter().map(convert).collect(),
        next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cursor in the description of the API.
    const EXAMPLE: &str = "bmFtZXNwYWNlcyBMampuZXlMRCA0Mg";

    fn at(cursor: &str) -> Paging {
        Paging::new(Some(cursor.into()), None)
    }

    fn builds() -> Selection {
        List::Builds.of((7, Some("failed")))
    }

    #[test]
    fn continues_after_the_last_entry() {
        let mut rows: Vec<i64> = (1..=4).collect();
        let first = Paging::new(None, Some(3));
        assert_eq!(first.rows().unwrap(), 4);
        let next = first.cut(&builds(), &mut rows, i64::to_string).unwrap();
        assert_eq!(rows, [1, 2, 3]);
        let second = at(&next.unwrap());
        assert_eq!(second.number(&builds()).unwrap(), Some(3));
        let next = second.cut(&builds(), &mut rows, i64::to_string).unwrap();
        assert_eq!(next, None, "these are all");
    }

    #[test]
    fn refuses_cursors_of_others() {
        let cursor =
            |list: Selection, key: &str| URL_SAFE_NO_PAD.encode(format!("{}{key}", list.prefix()));
        let of_sources = cursor(List::Sources.of(true), "a/b");
        let key = at(&of_sources).key(&List::Sources.of(true));
        assert_eq!(key.unwrap().unwrap(), "a/b");
        for cursor in [
            "",
            "7",
            "???",
            &of_sources,
            &URL_SAFE_NO_PAD.encode("builds 7"),
            &cursor(builds(), "x"),
            &cursor(List::Builds.whole(), "3"),
            &cursor(List::Builds.of((8, Some("failed"))), "3"),
            &cursor(List::Builds.of((7, Some("ready"))), "3"),
            &cursor(List::Builds.of((7, None::<&str>)), "3"),
        ] {
            let error = at(cursor).number(&builds()).unwrap_err().into_problem();
            assert_eq!(error.status, 400);
            assert!(error.title.contains("builds"), "{error:?}");
            assert!(error.hint.is_some_and(|hint| hint.contains("first page")));
        }
    }

    #[test]
    fn documents_a_cursor_of_the_whole_list() {
        let documented = at(EXAMPLE).number(&List::Namespaces.whole());
        assert_eq!(documented.unwrap(), Some(42));
    }

    #[test]
    fn limits_pages() {
        for limit in [0, MAX_LIMIT + 1] {
            let error = Paging::new(None, Some(limit)).limit().unwrap_err();
            let problem = error.into_problem();
            assert!(problem.title.contains("1 to 1000"), "{problem:?}");
            assert!(problem.hint.is_some());
        }
    }
}
