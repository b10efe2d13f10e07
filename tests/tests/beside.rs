//! Beside one another: `&self` methods go without a lock while nobody calls a `&mut self` method, which has the plugin alone
//! all the same.

use host::{Handle, Host};
use rustix::thread::gettid;
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tests::{Artifact, Hold, Scene, number, until};

#[path = "../guests/interfaces/twins.rs"]
mod interface;
use interface::Twins;

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

fn twins(host: &Host) -> Handle<dyn Twins> {
    host.handle("twins").expect("a handle")
}

/// Threads that look at the twins all the time.
struct Lookers {
    looks: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Lookers {
    fn start(host: &Host) -> Self {
        let (looks, ended) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let look = || {
            let (twins, looks, ended) = (twins(host), Arc::clone(&looks), Arc::clone(&ended));
            thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    assert_eq!(twins.are_equal(), Ok(true), "a change half made");
                    looks.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let threads = (0..2).map(|_| look()).collect();
        Lookers {
            looks,
            ended,
            threads,
        }
    }

    /// Waits until they have looked so often once more.
    fn wait(&self, looks: u64) {
        let wanted = self.looks.load(Ordering::Relaxed) + looks;
        until("the twins were looked at", || {
            let is_it_over = self.threads.iter().any(JoinHandle::is_finished);
            assert!(!is_it_over, "a thread has seen what it must not");
            (self.looks.load(Ordering::Relaxed) >= wanted).then_some(())
        });
    }

    fn end(self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("they were equal all the time");
        }
    }
}

#[test]
fn nobody_sees_a_change_half_made() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("twins"));
    let (lookers, twins) = (Lookers::start(&host), twins(&host));
    let mut changes = 0;
    // Now after many looks, and so while they go without the lock, now after few or none.
    for looks in [100_000, 0, 1000, 10_000].repeat(10) {
        lookers.wait(looks);
        for _ in 0..3 {
            changes += 1;
            assert_eq!(twins.change(), Ok(2 * changes));
        }
        changes += 1;
        assert_eq!(
            number(&host, "twins", "change_by_name", ""),
            2 * changes,
            "by name"
        );
    }
    lookers.end();
}

#[test]
fn nobody_sees_a_change_half_made_or_loses_one_through_swaps() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("twins"));
    let (lookers, twins) = (Lookers::start(&host), twins(&host));
    let ended = Arc::new(AtomicBool::new(false));
    let changing = {
        let (ended, looks) = (Arc::clone(&ended), Arc::clone(&lookers.looks));
        thread::spawn(move || {
            let mut changes = 0;
            while !ended.load(Ordering::Relaxed) {
                changes += 1;
                assert_eq!(twins.change(), Ok(2 * changes));
                // Now at once again, now after others have gone without the lock.
                let wanted = looks.load(Ordering::Relaxed) + changes % 8 * 5000;
                until("the twins were looked at", || {
                    (looks.load(Ordering::Relaxed) >= wanted).then_some(())
                });
            }
            changes
        })
    };
    for build in 1..6 {
        scene.load(&host, &Artifact::of("twins").build(build));
        lookers.wait(10_000);
    }
    ended.store(true, Ordering::Relaxed);
    let changes = changing.join().expect("no change is lost");
    lookers.end();
    assert_eq!(number(&host, "twins", "sum", ""), 2 * changes);
}

/// Whether the thread with this number sleeps, or is over.
fn rests(thread: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat"));
    // After the name, which is in brackets.
    let state = stat.as_ref().ok().and_then(|stat| stat.rsplit(')').next());
    state.is_none_or(|state| state.trim().starts_with('S'))
}

/// A method goes on that the waiting one would hold back if all went by the lock: it waits for the held one before it
/// asks for the lock.
#[test]
fn calls_go_without_the_lock_before_long_when_nobody_calls_alone() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.call.timeout = Duration::from_millis(200);
    let host = scene.start();
    scene.load(&host, &Artifact::of("twins"));
    let others = twins(&host);
    until("a method is not held back by one that waits", || {
        // Often enough that it pays to open it.
        let equal = (0..200_000).filter(|_| others.are_equal() == Ok(true));
        assert!(equal.count() > 0);
        let hold = Hold::new();
        let (holding, at) = (twins(&host), hold.path().display().to_string());
        let held = thread::spawn(move || holding.hold(&at));
        let inside = hold.wait();
        let (changing, (told, number)) = (twins(&host), mpsc::channel());
        let waiting = thread::spawn(move || {
            told.send(gettid().as_raw_nonzero().get())
                .expect("the test waits");
            changing.change()
        });
        let waits = number.recv().expect("it begins");
        until("the change waits or is over", || rests(waits).then_some(()));
        // Often enough that it has come to where it waits.
        let was_let_in = (0..20_000).all(|_| others.are_equal() == Ok(true));
        let has_waited = !waiting.is_finished();
        drop(inside);
        // Where the machine was too slow for the time-outs, it is tried again.
        let returned = held.join().expect("it returns").is_ok();
        let changed = waiting.join().expect("it returns").is_ok();
        (was_let_in && has_waited && returned && changed).then_some(())
    });
}
