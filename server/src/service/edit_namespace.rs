//! `edit`: changes what a namespace rebuilds. A new iteration reuses what did not change; name, address and repository
//! stay the same.

use buildbtw_model::api::{EditNamespace, NamespaceDetail, ProblemKind, SetPriority};
use buildbtw_model::{Changeset, NamespaceName};

use crate::address::BaseUrl;
use crate::db::namespaces::{Edited, NamespaceRow};
use crate::error::{Error, Refusal};
use crate::principal::Principal;
use crate::state::parts::PlanningParts;

use super::create_namespace::{
    MAX_CHANGESETS, changesets, check_excluded, check_matched, patterns,
};
use super::iteration_settings::{Edit, Settings};
use super::new_iteration::{
    MAX_TRIES, Trigger, create_iteration, current, newest, planned_concurrently,
};
use super::prioritize::{check_priority, prioritize};
use super::read::find::find_namespace;
use super::read::namespaces::show_namespace;

/// Changes what a namespace rebuilds, and plans it again if that differs from before. Repeating it changes nothing.
///
/// # Errors
/// When there is no such namespace, no origin would be left, a new pattern matches no pkgbase, the request contradicts
/// itself, or the new plan is refused; nothing was changed then.
pub async fn edit_namespace(
    parts: PlanningParts<'_>,
    by: &Principal,
    server: &BaseUrl,
    name: &NamespaceName,
    request: &EditNamespace,
) -> Result<NamespaceDetail, Error> {
    check_request(by, request)?;
    let added = match request.add.as_slice() {
        [] => Vec::new(),
        specs => changesets(parts.sources, specs).await?,
    };
    let namespace = find_namespace(parts.database, name).await?;
    // Not those of earlier: the packages of a pattern may have been removed since.
    for (option, added) in [("include", &request.include), ("exclude", &request.exclude)] {
        let added = patterns(option, added).await?;
        check_matched(parts.sources, option, &added).await?;
    }
    plan(parts, by, &namespace, request, &added).await?;
    if let Some(priority) = request.priority {
        let request = SetPriority {
            priority,
            reason: None,
        };
        return prioritize(parts, by, server, name, &request).await;
    }
    show_namespace(parts.database, &parts.config.network, server, name).await
}

/// The most changes that the text of an edit has: every list of iterations, events and activities shows it.
const MAX_LISTED: usize = 20;

/// Plans the namespace as edited, unless the edit changes nothing of it.
async fn plan(
    parts: PlanningParts<'_>,
    by: &Principal,
    namespace: &NamespaceRow,
    request: &EditNamespace,
    added: &[Changeset],
) -> Result<(), Error> {
    for _ in 0..MAX_TRIES {
        let old = newest(parts.database, namespace).await?;
        // Another edit may have been faster.
        let now = find_namespace(parts.database, &namespace.name).await?;
        let before = current(parts.database, &now).await?;
        let (edited, changes) = edited(&namespace.name, &before, request, added)?;
        if changes.is_empty() {
            return Ok(());
        }
        let exclude = patterns("exclude", &edited.exclude).await?;
        check_excluded(&edited.origins, &exclude)?;
        let edit = Edit {
            changes: listed(&changes),
            before: before.origins,
            edited,
        };
        let settings = Settings {
            edit: Some(&edit),
            ..Settings::default()
        };
        let trigger = Trigger::Requested {
            refresh_base: false,
        };
        let created = create_iteration(parts, &now, &old, trigger, &settings, Some(by)).await?;
        if created.is_some() {
            return Ok(());
        }
    }
    Err(planned_concurrently(&namespace.name))
}

/// Refuses requests that change nothing or that this principal must not send.
fn check_request(by: &Principal, request: &EditNamespace) -> Result<(), Error> {
    if let Some(priority) = request.priority {
        check_priority(by, priority)?;
    }
    let lists = [
        &request.include,
        &request.exclude,
        &request.no_include,
        &request.no_exclude,
    ];
    let is_empty = request.add.is_empty()
        && request.remove.is_empty()
        && request.scope.is_none()
        && request.max_builds.is_none()
        && request.priority.is_none()
        && lists.iter().all(|list| list.is_empty());
    if is_empty {
        let title = "the edit changes nothing";
        return Err(Refusal::new(ProblemKind::InvalidRequest, title)
            .hint("name a change, for example `--add PKGBASE/REF` or `--scope direct`")
            .into());
    }
    for (option, added, removed) in [
        ("include", &request.include, &request.no_include),
        ("exclude", &request.exclude, &request.no_exclude),
    ] {
        if let Some(pattern) = added.iter().find(|pattern| removed.contains(pattern)) {
            let title = format!("--{option} and --no-{option} both name `{pattern}`");
            let refusal = Refusal::new(ProblemKind::InvalidRequest, title);
            return Err(refusal.hint("keep one of them").into());
        }
    }
    let (include, exclude) = (&request.include, &request.exclude);
    if let Some(pattern) = include.iter().find(|pattern| exclude.contains(pattern)) {
        let title = format!("--include and --exclude both name `{pattern}`");
        let refusal = Refusal::new(ProblemKind::InvalidRequest, title);
        return Err(refusal.hint("keep one of them").into());
    }
    Ok(())
}

