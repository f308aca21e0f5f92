//! What `--json` of each command prints. Scripts depend on it: `notes/cli.md` documents it, and a test compares it
//! with the description of the server's API.

use buildbtw_model::closest;

use crate::cli::{Command, Global, TokenCommand, WorkerCommand};
use crate::error::{Error, Result};
use crate::output::{Filter, Projection, Selection};

/// Fields of a schema of the API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// The name of the schema; empty for fields of the client's own. Only a test reads the schemas.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "says where the fields are described")
    )]
    pub(crate) schema: &'static str,
    pub(crate) fields: &'static [&'static str],
}

/// The fields of a command's result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contract {
    /// The words of the command, after `buildbtw`.
    pub(crate) command: &'static str,
    /// Whether the result is a list of objects with these fields, or one object.
    pub(crate) is_list: bool,
    pub(crate) parts: &'static [Part],
}

macro_rules! parts {
    ($($name:ident = $schema:literal [$($field:literal)*];)*) => {
        $(const $name: Part = Part { schema: $schema, fields: &[$($field),*] };)*
        #[cfg(test)]
        const PARTS: &[Part] = &[$($name),*];
    };
}

parts! {
    NAMESPACE = "NamespaceSummary" [
        "name" "changesets" "scope" "network" "held" "held_by" "priority" "created_at" "created_by" "iteration"
    ];
    NAMESPACE_DETAIL = "NamespaceDetail" [
        "name" "changesets" "scope" "network" "held" "held_by" "priority" "created_at" "created_by" "iteration"
        "iterations" "replan_error" "replan_error_kind" "size" "web_url"
    ];
    ITERATION = "IterationOverview" [
        "number" "status" "reason" "causes" "counts" "superseded_by" "created_at" "finished_at" "eta" "size"
        "origins" "architectures" "notes" "changes"
    ];
    BUILD = "BuildSummary" [
        "id" "pkgbase" "architecture" "stage" "level" "status" "commit" "version" "version_note"
        "version_note_kind" "reason" "via" "bootstrap" "message" "hint" "blocked_by" "waits_for" "attempt"
        "reused_from" "started_at" "finished_at" "estimate_s" "eta"
    ];
    EVENT = "Event" [
        "id" "namespace" "kind" "iteration" "build" "pkgbase" "architecture" "attempt" "message" "hint" "at"
    ];
    SOURCE = "SourceRepositorySummary" [
        "path" "pkgbase" "version" "branch" "commit" "problem_kind" "problem" "warnings" "not_fetched" "changed_at"
    ];
    ACTIVITY = "Activity" ["id" "kind" "actor" "namespace" "iteration" "worker" "message" "at"];
    WORKER = "WorkerSummary" [
        "name" "status" "architectures" "jobs" "builds" "machine" "load" "last_contact_at" "drained_at"
        "drained_by" "drain_reason"
    ];
    TOKEN = "TokenSummary" ["id" "name" "scope" "created_at" "expires_at" "revoked_at"];
    NEW_TOKEN = "CreatedToken" ["id" "name" "scope" "created_at" "expires_at" "revoked_at" "token"];
    IDENTITY = "TokenIdentity" ["name" "scope"];
    RETRIED = "RetriedBuilds" ["iteration" "builds" "newer" "is_new" "not_built"];
    BUILDS = "" ["builds"];
    SHOWN = "" ["status" "builds"];
    PLAN = "" [
        "architecture" "scope" "builds" "cycles" "unresolved" "problems" "needs_bootstrap" "sources"
    ];
    LOG = "" ["pkgbase" "architecture" "stage" "attempt" "lines"];
    NAME = "" ["name"];
    STATUS = "" [
        "running" "attention" "mine" "needs_me" "stalled" "workers" "sources" "outages"
    ];
    DIFFERENCE = "" ["pkgbase" "architecture" "stage" "kind" "a" "b"];
    URL = "" ["url"];
    REPORT = "" ["program" "version" "status" "settings" "checks"];
    SETTING = "" ["key" "value" "source"];
}

const fn object(command: &'static str, parts: &'static [Part]) -> Contract {
    Contract {
        command,
        is_list: false,
        parts,
    }
}

const fn list(command: &'static str, parts: &'static [Part]) -> Contract {
    Contract {
        command,
        is_list: true,
        parts,
    }
}

