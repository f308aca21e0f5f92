//! Streaming JSON reader that keeps only the few members that identify the subject of a webhook: GitLab sends up to
//! 25 MB, with members in any order.

use serde_json::{Map, Value};

/// The maximum nesting, the same as in serde_json.
const MAX_DEPTH: usize = 128;
/// The maximum length of a key or value that is kept.
const MAX_TOKEN: usize = 4 * 1024;

/// The members that are kept; of the object `NESTED`, those in `KEPT_NESTED`.
const KEPT: [&str; 4] = [
    "object_kind",
    "event_name",
    "project_id",
    "path_with_namespace",
];
const NESTED: &str = "project";
const KEPT_NESTED: [&str; 2] = ["id", "path_with_namespace"];

/// The error of a body that is not valid JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not JSON")]
pub struct NotJson;

/// The state of reading a document. Its memory does not grow with the document.
#[derive(Debug)]
pub(super) struct Outline {
    state: State,
    /// Whether each open container is an object.
    open: Vec<bool>,
    /// The text of the current key or value, if it is kept.
    token: Vec<u8>,
    is_wanted: bool,
    /// The current key of the document, and of the object in it.
    key: String,
    nested_key: String,
    is_object: bool,
    found: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Value,
    FirstValue,
    Key,
    FirstKey,
    Colon,
    AfterValue,
    Text {
        is_key: bool,
        is_escaped: bool,
    },
    /// A number, `true`, `false` or `null`.
    Word,
    Broken,
}

impl Default for Outline {
    fn default() -> Self {
        Self {
            state: State::Value,
            open: Vec::new(),
            token: Vec::new(),
            is_wanted: false,
            key: String::new(),
            nested_key: String::new(),
            is_object: false,
            found: Map::new(),
        }
    }
}

impl Outline {
    /// Processes the next chunk.
    pub(super) fn update(&mut self, piece: &[u8]) {
        let mut rest = piece;
        loop {
            rest = self.skip_plain_text(rest);
            let Some((byte, following)) = rest.split_first() else {
                return;
            };
            if self.state == State::Broken {
                return;
            }
            self.state = self.step(*byte).unwrap_or(State::Broken);
            rest = following;
        }
    }

    /// Skips text that is not kept, which is most of a large webhook.
    fn skip_plain_text<'a>(&self, rest: &'a [u8]) -> &'a [u8] {
        match self.state {
            State::Text {
                is_escaped: false, ..
            } if !self.is_wanted => {
                let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
                let plain = rest.iter().position(is_special).unwrap_or(rest.len());
                &rest[plain..]
            }
            _ => rest,
        }
    }

    /// Returns the members that were kept; `None` when the document is not an object.
    ///
    /// # Errors
    /// When it is not valid JSON.
    pub(super) fn finish(mut self) -> Result<Option<Value>, NotJson> {
        if self.state == State::Word {
            self.state = self.end_value()?;
        }
        if self.state != State::AfterValue || !self.open.is_empty() {
            return Err(NotJson);
        }
        Ok(self.is_object.then_some(Value::Object(self.found)))
    }

    fn step(&mut self, byte: u8) -> Result<State, NotJson> {
        match self.state {
            State::Text { is_key, is_escaped } => return self.text(byte, is_key, is_escaped),
            State::Word if byte.is_ascii_alphanumeric() || b"+-.".contains(&byte) => {
                self.keep(byte);
                return Ok(State::Word);
            }
            State::Word => self.state = self.end_value()?,
            _ => {}
        }
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            return Ok(self.state);
        }
        match (self.state, byte) {
            (State::Value | State::FirstValue, b'"') => {
                self.begin(self.is_kept());
                self.keep(byte);
                Ok(text(false))
            }
            (State::Value | State::FirstValue, b'{') => self.open(true),
            (State::Value | State::FirstValue, b'[') => self.open(false),
            (State::Value | State::FirstValue, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                // Always kept: it is short, and validated as a whole.
                self.begin(true);
                self.keep(byte);
                Ok(State::Word)
            }
            (State::Key | State::FirstKey, b'"') => {
                self.begin(self.open.len() <= 2);
                self.keep(byte);
                Ok(text(true))
            }
            (State::Colon, b':') => Ok(State::Value),
            (State::AfterValue, b',') => match self.open.last() {
                Some(true) => Ok(State::Key),
                Some(false) => Ok(State::Value),
                None => Err(NotJson),
            },
            (State::AfterValue | State::FirstKey, b'}') => self.close(true),
            (State::AfterValue | State::FirstValue, b']') => self.close(false),
            _ => Err(NotJson),
        }
    }

    fn text(&mut self, byte: u8, is_key: bool, is_escaped: bool) -> Result<State, NotJson> {
        self.keep(byte);
        match byte {
            0..0x20 => Err(NotJson),
            _ if is_escaped => Ok(text(is_key)),
            b'\\' => Ok(State::Text {
                is_key,
                is_escaped: true,
            }),
            b'"' if is_key => self.end_key(),
            b'"' => self.end_value(),
            _ => Ok(text(is_key)),
        }
    }

    fn begin(&mut self, is_wanted: bool) {
        self.token.clear();
        self.is_wanted = is_wanted;
    }

    /// Adds a byte to the current token, unless that is longer than any that is kept.
    fn keep(&mut self, byte: u8) {
        if self.is_wanted {
            self.token.push(byte);
            self.is_wanted = self.token.len() < MAX_TOKEN;
        }
    }

    fn end_key(&mut self) -> Result<State, NotJson> {
        if self.open.len() <= 2 {
            let key = if self.is_wanted {
                serde_json::from_slice(&self.token).map_err(|_| NotJson)?
            } else {
                String::new()
            };
            if self.open.len() == 1 {
                self.key = key;
            } else {
                self.nested_key = key;
            }
        }
        Ok(State::Colon)
    }

    fn end_value(&mut self) -> Result<State, NotJson> {
        let value = if self.is_wanted {
            serde_json::from_slice(&self.token).map_err(|_| NotJson)?
        } else {
            Value::Null
        };
        if self.is_kept() {
            self.insert(value);
        }
        Ok(State::AfterValue)
    }

    fn open(&mut self, is_object: bool) -> Result<State, NotJson> {
        match self.open.len() {
            0 => self.is_object = is_object,
            MAX_DEPTH.. => return Err(NotJson),
            1 if is_object && self.is_nested_object() => self.insert(Value::Object(Map::new())),
            // A placeholder for a value of an unexpected type.
            _ if self.is_kept() => self.insert(Value::Array(Vec::new())),
            _ => {}
        }
        self.open.push(is_object);
        Ok(if is_object {
            State::FirstKey
        } else {
            State::FirstValue
        })
    }

    fn close(&mut self, is_object: bool) -> Result<State, NotJson> {
        (self.open.pop() == Some(is_object))
            .then_some(State::AfterValue)
            .ok_or(NotJson)
    }

    fn is_nested_object(&self) -> bool {
        self.is_object && self.key == NESTED
    }

    /// Returns whether the value that begins or ends here is kept.
    fn is_kept(&self) -> bool {
        match self.open[..] {
            [true] => KEPT.contains(&self.key.as_str()) || self.is_nested_object(),
            [true, true] => {
                self.is_nested_object() && KEPT_NESTED.contains(&self.nested_key.as_str())
            }
            _ => false,
        }
    }

    /// Stores a value; the last one of a repeated key wins.
    fn insert(&mut self, value: Value) {
        if self.open.len() == 1 {
            self.found.insert(self.key.clone(), value);
        } else if let Some(below) = self.found.get_mut(&self.key).and_then(Value::as_object_mut) {
            below.insert(self.nested_key.clone(), value);
        }
    }
}

