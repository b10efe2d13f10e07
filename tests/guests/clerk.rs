//! A plugin that calls `calc` through its interface.

#[path = "interfaces/arithmetic.rs"]
mod arithmetic;

use arithmetic::{Arithmetic, Line, Order};
use plugin_api::{CallError, Context, Handle};

/// Keeps a handle.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Clerk {
    asked: u64,
    #[serde(skip)]
    calc: Option<Handle<dyn Arithmetic>>,
}

#[plugin_api::plugin(name = "clerk", version = "1.0.0")]
impl Clerk {
    fn attach(&mut self, ctx: &Context) -> Result<(), CallError> {
        self.calc = Some(ctx.handle("calc")?);
        Ok(())
    }

    /// Adds, by way of `calc`.
    fn add(&self, a: u64, b: u64) -> Result<u64, CallError> {
        self.calc()?.add(a, b)
    }

    /// Counts there, from inside a method that runs alone here.
    fn count(&mut self, by: u64) -> Result<u64, CallError> {
        self.asked += 1;
        self.calc()?.count(by)
    }

    /// Sends an order there and says what came back.
    fn order(&self, item: String, count: u32) -> Result<String, CallError> {
        let order = Order {
            id: 1,
            lines: vec![Line::Pieces { item, count }],
            prices: [("a".to_owned(), (1, 0.5))].into(),
            within: None,
            sealed: Err("open".to_owned()),
        };
        let calc = self.calc()?;
        let back = calc.echo(order.clone())?;
        let checked = calc.check(Order {
            lines: Vec::new(),
            ..order.clone()
        })?;
        Ok(format!("{} {checked:?}", back == order))
    }

    /// Asks for a panic there; tells of it.
    fn fail(&self, why: String) -> Result<String, CallError> {
        let error = self.calc()?.fail(why).err();
        Ok(error.map_or_else(String::new, |error| format!("{:?}: {error}", error.kind)))
    }

    /// Asks for a panic there in a method that runs alone.
    fn fail_half_way(&self) -> Result<String, CallError> {
        let error = self.calc()?.fail_half_way().err();
        Ok(error.map_or_else(String::new, |error| format!("{:?}: {error}", error.kind)))
    }

    /// Tries for a handle on another plugin, and tells how it went.
    fn try_handle(&self, ctx: &Context, plugin: &str) -> String {
        match ctx.handle::<dyn Arithmetic>(plugin) {
            Ok(_) => "there it is".to_owned(),
            Err(error) => format!("{:?}: {error}", error.kind),
        }
    }

    /// Lets go of the handle.
    fn let_go(&mut self) {
        self.calc = None;
    }
}

impl Clerk {
    fn calc(&self) -> Result<&Handle<dyn Arithmetic>, CallError> {
        self.calc.as_ref().ok_or_else(|| CallError {
            kind: plugin_api::FaultKind::UNAVAILABLE,
            message: "it has let go".to_owned(),
        })
    }
}