/// Lists what an edit changes, for people.
fn listed(changes: &[String]) -> String {
    match changes.split_at_checked(MAX_LISTED) {
        Some((shown, rest)) if !rest.is_empty() => {
            format!("{} and {} more", shown.join(", "), rest.len())
        }
        _ => changes.join(", "),
    }
}

/// Returns what a namespace rebuilds after an edit, and what differs, for people.
fn edited(
    name: &NamespaceName,
    before: &Edited,
    request: &EditNamespace,
    added: &[Changeset],
) -> Result<(Edited, Vec<String>), Error> {
    let mut edited = before.clone();
    let mut changes = edit_origins(name, &mut edited.origins, request, added)?;
    check_origins(name, &edited.origins)?;
    if let Some(scope) = request.scope.filter(|scope| *scope != before.scope) {
        edited.scope = scope;
        changes.push(format!("scope {scope}"));
    }
    if let Some(most) = request.max_builds.filter(|most| *most != before.max_builds) {
        edited.max_builds = most;
        changes.push(format!("at most {most} builds"));
    }
    // A pattern is never in both lists: the last request counts.
    let (include, exclude) = (&request.include, &request.exclude);
    edit_patterns(
        &mut edited.include,
        include,
        &[&request.no_include, exclude],
    );
    edit_patterns(
        &mut edited.exclude,
        exclude,
        &[&request.no_exclude, include],
    );
    describe("include", &before.include, &edited.include, &mut changes);
    describe("exclude", &before.exclude, &edited.exclude, &mut changes);
    Ok((edited, changes))
}

/// Takes origins out and adds others. Returns what differs, for people.
fn edit_origins(
    name: &NamespaceName,
    origins: &mut Vec<Changeset>,
    request: &EditNamespace,
    added: &[Changeset],
) -> Result<Vec<String>, Error> {
    let mut changes = Vec::new();
    for removed in &request.remove {
        let Some(place) = origins.iter().position(|origin| removed.matches(origin)) else {
            let title = format!("`{removed}` is not an origin of `{name}`");
            return Err(Refusal::new(ProblemKind::InvalidRequest, title)
                .hint(format!("`buildbtw show {name}` lists its origins"))
                .into());
        };
        changes.push(format!("removed {}", origins.remove(place)));
    }
    for origin in added {
        let known = origins
            .iter_mut()
            .find(|known| known.pkgbase == origin.pkgbase);
        match known {
            Some(known) if known == origin => {}
            Some(known) => {
                changes.push(format!("{known} became {origin}"));
                origin.clone_into(known);
            }
            None => {
                changes.push(format!("added {origin}"));
                origins.push(origin.clone());
            }
        }
    }
    Ok(changes)
}

fn check_origins(name: &NamespaceName, origins: &[Changeset]) -> Result<(), Error> {
    if origins.is_empty() {
        let title = format!("`{name}` would have no origin left");
        return Err(Refusal::new(ProblemKind::InvalidRequest, title)
            .hint(format!(
                "name another one with --add, or remove the namespace with `buildbtw delete {name}`"
            ))
            .into());
    }
    if origins.len() > MAX_CHANGESETS {
        let title = format!("`{name}` would have more than {MAX_CHANGESETS} origins");
        return Err(Error::refused(ProblemKind::InvalidRequest, title));
    }
    Ok(())
}

fn edit_patterns(patterns: &mut Vec<String>, added: &[String], removed: &[&Vec<String>]) {
    patterns.retain(|pattern| !removed.iter().any(|removed| removed.contains(pattern)));
    for pattern in added {
        if !patterns.contains(pattern) {
            patterns.push(pattern.clone());
        }
    }
}

