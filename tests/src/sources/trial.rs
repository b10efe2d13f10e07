//! The trial: what every kind of source has to go through, whatever its server.
//!
//! The truth is a number, which only grows. A host follows it through a proxy; whatever happens to server and network, it
//! ends up with the truth, and never shows a number after a greater one. Without a notice of the source's own nothing is
//! seen in time, since the dataset is polled once an hour, but where a trial says otherwise.

use super::{Proxy, Serves};
use crate::{
    scene::Scene,
    waiting::{LIMIT, event, until},
};
use crossbeam_channel::Receiver;
use host::{
    Host,
    config::{DatasetConfig, SourceConfig},
    data::Revision,
    event::{Event, Happening},
};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How many changes come at once in a burst.
const BURST: u64 = 10_000;

/// What stands at a source, in the hands of a test.
pub trait Truth {
    /// The source that leads there: on this port, which may be that of a proxy.
    fn source(&self, port: u16) -> SourceConfig;

    /// How the dataset is declared, without its source.
    fn dataset(&self) -> DatasetConfig {
        DatasetConfig {
            poll: Duration::from_secs(3600),
            ..DatasetConfig::default()
        }
    }

    /// The server.
    fn server(&mut self) -> &mut dyn Serves;

    /// Where the server tells its clients to go, in its own bytes, if it serves on this port. A proxy says its own port
    /// instead.
    fn address(&self, _port: u16) -> Option<Vec<u8>> {
        None
    }

    /// Makes this number the truth.
    fn put(&mut self, number: u64);

    /// Makes each of these numbers the truth, as fast as can be.
    fn put_all(&mut self, numbers: Range<u64>) {
        numbers.for_each(|number| self.put(number));
    }

    /// Makes something the truth that is no content of the dataset.
    fn put_garbage(&mut self);

    /// The number in a content.
    fn number(&self, revision: &Revision) -> Option<u64>;
}

/// A host that follows a truth through a proxy.
pub struct Trial<T> {
    /// The truth.
    pub truth: T,
    /// The way there.
    pub proxy: Proxy,
    /// Who follows it.
    pub host: Host,
    /// What that tells.
    pub events: Receiver<Event>,
    /// How it was set up.
    pub scene: Scene,
}

impl<T: Truth> Trial<T> {
    /// A host that follows this truth; `examiner` as for [`Scene::new`].
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn of(mut truth: T, examiner: &str) -> Self {
        let port = truth.server().port();
        let proxy = Proxy::to(port);
        if let (Some(said), Some(instead)) = (truth.address(port), truth.address(proxy.port())) {
            proxy.say_instead(said, instead);
        }
        let mut scene = Scene::new(examiner);
        let mut dataset = truth.dataset();
        dataset.source = Some(truth.source(proxy.port()));
        scene.config.data.insert("rates".to_owned(), dataset);
        let host = scene.start();
        Trial {
            truth,
            proxy,
            events: host.follow(),
            host,
            scene,
        }
    }

    /// The number that the host holds.
    #[must_use]
    pub fn held(&self) -> Option<u64> {
        let held = self.host.data("rates")?;
        self.truth.number(&held)
    }

