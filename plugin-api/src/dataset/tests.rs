//! What a dataset promises to its reader, with and without a host.

use crate::{
    Context, Dataset,
    contract::{FORMAT_BYTES, FORMAT_JSON, FaultKind, Glance, ParsedBox},
    testing::{Host, SEEN, alone},
};
use abi_stable::std_types::RSlice;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

#[plugin_api::dataset("rates", check = Rates::check)]
#[derive(Debug, PartialEq)]
struct Rates {
    eur: f64,
    #[serde(default)]
    others: BTreeMap<String, f64>,
}

impl Rates {
    fn check(&self) -> Result<(), String> {
        assert!(self.eur < 100.0, "no such rate");
        if self.eur > 0.0 {
            Ok(())
        } else {
            Err(format!("a rate of {}", self.eur))
        }
    }
}

#[plugin_api::dataset(name = "limits")]
struct Limits(#[expect(dead_code, reason = "it is only parsed")] Vec<u64>);

#[plugin_api::dataset("blob", bytes)]
struct Blob(#[expect(dead_code, reason = "it is only parsed")] Vec<u8>);

#[plugin_api::dataset("never")]
struct Never;

struct Pricing {
    rates: Dataset<Rates>,
}

#[plugin_api::plugin(
    name = "pricing",
    version = "1.0.0",
    stateless,
    unexported,
    reads(Rates, Limits, Blob)
)]
impl Pricing {
    fn new(ctx: &Context) -> Self {
        Pricing {
            rates: ctx.dataset(),
        }
    }

    fn eur(&self) -> f64 {
        self.rates.get().eur
    }

    fn never(&self, ctx: &Context) -> bool {
        ctx.dataset::<Never>().try_get().is_some()
    }

    fn on_change(&self, _dataset: &str) {}
}

fn parse(read: u32, format: u32, content: &[u8]) -> Result<ParsedBox, (FaultKind, String)> {
    let parsed = crate::adapter::parse::<Pricing>(read, format, RSlice::from_slice(content));
    parsed
        .into_result()
        .map_err(|fault| (fault.kind, fault.message.to_string()))
}

#[test]
fn the_manifest_lists_what_is_read() {
    use crate::adapter::Plugin;
    assert_eq!(Pricing::READ_NAMES, r#"["rates","limits","blob"]"#);
}

#[test]
fn content_is_parsed_into_its_type_and_checked() {
    let _alone = alone();
    assert!(parse(0, FORMAT_JSON, br#"{"eur":1.5}"#).is_ok());
    assert!(parse(1, FORMAT_JSON, b"[1, 2]").is_ok());
    assert!(parse(2, FORMAT_BYTES, b"\xff").is_ok());
    let said = |read, format, content| {
        let (kind, message) = parse(read, format, content).err().expect("it is refused");
        (kind, message)
    };
    let (kind, message) = said(0, FORMAT_JSON, br#"{"usd":1.5}"#);
    assert_eq!(kind, FaultKind::DATA);
    assert_eq!(message, "missing field `eur` at line 1 column 11");
    let refused = said(0, FORMAT_JSON, br#"{"eur":-1}"#);
    assert_eq!(refused, (FaultKind::DATA, "a rate of -1".to_owned()));
    let (kind, message) = said(0, FORMAT_JSON, br#"{"eur":1000}"#);
    assert_eq!(kind, FaultKind::PANICKED);
    assert!(message.starts_with("no such rate at "), "{message}");
    let (_, message) = said(0, FORMAT_BYTES, b"{}");
    assert!(
        message.contains("`Rates` is read from parsed data"),
        "{message}"
    );
    let (_, message) = said(2, FORMAT_JSON, b"{}");
    assert!(message.contains("`Blob` is read from bytes"), "{message}");
    let (_, message) = said(3, FORMAT_JSON, b"{}");
    assert!(message.contains("number 3"), "{message}");
}

#[test]
fn a_look_is_counted_until_it_ends() {
    let _alone = alone();
    let parsed =
        parse(0, FORMAT_JSON, br#"{"eur":1.5}"#).unwrap_or_else(|(_, message)| panic!("{message}"));
    let looks = AtomicU32::new(0);
    let host = Host::default();
    let context = Context::of(host.services(), <Pricing as crate::adapter::Plugin>::READS);
    let rates: Dataset<Rates> = context.dataset();
    assert!(rates.try_get().is_none(), "nothing is there yet");
    SEEN.set(Glance {
        value: parsed.address().pointer(),
        looks: &raw const looks,
    });
    let look = rates.get();
    let other = rates.clone();
    let again = other.get();
    assert_eq!((look.eur, again.eur), (1.5, 1.5));
    assert_eq!(looks.load(Ordering::Relaxed), 2);
    drop(look);
    assert_eq!(looks.load(Ordering::Relaxed), 1);
    drop(again);
    assert_eq!(looks.load(Ordering::Relaxed), 0);
    SEEN.set(Glance::NOTHING);
    context.close();
    drop((rates, context));
    assert_eq!(host.holders(), 1, "the clone holds the services");
    drop(other);
    assert_eq!(host.holders(), 0);
}

#[test]
fn without_a_host_a_dataset_has_the_value_it_was_made_of() {
    let pricing = Pricing {
        rates: Dataset::of(Rates {
            eur: 2.0,
            others: BTreeMap::new(),
        }),
    };
    assert_eq!(pricing.eur(), 2.0);
    let detached: Dataset<Rates> = Context::detached().dataset();
    assert!(detached.try_get().is_none());
    let panic = std::panic::catch_unwind(move || detached.get().eur).expect_err("it is not filled");
    let text = panic.downcast_ref::<String>().expect("a text");
    assert!(text.contains("ctx.dataset()"), "{text}");
}

#[test]
fn what_the_plugin_has_not_named_is_an_error_that_says_what_to_write() {
    let _alone = alone();
    let host = Host::default();
    let plugin = host.create::<Pricing>().expect("it is made");
    let called = plugin
        .call(1, FORMAT_JSON, RSlice::from_slice(b""))
        .into_result();
    let fault = called.expect_err("it is not named");
    assert!(fault.message.contains("reads(Never)"), "{}", fault.message);
}

/// Says when it is dropped.
struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_value_goes_with_its_parsed_object_whatever_its_drop_does() {
    let _alone = alone();
    thread_local! {
        static DROPS: Arc<AtomicU32> = Arc::default();
    }
    struct Panics(#[expect(dead_code, reason = "it is dropped")] Counted);
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("no dropping");
        }
    }
    impl crate::Content for Panics {
        const NAME: &'static str = "panics";
        const FORM: crate::Form = crate::Form::Json;
        fn parse(_: &[u8]) -> Result<Self, String> {
            Ok(Panics(Counted(DROPS.with(Arc::clone))))
        }
    }
    let reads = [crate::content::Read::of::<Panics>()];
    let parsed = crate::content::answer(&reads, 0, FORMAT_JSON, RSlice::from_slice(b""));
    assert!(parsed.into_result().is_ok(), "and dropped at once");
    assert_eq!(DROPS.with(|drops| drops.load(Ordering::Relaxed)), 1);
}
