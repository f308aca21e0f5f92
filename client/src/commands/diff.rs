//! `buildbtw diff`: compares the builds of two iterations, of one namespace or of two.

use std::collections::BTreeMap;

use buildbtw_model::api::BuildSummary;
use buildbtw_model::client::BuildQuery;
use buildbtw_model::{Architecture, Pkgbase};
use serde::Serialize;

use super::rows::more;
use crate::cli::{DiffArgs, IterationArgument};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::{Cell, Output, Table, style};

/// The lines that are printed besides the differences.
const OTHER_LINES: usize = 5;

/// What distinguishes the builds of one iteration.
type Key = (Pkgbase, Architecture, u32);

/// A build that only one iteration has, or that differs.
#[derive(Debug, Serialize)]
struct Difference {
    pkgbase: Pkgbase,
    architecture: Architecture,
    stage: u32,
    kind: Kind,
    a: Option<BuildSummary>,
    b: Option<BuildSummary>,
}

/// How a build differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Only B has it.
    Added,
    /// Only A has it.
    Removed,
    /// It is built from another commit, or has another version.
    Changed,
    /// Only its state differs.
    State,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::State => "state",
        }
    }
}

pub(super) async fn run(context: &Context, args: &DiffArgs) -> Result<u8> {
    let (a, b) = sides(context, args).await?;
    let (of_a, of_b) = tokio::join!(builds(context, &a), builds(context, &b));
    let mut differences = differences(of_a?, of_b?);
    let output = &context.output;
    if output.is_json() {
        let most = args.limit.rows_of_json();
        differences.truncate(most.map_or(usize::MAX, buildbtw_model::saturating));
        output.json(&differences)?;
        return Ok(0);
    }
    print(output, args, &a, &b, &differences)?;
    Ok(0)
}

/// Returns the iterations to compare, the older one first if only a namespace is named.
async fn sides(
    context: &Context,
    args: &DiffArgs,
) -> Result<(IterationArgument, IterationArgument)> {
    if let Some(b) = &args.b {
        return Ok((args.a.clone(), b.clone()));
    }
    let name = &args.a.namespace;
    let newest = context.client.iteration_overview(name, args.a.number).await;
    let newest = context.check(newest)?.summary.number;
    let of = |number| IterationArgument {
        namespace: name.clone(),
        number: Some(number),
    };
    match newest.checked_sub(1).filter(|number| *number > 0) {
        Some(before) => Ok((of(before), of(newest))),
        None => Err(Error::with_hint(
            format!("there is no iteration before {name}/{newest}"),
            format!("`buildbtw diff {name} OTHER` compares it with another namespace"),
        )),
    }
}

async fn builds(
    context: &Context,
    iteration: &IterationArgument,
) -> Result<BTreeMap<Key, BuildSummary>> {
    let (client, name) = (&context.client, &iteration.namespace);
    let overview = client.iteration_overview(name, iteration.number).await;
    let number = context.check(overview)?.summary.number;
    let all = BuildQuery::default();
    let builds = client.builds(name, number, &all, None);
    let builds = context.check(builds.await)?.into_iter();
    let key = |build: &BuildSummary| {
        let pkgbase = build.pkgbase.clone();
        (pkgbase, build.architecture.clone(), build.stage)
    };
    Ok(builds.map(|build| (key(&build), build)).collect())
}

fn differences(
    a: BTreeMap<Key, BuildSummary>,
    mut b: BTreeMap<Key, BuildSummary>,
) -> Vec<Difference> {
    let mut found = Vec::new();
    for (key, build) in a {
        let other = b.remove(&key);
        let kind = match &other {
            None => Kind::Removed,
            Some(other) if other.commit != build.commit || other.version != build.version => {
                Kind::Changed
            }
            Some(other) if other.status != build.status => Kind::State,
            Some(_) => continue,
        };
        found.push(difference(key, kind, Some(build), other));
    }
    let added = b.into_iter();
    found.extend(added.map(|(key, build)| difference(key, Kind::Added, None, Some(build))));
    found.sort_by(|left, right| {
        (&left.pkgbase, &left.architecture, left.stage).cmp(&(
            &right.pkgbase,
            &right.architecture,
            right.stage,
        ))
    });
    found
}

fn difference(
    (pkgbase, architecture, stage): Key,
    kind: Kind,
    a: Option<BuildSummary>,
    b: Option<BuildSummary>,
) -> Difference {
    Difference {
        pkgbase,
        architecture,
        stage,
        kind,
        a,
        b,
    }
}

fn print(
    output: &Output,
    args: &DiffArgs,
    a: &IterationArgument,
    b: &IterationArgument,
    differences: &[Difference],
) -> Result<()> {
    let rows = args
        .limit
        .rows(output.screen.height.saturating_sub(OTHER_LINES));
    let mut table = Table::new(&["PKGBASE", "ARCH", "STAGE", "CHANGE", "A", "B"]);
    for difference in differences.iter().take(rows) {
        let side = |build: &Option<BuildSummary>| match build {
            None => Cell::new(""),
            Some(build) => {
                let text = format!(
                    "{} {} {}",
                    build.version,
                    build.commit.short(),
                    build.status
                );
                Cell::styled(style::build(build.status), text)
            }
        };
        table.row([
            Cell::new(&difference.pkgbase),
            Cell::new(&difference.architecture),
            Cell::new(difference.stage),
            Cell::new(difference.kind.as_str()),
            side(&difference.a),
            side(&difference.b),
        ]);
    }
    if !differences.is_empty() {
        table.print(output)?;
        if let Some(more) = more(differences.len().saturating_sub(rows)) {
            output.line(more)?;
        }
        output.line("")?;
    }
    let count = |kind| {
        differences
            .iter()
            .filter(|other| other.kind == kind)
            .count()
    };
    output.line(format_args!(
        "{a} and {b}: {} added, {} removed, {} changed, {} in another state",
        count(Kind::Added),
        count(Kind::Removed),
        count(Kind::Changed),
        count(Kind::State)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn side(builds: &[(&str, &str, &str)]) -> BTreeMap<Key, BuildSummary> {
        let build = |(pkgbase, version, status): &(&str, &str, &str)| {
            let build: BuildSummary = serde_json::from_value(json!({
                "id": 1, "pkgbase": pkgbase, "architecture": "x86_64", "stage": 1, "level": 0,
                "status": status, "commit": "a".repeat(40), "version": version, "reason": [],
            }))
            .unwrap();
            let key = (
                build.pkgbase.clone(),
                build.architecture.clone(),
                build.stage,
            );
            (key, build)
        };
        builds.iter().map(build).collect()
    }

    #[test]
    fn finds_builds_that_differ() {
        let a = side(&[
            ("gone", "1-1", "built"),
            ("same", "1-1", "built"),
            ("newer", "1-1", "built"),
            ("retried", "1-1", "failed"),
        ]);
        let b = side(&[
            ("added", "1-1", "ready"),
            ("same", "1-1", "built"),
            ("newer", "2-1", "built"),
            ("retried", "1-1", "built"),
        ]);
        let found = differences(a, b);
        let found: Vec<_> = found
            .iter()
            .map(|difference| (difference.pkgbase.as_str(), difference.kind))
            .collect();
        assert_eq!(
            found,
            [
                ("added", Kind::Added),
                ("gone", Kind::Removed),
                ("newer", Kind::Changed),
                ("retried", Kind::State),
            ]
        );
    }
}
