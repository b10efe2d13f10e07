//! What is promised of telling plugins that data has changed.

use super::*;

/// A host that runs errands when the test says so.
#[derive(Default)]
struct Errands {
    queue: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
    told: Mutex<Vec<String>>,
    /// What the next one does who is told.
    then: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Errands {
    fn of(publisher: &Publisher) -> Arc<Errands> {
        let errands = Arc::new(Errands::default());
        let as_messenger = Arc::clone(&errands) as Arc<dyn Messenger>;
        publisher.send_by(Arc::downgrade(&as_messenger));
        errands
    }

    fn run(&self) {
        let errand = self.queue.lock().remove(0);
        errand();
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock())
    }
}

impl Messenger for Errands {
    fn run(&self, _plugin: &Arc<str>, errand: Box<dyn FnOnce() + Send>) {
        self.queue.lock().push(errand);
    }

    fn tell(&self, plugin: &str, dataset: &str) -> Result<(), String> {
        self.told.lock().push(format!("{plugin} {dataset}"));
        let then = self.then.lock().take();
        if let Some(then) = then {
            then();
        }
        Err("no use".to_owned())
    }

    fn look_again(&self) {}
}

#[test]
fn a_revision_is_applied_when_all_have_been_told_and_changes_while_they_wait_are_one() {
    let ground = Ground::new(&["a", "b"]);
    let publisher = ground.open();
    put(&publisher, &[(0, "1"), (1, "1")]).expect("they are valid");
    let errands = Errands::of(&publisher);
    let _stages = [1, 2].map(|number| Guest::serving(&publisher, number, false));
    let applied = || publisher.status(0).and_then(|status| status.applied);
    bring(&publisher, "2");
    bring(&publisher, "3");
    assert_eq!(errands.queue.lock().len(), 2, "each once");
    errands.run();
    assert_eq!(applied(), None);
    errands.run();
    let all = applied().expect("both have been told");
    assert_eq!((all.revision, all.failures.len()), (3, 2));
    assert_eq!(all.failures[0], "plugin \"plugin-1\": no use");
    bring(&publisher, "4");
    drop(errands.queue.lock().drain(..));
    let all = applied().expect("none was told");
    assert_eq!(all.revision, 4);
    assert!(all.failures[0].contains("too many calls wait"), "{all:?}");
    assert_eq!(errands.told.lock().len(), 2);
}

#[test]
fn an_on_change_that_hangs_holds_up_no_publish_no_other_plugin_and_no_successor() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "1");
    let errands = Errands::of(&publisher);
    let hanging = Guest::named("hanging", &publisher, 1, false).serve(&publisher);
    let _other = Guest::named("other", &publisher, 2, false).serve(&publisher);
    let applied = || {
        let status = publisher.status(0)?;
        status.applied.map(|applied| applied.revision)
    };
    let (go, wait) = std::sync::mpsc::channel::<()>();
    *errands.then.lock() = Some(Box::new(move || {
        let _until_the_test_lets_go = wait.recv();
    }));
    bring(&publisher, "2");
    std::thread::scope(|scope| {
        scope.spawn(|| errands.run());
        until("it is told", || *errands.told.lock() == ["hanging a"]);
        errands.run();
        assert_eq!(bring(&publisher, "3"), Decision::Published(3));
        errands.run();
        assert_eq!(errands.told(), ["hanging a", "other a", "other a"]);
        assert_eq!(applied(), None);
        hanging.reader.leave();
        let _successor = Guest::named("hanging", &publisher, 3, false).serve(&publisher);
        assert_eq!(bring(&publisher, "4"), Decision::Published(4));
        errands.run();
        errands.run();
        assert_eq!(errands.told(), ["other a", "hanging a"]);
        assert_eq!(applied(), Some(4));
        drop(go);
    });
    assert_eq!(applied(), Some(4));
    assert!(errands.queue.lock().is_empty(), "the newest was told");
}

#[test]
fn a_panic_in_telling_counts_as_told_in_vain_and_the_next_is_told() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "1");
    let errands = Errands::of(&publisher);
    let _guest = Guest::serving(&publisher, 1, false);
    *errands.then.lock() = Some(Box::new(|| panic!("on purpose")));
    bring(&publisher, "2");
    let run = std::panic::AssertUnwindSafe(|| errands.run());
    assert!(std::panic::catch_unwind(run).is_err());
    let applied = || publisher.status(0).and_then(|status| status.applied);
    let told = applied().expect("it has ended");
    assert!(told.failures[0].contains("panicked"), "{told:?}");
    bring(&publisher, "3");
    errands.run();
    assert_eq!(applied().map(|applied| applied.revision), Some(3));
}
