#[plugin_api::state(schema = 2, downgrade = to_v1)]
struct Counter {
    total: u64,
    calls: u64,
}

#[plugin_api::state(schema = 1)]
struct CounterV1 {
    total: u64,
}

fn to_v1(new: Counter) -> CounterV1 {
    CounterV1 { total: new.total }
}

fn main() {
    let _ = <Counter as plugin_api::State>::load(1, &[]);
}