fn describe(option: &str, before: &[String], after: &[String], changes: &mut Vec<String>) {
    let new = after.iter().filter(|pattern| !before.contains(pattern));
    changes.extend(new.map(|pattern| format!("{option} {pattern}")));
    let gone = before.iter().filter(|pattern| !after.contains(pattern));
    changes.extend(gone.map(|pattern| format!("no longer {option} {pattern}")));
}

#[cfg(test)]
mod tests {
    use buildbtw_model::{Scope, TokenScope};

    use super::*;
    use crate::db::TokenId;

    fn before() -> Edited {
        Edited {
            origins: vec!["liba/main".parse().unwrap(), "libb/main".parse().unwrap()],
            include: vec!["x*".into()],
            exclude: vec!["y*".into()],
            scope: Scope::Transitive,
            max_builds: 1_000,
        }
    }

    fn edit(request: &EditNamespace) -> Result<(Edited, String), Error> {
        let added: Vec<Changeset> = request
            .add
            .iter()
            .map(|spec| spec.to_string().parse().unwrap())
            .collect();
        let (edited, changes) = edited(&"n".parse().unwrap(), &before(), request, &added)?;
        Ok((edited, changes.join(", ")))
    }

    #[test]
    fn replaces_adds_and_removes_origins() {
        let request = EditNamespace {
            add: vec!["libb/next".parse().unwrap(), "libc/main".parse().unwrap()],
            remove: vec!["liba".parse().unwrap()],
            ..EditNamespace::default()
        };
        let (edited, changes) = edit(&request).unwrap();
        let origins: Vec<_> = edited.origins.iter().map(ToString::to_string).collect();
        assert_eq!(origins, ["libb/next", "libc/main"]);
        let expected = "removed liba/main, libb/main became libb/next, added libc/main";
        assert_eq!(changes, expected);
    }

    #[test]
    fn refuses_to_leave_no_origin_or_to_remove_an_unknown_one() {
        for (remove, expected) in [
            (vec!["liba", "libb"], "`n` would have no origin left"),
            (vec!["libz"], "`libz` is not an origin of `n`"),
            (vec!["liba/next"], "`liba/next` is not an origin of `n`"),
        ] {
            let request = EditNamespace {
                remove: remove.iter().map(|name| name.parse().unwrap()).collect(),
                ..EditNamespace::default()
            };
            let problem = edit(&request).unwrap_err().into_problem();
            assert_eq!(problem.title, expected);
            assert!(problem.hint.is_some(), "{problem:?}");
        }
    }

    #[test]
    fn moves_a_pattern_from_one_list_to_the_other() {
        let request = EditNamespace {
            include: vec!["y*".into()],
            no_include: vec!["x*".into()],
            scope: Some(Scope::Direct),
            ..EditNamespace::default()
        };
        let (edited, changes) = edit(&request).unwrap();
        assert_eq!(
            (edited.include, edited.exclude.len()),
            (vec!["y*".to_owned()], 0)
        );
        let expected = "scope direct, include y*, no longer include x*, no longer exclude y*";
        assert_eq!(changes, expected);
    }

    #[test]
    fn refuses_a_pattern_in_both_lists() {
        let by = Principal {
            token: TokenId(1),
            name: "t".into(),
            scope: TokenScope::Client,
        };
        let mut request = EditNamespace {
            include: vec!["x*".into(), "z*".into()],
            exclude: vec!["z*".into()],
            ..EditNamespace::default()
        };
        let problem = check_request(&by, &request).unwrap_err().into_problem();
        assert_eq!(problem.title, "--include and --exclude both name `z*`");
        assert!(problem.hint.is_some());
        request.exclude = vec!["y*".into()];
        check_request(&by, &request).unwrap();
    }

    #[test]
    fn lists_many_changes_briefly() {
        let changes: Vec<String> = (1..=22)
            .map(|number| format!("include p{number}"))
            .collect();
        assert_eq!(listed(&changes[..2]), "include p1, include p2");
        assert_eq!(listed(&changes[..20]).matches(", ").count(), 19);
        let text = listed(&changes);
        assert!(
            text.ends_with("include p19, include p20 and 2 more"),
            "{text}"
        );
    }

    #[test]
    fn notices_that_nothing_changes() {
        let request = EditNamespace {
            add: vec!["liba/main".parse().unwrap()],
            scope: Some(Scope::Transitive),
            exclude: vec!["y*".into()],
            ..EditNamespace::default()
        };
        assert_eq!(edit(&request).unwrap().1, "");
    }
}
