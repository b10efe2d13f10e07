//! Likeness: whether one snapshot holds all that another one holds, whatever the order of what has no order.
//!
//! It is how the host finds out that a restored state is the state it gave. Both snapshots are MessagePack with field
//! names. More than before is fine (a new field with a default); anything that is gone or changed is not.

use rmpv::Value;

/// Checks that `after` holds all that `before` holds.
///
/// # Errors
/// The first difference, with its place, in words.
pub(crate) fn holds(before: &[u8], after: &[u8]) -> Result<(), String> {
    if before == after {
        return Ok(());
    }
    compare(&read(before)?, &read(after)?, &mut Vec::new())
}

fn read(mut snapshot: &[u8]) -> Result<Value, String> {
    rmpv::decode::read_value(&mut snapshot)
        .map_err(|error| format!("a snapshot is not MessagePack: {error}"))
}

fn compare(before: &Value, after: &Value, path: &mut Vec<String>) -> Result<(), String> {
    match (before, after) {
        (Value::Map(before), Value::Map(after)) => {
            for (key, value) in before {
                path.push(key.as_str().map_or_else(|| key.to_string(), str::to_owned));
                match find(after, key) {
                    Some(other) => compare(value, other, path)?,
                    None => return Err(format!("{} was lost", place(path))),
                }
                path.pop();
            }
            Ok(())
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            compare_lists(before, after, path)
        }
        (Value::Array(before), Value::Array(after)) => Err(format!(
            "{} had {} elements and has {}",
            place(path),
            before.len(),
            after.len()
        )),
        _ if same_scalar(before, after) => Ok(()),
        _ => Err(format!(
            "{} was {} and is {}",
            place(path),
            brief(before),
            brief(after)
        )),
    }
}

/// Lists are alike in order, or as sets: a hash set comes back in another order.
fn compare_lists(before: &[Value], after: &[Value], path: &mut Vec<String>) -> Result<(), String> {
    let mut in_order = Ok(());
    for (index, (one, other)) in before.iter().zip(after).enumerate() {
        path.push(index.to_string());
        in_order = compare(one, other, path);
        if in_order.is_err() {
            break;
        }
        path.pop();
    }
    let Err(difference) = in_order else {
        return Ok(());
    };
    let sorted = |list: &[Value]| {
        let mut texts: Vec<String> = list.iter().map(canonical).collect();
        texts.sort_unstable();
        texts
    };
    if sorted(before) == sorted(after) {
        // The path still names the element that differed.
        path.pop();
        return Ok(());
    }
    Err(difference)
}

/// A text that is equal for values that differ in the order of their maps only.
fn canonical(value: &Value) -> String {
    match value {
        Value::Map(entries) => {
            let mut texts: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}:{}", canonical(key), canonical(value)))
                .collect();
            texts.sort_unstable();
            format!("{{{}}}", texts.join(","))
        }
        Value::Array(elements) => {
            let texts: Vec<String> = elements.iter().map(canonical).collect();
            format!("[{}]", texts.join(","))
        }
        scalar => format!("{scalar:?}"),
    }
}

fn find<'a>(entries: &'a [(Value, Value)], key: &Value) -> Option<&'a Value> {
    entries
        .iter()
        .find(|(other, _)| other == key || canonical(other) == canonical(key))
        .map(|(_, value)| value)
}

fn same_scalar(one: &Value, other: &Value) -> bool {
    match (one, other) {
        // A number that is not one is itself.
        (Value::F64(one), Value::F64(other)) => one.to_bits() == other.to_bits(),
        (Value::F32(one), Value::F32(other)) => one.to_bits() == other.to_bits(),
        _ => one == other,
    }
}

fn place(path: &[String]) -> String {
    if path.is_empty() {
        "the state".to_owned()
    } else {
        format!("`{}`", path.join("."))
    }
}

fn brief(value: &Value) -> String {
    let mut text = value.to_string();
    if text.len() > 60 {
        let end = (0..=60)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;
    use std::collections::{BTreeMap, HashSet};

    fn pack(value: &impl Serialize) -> Vec<u8> {
        let json = serde_json::to_value(value).expect("a value");
        fn convert(value: &serde_json::Value) -> Value {
            match value {
                serde_json::Value::Null => Value::Nil,
                serde_json::Value::Bool(b) => Value::Boolean(*b),
                serde_json::Value::Number(n) => n.as_i64().map_or(Value::Nil, Value::from),
                serde_json::Value::String(s) => Value::from(s.as_str()),
                serde_json::Value::Array(a) => Value::Array(a.iter().map(convert).collect()),
                serde_json::Value::Object(o) => Value::Map(
                    o.iter()
                        .map(|(k, v)| (Value::from(k.as_str()), convert(v)))
                        .collect(),
                ),
            }
        }
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &convert(&json)).expect("memory takes all");
        bytes
    }

    #[test]
    fn a_state_with_another_field_holds_the_one_without() {
        let before = pack(&serde_json::json!({"total": 7, "by": {"a": [1, 2]}}));
        let after =
            pack(&serde_json::json!({"by": {"b": 1, "a": [1, 2]}, "new": null, "total": 7}));
        assert_eq!(holds(&before, &after), Ok(()));
        assert_eq!(holds(&after, &before), Err("`by.b` was lost".to_owned()));
    }

    #[test]
    fn what_changed_is_named_by_its_place() {
        let before = pack(&serde_json::json!({"by": {"a": [1, 2]}}));
        let after = pack(&serde_json::json!({"by": {"a": [1, 3]}}));
        assert_eq!(
            holds(&before, &after),
            Err("`by.a.1` was 2 and is 3".to_owned())
        );
        let shorter = pack(&serde_json::json!({"by": {"a": [1]}}));
        assert_eq!(
            holds(&before, &shorter),
            Err("`by.a` had 2 elements and has 1".to_owned())
        );
    }

    #[test]
    fn sets_are_alike_in_any_order() {
        let set: HashSet<u32> = (0..100).collect();
        let one: Vec<u32> = set.iter().copied().collect();
        let other: Vec<u32> = one.iter().rev().copied().collect();
        assert_eq!(holds(&pack(&one), &pack(&other)), Ok(()));
        let maps = |order: &[i32]| -> Vec<BTreeMap<String, i32>> {
            order
                .iter()
                .map(|n| BTreeMap::from([("n".to_owned(), *n)]))
                .collect()
        };
        assert_eq!(
            holds(&pack(&maps(&[1, 2, 3])), &pack(&maps(&[3, 1, 2]))),
            Ok(())
        );
        assert!(holds(&pack(&maps(&[1, 2, 3])), &pack(&maps(&[3, 1, 1]))).is_err());
    }
}
