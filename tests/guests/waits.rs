//! A plugin with state whose methods wait without a thread, each in its own way.

#[path = "../held.rs"]
mod held;

use plugin_api::{CallError, Context};
use std::{
    future::poll_fn,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

/// Counts naps.
#[derive(Default)]
struct Waits {
    naps: AtomicU64,
    /// Where a snapshot is held.
    held_at: String,
    released: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl plugin_api::State for Waits {
    const SCHEMA: u32 = 1;

    fn save(&self, _schema: u32) -> Result<Vec<u8>, String> {
        if !self.held_at.is_empty() {
            held::until_released(&self.held_at)?;
        }
        Ok(self.naps.load(Ordering::Relaxed).to_le_bytes().to_vec())
    }

    fn load(_schema: u32, snapshot: &[u8]) -> Result<Self, String> {
        let naps = snapshot.try_into().map_err(|_| "eight bytes, please")?;
        Ok(Waits {
            naps: AtomicU64::new(u64::from_le_bytes(naps)),
            ..Waits::default()
        })
    }
}

#[plugin_api::plugin(name = "waits", version = "1.0.0")]
impl Waits {
    /// Waits for so many milliseconds, and counts it.
    async fn nap(&self, ctx: &Context, millis: u64) -> Result<u64, CallError> {
        ctx.sleep(Duration::from_millis(millis)).await?;
        Ok(self.naps.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// How many naps there were.
    fn naps(&self) -> u64 {
        self.naps.load(Ordering::Relaxed)
    }

    /// Waits until it is released.
    async fn wait(&self) -> u64 {
        poll_fn(|context| {
            let mut waiting = self.waiting.lock().expect("nobody panics here");
            if self.released.load(Ordering::Relaxed) {
                return Poll::Ready(self.naps());
            }
            waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Lets go of whoever waits now or later.
    fn release(&self) -> usize {
        let mut waiting = self.waiting.lock().expect("nobody panics here");
        self.released.store(true, Ordering::Relaxed);
        let woken = std::mem::take(&mut *waiting);
        drop(waiting);
        woken.iter().for_each(Waker::wake_by_ref);
        woken.len()
    }

    /// How many wait.
    fn waiting(&self) -> usize {
        self.waiting.lock().expect("nobody panics here").len()
    }

    /// Counts, alone.
    fn count(&mut self) -> u64 {
        *self.naps.get_mut() += 1;
        *self.naps.get_mut()
    }

    /// The next snapshot is held there.
    fn hold_snapshot(&mut self, at: String) {
        self.held_at = at;
    }

    /// Calls a method of its own, which may wait for this one.
    async fn call_own(&self, ctx: &Context, method: &str) -> Result<u64, CallError> {
        ctx.call_async("waits", method, ()).await
    }

    /// The same, with a thread.
    async fn call_own_and_wait(&self, ctx: &Context, method: &str) -> Result<u64, CallError> {
        ctx.call("waits", method, ())
    }

    /// Is held there, and then calls a method of its own with its thread.
    fn hold_and_call_own(&self, ctx: &Context, at: &str, method: &str) -> Result<u64, String> {
        held::until_released(at)?;
        let answered = ctx.call("waits", method, ());
        answered.map_err(|error| error.to_string())
    }

    /// Alone, calls a method of its own by way of another plugin.
    fn call_own_by_another(&mut self, ctx: &Context) -> Result<u64, CallError> {
        ctx.call("relays", "relay", ("waits", "seven", Vec::<u64>::new()))
    }

    /// Keeps its thread for so many milliseconds.
    fn doze(&self, millis: u64) -> u64 {
        std::thread::sleep(Duration::from_millis(millis));
        millis
    }

    /// Waits for nothing.
    async fn seven(&self) -> u64 {
        7
    }

    /// Panics after a while.
    async fn fail(&self, ctx: &Context) -> Result<(), CallError> {
        ctx.sleep(Duration::from_millis(1)).await?;
        panic!("on purpose");
    }
}
