//! Arguments: the JSON text of a call, read as the types that a method takes.
//!
//! An array is the argument list. An object whose keys are the argument names serves too. Any other value is the single
//! argument, and so is an object given to a method of one argument, unless its only key is that argument's name.
//! Nothing but white space is no argument. Arguments that are `Option`s may be left out: by name anywhere, in a list at
//! its end.
//!
//! The text is read once, straight into the argument types; only for a method of one argument an object that begins
//! with the argument's name is looked through first, to see whether other keys follow.

use crate::contract::{Fault, FaultKind};
use serde::{
    de::{
        DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
    },
    forward_to_deserialize_any,
};
use std::fmt;

/// How much of an error's text is passed on: it may quote an argument, and that may be long.
const MESSAGE_LIMIT: usize = 1000;

/// The names of a method's arguments, and all of it as a person reads it: `add(by: u64)`.
pub struct Signature {
    /// The names, in order.
    pub names: &'static [&'static str],
    /// `add(by: u64)`.
    pub text: &'static str,
}

/// What an argument of a method can be: anything owned that deserialises.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a method",
    label = "put `#[plugin_api::data]` on the struct or enum that it is or holds",
    note = "an argument crosses as data: its type must implement `serde::Deserialize` and own what it holds"
)]
pub trait Argument: Sized {
    /// Reads it.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Argument for T {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer)
    }
}

/// Reads the arguments of a call.
pub fn read<L: List>(signature: &Signature, text: &[u8]) -> Result<L, Fault> {
    let mut reading = Reading {
        signature,
        at: None,
        problem: None,
    };
    let mut slots = L::Slots::default();
    let outcome = match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Ok(0),
        Some(b'[') => reading.whole(text, |reading, json| {
            json.deserialize_seq(InOrder::<L> {
                reading,
                slots: &mut slots,
            })
        }),
        Some(b'{') if L::COUNT != 1 || names_the_only(signature, text) => {
            reading.whole(text, |reading, json| {
                json.deserialize_map(ByName::<L> {
                    reading,
                    slots: &mut slots,
                })
            })
        }
        Some(_) if L::COUNT == 0 => Err(reading.wrong_count(1)),
        Some(_) => reading.whole(text, |reading, json| {
            reading.at = Some(0);
            L::put(&mut slots, 0, &mut Single(Some(json)))?;
            Ok(1)
        }),
    };
    let fault = |message: String| Fault::new(FaultKind::BAD_ARGUMENTS, message);
    let given = outcome.map_err(fault)?;
    L::finish(slots).map_err(|missing| {
        fault(match given {
            GIVEN_BY_NAME => reading.tell(&format!(
                "argument `{}` is missing",
                signature.names[missing]
            )),
            given => reading.wrong_count(given),
        })
    })
}

/// Instead of a number of arguments: they came by name.
const GIVEN_BY_NAME: usize = usize::MAX;

/// Whether the object has one key, the name of the method's only argument.
fn names_the_only(signature: &Signature, text: &[u8]) -> bool {
    struct OnlyKey<'a>(&'a str);
    impl<'de> Visitor<'de> for OnlyKey<'_> {
        type Value = bool;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
            if map.next_key_seed(KeyOf(&[self.0]))? != Some(Ok(0)) {
                // What follows does not matter: not to have read it all is an error, and answered as `false` below.
                return Ok(false);
            }
            map.next_value::<IgnoredAny>()?;
            Ok(map.next_key::<IgnoredAny>()?.is_none())
        }
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    json.deserialize_map(OnlyKey(signature.names[0]))
        .unwrap_or(false)
}

/// The state of one reading, for the text of its error.
struct Reading<'a> {
    signature: &'a Signature,
    /// The argument being read.
    at: Option<usize>,
    /// The whole message, where the words are not serde's.
    problem: Option<String>,
}