impl Contract {
    /// Returns the contract of a command, unless its result has no form in JSON.
    pub(crate) fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::New(args) if args.follow => {
                object("new --follow", &[EVENT, ITERATION, BUILDS])
            }
            Command::New(_) => object("new", &[NAMESPACE_DETAIL]),
            Command::Status(_) => object("status", &[STATUS]),
            Command::List(_) => list("list", &[NAMESPACE]),
            Command::Show(_) => object("show", &[NAMESPACE_DETAIL, SHOWN]),
            Command::Plan(_) => object("plan", &[PLAN]),
            Command::Why(_) => list("why", &[BUILD]),
            Command::Activity(_) => list("activity", &[ACTIVITY]),
            Command::Edit(_) => object("edit", &[NAMESPACE_DETAIL]),
            Command::Prioritize(_) => object("prioritize", &[NAMESPACE_DETAIL]),
            Command::Workers(_) => list("workers", &[WORKER]),
            Command::Worker(WorkerCommand::Drain { .. }) => object("worker drain", &[WORKER]),
            Command::Worker(WorkerCommand::Resume { .. }) => object("worker resume", &[WORKER]),
            Command::Doctor => object("doctor", &[REPORT]),
            Command::Diff(_) => list("diff", &[DIFFERENCE]),
            Command::Open(_) => object("open", &[URL]),
            Command::Config(_) => list("config", &[SETTING]),
            Command::NewIteration(_) => object("new-iteration", &[ITERATION, BUILDS]),
            Command::Retry(_) => object("retry", &[RETRIED]),
            Command::Cancel(_) => object("cancel", &[NAMESPACE_DETAIL]),
            Command::Resume(_) => object("resume", &[NAMESPACE_DETAIL]),
            Command::Delete(_) => object("delete", &[NAME]),
            Command::Watch(_) => object("watch", &[EVENT, ITERATION, BUILDS]),
            Command::Logs(_) => list("logs", &[LOG]),
            Command::Sources(_) => list("sources", &[SOURCE]),
            Command::Token(TokenCommand::Create(_)) => object("token create", &[NEW_TOKEN]),
            Command::Token(TokenCommand::List(_)) => list("token list", &[TOKEN]),
            Command::Token(TokenCommand::Revoke { .. }) => object("token revoke", &[TOKEN]),
            Command::Login(_) => object("login", &[IDENTITY]),
            Command::Completions(_) | Command::Build(_) | Command::Sandbox(_) => return None,
        })
    }

    /// Returns all fields, each once, in a fixed order.
    pub(crate) fn fields(&self) -> Vec<&'static str> {
        let mut fields: Vec<_> = self
            .parts
            .iter()
            .flat_map(|part| part.fields)
            .copied()
            .collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    fn check(&self, selection: &Selection) -> Result<()> {
        let (fields, command) = (self.fields(), self.command);
        match selection.names().find(|name| !fields.contains(name)) {
            None => Ok(()),
            Some(unknown) => {
                let lists = format!("`buildbtw {command} --json` lists the fields");
                let hint = match closest(unknown, fields.iter().copied()) {
                    Some(field) => format!("did you mean `{field}`? {lists}"),
                    None => lists,
                };
                let message = format!("`buildbtw {command}` has no field `{unknown}`");
                Err(Error::with_hint(message, hint))
            }
        }
    }
}

/// What the options of JSON ask for.
#[derive(Debug)]
pub(crate) enum JsonRequest {
    /// Output for people.
    None,
    /// The names of the fields.
    ListFields(Contract),
    /// A result as JSON.
    Project(Projection),
}

impl JsonRequest {
    /// Checks `--json` and `--jq`, before anything is sent or changed.
    ///
    /// # Errors
    /// When the command has no such field, the filter is invalid, or the command has no JSON.
    pub(crate) fn of(global: &Global, command: &Command) -> Result<Self> {
        let (selection, filter) = match (&global.json, &global.jq) {
            (None, None) => return Ok(Self::None),
            (selection, filter) => (selection.as_deref(), filter.as_deref()),
        };
        let contract = Contract::of(command).ok_or_else(|| {
            Error::with_hint(
                "this command has no JSON output",
                "leave out --json and --jq",
            )
        })?;
        let selection = match selection {
            Some("") => return Ok(Self::ListFields(contract)),
            Some(text) => Selection::parse(text),
            None => Selection::All,
        };
        contract.check(&selection)?;
        let filter = filter.map(Filter::compile).transpose()?;
        Ok(Self::Project(Projection::new(selection, filter)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// Adds the properties of a schema, and of those that it consists of.
    fn properties(document: &Value, schema: &Value, names: &mut BTreeSet<String>) {
        if let Some(target) = schema["$ref"].as_str() {
            let pointer = target.trim_start_matches('#');
            properties(document, document.pointer(pointer).unwrap(), names);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            properties(document, part, names);
        }
        let own = schema["properties"].as_object().into_iter().flatten();
        names.extend(own.map(|(name, _)| name.clone()));
    }

    #[test]
    fn fields_are_those_of_the_api() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../notes/openapi.json");
        let document: Value = serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
        for part in PARTS.iter().filter(|part| !part.schema.is_empty()) {
            let schema = &document["components"]["schemas"][part.schema];
            let mut expected = BTreeSet::new();
            properties(&document, schema, &mut expected);
            let fields: BTreeSet<String> = part.fields.iter().map(|&name| name.into()).collect();
            assert_eq!(fields, expected, "{}", part.schema);
        }
    }
}
