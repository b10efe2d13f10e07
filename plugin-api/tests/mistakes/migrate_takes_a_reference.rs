#[plugin_api::state(schema = 2, migrate = from_v1)]
struct Counter {
    total: u64,
    calls: u64,
}

#[plugin_api::state(schema = 1)]
struct CounterV1 {
    total: u64,
}

fn from_v1(old: &CounterV1) -> Counter {
    Counter {
        total: old.total,
        calls: 0,
    }
}

fn main() {
    let _ = <Counter as plugin_api::State>::load(1, &[]);
}
