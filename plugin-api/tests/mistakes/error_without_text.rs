#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Counter {
    total: u64,
}

struct Overflow;

#[plugin_api::plugin]
impl Counter {
    fn add(&mut self, by: u64) -> Result<u64, Overflow> {
        self.total = self.total.checked_add(by).ok_or(Overflow)?;
        Ok(self.total)
    }
}

fn main() {}
