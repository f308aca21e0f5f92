//! `buildbtw plan`: shows the plan of a rebuild, from the server's sources or offline from a folder of
//! `.SRCINFO` files.

use std::path::Path;
use std::sync::Arc;

use buildbtw_model::api::{PlanFormat, PlanPreview};
use buildbtw_model::{Pkgbase, closest, saturating};
use buildbtw_planner::render::{self, Extent};
use buildbtw_planner::{
    PackageIndex, Patterns, PlanRequest, Problem, ProblemKind, SourcePackage, parse_srcinfo,
};
use buildbtw_telemetry::spawn_blocking_named;

use super::sandbox::machine_architecture;
use crate::cli::{Global, LimitArgs, OriginArgument, PlanArgs, PlanForm};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::{Output, Projection, clean};

/// What `--srcinfo` expects.
const SRCINFO_HINT: &str = "name a folder with one folder per package, each with a .SRCINFO";

/// What an origin is.
const ORIGIN_HINT: &str = "expected PKGBASE or PKGBASE/REF; `buildbtw sources` lists the pkgbases";

pub(super) async fn run(global: &Global, args: PlanArgs, json: Option<Projection>) -> Result<u8> {
    let format = match (args.format, json.is_some()) {
        (_, true) | (Some(PlanForm::Json), false) => PlanFormat::Json,
        (Some(PlanForm::Dot), false) => PlanFormat::Dot,
        (Some(PlanForm::Text) | None, false) => PlanFormat::Text,
    };
    let output = Output::new(json);
    let extent = extent(args.limit, &output);
    let may_hint = args.limit.is_unset();
    let text = match &args.srcinfo {
        Some(folder) => {
            let folder = folder.clone();
            let plan = move || offline(&folder, &args, format, extent);
            spawn_blocking_named("offline plan", plan)
                .await
                .map_err(|error| Error::new(error.to_string()))??
        }
        None => online(&Context::new(global, None)?, args, format, extent).await?,
    };
    if output.is_json() {
        let plan: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| Error::new(error.to_string()))?;
        output.json(&plan)?;
    } else if format == PlanFormat::Text {
        if print(&output, &text, may_hint)? {
            output.hint("`--all` prints the whole plan");
        }
    } else {
        output.line(text.trim_end())?;
    }
    Ok(0)
}

/// Prints a plan as text. If the screen decides how much, no line about a package is wider, and the result is whether
/// something is left out.
fn print(output: &Output, text: &str, screen_decides: bool) -> Result<bool> {
    let mut is_left_out = screen_decides && is_cut(text);
    for line in text.trim_end().lines() {
        // Messages of failed builds are part of a plan.
        let line = clean(line);
        if screen_decides && line.starts_with("  ") {
            let fitting = output.screen.fit(&line);
            is_left_out |= fitting != line;
            output.line(fitting)?;
        } else {
            output.line(line)?;
        }
    }
    Ok(is_left_out)
}

/// Returns how much of the plan is printed: as much as the screen has room for, besides the prompt.
fn extent(limit: LimitArgs, output: &Output) -> Extent {
    match limit.rows(usize::MAX) {
        _ if limit.is_unset() => Extent::Lines(output.screen.height.saturating_sub(1)),
        usize::MAX => Extent::All,
        rows => Extent::Rows(rows),
    }
}

/// Returns whether a plan as text leaves out builds or rows of other sections.
fn is_cut(text: &str) -> bool {
    let mut lines = text.lines();
    lines.any(|line| line.starts_with("  and ") && line.contains(" more"))
}

async fn online(
    context: &Context,
    args: PlanArgs,
    format: PlanFormat,
    extent: Extent,
) -> Result<String> {
    let mut changesets = Vec::with_capacity(args.origins.len());
    for origin in &args.origins {
        let origin = origin.parse::<OriginArgument>();
        let origin = origin.map_err(|error| Error::with_hint(error.to_string(), ORIGIN_HINT))?;
        changesets.push(origin.0);
    }
    let preview = PlanPreview {
        changesets,
        scope: args.spread.scope,
        architecture: args.arch,
        include: args.spread.include,
        exclude: args.spread.exclude,
        bootstrap: args.spread.bootstrap,
        same_sonames: args.spread.same_sonames,
        no_bump: args.no_bump,
        max_builds: args.max_builds,
        limit: match extent {
            Extent::Rows(rows) => Some(saturating(rows)),
            Extent::All | Extent::Lines(_) => None,
        },
        lines: match extent {
            Extent::Lines(lines) => Some(saturating(lines)),
            Extent::All | Extent::Rows(_) => None,
        },
        format,
    };
    context.check(context.client.preview_plan(&preview).await)
}

