//! A plugin that reads the number in the dataset `rates`, in whatever shape its source brings it.

use plugin_api::{Context, Dataset};
use serde_json::Value;
use std::{thread, time::Duration};

/// A number, rows of which the first has a number, or a table with a number at a key.
#[plugin_api::dataset("rates")]
struct Shape(Value);

impl Shape {
    fn number(&self) -> Option<u64> {
        first(&self.0)
    }
}

fn first(value: &Value) -> Option<u64> {
    match value {
        Value::Array(rows) => rows.iter().find_map(first),
        Value::Object(fields) => fields.values().find_map(first),
        other => other.as_u64(),
    }
}

struct Rates {
    rates: Dataset<Shape>,
}

#[plugin_api::plugin(name = "rates", version = "1.0.0", stateless, reads(Shape))]
impl Rates {
    fn new(ctx: &Context) -> Self {
        Rates {
            rates: ctx.dataset(),
        }
    }

    /// The number.
    fn number(&self) -> Option<u64> {
        self.rates.get().number()
    }

    /// The number at the beginning of a call and at its end, so many microseconds later.
    fn twice(&self, micros: u64) -> [Option<u64>; 2] {
        let before = self.number();
        thread::sleep(Duration::from_micros(micros));
        [before, self.number()]
    }
}
