//! What `--json` of each command prints. Scripts depend on it: `notes/cli.md` documents it, and tests compare it with
//! the description of the server's API and with `notes/cli.schema.json`.

mod fields;
#[cfg(test)]
mod tests;

use buildbtw_model::closest;

use crate::cli::{Command, Global, TokenCommand, WorkerCommand};
use crate::error::{Error, Result};
use crate::output::{Filter, Projection, Selection};
use fields::{Field, fields};

/// The fields of a command's result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contract {
    /// The words of the command, after `buildbtw`.
    pub(crate) command: &'static str,
    /// Whether the result is a list of objects with these fields, or one object.
    pub(crate) is_list: bool,
    /// The schemas of the objects.
    schemas: &'static [&'static str],
}

const fn object(command: &'static str, schemas: &'static [&'static str]) -> Contract {
    Contract {
        command,
        is_list: false,
        schemas,
    }
}

const fn list(command: &'static str, schemas: &'static [&'static str]) -> Contract {
    Contract {
        command,
        is_list: true,
        schemas,
    }
}

/// The contracts of all commands with a result in JSON.
const ALL: &[Contract] = &[
    object("new --follow", &["Event", "IterationWithBuilds"]),
    object("new", &["NamespaceDetail"]),
    object("status", &["Status"]),
    list("list", &["NamespaceSummary"]),
    object("show", &["ShownNamespace"]),
    object("plan", &["PlanDocument"]),
    list("why", &["BuildSummary"]),
    list("activity", &["Activity"]),
    object("edit", &["NamespaceDetail"]),
    object("prioritize", &["NamespaceDetail"]),
    list("workers", &["WorkerSummary"]),
    object("worker drain", &["WorkerSummary"]),
    object("worker resume", &["WorkerSummary"]),
    object("doctor", &["DoctorReport"]),
    list("diff", &["Difference"]),
    object("open", &["Address"]),
    list("config", &["Setting"]),
    object("new-iteration", &["IterationWithBuilds"]),
    object("retry", &["RetriedBuilds"]),
    object("cancel", &["NamespaceDetail"]),
    object("resume", &["NamespaceDetail"]),
    object("delete", &["DeletedNamespace"]),
    object("watch", &["Event", "IterationWithBuilds"]),
    list("logs", &["BuildLog"]),
    list("sources", &["SourceRepositorySummary"]),
    object("token create", &["CreatedToken"]),
    list("token list", &["TokenSummary"]),
    object("token revoke", &["TokenSummary"]),
    object("login", &["TokenIdentity"]),
];

/// Returns the words of a command, unless its result has no form in JSON.
fn words(command: &Command) -> Option<&'static str> {
    Some(match command {
        Command::New(args) if args.follow => "new --follow",
        Command::New(_) => "new",
        Command::Status(_) => "status",
        Command::List(_) => "list",
        Command::Show(_) => "show",
        Command::Plan(_) => "plan",
        Command::Why(_) => "why",
        Command::Activity(_) => "activity",
        Command::Edit(_) => "edit",
        Command::Prioritize(_) => "prioritize",
        Command::Workers(_) => "workers",
        Command::Worker(WorkerCommand::Drain { .. }) => "worker drain",
        Command::Worker(WorkerCommand::Resume { .. }) => "worker resume",
        Command::Doctor => "doctor",
        Command::Diff(_) => "diff",
        Command::Open(_) => "open",
        Command::Config(_) => "config",
        Command::NewIteration(_) => "new-iteration",
        Command::Retry(_) => "retry",
        Command::Cancel(_) => "cancel",
        Command::Resume(_) => "resume",
        Command::Delete(_) => "delete",
        Command::Watch(_) => "watch",
        Command::Logs(_) => "logs",
        Command::Sources(_) => "sources",
        Command::Token(TokenCommand::Create(_)) => "token create",
        Command::Token(TokenCommand::List(_)) => "token list",
        Command::Token(TokenCommand::Revoke { .. }) => "token revoke",
        Command::Login(_) => "login",
        Command::Completions(_) | Command::Build(_) | Command::Shell(_) | Command::Sandbox(_) => {
            return None;
        }
    })
}

impl Contract {
    /// Returns the contract of a command, unless its result has no form in JSON.
    pub(crate) fn of(command: &Command) -> Option<Self> {
        Self::named(words(command)?)
    }

    /// Returns the contract of the command with these words.
    pub(crate) fn named(words: &str) -> Option<Self> {
        ALL.iter().find(|known| known.command == words).copied()
    }

    /// Returns all fields, each once, in a fixed order.
    pub(crate) fn fields(&self) -> Vec<&'static str> {
        let fields = self.schemas.iter().flat_map(|schema| fields(schema));
        let mut names: Vec<_> = fields.map(|field| field.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn check(&self, selection: &Selection) -> Result<()> {
        selection
            .paths()
            .iter()
            .try_for_each(|path| self.check_path(path))
    }

    fn check_path(&self, path: &[String]) -> Result<()> {
        let mut schemas = self.schemas.to_vec();
        for (depth, name) in path.iter().enumerate() {
            let known = schemas.iter().flat_map(|schema| fields(schema));
            let known: Vec<Field> = known.collect();
            let found: Vec<&Field> = known.iter().filter(|field| field.name == name).collect();
            if found.is_empty() {
                let (before, _) = path.split_at(depth);
                return Err(self.unknown(before, name, &known));
            }
            schemas = found.iter().filter_map(|field| field.schema).collect();
        }
        Ok(())
    }

    /// Creates the error for a name that the fields before it do not have.
    fn unknown(&self, before: &[String], name: &str, known: &[Field]) -> Error {
        let command = self.command;
        // The command may need other arguments, too.
        let lists = "`--json` without a value lists the fields".to_owned();
        let place = before.join(".");
        let full = |name: &str| match before {
            [] => name.to_owned(),
            _ => format!("{place}.{name}"),
        };
        let names = known.iter().map(|field| field.name);
        let hint = match (closest(name, names.clone()), before, known) {
            (Some(meant), ..) => format!("did you mean `{}`? {lists}", full(meant)),
            (None, [], _) => lists,
            (None, _, []) => format!("`{place}` has no fields of its own; {lists}"),
            (None, ..) => {
                let names: Vec<&str> = names.collect();
                format!("`{place}` has the fields {}", names.join(", "))
            }
        };
        let message = format!("`buildbtw {command}` has no field `{}`", full(name));
        Error::with_hint(message, hint)
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
