//! The attributes of plugin-api; use them through that crate, whose documentation has the examples.
//!
//! Each attribute parses first, collecting every mistake it can name with a span on the offender, and expands only what
//! is free of them. The output speaks of `::plugin_api` alone, so that a plugin depends on nothing else.

mod crossing;
mod data;
mod dataset;
mod interface;
mod json;
mod plugin;
mod state;
mod types;

use proc_macro::TokenStream;

/// Makes a struct or enum usable as an argument, as a result, and inside a state.
///
/// It derives serde's `Serialize` and `Deserialize` by way of plugin-api; serde's own field attributes work as usual.
///
/// ```
/// #[plugin_api::data]
/// struct Point {
///     x: f64,
///     #[serde(default)]
///     y: f64,
/// }
/// ```
///
/// It can stand in an [`interface`](macro@interface) too, where its fields can. There, what has `#[serde(skip)]` stays
/// behind. Two options are for interfaces alone:
///
/// | option | means |
/// |---|---|
/// | `plain` | a struct of numbers, arrays and other plain structs, which becomes `Copy` and `repr(C)`: it crosses as it lies in memory, and `&T` and `&[T]` of it can be lent without a copy |
/// | `by_name` | it goes into no interface: for types that hold one another in a circle |
#[proc_macro_attribute]
pub fn data(arguments: TokenStream, item: TokenStream) -> TokenStream {
    data::expand(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a struct or enum what a plugin reads of the dataset with this name.
///
/// It derives serde's `Deserialize` by way of plugin-api; serde's own attributes work as usual. Whatever the dataset is
/// written in (JSON, TOML, YAML, CSV, MessagePack), the type is read from the parsed content.
///
/// ```
/// use std::collections::BTreeMap;
///
/// #[plugin_api::dataset("rates", check = Rates::check)]
/// struct Rates {
///     base: String,
///     rates: BTreeMap<String, f64>,
/// }
///
/// impl Rates {
///     /// May refuse a revision, before anybody sees it.
///     fn check(&self) -> Result<(), String> {
///         match self.rates.iter().find(|(_, rate)| **rate <= 0.0) {
///             Some((name, rate)) => Err(format!("the rate of {name} is {rate}")),
///             None => Ok(()),
///         }
///     }
/// }
/// ```
///
/// | option | means |
/// |---|---|
/// | `"rates"`, or `name = "rates"` | the dataset's name, as `host.toml` has it in `[data.rates]` |
/// | `check = path` | a function that takes `&Self` and gives a `Result<(), E>`, whose error is told as text: a revision that it refuses is not published |
/// | `bytes` | the dataset has `format = "bytes"`, and the type is a struct of one field without a name, made of the bytes: `struct Blob(Vec<u8>);` |
///
/// The plugin says that it reads it, with [`reads(Rates)`](macro@plugin), and gets it from its context.
#[proc_macro_attribute]
pub fn dataset(arguments: TokenStream, item: TokenStream) -> TokenStream {
    dataset::expand(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a struct or enum a plugin's state, written as MessagePack with field names.
///
/// `schema` is the number of its format. Whoever changes the fields raises it, keeps the old struct under another name,
/// and says how one becomes the other:
///
/// ```
/// #[plugin_api::state(schema = 2, migrate = from_v1, downgrade = to_v1)]
/// #[derive(Default)]
/// struct Counter {
///     total: u64,
///     calls: u64,
/// }
///
/// #[plugin_api::state(schema = 1)]
/// struct CounterV1 {
///     total: u64,
/// }
///
/// fn from_v1(old: CounterV1) -> Counter {
///     Counter { total: old.total, calls: 0 }
/// }
///
/// fn to_v1(new: &Counter) -> CounterV1 {
///     CounterV1 { total: new.total }
/// }
/// # use plugin_api::State;
/// # let old = CounterV1 { total: 3 }.save(1).unwrap();
/// # let new = Counter::load(1, &old).unwrap();
/// # assert_eq!((new.total, new.calls), (3, 0));
/// # assert_eq!(CounterV1::load(1, &new.save(1).unwrap()).unwrap().total, 3);
/// ```
///
/// `migrate` takes the old state and gives the new one, or a `Result` with it. `downgrade` is optional: with it, an older
/// version of the plugin can take the state back. The old struct may have a `migrate` of its own, and so on down the
/// versions.
///
/// A field that is not state (a connection, a cache) is marked `#[serde(skip)]`, begins as its `Default` in the new
/// generation, and is filled by `attach`. A new field with `#[serde(default)]` needs no new schema.
#[proc_macro_attribute]
pub fn state(arguments: TokenStream, item: TokenStream) -> TokenStream {
    state::expand(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a trait an interface, by which plugins are called with plain types: from a service that embeds the host, and from
/// other plugins.
///
/// The trait stands in a crate that both sides depend on, which itself depends on plugin-api alone:
///
/// ```
/// use plugin_api::Context;
///
/// /// What is asked for.
/// #[plugin_api::data]
/// pub struct Order {
///     pub item: String,
///     pub count: u32,
/// }
///
/// #[plugin_api::interface]
/// pub trait Pricing {
///     /// The price of a piece, in cents.
///     fn price(&self, item: &str) -> Option<u64>;
///     /// The price of an order, in cents. The host gives the context; callers do not.
///     fn quote(&self, ctx: &Context, order: Order) -> Result<u64, String>;
///     /// Sets the price of a piece.
///     fn set(&mut self, item: String, cents: u64);
/// }
///
/// /// The plugin writes it as any trait, and says that it offers it.
/// #[plugin_api::state(schema = 1)]
/// #[derive(Default)]
/// struct Prices {
///     cents: std::collections::BTreeMap<String, u64>,
/// }
///
/// #[plugin_api::plugin(name = "prices", version = "1.0.0", offers(Pricing))]
/// impl Prices {}
///
/// impl Pricing for Prices {
///     fn price(&self, item: &str) -> Option<u64> {
///         self.cents.get(item).copied()
///     }
///
///     fn quote(&self, ctx: &Context, order: Order) -> Result<u64, String> {
///         let cents = self.price(&order.item).ok_or("there is no such item")?;
///         plugin_api::info!(at = ?ctx.now(), "quoted");
///         Ok(cents * u64::from(order.count))
///     }
///
///     fn set(&mut self, item: String, cents: u64) {
///         self.cents.insert(item, cents);
///     }
/// }
///
/// /// Another plugin calls it; a service does the same with the host's handle.
/// fn call(ctx: &Context) -> Result<(), plugin_api::CallError> {
///     let prices: plugin_api::Handle<dyn Pricing> = ctx.handle("prices")?;
///     prices.set("apple".to_owned(), 30)?;
///     let price: Option<u64> = prices.price("apple")?;
///     let quote: Result<u64, String> = prices.quote(Order { item: "apple".to_owned(), count: 2 })?;
///     Ok(())
/// }
/// # fn main() {}
/// ```
///
/// # What can cross
/// Numbers up to 64 bits, `bool`, `char`, `()`, `String`, `Duration`; `Vec`, `Option`, `Result`, arrays, tuples up to
/// six, `BTreeMap` and `HashMap` of such types; structs and enums of them with [`data`](macro@data). An argument may also be
/// `&str`, or `&T` and `&[T]` of plain types. What is owned is moved or copied once, what is lent is not.
///
/// # Versions
/// The two sides are compared before they meet: names, types and order. New methods go to the end; then older callers
/// still fit. Any other change is another interface: a caller that knows the older one is told the difference, and no such
/// build is taken while it has a handle.
#[proc_macro_attribute]
pub fn interface(arguments: TokenStream, item: TokenStream) -> TokenStream {
    interface::expand(arguments.into(), item.into()).into()
}

/// Makes the functions of an `impl` block the methods of a plugin, and exports it from the library.
///
/// | option | means | without it |
/// |---|---|---|
/// | `name = "..."` | the plugin's name: lower-case letters, digits, `-` and `_`, beginning with a letter, at most 64 | the package's name |
/// | `version = "..."` | its semantic version | the package's version |
/// | `stateless` | it keeps nothing across swaps | it keeps a [`state`](macro@state) |
/// | `offers(...)` | the interfaces it has: traits with [`interface`](macro@interface) that it implements | it offers none |
/// | `reads(...)` | the hot data it reads: types with [`dataset`](macro@dataset) | it reads none |
/// | `mode = "..."` | `"barrier"`: never two generations at once; `"overlap"`: the next one serves while calls inside this one end; only a stateless plugin can | `"barrier"` with state, `"overlap"` without |
///
/// # Methods
/// A function with `&self` runs concurrently with others, one with `&mut self` runs alone. Arguments and results are
/// plain Rust types, or your own with [`data`](macro@data). An argument is owned, or a reference to something that can be
/// made from owned data (`&str`, `&[T]`, `&Path`, `&T`). A method that returns a `Result` refuses by its `Err`, whose text
/// the caller is told. Doc comments go along: they are what callers see. A first argument `ctx: &Context` is given by
/// the host, not by the caller.
///
/// A function with `&self` can be `async`: while it waits, it keeps no thread. It waits with what its context gives it
/// (`ctx.sleep`, `ctx.call_async`), or with channels, locks and combinators that need no runtime of their own; between two
/// waits it is as quick as a plain method should be, since it runs on its caller's executor. Its future is [`Send`], and
/// owns what it was called with. It is dropped, and nothing else of it executed, when its caller gives up, or when the plugin
/// goes out of service while it is pending. It may be called like any other method: who waits for it with a thread takes it to its
/// end there. A method with `&mut self` waits until no call of the plugin is pending; so a pending call cannot call one of
/// its own plugin's, which is an error.
///
/// ```
/// use plugin_api::{CallError, Context};
/// use std::time::Duration;
///
/// #[derive(Default)]
/// struct Quotes;
///
/// #[plugin_api::plugin(name = "quotes", stateless)]
/// impl Quotes {
///     /// The total, as it is in a second.
///     async fn later(&self, ctx: &Context) -> Result<u64, CallError> {
///         ctx.sleep(Duration::from_secs(1)).await?;
///         ctx.call_async("counter", "total", ()).await
///     }
/// }
/// # fn main() {}
/// ```
///
/// Whatever is not a method (an associated function, a generic helper) goes into another `impl` block.
///
/// # `new` and `attach`
/// Two functions are not methods, and both are optional:
///
/// * `fn new() -> Self` or `fn new(ctx: &Context) -> Self`, or a `Result` with it, makes the value; without it, `Default`
///   does. It must not take what only one generation can have (a port, a lock file): another one may be serving.
/// * `fn attach(&mut self, ctx: &Context)`, or with a `Result<(), _>`, is the last thing before the plugin serves, after
///   its state was restored: the place for connections, timers and jobs.
///
/// ```
/// use plugin_api::Context;
/// use std::{collections::BTreeMap, time::Duration};
///
/// /// Remembers words for a while.
/// #[plugin_api::state(schema = 1)]
/// struct Memory {
///     words: BTreeMap<String, String>,
/// }
///
/// #[plugin_api::plugin(name = "memory", version = "1.0.0")]
/// impl Memory {
///     fn new() -> Self {
///         Memory { words: BTreeMap::new() }
///     }
///
///     fn attach(&mut self, ctx: &Context) -> Result<(), plugin_api::CallError> {
///         ctx.every(Duration::from_secs(3600), "forget", ())?;
///         Ok(())
///     }
///
///     /// Remembers `word`.
///     fn learn(&mut self, word: String, meaning: String) {
///         self.words.insert(word, meaning);
///     }
///
///     /// What `word` means.
///     fn look_up(&self, word: &str) -> Result<String, String> {
///         self.words.get(word).cloned().ok_or_else(|| format!("I know no {word}"))
///     }
///
///     /// Forgets everything.
///     fn forget(&mut self) {
///         plugin_api::info!(words = self.words.len(), "forgetting");
///         self.words.clear();
///     }
/// }
/// # fn main() {}
/// ```
#[proc_macro_attribute]
pub fn plugin(arguments: TokenStream, item: TokenStream) -> TokenStream {
    plugin::expand(arguments.into(), item.into()).into()
}
