//! The contract is that of the schemas and of the notes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser as _};
use serde_json::Value;

use super::Contract;
use super::fields::TABLE;
use crate::cli::Cli;

/// The commands with a result in JSON, with arguments that they need.
const COMMANDS: &[(&str, &str)] = &[
    ("list", ""),
    ("show", "space"),
    ("why", "space a"),
    ("plan", "a"),
    ("diff", "space"),
    ("status", ""),
    ("activity", ""),
    ("workers", ""),
    ("worker drain", "w1"),
    ("worker resume", "w1"),
    ("sources", ""),
    ("logs", "space a"),
    ("watch", "space"),
    ("new --follow", "a"),
    ("new", "a"),
    ("edit", "space --add a"),
    ("prioritize", "space low"),
    ("cancel", "space"),
    ("resume", "space"),
    ("new-iteration", "space"),
    ("retry", "space"),
    ("delete", "space"),
    ("open", ""),
    ("config", ""),
    ("doctor", ""),
    ("login", ""),
    ("token create", "--scope client --name a"),
    ("token list", ""),
    ("token revoke", "7"),
];
/// The commands without.
const WITHOUT: [&str; 5] = ["build", "completions", "help", "sandbox", "shell"];

fn contract(words: &str, arguments: &str) -> Contract {
    let line = format!("buildbtw {words} {arguments}");
    let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
    Contract::of(&cli.command).unwrap()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The documents with the schemas.
struct Documents {
    api: Value,
    own: Value,
}

impl Documents {
    fn read() -> Self {
        let read = |name: &str| -> Value {
            let path = workspace().join("notes").join(name);
            serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
        };
        Self {
            api: read("openapi.json"),
            own: read("cli.schema.json"),
        }
    }

    fn schema(&self, name: &str) -> &Value {
        let own = self.own["$defs"].get(name);
        own.unwrap_or_else(|| &self.api["components"]["schemas"][name])
    }

    /// Follows references.
    fn resolved<'a>(&'a self, mut schema: &'a Value) -> &'a Value {
        while let Some(name) = referred(schema) {
            schema = self.schema(name);
        }
        schema
    }

    /// Adds the properties of a schema, and of those that it consists of.
    fn add_properties<'a>(&'a self, schema: &'a Value, found: &mut BTreeMap<String, &'a Value>) {
        let schema = self.resolved(schema);
        for key in ["allOf", "oneOf", "anyOf"] {
            for part in schema[key].as_array().into_iter().flatten() {
                self.add_properties(part, found);
            }
        }
        let own = schema["properties"].as_object().into_iter().flatten();
        found.extend(own.map(|(name, schema)| (name.clone(), schema)));
    }

    fn properties<'a>(&'a self, schema: &'a Value) -> BTreeMap<String, &'a Value> {
        let mut found = BTreeMap::new();
        self.add_properties(schema, &mut found);
        found
    }

    /// Returns the name of the schema of a value, or of its entries, if that has properties.
    fn inner<'a>(&'a self, schema: &'a Value) -> Option<&'a str> {
        if let Some(items) = self.resolved(schema).get("items") {
            return self.inner(items);
        }
        if self.properties(schema).is_empty() {
            return None;
        }
        let mut parts = schema["oneOf"].as_array().into_iter().flatten();
        referred(schema).or_else(|| parts.find_map(|part| self.inner(part)))
    }

    /// Returns the table of these schemas, and of those in their fields.
    fn table(&self, roots: BTreeSet<&str>) -> String {
        let mut lines = BTreeMap::new();
        let mut left: Vec<&str> = roots.into_iter().collect();
        while let Some(name) = left.pop() {
            if lines.contains_key(name) {
                continue;
            }
            let mut line = format!("{name}:");
            for (field, schema) in self.properties(self.schema(name)) {
                let inner = self.inner(schema);
                let colon = if inner.is_some() { ":" } else { "" };
                write!(line, " {field}{colon}{}", inner.unwrap_or_default()).unwrap();
                left.extend(inner);
            }
            lines.insert(name, line + "\n");
        }
        lines.into_values().collect()
    }
}

/// Returns the name of the schema to which a reference leads.
fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

#[test]
fn fields_are_those_of_the_schemas() {
    let contracts = COMMANDS
        .iter()
        .map(|(words, arguments)| contract(words, arguments));
    let roots = contracts.flat_map(|contract| contract.schemas).copied();
    let documents = Documents::read();
    let table = documents.table(roots.collect());
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        let path = workspace().join("client/src/contract/fields.in");
        fs_err::write(path, &table).unwrap();
    } else {
        assert_eq!(TABLE, table, "INSTA_UPDATE=always writes fields.in again");
    }
}

/// Returns the texts between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn notes_name_the_schemas_of_every_command() {
    let notes = fs_err::read_to_string(workspace().join("notes/cli.md")).unwrap();
    let header = "| command | result | schema |";
    let table = notes.lines().skip_while(|line| *line != header).skip(2);
    let mut described = BTreeSet::new();
    for line in table.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        for words in quoted(cells[1]) {
            let known = COMMANDS.iter().find(|(known, _)| *known == words);
            let (_, arguments) = known.unwrap_or_else(|| panic!("unknown command in {line}"));
            let contract = contract(words, arguments);
            assert_eq!(contract.schemas, quoted(cells[3]), "{line}");
            assert_eq!(contract.is_list, cells[2] == "list", "{line}");
            described.insert(words);
        }
    }
    assert_eq!(described.len(), COMMANDS.len(), "{described:?}");
    let program = Cli::command();
    for command in program.get_subcommands() {
        let name = command.get_name();
        let is_described = described
            .iter()
            .any(|words| words.split(' ').next() == Some(name));
        assert!(is_described != WITHOUT.contains(&name), "{name}");
    }
}
