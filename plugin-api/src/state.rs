//! State: what a plugin keeps across swaps, and the numbered formats it is written in.
//!
//! A state knows its own schema and, through its migrate and downgrade functions, the state of the version before. That
//! one knows its own predecessor in turn: a chain of types, walked link by link until the schema asked for is reached.

use crate::manifest::Encoding;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Display;

/// What a plugin keeps across swaps.
///
/// [`#[plugin_api::state]`](macro@crate::state) implements it with MessagePack; a plugin that brings its own bytes
/// implements it by hand:
///
/// ```
/// struct Counter {
///     total: u64,
/// }
///
/// impl plugin_api::State for Counter {
///     const SCHEMA: u32 = 1;
///
///     fn save(&self, schema: u32) -> Result<Vec<u8>, String> {
///         match schema {
///             1 => Ok(self.total.to_le_bytes().to_vec()),
///             _ => Err(format!("asked for schema {schema}, this plugin speaks schema 1")),
///         }
///     }
///
///     fn load(schema: u32, snapshot: &[u8]) -> Result<Self, String> {
///         match (schema, snapshot.try_into()) {
///             (1, Ok(bytes)) => Ok(Counter { total: u64::from_le_bytes(bytes) }),
///             (1, Err(_)) => Err("a counter takes eight bytes".to_owned()),
///             _ => Err(format!("state has schema {schema}, this plugin speaks schema 1")),
///         }
///     }
/// }
/// # use plugin_api::State;
/// # let saved = Counter { total: 7 }.save(1).unwrap();
/// # assert_eq!(Counter::load(1, &saved).unwrap().total, 7);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state",
    label = "put `#[plugin_api::state(schema = 1)]` on `{Self}`",
    note = "a plugin that keeps nothing across swaps says so: `#[plugin_api::plugin(stateless)]`"
)]
pub trait State: Sized {
    /// The number of the format that this type is written in. It rises whenever the format changes.
    const SCHEMA: u32;

    /// How snapshots are encoded.
    const ENCODING: Encoding = Encoding::Own;

    /// The doc comment of the type, as the inside of a JSON string.
    #[doc(hidden)]
    const DOC: &'static str = "";

    /// The state in the format of `schema`: this type's own, or an older one that it can go down to.
    ///
    /// # Errors
    /// What is in the way, in words: a schema that is out of reach, or a value that cannot be written.
    fn save(&self, schema: u32) -> Result<Vec<u8>, String>;

    /// The state from `snapshot`, which is in the format of `schema`: this type's own, or an older one.
    ///
    /// # Errors
    /// What is in the way, in words: a schema that is out of reach, or bytes that do not fit it.
    fn load(schema: u32, snapshot: &[u8]) -> Result<Self, String>;
}

/// What a migrate function returns: the state, or a `Result` with it.
#[diagnostic::on_unimplemented(
    message = "a migrate function gives the new state, or a `Result` with it, not `{Self}`",
    label = "write `fn from_v1(old: OldState) -> {S}` or `-> Result<{S}, String>`"
)]
pub trait Outcome<S> {
    /// The state, or what is in the way.
    fn outcome(self) -> Result<S, String>;
}

impl<S: State> Outcome<S> for S {
    fn outcome(self) -> Result<S, String> {
        Ok(self)
    }
}

impl<S: State, E: Display> Outcome<S> for Result<S, E> {
    fn outcome(self) -> Result<S, String> {
        self.map_err(|error| format!("{error:#}"))
    }
}

/// The state in its own format.
pub fn save_current<S: State + Serialize>(state: &S) -> Result<Vec<u8>, String> {
    rmp_serde::to_vec_named(state)
        .map_err(|error| format!("writing state of schema {}: {error}", S::SCHEMA))
}

/// The state from its own format.
pub fn load_current<S: State + DeserializeOwned>(snapshot: &[u8]) -> Result<S, String> {
    rmp_serde::from_slice(snapshot).map_err(|error| {
        format!(
            "reading state of schema {}: {error}; a changed state is a new schema number and a migrate function",
            S::SCHEMA
        )
    })
}

/// The state in the format of an older `schema`, by way of the state that `downgrade` gives.
pub fn save_older<New: State, Old: State>(
    new: &New,
    schema: u32,
    downgrade: impl Fn(&New) -> Old,
) -> Result<Vec<u8>, String> {
    let () = Link::<New, Old>::POINTS_BACK;
    if schema > New::SCHEMA {
        return Err(too_new_to_save::<New>(schema));
    }
    if schema > Old::SCHEMA {
        return Err(format!(
            "asked for schema {schema}, this plugin goes down from {} to {}",
            New::SCHEMA,
            Old::SCHEMA
        ));
    }
    downgrade(new).save(schema)
}

/// The state from the format of an older `schema`, by way of the state that `migrate` takes.
pub fn load_older<New: State, Old: State, O: Outcome<New>>(
    schema: u32,
    snapshot: &[u8],
    migrate: impl Fn(Old) -> O,
) -> Result<New, String> {
    let () = Link::<New, Old>::POINTS_BACK;
    if schema > New::SCHEMA {
        return Err(too_new_to_load::<New>(schema));
    }
    if schema > Old::SCHEMA {
        return Err(format!(
            "state has schema {schema}, this plugin speaks schema {} and migrates from {}",
            New::SCHEMA,
            Old::SCHEMA
        ));
    }
    migrate(Old::load(schema, snapshot)?)
        .outcome()
        .map_err(|error| {
            format!(
                "migrating state from schema {} to {}: {error}",
                Old::SCHEMA,
                New::SCHEMA
            )
        })
}

