//! Finds the name that was probably meant.

use std::fmt;

use serde::de::value::Error as AnyError;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

/// Names with less in common are not similar (from 0 to 1).
const MIN_SIMILARITY: f64 = 0.6;
/// Shorter names are parts of others by chance.
const MIN_PART_LENGTH: usize = 4;

/// Returns which one of the known names is most similar to a name that is not one of them.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase().replace('-', "_");
    let known: Vec<&str> = known.into_iter().collect();
    let similar = known
        .iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(&name, known), *known))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    if let Some((_, similar)) = similar {
        return Some(similar);
    }
    let is_part = |known: &&str| name.len() >= MIN_PART_LENGTH && known.contains(&name);
    known.into_iter().find(is_part)
}

/// Returns the names of the fields that a type derives its deserialization for, as serde knows them.
#[must_use]
pub fn fields_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &[&str] = &[];
    // It always fails, because there is nothing to read.
    let _ = T::deserialize(Fields(&mut fields));
    fields
}

/// Takes note of the fields of a struct.
struct Fields<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = AnyError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, AnyError> {
        Err(AnyError::custom(NotAStruct))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, AnyError> {
        *self.0 = fields;
        Err(AnyError::custom(NotAStruct))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct NotAStruct;

impl fmt::Display for NotAStruct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is nothing to read")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[test]
    fn finds_the_name_that_was_meant() {
        let known = [
            "gitlab_url",
            "gitlab_group",
            "listen",
            "build_timeout_seconds",
        ];
        for (name, expected) in [
            ("gitlab_ur", Some("gitlab_url")),
            ("gitlab-url", Some("gitlab_url")),
            ("GITLAB_GROUP", Some("gitlab_group")),
            ("gitlab_gruop", Some("gitlab_group")),
            ("lisen", Some("listen")),
            ("timeout", Some("build_timeout_seconds")),
            ("url", None),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }

    #[test]
    fn returns_names_of_fields() {
        #[derive(Deserialize)]
        #[allow(dead_code, reason = "only the names count")]
        struct Config {
            server: String,
            #[serde(rename = "limit")]
            limits: u32,
        }
        assert_eq!(fields_of::<Config>(), ["server", "limit"]);
        assert!(fields_of::<u32>().is_empty());
    }
}
