//! Pagination by page number.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::Value;

/// The requested page.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Page {
    page: usize,
    per_page: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            page: 1,
            per_page: 20,
        }
    }
}

impl Page {
    fn size(self) -> usize {
        self.per_page.clamp(1, 100)
    }

    /// Returns the number of rows that are needed for the page and for whether another one follows.
    pub(crate) fn end(self) -> usize {
        self.page.max(1) * self.size()
    }

    /// Responds with the page. `rows` are all rows, or more than [`Self::end`] if `total` is unknown.
    pub(crate) fn respond(
        self,
        base: &str,
        uri: &Uri,
        rows: Vec<Value>,
        total: Option<usize>,
    ) -> Response {
        self.respond_with(base, uri, rows, total, |row| row)
    }

    /// Responds like [`Self::respond`], converting only the rows of the page.
    pub(crate) fn respond_with<T>(
        self,
        base: &str,
        uri: &Uri,
        rows: Vec<T>,
        total: Option<usize>,
        entry: impl FnMut(T) -> Value,
    ) -> Response {
        let page = self.page.max(1);
        let size = self.size();
        let has_next = rows.len() > self.end();
        let last = total.map(|total| total.div_ceil(size).max(1));
        let shown: Vec<Value> = rows
            .into_iter()
            .skip(self.end() - size)
            .take(size)
            .map(entry)
            .collect();
        let mut links = Vec::new();
        let mut link = |relation: &str, number: usize| {
            let url = url_of_page(base, uri, number, size);
            links.push(format!("<{url}>; rel=\"{relation}\""));
        };
        if page > 1 {
            link("prev", page - 1);
        }
        if has_next {
            link("next", page + 1);
        }
        link("first", 1);
        if let Some(last) = last {
            link("last", last);
        }
        let number = |condition: bool, number: usize| match condition {
            true => number.to_string(),
            false => String::new(),
        };
        let mut headers = HeaderMap::new();
        let mut add = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        add("link", links.join(", "));
        add("x-page", page.to_string());
        add("x-per-page", size.to_string());
        add("x-next-page", number(has_next, page + 1));
        add("x-prev-page", number(page > 1, page.saturating_sub(1)));
        if let (Some(total), Some(last)) = (total, last) {
            add("x-total", total.to_string());
            add("x-total-pages", last.to_string());
        }
        (headers, Json(shown)).into_response()
    }
}

/// Returns the requested URI, from which the router has stripped the prefix.
pub(crate) fn api_uri(uri: &Uri) -> Uri {
    format!("/api/v4{uri}")
        .parse()
        .unwrap_or_else(|_| uri.clone())
}

fn url_of_page(base: &str, uri: &Uri, number: usize, size: usize) -> String {
    let kept = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| {
            let name = pair.split('=').next();
            !matches!(name, None | Some("" | "page" | "per_page"))
        })
        .map(str::to_owned);
    let pairs: Vec<String> = kept
        .chain([format!("page={number}"), format!("per_page={size}")])
        .collect();
    format!("{base}{}?{}", uri.path(), pairs.join("&"))
}
