//! `--jq`: a filter in the language of jq(1).

use std::fmt;

use jaq_core::data::JustLut;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Native, Vars, compile, unwrap_valr};
use jaq_json::Val;
use serde_json::Value;

use crate::error::{Error, Result};

/// The formats of jq(1) that the library lacks.
const FORMATS: &str = r#"
def @csv: map(if type == "string" then "\"" + (split("\"") | join("\"\"")) + "\""
  elif . == null then "" else tojson end) | join(",");
def @tsv: map(if type == "string" then split("\\") | join("\\\\") | split("\t") | join("\\t")
    | split("\n") | join("\\n") | split("\r") | join("\\r")
  elif . == null then "" else tojson end) | join("\t");
"#;
/// Where the language is described.
const HINT: &str = "jq(1) describes the language; for example '.[].name'";

/// A compiled filter.
pub(crate) struct Filter(compile::Filter<Native<JustLut<Val>>>);

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter")
    }
}

impl Filter {
    /// Compiles a filter.
    ///
    /// # Errors
    /// When it is not a filter.
    pub(crate) fn compile(code: &str) -> Result<Self> {
        let definitions = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs())
            .chain(load::parse(FORMATS, |parser| parser.defs()).unwrap_or_default());
        let functions = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(definitions)
            .load(&arena, File { code, path: () })
            .map_err(|errors| {
                invalid(code, errors.iter().map(|(_, error)| syntax(error)).next())
            })?;
        let compiled = Compiler::default().with_funs(functions).compile(modules);
        let filter = compiled.map_err(|errors| {
            let undefined = errors.iter().flat_map(|(_, errors)| errors);
            let undefined =
                undefined.map(|(name, kind)| format!("undefined {} `{name}`", kind.as_str()));
            invalid(code, undefined.into_iter().next())
        })?;
        Ok(Self(filter))
    }

    /// Returns what the filter yields: texts as they are, other values as JSON on one line.
    ///
    /// # Errors
    /// When the filter fails for this value.
    pub(crate) fn run(&self, value: Value) -> Result<Vec<String>> {
        let value: Val =
            serde_json::from_value(value).map_err(|error| Error::new(error.to_string()))?;
        let context = Ctx::<JustLut<Val>>::new(&self.0.lut, Vars::new([]));
        let mut texts = Vec::new();
        for result in self.0.id.run((context, value)).map(unwrap_valr) {
            match result {
                Ok(Val::TStr(text)) => texts.push(String::from_utf8_lossy(&text).into_owned()),
                Ok(value) => texts.push(value.to_string()),
                Err(error) => {
                    return Err(Error::with_hint(
                        format!("the filter of --jq failed: {error}"),
                        "`--json all` shows what the filter gets; `--json` without a value lists the fields",
                    ));
                }
            }
        }
        Ok(texts)
    }
}

fn invalid(code: &str, reason: Option<String>) -> Error {
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    Error::with_hint(format!("`{code}` is not a filter of jq{reason}"), HINT)
}

/// Describes the first error of the syntax.
fn syntax(error: &load::Error<&str>) -> String {
    let at = |rest: &str| match rest.is_empty() {
        true => "at the end".to_owned(),
        false => format!("before `{rest}`"),
    };
    match error {
        load::Error::Io(errors) => errors
            .first()
            .map_or_else(String::new, |(path, reason)| format!("`{path}`: {reason}")),
        load::Error::Lex(errors) => errors.first().map_or_else(String::new, |(expected, rest)| {
            format!("expected {} {}", expected.as_str(), at(rest))
        }),
        load::Error::Parse(errors) => {
            errors.first().map_or_else(String::new, |(expected, rest)| {
                format!("expected {} {}", expected.as_str(), at(rest))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(code: &str) -> Vec<String> {
        let value = json!([{ "name": "a", "failed": 2 }, { "name": "b", "failed": 0 }]);
        Filter::compile(code).unwrap().run(value).unwrap()
    }

    #[test]
    fn prints_texts_raw_and_other_values_as_json() {
        assert_eq!(run(".[].name"), ["a", "b"]);
        assert_eq!(
            run(".[] | select(.failed > 0) | {name}"),
            ["{\"name\":\"a\"}"]
        );
        assert_eq!(run("map(.failed) | add"), ["2"]);
        assert_eq!(run(".[0] | [.name, .failed] | @tsv"), ["a\t2"]);
        assert_eq!(run("[\"a\\tb\", null, true] | @tsv"), ["a\\tb\t\ttrue"]);
        assert_eq!(run("[\"a\\\"b\", 1, \"\"] | @csv"), ["\"a\"\"b\",1,\"\""]);
        assert_eq!(run("length, null"), ["2", "null"]);
    }

    #[test]
    fn names_the_error_of_a_broken_filter_in_one_line() {
        for code in [
            ".[",
            "nope",
            ".a | $b",
            "\"",
            "@@",
            "{a:",
            "include \"x\"; .",
            ".) ",
            "",
        ] {
            let Err(error) = Filter::compile(code) else {
                // An empty filter is the identity.
                assert_eq!(code, "");
                continue;
            };
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("`{code}` is not a filter of jq")),
                "{text}"
            );
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(error.hint().is_some());
        }
        let error = Filter::compile("nope(1)").err().unwrap().to_string();
        assert!(error.contains("nope"), "{error}");
        let filter = Filter::compile(".a").unwrap();
        let error = filter.run(json!([1])).unwrap_err().to_string();
        assert!(
            error.starts_with("the filter of --jq failed: cannot index"),
            "{error}"
        );
    }
}
