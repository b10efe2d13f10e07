#[plugin_api::interface]
trait Sums<T> {
    fn add<U>(&self, a: T, b: U) -> u64;

    const ZERO: u64;

    async fn later(&self);

    fn of(self) -> u64;

    fn clone(&self) -> u64;
}

fn main() {}