fn offline(folder: &Path, args: &PlanArgs, format: PlanFormat, extent: Extent) -> Result<String> {
    let Tree { index, left_out } = read_tree(folder)?;
    let origins = args
        .origins
        .iter()
        .map(|origin| package(folder, &index, origin));
    let origins: Vec<_> = origins.collect::<Result<_>>()?;
    let architecture = match &args.arch {
        Some(architecture) => architecture.clone(),
        None => machine_architecture()?,
    };
    let mut request = PlanRequest::new(architecture, origins.clone(), args.spread.scope);
    request.include = patterns(&index, "--include", &args.spread.include)?;
    request.exclude = patterns(&index, "--exclude", &args.spread.exclude)?;
    request.bootstrap.clone_from(&args.spread.bootstrap);
    request.keeps_sonames = args.spread.same_sonames;
    let mut plan = buildbtw_planner::plan(&index, &request);
    // The versions in the distribution are unknown.
    plan.expect_versions(&index, &origins, &|_, _| Vec::new(), !args.no_bump);
    plan.problems.extend(left_out);
    plan.problems.sort();
    Ok(match format {
        PlanFormat::Text => render::text_within(&plan, extent),
        PlanFormat::Dot => render::dot(&plan),
        PlanFormat::Json => {
            serde_json::to_string(&plan).map_err(|error| Error::new(error.to_string()))?
        }
    })
}

/// Returns the package of an origin, written as a pkgbase.
fn package(folder: &Path, index: &PackageIndex, origin: &str) -> Result<Arc<SourcePackage>> {
    // What is in the folder is the default branch.
    let name = origin.strip_suffix("/HEAD").unwrap_or(origin);
    let pkgbase: Pkgbase = name.parse().map_err(|_| {
        let message = format!("`{origin}` is not a valid pkgbase");
        Error::with_hint(message, "with --srcinfo, name a pkgbase without a ref")
    })?;
    index.get(&pkgbase).map(Arc::clone).ok_or_else(|| {
        let known = index.iter().map(|package| package.pkgbase().as_str());
        let hint = match closest(name, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "check the pkgbase, which is in the first line of the .SRCINFO of a package"
                .to_owned(),
        };
        let message = format!("`{}` has no package `{pkgbase}`", folder.display());
        Error::with_hint(message, hint)
    })
}

/// Compiles the patterns of an option. Each has to match a package.
fn patterns(index: &PackageIndex, option: &str, patterns: &[String]) -> Result<Patterns> {
    let compiled = Patterns::new(patterns).map_err(|error| {
        Error::with_hint(
            format!("{option}: {error}"),
            "use a shell pattern of pkgbases, for example `haskell-*`",
        )
    })?;
    let pkgbases = index.iter().map(|package| package.pkgbase());
    match compiled.first_unmatched(pkgbases) {
        None => Ok(compiled),
        Some(pattern) => Err(Error::with_hint(
            format!("{option}: no pkgbase matches `{pattern}`"),
            "correct the pattern, or leave it out",
        )),
    }
}

/// The packages of a folder, and the `.SRCINFO` files that were left out.
#[derive(Default)]
struct Tree {
    index: PackageIndex,
    left_out: Vec<Problem>,
}

/// Reads every `<folder>/.SRCINFO`. Warns of one that cannot be used, and leaves it out.
fn read_tree(folder: &Path) -> Result<Tree> {
    let mut folders = Vec::new();
    let entries = folder.read_dir().map_err(|error| {
        Error::with_hint(
            format!("cannot read --srcinfo `{}`: {error}", folder.display()),
            SRCINFO_HINT,
        )
    })?;
    for entry in entries {
        let path = entry?.path();
        // A broken symbolic link counts, so that it is reported.
        if path.join(".SRCINFO").symlink_metadata().is_ok() {
            folders.push(path);
        }
    }
    if folders.is_empty() {
        return Err(Error::with_hint(
            format!("`{}` has no <pkgbase>/.SRCINFO", folder.display()),
            SRCINFO_HINT,
        ));
    }
    // If two have the same pkgbase, the first by name is used, on every disk.
    folders.sort();
    let mut tree = Tree::default();
    let notes = Output::new(None);
    for folder in folders {
        if let Err(reason) = tree.read(&folder) {
            let path = folder.join(".SRCINFO");
            notes.note(format_args!(
                "warning: ignoring `{}`: {reason}",
                path.display()
            ));
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if let Ok(pkgbase) = name.parse() {
                tree.left_out.push(Problem {
                    pkgbase,
                    kind: ProblemKind::LeftOut,
                    message: format!("its .SRCINFO is ignored: {reason}"),
                });
            }
        }
    }
    Ok(tree)
}

impl Tree {
    fn read(&mut self, folder: &Path) -> std::result::Result<(), String> {
        let path = folder.join(".SRCINFO");
        // Reading a pipe or a device may never end.
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err("not a regular file".into()),
            Err(error) => return Err(error.to_string()),
        }
        #[expect(clippy::disallowed_methods, reason = "the caller prints the path")]
        let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
        let package = parse_srcinfo(&String::from_utf8_lossy(&bytes));
        let package = package.map_err(|error| error.to_string())?;
        if self.index.get(package.pkgbase()).is_some() {
            let pkgbase = package.pkgbase();
            return Err(format!("another .SRCINFO has the pkgbase `{pkgbase}`"));
        }
        self.index.insert(Arc::new(package));
        Ok(())
    }
}
