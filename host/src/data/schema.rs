//! The schema: what an operator demands of a dataset's parsed content, as a JSON Schema.
//!
//! It is read and compiled once, at the start. It stands for itself: references to other documents are not followed.
//!
//! Without the feature `json-schema` there is none, and a dataset that declares one is an error.

use super::format::Mistake;
use anyhow::{Context, Result};
use serde_json::Value;
use std::{fs, path::Path};

#[cfg(feature = "json-schema")]
type Rules = jsonschema::Validator;
#[cfg(not(feature = "json-schema"))]
type Rules = std::convert::Infallible;

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Schema(Rules);

impl Schema {
    /// Reads the schema in a file.
    ///
    /// # Errors
    /// It cannot be read, is no JSON, is no schema, or the feature `json-schema` is not built in.
    pub(crate) fn load(path: &Path) -> Result<Schema> {
        let reading = || format!("reading the schema {}", path.display());
        let text = fs::read(path).with_context(reading)?;
        let schema: Value = serde_json::from_slice(&text).with_context(reading)?;
        Schema::compile(&schema).with_context(reading)
    }

    #[cfg(feature = "json-schema")]
    fn compile(schema: &Value) -> Result<Schema> {
        jsonschema::validator_for(schema)
            .map(Schema)
            .map_err(|error| anyhow::anyhow!("at {}: {error}", error.instance_path().as_str()))
    }

    #[cfg(not(feature = "json-schema"))]
    fn compile(_schema: &Value) -> Result<Schema> {
        anyhow::bail!("this host was built without it; build it with `--features json-schema`")
    }

    /// Checks parsed content.
    ///
    /// # Errors
    /// The first mistake: its place in the content, what is wrong, and the rule that says so.
    #[cfg(feature = "json-schema")]
    pub(crate) fn check(&self, parsed: &Value) -> Result<(), Mistake> {
        use super::format::Position;
        self.0.validate(parsed).map_err(|error| {
            let position = Position::Pointer(error.instance_path().as_str().to_owned());
            let reason = Mistake::of_all(error.to_string()).reason;
            let rule = error.schema_path().as_str();
            Mistake::new(Some(position), format!("{reason} (rule {rule})"))
        })
    }

    /// There is no schema to check by.
    #[cfg(not(feature = "json-schema"))]
    pub(crate) fn check(&self, _parsed: &Value) -> Result<(), Mistake> {
        match self.0 {}
    }
}

#[cfg(all(test, feature = "json-schema"))]
mod tests {
    use super::{super::format::Position, *};
    use serde_json::json;

    #[test]
    fn the_error_names_the_place_and_the_rule() {
        let schema = json!({
            "type": "object",
            "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
        });
        let schema = Schema::compile(&schema).expect("it is a schema");
        assert_eq!(schema.check(&json!({"EUR": 1.5})), Ok(()));
        let mistake = schema
            .check(&json!({"EUR": 1.5, "USD": -1}))
            .expect_err("it is below 0");
        assert_eq!(mistake.position, Some(Position::Pointer("/USD".to_owned())));
        assert_eq!(
            mistake.reason,
            "-1 is less than or equal to the minimum of 0 (rule /additionalProperties/exclusiveMinimum)"
        );
    }

    #[test]
    fn what_is_no_schema_is_said_at_the_start() {
        let error = Schema::compile(&json!({"type": "nonsense"})).expect_err("no such type");
        assert!(error.to_string().contains("/type"), "{error}");
    }
}
