//! Pagination by cursor.

use async_graphql::Value;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};

use super::nodes::{Args, Node, NodeValue, Resolved};

/// The largest page, which is also the default.
const PAGE: usize = 100;

/// A row and its position.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) position: Position,
    pub(crate) node: Node,
}

/// The position of a row in its list, which is sorted by it, ascending. Cursors contain it, so that a page begins
/// where the previous one ended even if rows have moved since.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    order: Vec<i64>,
    /// The columns in the cursor.
    names: &'static [&'static str],
}

impl Position {
    /// Sorts by activity, newest first.
    pub(crate) fn by_activity(seconds: i64, id: u64) -> Self {
        Self {
            order: vec![-seconds, -to_i64(id)],
            names: &["last_activity_at", "id"],
        }
    }

    /// Sorts by id, highest first.
    pub(crate) fn newest(id: u64) -> Self {
        Self {
            order: vec![-to_i64(id)],
            names: &["id"],
        }
    }

    /// Sorts by a number, lowest first.
    pub(crate) fn number(number: usize) -> Self {
        Self {
            order: vec![i64::try_from(number).unwrap_or(i64::MAX)],
            names: &["position"],
        }
    }

    pub(crate) fn cursor(&self) -> String {
        let columns = self.names.iter().zip(&self.order);
        let columns = columns.map(|(name, value)| ((*name).to_owned(), json!(value.to_string())));
        let object = Json::Object(columns.collect());
        URL_SAFE_NO_PAD.encode(object.to_string())
    }

    /// Decodes a cursor of a list with these columns.
    fn of_cursor(&self, cursor: &str) -> Option<Vec<i64>> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let object: Json = serde_json::from_slice(&bytes).ok()?;
        let column = |name: &&str| object.get(*name)?.as_str()?.parse().ok();
        self.names.iter().map(column).collect()
    }
}

fn to_i64(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// One page of a list.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    rows: Vec<Row>,
    total: usize,
    has_next: bool,
    has_previous: bool,
}

impl Connection {
    /// Selects the requested page of all rows.
    pub(crate) fn new(mut rows: Vec<Row>, args: &Args<'_>) -> async_graphql::Result<Self> {
        let total = rows.len();
        rows.sort_unstable_by(|a, b| a.position.cmp(&b.position));
        let place = |cursor: &str| {
            let Some(row) = rows.first() else {
                return Ok(Vec::new());
            };
            row.position
                .of_cursor(cursor)
                .ok_or_else(|| async_graphql::Error::new("Please provide a valid cursor"))
        };
        let after = args.text("after").map(place).transpose()?;
        let before = args.text("before").map(place).transpose()?;
        let start = after.map_or(0, |after| {
            rows.partition_point(|row| row.position.order <= after)
        });
        let end = before.map_or(total, |before| {
            rows.partition_point(|row| row.position.order < before)
        });
        let window = start..end.max(start);
        let size = |name| {
            let size = args.int(name)?;
            Some(usize::try_from(size).unwrap_or(0).min(PAGE))
        };
        let shown = match (size("first"), size("last")) {
            (None, Some(last)) => window.end.saturating_sub(last).max(window.start)..window.end,
            (first, _) => window.start..(window.start + first.unwrap_or(PAGE)).min(window.end),
        };
        Ok(Self {
            has_next: shown.end < total,
            has_previous: shown.start > 0,
            rows: rows.drain(shown).collect(),
            total,
        })
    }

    pub(crate) fn resolve(&self, field: &str) -> Resolved {
        Ok(match field {
            "count" => NodeValue::from(self.total),
            "nodes" => NodeValue::Nodes(self.rows.iter().map(|row| row.node.clone()).collect()),
            "edges" => NodeValue::Nodes(self.rows.iter().cloned().map(Node::edge).collect()),
            "pageInfo" => NodeValue::Node(Node::PageInfo(PageInfo {
                has_next: self.has_next,
                has_previous: self.has_previous,
                start: self.rows.first().map(|row| row.position.cursor()),
                end: self.rows.last().map(|row| row.position.cursor()),
            })),
            _ => NodeValue::Null,
        })
    }
}

/// The position of a page in its list.
#[derive(Clone, Debug)]
pub(crate) struct PageInfo {
    has_next: bool,
    has_previous: bool,
    start: Option<String>,
    end: Option<String>,
}

impl PageInfo {
    pub(crate) fn resolve(&self, field: &str) -> Resolved {
        Ok(match field {
            "hasNextPage" => NodeValue::Value(Value::from(self.has_next)),
            "hasPreviousPage" => NodeValue::Value(Value::from(self.has_previous)),
            "startCursor" => NodeValue::from(self.start.clone()),
            "endCursor" => NodeValue::from(self.end.clone()),
            _ => NodeValue::Null,
        })
    }
}