    /// Waits until the host holds this number.
    ///
    /// # Panics
    /// When it does not.
    pub fn holds(&self, number: u64) {
        let begin = Instant::now();
        while self.held() != Some(number) {
            let status = self.host.datasets();
            assert!(
                begin.elapsed() < LIMIT,
                "waited in vain for {number}: {status:#?}"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for the event that fits.
    pub fn event(&self, what: &str, fits: impl Fn(&Happening) -> bool) -> Event {
        event(&self.events, what, fits)
    }

    /// Stops the host, and starts one again with the same state folder.
    #[must_use]
    pub fn restarted(self, meanwhile: impl FnOnce(&mut T)) -> Self {
        let Trial {
            mut truth,
            proxy,
            host,
            scene,
            ..
        } = self;
        host.shutdown(LIMIT);
        drop(host);
        meanwhile(&mut truth);
        let host = scene.start();
        Trial {
            truth,
            proxy,
            events: host.follow(),
            host,
            scene,
        }
    }
}

/// A reader that looks all the time, and notes a step back.
pub struct Watcher {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<(u64, u64)>>,
}

impl Watcher {
    /// Watches the numbers of a host, read by `number`.
    #[must_use]
    pub fn of(host: &Host, number: impl Fn(&Revision) -> Option<u64> + Send + 'static) -> Self {
        let (ended, host) = (Arc::new(AtomicBool::new(false)), host.clone());
        let for_thread = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let (mut last, mut reads, mut backwards) = (0, 0, 0);
            while !for_thread.load(Ordering::Acquire) {
                let now = host.data("rates").and_then(|held| number(&held));
                if let Some(now) = now {
                    backwards += u64::from(now < last);
                    last = now;
                    reads += 1;
                }
                // Fast enough to see every step, slow enough to leave a processor to the others.
                std::thread::sleep(Duration::from_micros(50));
            }
            (reads, backwards)
        });
        Watcher {
            ended,
            thread: Some(thread),
        }
    }

    /// Ends it: it has looked, and has seen no step back.
    ///
    /// # Panics
    /// When it has, or has not looked at all.
    pub fn saw_no_step_back(mut self) {
        self.ended.store(true, Ordering::Release);
        let thread = self.thread.take().expect("it ends once");
        let (reads, backwards) = thread.join().expect("it does not panic");
        assert!(reads > 0, "nothing was read");
        assert_eq!(backwards, 0, "steps back in {reads} reads");
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
    }
}

/// A change is seen by the source's own notice, and so is the next.
pub fn a_change_is_seen<T: Truth>(truth: T, examiner: &str) {
    let mut trial = Trial::of(truth, examiner);
    for number in 1..=5 {
        trial.truth.put(number);
        trial.holds(number);
    }
}

/// What becomes the truth twice is one revision.
pub fn what_comes_twice_is_one_revision<T: Truth>(truth: T, examiner: &str) {
    let mut trial = Trial::of(truth, examiner);
    trial.truth.put(1);
    trial.holds(1);
    let before = trial.host.data("rates").map(|held| held.record.number);
    for _ in 0..20 {
        trial.truth.put(1);
    }
    trial.truth.put(2);
    trial.holds(2);
    let after = trial.host.data("rates").map(|held| held.record.number);
    assert_eq!(after, before.map(|number| number + 1));
}

/// What is no content is refused, with what was held served on; and what comes after it is seen.
pub fn garbage_is_refused_and_the_last_good_serves<T: Truth>(truth: T, examiner: &str) {
    let mut trial = Trial::of(truth, examiner);
    trial.truth.put(1);
    trial.holds(1);
    trial.truth.put_garbage();
    trial.event("a refusal", |what| {
        matches!(what, Happening::DataRefused { .. })
    });
    assert_eq!(trial.held(), Some(1));
    trial.truth.put(2);
    trial.holds(2);
    until("nothing is refused", || {
        let status = trial.host.datasets().swap_remove(0);
        status.refusal.is_none().then_some(())
    });
}

/// Ten thousand changes in a row come down to the last, with no step back on the way, and without all being published.
pub fn a_burst_comes_down_to_the_last<T: Truth>(
    truth: T,
    examiner: &str,
    read: fn(&Revision) -> Option<u64>,
) {
    let mut trial = Trial::of(truth, examiner);
    trial.truth.put(1);
    trial.holds(1);
    let watcher = Watcher::of(&trial.host, read);
    trial.truth.put_all(2..BURST + 1);
    trial.truth.put(BURST + 1);
    trial.holds(BURST + 1);
    watcher.saw_no_step_back();
}

/// A truth that changes after its server was killed and started again, several times, is seen each time.
pub fn a_killed_server_is_followed_again<T: Truth>(
    truth: T,
    examiner: &str,
    read: fn(&Revision) -> Option<u64>,
) {
    let mut trial = Trial::of(truth, examiner);
    trial.truth.put(1);
    trial.holds(1);
    let watcher = Watcher::of(&trial.host, read);
    for number in 2..=4 {
        trial.truth.server().kill();
        trial.event("the loss", |what| {
            matches!(what, Happening::SourceLost { .. })
        });
        assert_eq!(trial.held(), Some(number - 1), "what was held is served on");
        trial.truth.server().start_again();
        trial.truth.put(number);
        trial.holds(number);
    }
    trial.event("the return", |what| {
        matches!(what, Happening::SourceBack { .. })
    });
    watcher.saw_no_step_back();
}

/// Connections that are cut while the truth changes cost nothing but a moment.
pub fn cut_connections_lose_nothing<T: Truth>(
    truth: T,
    examiner: &str,
    read: fn(&Revision) -> Option<u64>,
) {
    let mut trial = Trial::of(truth, examiner);
    trial.truth.put(1);
    trial.holds(1);
    let watcher = Watcher::of(&trial.host, read);
    for number in 2..=20 {
        trial.proxy.cut();
        trial.truth.put(number);
        trial.holds(number);
    }
    watcher.saw_no_step_back();
}

/// A connection that falls silent without an end is noticed, and another one made.
pub fn a_silent_connection_is_noticed<T: Truth>(truth: T, examiner: &str) {
    let mut trial = Trial::of(truth, examiner);
    trial.truth.put(1);
    trial.holds(1);
    trial.proxy.freeze();
    trial.truth.put(2);
    trial.holds(2);
}

/// A host that starts while its source is down serves the last good, says so, and follows the source when it is back.
pub fn a_host_starts_without_its_source<T: Truth>(truth: T, examiner: &str) {
    let mut trial = Trial::of(truth, examiner);
    trial.truth.put(1);
    trial.holds(1);
    let mut trial = trial.restarted(|truth| truth.server().kill());
    trial.holds(1);
    assert!(trial.host.datasets().swap_remove(0).from_disk);
    trial.truth.server().start_again();
    trial.truth.put(2);
    trial.holds(2);
}

/// What changed while the host was down is there when it starts.
pub fn what_changed_meanwhile_is_there<T: Truth>(truth: T, examiner: &str) {
    let mut trial = Trial::of(truth, examiner);
    trial.truth.put(1);
    trial.holds(1);
    let trial = trial.restarted(|truth| truth.put(2));
    trial.holds(2);
}
