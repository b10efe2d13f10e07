//! JSON text, written while the plugin is compiled.

use std::fmt::Write as _;

/// `text` as the inside of a JSON string.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push_str("\\t"),
            control if control < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(escaped, "\\u{:04x}", control as u32);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// `text` as a JSON string.
pub(crate) fn string(text: &str) -> String {
    format!("\"{}\"", escape(text))
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_json_reserves_is_escaped() {
        assert_eq!(
            super::string("a \"b\" \\ c\n\u{1}é"),
            "\"a \\\"b\\\" \\\\ c\\n\\u0001é\""
        );
    }
}
