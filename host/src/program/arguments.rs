//! The arguments of `host call`: words of a command line become the JSON body of a call.

use serde_json::Value;

/// The body that stands for these words: none is no body, one is a body of its own, several are a list.
pub(crate) fn body_from(words: &[String]) -> Vec<u8> {
    let elements: Vec<String> = words.iter().map(|word| as_json(word)).collect();
    match elements.as_slice() {
        [] => String::new(),
        [body] => body.clone(),
        elements => format!("[{}]", elements.join(",")),
    }
    .into_bytes()
}

/// The word as it is written if it is JSON, so that numbers keep all their digits; else as a JSON string.
fn as_json(word: &str) -> String {
    match serde_json::from_str::<serde::de::IgnoredAny>(word) {
        Ok(_) => word.to_owned(),
        Err(_) => Value::from(word).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        String::from_utf8(body_from(&words)).unwrap()
    }

    #[test]
    fn no_word_is_no_body() {
        assert_eq!(body(&[]), "");
    }

    #[test]
    fn one_word_of_json_is_the_body_as_it_is() {
        assert_eq!(body(&["5"]), "5");
        assert_eq!(body(&["[1, 2]"]), "[1, 2]");
        assert_eq!(body(&[r#"{"by":5}"#]), r#"{"by":5}"#);
        assert_eq!(body(&["18446744073709551615"]), "18446744073709551615");
    }

    #[test]
    fn what_is_not_json_is_text() {
        assert_eq!(body(&["Ada"]), r#""Ada""#);
        assert_eq!(body(&["say \"hi\""]), r#""say \"hi\"""#);
        assert_eq!(body(&["{by:5}"]), r#""{by:5}""#);
        assert_eq!(body(&[""]), r#""""#);
    }

    #[test]
    fn several_words_are_the_list_of_arguments() {
        assert_eq!(
            body(&["[48.2, 16.3]", "7", "km"]),
            r#"[[48.2, 16.3],7,"km"]"#
        );
    }
}
