//! The fields of schemas, from a table that a test compares with the schemas.

/// A line for each schema: its name, a colon, and its fields. A field whose value or entries have fields is followed by
/// a colon and their schema.
pub(super) const TABLE: &str = include_str!("fields.in");

/// A field of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// The schema of its value, or of each entry, if that has fields.
    pub(super) schema: Option<&'static str>,
}

/// Returns the fields of a schema.
pub(super) fn fields(schema: &str) -> Vec<Field> {
    let lines = TABLE.lines().filter_map(|line| line.split_once(": "));
    let mut fields = lines.filter_map(|(name, fields)| (name == schema).then_some(fields));
    let fields = fields.next().unwrap_or_default();
    fields.split_whitespace().map(field).collect()
}

fn field(text: &'static str) -> Field {
    match text.split_once(':') {
        None => Field {
            name: text,
            schema: None,
        },
        Some((name, schema)) => Field {
            name,
            schema: Some(schema),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_fields_and_the_schemas_of_their_values() {
        let need = fields("Need");
        assert_eq!(need.len(), 4);
        assert!(need.iter().all(|field| field.schema.is_none()));
        let workers = Field {
            name: "workers",
            schema: Some("WorkerSummary"),
        };
        assert!(fields("Status").contains(&workers));
        assert!(fields("Needs").is_empty());
    }
}