fn text(is_key: bool) -> State {
    State::Text {
        is_key,
        is_escaped: false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outline(pieces: &[&[u8]]) -> Result<Option<Value>, NotJson> {
        let mut outline = Outline::default();
        for piece in pieces {
            outline.update(piece);
        }
        outline.finish()
    }

    #[test]
    fn extracts_project_at_any_chunk_boundary() {
        let text = r#" {"commits":[{"id":"x","project":{"id":9}},[]],"object\u005fkind":"push",
            "project":{"id":3,"x":{"id":4},"path_with_namespace":"g\/p","y":[{"id":5}]},
            "object_attributes" : {"iid":-1.5e3,"id":{"id":7}}, "project_id":-1.5e3,
            "event_name":[1],"path_with_namespace":null,"e":{}} "#;
        let expected = json!({
            "object_kind": "push",
            "project": {"id": 3, "path_with_namespace": "g/p"},
            "project_id": -1500.0,
            "event_name": [],
            "path_with_namespace": null,
        });
        for cut in 0..text.len() {
            let (head, tail) = text.as_bytes().split_at(cut);
            assert_eq!(outline(&[head, tail]), Ok(Some(expected.clone())), "{cut}");
        }
    }

    #[test]
    fn agrees_with_serde_json_on_valid_json() {
        let deep = "[".repeat(10_000);
        for text in [
            "",
            " ",
            "[",
            "]",
            "{",
            "}",
            "{]",
            "[}",
            "[1,]",
            "[,1]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "[1 2]",
            "[1]]",
            "1 2",
            "tru",
            "[tru]",
            "{\"x\":nul}",
            "01",
            "-",
            "1.",
            "[1e]",
            "\"",
            "\"\\",
            "\"\n\"",
            "{\"a\":1}x",
            &deep,
            "\u{feff}{}",
            "'a'",
            ":",
            ",",
        ] {
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
            assert_eq!(outline(&[text.as_bytes()]), Err(NotJson), "{text}");
        }
        for text in [
            "7",
            "[]",
            "[[[]],{}]",
            "\"a\"",
            "null",
            " true\n",
            "-0.5E+3",
            "[\"\\\"\"]",
        ] {
            assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
            assert_eq!(outline(&[text.as_bytes()]), Ok(None), "{text}");
        }
        assert_eq!(outline(&[b"{}"]), Ok(Some(json!({}))));
    }

    #[test]
    fn uses_constant_memory_for_any_document_length() {
        let mut outline = Outline::default();
        outline.update(b"{");
        let long = vec![b'x'; 100_000];
        for member in ["object_kind", "project", "other"] {
            outline.update(format!("\"{member}\":\"").as_bytes());
            outline.update(&long);
            outline.update(b"\",\"");
            outline.update(&long);
            outline.update(b"\":{\"id\":\"");
            outline.update(&long);
            outline.update(b"\"},");
        }
        for _ in 0..10_000 {
            outline.update(br#""project":{"id":1,"id":2},"#);
        }
        assert!(outline.token.capacity() <= 2 * MAX_TOKEN);
        assert_eq!(outline.found.len(), 2);
        outline.update(br#""project_id":1}"#);
        let found = outline.finish().unwrap().unwrap();
        let expected = json!({"object_kind": null, "project": {"id": 2}, "project_id": 1});
        assert_eq!(found, expected);
    }
}