/// Why a state without a downgrade function cannot be saved in the format of `schema`.
pub fn no_downgrade<S: State>(schema: u32) -> String {
    let own = S::SCHEMA;
    if schema > own {
        return too_new_to_save::<S>(schema);
    }
    format!(
        "asked for schema {schema}, this plugin speaks schema {own} and has no downgrade function: \
         write #[plugin_api::state(schema = {own}, downgrade = to_v{schema})]"
    )
}

/// Why a state without a migrate function cannot be loaded from the format of `schema`.
pub fn no_migrate<S: State>(schema: u32) -> String {
    let own = S::SCHEMA;
    if schema > own {
        return too_new_to_load::<S>(schema);
    }
    format!(
        "state has schema {schema}, this plugin speaks schema {own} and has no migrate function: \
         write #[plugin_api::state(schema = {own}, migrate = from_v{schema})]"
    )
}

fn too_new_to_save<S: State>(schema: u32) -> String {
    let own = S::SCHEMA;
    format!("asked for schema {schema}, the newest this plugin speaks is {own}")
}

fn too_new_to_load<S: State>(schema: u32) -> String {
    let own = S::SCHEMA;
    format!("state has schema {schema}, the newest this plugin speaks is {own}")
}

/// One link of the chain, which must lead to a lower number: otherwise walking it would not end.
struct Link<New, Old>(New, Old);

impl<New: State, Old: State> Link<New, Old> {
    const POINTS_BACK: () = assert!(
        Old::SCHEMA < New::SCHEMA,
        "migrate and downgrade lead to an older state: its schema must be lower than this one's"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[crate::state(schema = 3, migrate = from_v2, downgrade = to_v2)]
    #[derive(Debug, PartialEq)]
    struct Counter {
        total: u64,
        calls: u64,
        name: String,
    }

    #[crate::state(schema = 2, migrate = from_v1, downgrade = to_v1)]
    struct CounterV2 {
        total: u64,
        calls: u64,
    }

    #[crate::state(schema = 1)]
    struct CounterV1 {
        total: u64,
    }

    fn from_v1(old: CounterV1) -> CounterV2 {
        CounterV2 {
            total: old.total,
            calls: 0,
        }
    }

    fn from_v2(old: CounterV2) -> Result<Counter, String> {
        if old.total == 13 {
            return Err("13 is bad luck".to_owned());
        }
        Ok(Counter {
            total: old.total,
            calls: old.calls,
            name: "old".to_owned(),
        })
    }

    fn to_v2(new: &Counter) -> CounterV2 {
        CounterV2 {
            total: new.total,
            calls: new.calls,
        }
    }

    fn to_v1(new: &CounterV2) -> CounterV1 {
        CounterV1 { total: new.total }
    }

    #[test]
    fn a_state_comes_back_as_it_went() {
        let counter = Counter {
            total: 1,
            calls: 2,
            name: "three".to_owned(),
        };
        let saved = counter.save(3).unwrap();
        assert_eq!(Counter::load(3, &saved).unwrap(), counter);
    }

    #[test]
    fn an_old_state_is_migrated_link_by_link() {
        let saved = CounterV1 { total: 7 }.save(1).unwrap();
        let counter = Counter::load(1, &saved).unwrap();
        assert_eq!((counter.total, counter.name.as_str()), (7, "old"));
    }

    #[test]
    fn a_state_goes_down_link_by_link() {
        let counter = Counter {
            total: 7,
            calls: 2,
            name: String::new(),
        };
        assert_eq!(
            CounterV2::load(2, &counter.save(2).unwrap()).unwrap().calls,
            2
        );
        assert_eq!(
            CounterV1::load(1, &counter.save(1).unwrap()).unwrap().total,
            7
        );
    }

    #[test]
    fn a_migrate_function_can_refuse() {
        let saved = CounterV2 {
            total: 13,
            calls: 0,
        }
        .save(2)
        .unwrap();
        assert_eq!(
            Counter::load(2, &saved).unwrap_err(),
            "migrating state from schema 2 to 3: 13 is bad luck"
        );
    }

    #[crate::state(schema = 4)]
    struct Alone {
        total: u64,
    }

    #[crate::state(schema = 9, migrate = skip, downgrade = skip_back)]
    struct Skipping {
        total: u64,
    }

    fn skip(old: Alone) -> Skipping {
        Skipping { total: old.total }
    }

    fn skip_back(new: &Skipping) -> Alone {
        Alone { total: new.total }
    }

    #[test]
    fn what_is_out_of_reach_is_said_with_what_to_write() {
        let alone = Alone { total: 1 };
        let skipping = Skipping { total: 1 };
        for (error, message) in [
            (
                Alone::load(3, &[]).err(),
                "state has schema 3, this plugin speaks schema 4 and has no migrate function: \
                 write #[plugin_api::state(schema = 4, migrate = from_v3)]",
            ),
            (
                Alone::load(5, &[]).err(),
                "state has schema 5, the newest this plugin speaks is 4",
            ),
            (
                alone.save(3).err(),
                "asked for schema 3, this plugin speaks schema 4 and has no downgrade function: \
                 write #[plugin_api::state(schema = 4, downgrade = to_v3)]",
            ),
            (
                alone.save(5).err(),
                "asked for schema 5, the newest this plugin speaks is 4",
            ),
            (
                Skipping::load(6, &[]).err(),
                "state has schema 6, this plugin speaks schema 9 and migrates from 4",
            ),
            (
                skipping.save(6).err(),
                "asked for schema 6, this plugin goes down from 9 to 4",
            ),
        ] {
            assert_eq!(error.unwrap(), message);
        }
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let message = Alone::load(4, b"\x81\xa5tot").err().unwrap();
        assert!(
            message.starts_with("reading state of schema 4: "),
            "{message}"
        );
        assert!(message.ends_with("a new schema number and a migrate function"));
    }
}
