//! An interface as both sides see it, without a host in between.

use super::*;
use crate::{
    Context,
    context::CallError,
    contract::{FaultKind, PluginObjectBox},
    export::parts,
    face::Table,
    manifest::Manifest,
    testing::{Host, INSIDE, alone},
};

/// What is asked for.
#[crate::data]
#[derive(Debug, PartialEq)]
struct Order {
    item: String,
    count: u32,
}

/// Sums, and more.
#[crate::interface]
trait Arithmetic {
    /// Adds.
    fn add(&self, a: u64, b: u64) -> u64;
    fn quote(&self, ctx: &Context, order: Order) -> Result<String, String>;
    fn longest(&self, words: Vec<String>, than: &str) -> Option<String>;
    fn sum(&self, of: &[f64], scale: &u8) -> f64;
    fn r#move(&mut self, by: i32) -> i32;
    fn fail(&self);
}

#[crate::interface]
trait Empty {}

#[derive(Default)]
struct Calc {
    at: i32,
}

#[crate::plugin(name = "calc", version = "1.0.0", stateless, unexported, offers(Empty))]
impl Bystander {}
#[derive(Default)]
struct Bystander;
impl Empty for Bystander {}

#[crate::state(schema = 1)]
#[derive(Default)]
struct Kept {
    #[serde(skip)]
    calc: Calc,
}

#[crate::plugin(
    name = "calc",
    version = "1.0.0",
    unexported,
    offers(Empty, Arithmetic)
)]
impl Kept {
    fn nothing(&self) {}
}

impl Empty for Kept {}

impl Arithmetic for Kept {
    fn add(&self, a: u64, b: u64) -> u64 {
        a + b
    }

    fn quote(&self, ctx: &Context, order: Order) -> Result<String, String> {
        if order.count == 0 {
            return Err(format!("no {}", order.item));
        }
        Ok(format!(
            "{} {} at {}",
            order.count,
            order.item,
            ctx.random()
        ))
    }

    fn longest(&self, words: Vec<String>, than: &str) -> Option<String> {
        let longest = words.into_iter().max_by_key(String::len)?;
        (longest.len() > than.len()).then_some(longest)
    }

    fn sum(&self, of: &[f64], scale: &u8) -> f64 {
        of.iter().sum::<f64>() * f64::from(*scale)
    }

    fn r#move(&mut self, by: i32) -> i32 {
        self.calc.at += by;
        assert!(self.calc.at < 100, "too far");
        self.calc.at
    }

    fn fail(&self) {
        panic!("it fails");
    }
}

/// Enters at once: the caller sees to it that nobody else is inside.
struct Straight<'a>(&'a PluginObjectBox);

impl<I: Interface + ?Sized> Entrance<I> for Straight<'_> {
    type Error = CallError;

    fn enter<W, R>(
        &self,
        _method: Called,
        call: impl FnOnce(Object, &I::Table) -> Answered<W>,
        keep: impl FnOnce(W) -> R,
    ) -> Result<R, CallError> {
        let face = self.0.face();
        let offer = face.offers.iter().find(|offer| offer.name == I::NAME);
        let table = offer.expect("it is offered").table.address();
        // SAFETY: The tables of this crate's own plugins fit its own interfaces.
        let table = unsafe { Table::reach::<I>(table) };
        INSIDE.set(true);
        let answered = call(face.object, table);
        INSIDE.set(false);
        answered.into_result().map(keep).map_err(|fault| *fault)
    }
}

fn with_client<R>(
    work: impl FnOnce(<dyn Arithmetic as Interface>::Client<Straight<'_>>) -> R,
) -> R {
    let _turn = alone();
    let plugin = Host::default().create::<Kept>().expect("it is created");
    work(<dyn Arithmetic>::client(Straight(&plugin)))
}

#[test]
fn a_client_calls_the_plugins_own_trait() {
    with_client(|calc| {
        assert_eq!(calc.add(2, 3), Ok(5));
        let order = |count| Order {
            item: "apples".to_owned(),
            count,
        };
        assert_eq!(calc.quote(order(3)), Ok(Ok("3 apples at 4".to_owned())));
        assert_eq!(calc.quote(order(0)), Ok(Err("no apples".to_owned())));
        let words = || vec!["a".to_owned(), "abc".to_owned()];
        assert_eq!(calc.longest(words(), "ab"), Ok(Some("abc".to_owned())));
        assert_eq!(calc.longest(words(), "abcd"), Ok(None));
        assert_eq!(calc.sum(&[1.0, 2.0], &2), Ok(6.0));
        assert_eq!(calc.r#move(4), Ok(4));
        assert_eq!(calc.r#move(-5), Ok(-1));
    });
}

#[test]
fn a_panic_is_a_fault_with_its_place() {
    with_client(|calc| {
        let fault = calc.fail().unwrap_err();
        assert_eq!(fault.kind, FaultKind::PANICKED);
        let place = "it fails at plugin-api/src/interface/tests.rs:";
        assert!(fault.message.starts_with(place), "{fault}");
        let fault = calc.r#move(100).unwrap_err();
        assert!(fault.message.starts_with("too far at "), "{fault}");
        // And it is still there.
        assert_eq!(calc.add(2, 3), Ok(5));
    });
}

#[test]
fn what_a_plugin_offers_stands_in_its_manifest() {
    let manifest =
        |parts: &[&str]| -> Manifest { serde_json::from_str(&parts.concat()).expect("a manifest") };
    let kept = manifest(&parts::<Kept>());
    let names: Vec<&str> = kept.interfaces.iter().map(|i| i.name.as_str()).collect();
    assert_eq!(names, ["Empty", "Arithmetic"]);
    let described: crate::manifest::Interface =
        serde_json::from_str(<dyn Arithmetic>::DESCRIPTION).expect("a description");
    assert_eq!(kept.interfaces[1], described);
    let text: Vec<String> = described.methods[1..5]
        .iter()
        .map(|method| {
            let arguments: Vec<String> = method
                .arguments
                .iter()
                .map(|argument| format!("{}: {}", argument.name, argument.r#type.shape))
                .collect();
            format!(
                "{}({}) -> {}",
                method.name,
                arguments.join(", "),
                method.returns.shape
            )
        })
        .collect();
    assert_eq!(
        text,
        [
            "quote(order: Order{item: String, count: u32}) -> Result<String, String>",
            "longest(words: Vec<String>, than: &str) -> Option<String>",
            "sum(of: &[f64], scale: &u8) -> f64",
            "move(by: i32) -> i32",
        ]
    );
    assert!(described.methods[4].exclusive && !described.methods[3].exclusive);
    assert_eq!(manifest(&parts::<Bystander>()).interfaces.len(), 1);
}
