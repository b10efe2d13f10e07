//! A plugin that reads two datasets, and looks at them in every way there is.

#[path = "../held.rs"]
mod held;

use plugin_api::{CallError, Context, Dataset};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

/// One of two that are changed together.
#[plugin_api::dataset("left", check = Left::check)]
struct Left {
    number: u64,
    /// On the heap, so that a stale look is noticed.
    #[serde(default)]
    words: Vec<String>,
}

impl Left {
    fn check(&self) -> Result<(), String> {
        if self.number == 13 {
            return Err("13 brings no luck".to_owned());
        }
        Ok(())
    }
}

/// The other.
#[plugin_api::dataset(name = "right")]
struct Right(u64);

struct Reads {
    left: Dataset<Left>,
    right: Dataset<Right>,
    kept: Arc<Mutex<Vec<u64>>>,
    told: Mutex<Vec<String>>,
    seen: AtomicU64,
}

#[plugin_api::plugin(name = "reads", version = "1.0.0", stateless, reads(Left, Right))]
impl Reads {
    fn new(ctx: &Context) -> Self {
        let left: Dataset<Left> = ctx.dataset();
        assert!(
            left.get().number > 0,
            "what is published can be read already"
        );
        Reads {
            left,
            right: ctx.dataset(),
            kept: Arc::default(),
            told: Mutex::default(),
            seen: AtomicU64::new(0),
        }
    }

    /// Both.
    fn both(&self) -> (u64, u64) {
        (self.left.get().number, self.right.get().0)
    }

    /// Both, before and after the test at that socket lets go.
    fn held(&self, at: &str) -> Result<[(u64, u64); 2], String> {
        let before = self.both();
        held::until_released(at)?;
        Ok([before, self.both()])
    }

    /// Its own and the other plugin's, before and after the test at that socket lets go.
    fn nested(&self, ctx: &Context, at: &str) -> Result<[u64; 4], CallError> {
        let before = (self.left.get().number, ctx.call("echoes", "left", ())?);
        held::until_released(at).map_err(other)?;
        let after = (ctx.call("echoes", "left", ())?, self.left.get().number);
        Ok([before.0, before.1, after.0, after.1])
    }

    /// The other plugin's, before and after the test at that socket lets go; its own last.
    fn nested_first(&self, ctx: &Context, at: &str) -> Result<[u64; 3], CallError> {
        let before = ctx.call("echoes", "left", ())?;
        held::until_released(at).map_err(other)?;
        let after = ctx.call("echoes", "left", ())?;
        Ok([before, after, self.left.get().number])
    }

    /// Its own and the other plugin's, before and after an `async` call of that one, which the test lets go of.
    async fn over_awaits(&self, ctx: &Context, at: &str) -> Result<[u64; 5], CallError> {
        let before = self.left.get().number;
        let other: u64 = ctx.call_async("echoes", "left", ()).await?;
        let held: u64 = ctx.call_async("echoes", "held", (at,)).await?;
        let again: u64 = ctx.call_async("echoes", "later", ()).await?;
        Ok([before, other, held, again, self.left.get().number])
    }

    /// Has a job keep a look until the test at that socket lets go.
    fn keep(&self, ctx: &Context, at: String) -> Result<(), CallError> {
        let (left, kept) = (self.left.clone(), Arc::clone(&self.kept));
        ctx.spawn("keep", move |_job| {
            let look = left.get();
            let words = look.words.clone();
            let waited = held::until_released(&at);
            let mut kept = kept.lock().expect("nobody panics");
            kept.extend([look.number, left.get().number]);
            if waited.is_err() || words != look.words {
                kept.push(u64::MAX);
            }
        })
    }

    /// What the job saw: by its first look, and by one after that.
    fn kept(&self) -> Vec<u64> {
        self.kept.lock().expect("nobody panics").clone()
    }

    /// Looks at both so often, and says what was wrong.
    fn check(&self, often: u64) -> Result<u64, String> {
        for _ in 0..often {
            let left = self.left.get();
            let right = self.right.get();
            if left.number != right.0 {
                return Err(format!("{} and {} in one call", left.number, right.0));
            }
            if left
                .words
                .iter()
                .any(|word| *word != left.number.to_string())
            {
                return Err(format!("{} has {:?}", left.number, left.words));
            }
        }
        Ok(self.left.get().number)
    }

    /// Looks at both so often, with nothing else.
    fn sum(&self, often: u64) -> u64 {
        (0..often).fold(0, |sum: u64, _| sum.wrapping_add(self.right.get().0))
    }

    /// Has the other plugin look so often, and looks itself before each time where it is to.
    fn in_turns(&self, ctx: &Context, often: u64, looks: bool) -> Result<u64, CallError> {
        (0..often).try_fold(0, |sum: u64, _| {
            let own = if looks { self.left.get().number } else { 0 };
            let other: u64 = ctx.call("echoes", "left", ())?;
            Ok(sum.wrapping_add(own + other))
        })
    }

    /// Notes it, and waits at the socket that the data names.
    fn on_change(&self, dataset: &str) -> Result<(), String> {
        let (number, at) = {
            let left = self.left.get();
            (left.number, left.words.first().cloned())
        };
        let told = format!("{dataset} {number}");
        self.told.lock().expect("nobody panics").push(told);
        self.seen.store(number, Ordering::Relaxed);
        match at {
            Some(at) if at == "fail" => Err("no use for it".to_owned()),
            Some(at) if at == "panic" => panic!("no use at all"),
            Some(at) if at.starts_with('/') => held::until_released(&at),
            _ => Ok(()),
        }
    }

    /// What it was told.
    fn told(&self) -> Vec<String> {
        self.told.lock().expect("nobody panics").clone()
    }
}

fn other(message: String) -> CallError {
    CallError {
        kind: plugin_api::FaultKind::REFUSED,
        message,
    }
}