impl Reading<'_> {
    /// Reads the whole text by `read`, which gives the number of arguments.
    fn whole<'de>(
        &mut self,
        text: &'de [u8],
        read: impl FnOnce(
            &mut Self,
            &mut serde_json::Deserializer<serde_json::de::SliceRead<'de>>,
        ) -> Result<usize, serde_json::Error>,
    ) -> Result<usize, String> {
        let mut json = serde_json::Deserializer::from_slice(text);
        let given = read(self, &mut json).map_err(|error| self.explain(&error))?;
        self.at = None;
        json.end().map_err(|error| self.explain(&error))?;
        Ok(given)
    }

    fn explain(&mut self, error: &serde_json::Error) -> String {
        if let Some(problem) = self.problem.take() {
            return problem;
        }
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let what = text
            .strip_suffix(&format!(" at line {line} column {column}"))
            .unwrap_or(&text);
        let what: String = match what.char_indices().nth(MESSAGE_LIMIT) {
            Some((end, _)) => format!("{}...", &what[..end]),
            None => what.to_owned(),
        };
        let place = match (line, column) {
            (0, _) | (1, 0) => String::new(),
            (1, column) => format!(" at column {column}"),
            (line, column) => format!(" at line {line} column {column}"),
        };
        match self.at {
            // With one argument there is no question which.
            Some(at) if self.signature.names.len() > 1 => self.tell(&format!(
                "argument `{}`: {what}{place}",
                self.signature.names[at]
            )),
            _ => self.tell(&format!("{what}{place}")),
        }
    }

    /// An error for serde that stands for `message`.
    fn fail<E: serde::de::Error>(&mut self, message: String) -> E {
        self.problem = Some(message);
        E::custom("")
    }

    fn tell(&self, problem: &str) -> String {
        format!("{}: {problem}", self.signature.text)
    }

    fn wrong_count(&self, given: usize) -> String {
        let takes = match self.signature.names.len() {
            0 => "no arguments".to_owned(),
            1 => "1 argument".to_owned(),
            count => format!("{count} arguments"),
        };
        let were = match given {
            0 => "none was".to_owned(),
            1 => "1 was".to_owned(),
            given => format!("{given} were"),
        };
        let hint = match (self.signature.names.len(), given) {
            (1, 2..) if self.signature.text.contains(['[', '<']) => {
                "; an array is the argument list, so an argument that is a list stands in another pair of brackets"
            }
            _ => "",
        };
        format!("{} takes {takes}, {were} given{hint}", self.signature.text)
    }
}

/// Reads an array as the argument list.
struct InOrder<'r, 'a, L: List> {
    reading: &'r mut Reading<'a>,
    slots: &'r mut L::Slots,
}

impl<'de, L: List> Visitor<'de> for InOrder<'_, '_, L> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an argument list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<usize, A::Error> {
        let mut elements = Elements(seq);
        let mut given = 0;
        while given < L::COUNT {
            self.reading.at = Some(given);
            if !L::put(self.slots, given, &mut elements)? {
                return Ok(given);
            }
            given += 1;
        }
        self.reading.at = None;
        while elements.0.next_element::<IgnoredAny>()?.is_some() {
            given += 1;
        }
        if given > L::COUNT {
            return Err(self.reading.fail(self.reading.wrong_count(given)));
        }
        Ok(given)
    }
}

/// Reads an object as named arguments.
struct ByName<'r, 'a, L: List> {
    reading: &'r mut Reading<'a>,
    slots: &'r mut L::Slots,
}

impl<'de, L: List> Visitor<'de> for ByName<'_, '_, L> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("named arguments")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<usize, A::Error> {
        let names = self.reading.signature.names;
        let mut values = Values(map);
        let mut seen = [false; MOST_ARGUMENTS];
        while let Some(key) = values.0.next_key_seed(KeyOf(names))? {
            let index = match key {
                Ok(index) => index,
                Err(stranger) => {
                    let known = match names {
                        [] => "it takes none".to_owned(),
                        names => format!("it takes `{}`", names.join("`, `")),
                    };
                    let problem = format!("no argument is called `{stranger}`, {known}");
                    return Err(self.reading.fail(self.reading.tell(&problem)));
                }
            };
            if std::mem::replace(&mut seen[index], true) {
                let problem = format!("argument `{}` is given twice", names[index]);
                return Err(self.reading.fail(self.reading.tell(&problem)));
            }
            self.reading.at = Some(index);
            L::put(self.slots, index, &mut values)?;
            self.reading.at = None;
        }
        Ok(GIVEN_BY_NAME)
    }
}

/// Which of the names a key is; `Err` with the key when it is none of them.
struct KeyOf<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for KeyOf<'_> {
    type Value = Result<usize, String>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOf<'_> {
    type Value = Result<usize, String>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an argument's name")
    }
    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let index = self.0.iter().position(|name| *name == key);
        Ok(index.ok_or_else(|| key.chars().take(64).collect()))
    }
}

/// Where the next value comes from: an array, an object, or the text as a whole.
pub trait Next<'de> {
    type Error: serde::de::Error;
    fn next<T: Argument>(&mut self) -> Result<Option<T>, Self::Error>;
}

