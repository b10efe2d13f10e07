//! A plugin that offers an interface beside its methods by name.

#[path = "interfaces/arithmetic.rs"]
mod arithmetic;
#[path = "../held.rs"]
mod held;

use arithmetic::{Arithmetic, Order, Point};
use plugin_api::Context;

/// Counts.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Calc {
    counted: u64,
}

#[plugin_api::plugin(name = "calc", version = "1.0.0", offers(Arithmetic))]
impl Calc {
    /// What was counted.
    fn counted(&self) -> u64 {
        self.counted
    }
}

impl Arithmetic for Calc {
    fn add(&self, a: u64, b: u64) -> u64 {
        a + b
    }

    fn echo(&self, order: Order) -> Order {
        order
    }

    fn check(&self, ctx: &Context, order: Order) -> Result<usize, String> {
        if order.lines.is_empty() {
            return Err(format!("order {} is empty", order.id));
        }
        plugin_api::debug!(at = ?ctx.now(), "checked");
        Ok(order.lines.len())
    }

    fn middle(&self, of: &[Point], scale: &f64) -> Option<Point> {
        let first = of.first()?;
        let count = of.len() as f64;
        Some(Point {
            x: of.iter().map(|point| point.x).sum::<f64>() / count * scale,
            y: of.iter().map(|point| point.y).sum::<f64>() / count * scale,
            tags: first.tags,
        })
    }

    fn longest(&self, words: Vec<String>, than: &str) -> Option<String> {
        let longest = words.into_iter().max_by_key(String::len)?;
        (longest.len() > than.len()).then_some(longest)
    }

    fn hold(&self, at: &str) -> Result<(), String> {
        held::until_released(at)
    }

    fn count(&mut self, by: u64) -> u64 {
        self.counted += by;
        self.counted
    }

    fn fail(&self, why: String) -> u64 {
        panic!("{why}");
    }

    fn fail_half_way(&mut self) {
        self.counted += 1;
        panic!("half way");
    }
}