struct Elements<A>(A);

impl<'de, A: SeqAccess<'de>> Next<'de> for Elements<A> {
    type Error = A::Error;
    fn next<T: Argument>(&mut self) -> Result<Option<T>, A::Error> {
        Ok(self.0.next_element::<Value<T>>()?.map(|value| value.0))
    }
}

struct Values<A>(A);

impl<'de, A: MapAccess<'de>> Next<'de> for Values<A> {
    type Error = A::Error;
    fn next<T: Argument>(&mut self) -> Result<Option<T>, A::Error> {
        Ok(Some(self.0.next_value::<Value<T>>()?.0))
    }
}

struct Single<D>(Option<D>);

impl<'de, D: Deserializer<'de>> Next<'de> for Single<D> {
    type Error = D::Error;
    fn next<T: Argument>(&mut self) -> Result<Option<T>, D::Error> {
        self.0.take().map(T::read).transpose()
    }
}

/// An argument, as serde's element or value.
struct Value<T>(T);

impl<'de, T: Argument> serde::Deserialize<'de> for Value<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Value)
    }
}

/// What an argument is that was left out: `None` for an `Option`, otherwise an error.
struct Absent;

impl<'de> Deserializer<'de> for Absent {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("absent"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_none()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The most arguments a method takes; the macro says so too.
const MOST_ARGUMENTS: usize = 12;

/// The arguments of one method: a tuple.
pub trait List: Sized {
    type Slots: Default;
    const COUNT: usize;
    /// Reads the argument at `index`; `false` when there is none.
    fn put<'de, N: Next<'de>>(
        slots: &mut Self::Slots,
        index: usize,
        next: &mut N,
    ) -> Result<bool, N::Error>;
    /// The arguments, or the index of the first that is missing.
    fn finish(slots: Self::Slots) -> Result<Self, usize>;
}

macro_rules! lists {
    ($($count:literal: [$($index:tt $argument:ident)*];)*) => {$(
        impl<$($argument: Argument),*> List for ($($argument,)*) {
            type Slots = ($(Option<$argument>,)*);
            const COUNT: usize = $count;

            #[allow(unused_variables, clippy::unused_unit, reason = "the empty list reads nothing")]
            fn put<'de, N: Next<'de>>(
                slots: &mut Self::Slots,
                index: usize,
                next: &mut N,
            ) -> Result<bool, N::Error> {
                match index {
                    $($index => {
                        slots.$index = next.next()?;
                        Ok(slots.$index.is_some())
                    })*
                    _ => Ok(false),
                }
            }

            #[allow(unused_variables, clippy::unused_unit, reason = "the empty list holds nothing")]
            fn finish(slots: Self::Slots) -> Result<Self, usize> {
                Ok(($(
                    match slots.$index {
                        Some(argument) => argument,
                        None => $argument::read(Absent).map_err(|_| $index as usize)?,
                    },
                )*))
            }
        }
    )*};
}

lists! {
    0: [];
    1: [0 A];
    2: [0 A 1 B];
    3: [0 A 1 B 2 C];
    4: [0 A 1 B 2 C 3 D];
    5: [0 A 1 B 2 C 3 D 4 E];
    6: [0 A 1 B 2 C 3 D 4 E 5 F];
    7: [0 A 1 B 2 C 3 D 4 E 5 F 6 G];
    8: [0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H];
    9: [0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I];
    10: [0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J];
    11: [0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K];
    12: [0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K 11 L];
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Signature = Signature {
        names: &["by"],
        text: "add(by: u64)",
    };
    const TWO: Signature = Signature {
        names: &["name", "times"],
        text: "greet(name: String, times: Option<u8>)",
    };

    fn one<T: Argument>(text: &str) -> Result<T, String> {
        read::<(T,)>(&ONE, text.as_bytes())
            .map(|list| list.0)
            .map_err(|fault| fault.message.into_string())
    }

    fn two(text: &str) -> Result<(String, Option<u8>), String> {
        read(&TWO, text.as_bytes()).map_err(|fault| fault.message.into_string())
    }

    #[test]
    fn an_argument_comes_in_a_list_by_name_or_alone() {
        for text in [
            "5",
            "[5]",
            r#"{"by":5}"#,
            "\n 5 ",
            " [ 5 ]\n",
            r#"{ "\u0062y" : 5 }"#,
        ] {
            assert_eq!(one(text), Ok(5_u64), "{text}");
        }
    }

    #[test]
    fn an_object_is_the_single_argument_unless_its_only_key_is_the_arguments_name() {
        type Map = std::collections::BTreeMap<String, u8>;
        let map = |pairs: &[(&str, u8)]| -> Map {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), *value))
                .collect()
        };
        assert_eq!(one(r#"{"a":1}"#), Ok(map(&[("a", 1)])));
        assert_eq!(one(r#"{"by":1,"a":2}"#), Ok(map(&[("by", 1), ("a", 2)])));
        assert_eq!(one(r#"{"a":2,"by":1}"#), Ok(map(&[("by", 1), ("a", 2)])));
        assert_eq!(one("{}"), Ok(map(&[])));
        assert_eq!(one(r#"{"by":{"a":1}}"#), Ok(map(&[("a", 1)])));
    }

    #[test]
    fn options_may_be_left_out() {
        assert_eq!(two(r#"["Ada"]"#), Ok(("Ada".to_owned(), None)));
        assert_eq!(two(r#"["Ada",3]"#), Ok(("Ada".to_owned(), Some(3))));
        assert_eq!(two(r#"{"name":"Ada"}"#), Ok(("Ada".to_owned(), None)));
        assert_eq!(
            two(r#"{"times":3,"name":"Ada"}"#),
            Ok(("Ada".to_owned(), Some(3)))
        );
        assert_eq!(two(r#""Ada""#), Ok(("Ada".to_owned(), None)));
        assert_eq!(one::<Option<u8>>(""), Ok(None));
    }

    #[test]
    fn nothing_is_no_argument() {
        const NONE: Signature = Signature {
            names: &[],
            text: "total()",
        };
        let none = |text: &str| {
            read::<()>(&NONE, text.as_bytes()).map_err(|fault| fault.message.into_string())
        };
        for text in ["", " \n", "[]", "{}"] {
            assert_eq!(none(text), Ok(()), "{text}");
        }
        assert_eq!(
            none("5").unwrap_err(),
            "total() takes no arguments, 1 was given"
        );
        assert_eq!(
            none(r#"{"by":5}"#).unwrap_err(),
            "total(): no argument is called `by`, it takes none"
        );
    }

    #[test]
    fn a_message_tells_the_signature_and_what_is_wrong() {
        for (text, message) in [
            ("", "add(by: u64) takes 1 argument, none was given"),
            ("[]", "add(by: u64) takes 1 argument, none was given"),
            ("[1,2]", "add(by: u64) takes 1 argument, 2 were given"),
            (
                r#"["x"]"#,
                r#"add(by: u64): invalid type: string "x", expected u64 at column 4"#,
            ),
            (
                "[\n-1]",
                "add(by: u64): invalid value: integer `-1`, expected u64 at line 2 column 2",
            ),
            ("[1", "add(by: u64): EOF while parsing a list at column 2"),
            ("1 2", "add(by: u64): trailing characters at column 3"),
            ("rubbish", "add(by: u64): expected value at column 1"),
        ] {
            assert_eq!(one::<u64>(text).unwrap_err(), message, "{text}");
        }
        for (text, message) in [
            (
                r#"["Ada","x"]"#,
                r#": argument `times`: invalid type: string "x", expected u8 at column 10"#,
            ),
            (
                r#"{"name":1}"#,
                ": argument `name`: invalid type: integer `1`, expected a string at column 9",
            ),
            (r#"{"times":1}"#, ": argument `name` is missing"),
            (
                r#"{"name":"a","name":"b"}"#,
                ": argument `name` is given twice",
            ),
            (
                r#"{"nam":"a"}"#,
                ": no argument is called `nam`, it takes `name`, `times`",
            ),
            ("[]", " takes 2 arguments, none was given"),
            (r#"["a",1,2]"#, " takes 2 arguments, 3 were given"),
        ] {
            let expected = format!("{}{message}", TWO.text);
            assert_eq!(two(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn rubbish_and_deep_nesting_are_errors() {
        let deep = ["[", r#"{"by":"#, r#"{"a":"#].map(|open| open.repeat(100_000));
        for text in deep {
            assert!(one::<serde_json::Value>(&text).is_err());
            assert!(two(&text).is_err());
        }
        assert!(read::<(String,)>(&ONE, b"\"\xff\"").is_err());
        assert!(read::<(String,)>(&ONE, b"\xff\x00").is_err());
        assert!(
            one::<u64>(&format!("\"{}\"", "é".repeat(10_000)))
                .unwrap_err()
                .len()
                < 3000
        );
    }
}
