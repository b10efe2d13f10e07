//! What the interposition promises.

use super::*;
use std::sync::Barrier;

#[test]
fn a_thread_that_cannot_be_looked_at_counts_as_alive() {
    let gone = io::Error::from_raw_os_error;
    assert!(is_still_there(Some(7), &Ok(7)));
    assert!(!is_still_there(Some(7), &Ok(8)));
    assert!(is_still_there(None, &Ok(8)));
    assert!(!is_still_there(Some(7), &Err(gone(libc::ENOENT))));
    assert!(!is_still_there(Some(7), &Err(gone(libc::ESRCH))));
    assert!(is_still_there(Some(7), &Err(gone(libc::EMFILE))));
}

#[test]
fn a_thread_is_alive_whatever_its_name() {
    // The kernel keeps fifteen bytes: half of the last letter.
    let thread = std::thread::Builder::new()
        .name("aaaaaaaaaaaaaa\u{e4}".to_owned())
        .spawn(|| Thread::this().is_alive())
        .expect("threads can be started");
    assert!(thread.join().expect("no panic"));
}

#[test]
fn a_range_takes_the_place_of_what_was_mapped_there_before() {
    // No library lies at the first addresses.
    let former = Range::register(0x10, 0x20);
    let beside = Range::register(0x20, 0x30);
    let range = Range::register(0x08, 0x18);
    assert!(find(0x10).is_some_and(|found| Arc::ptr_eq(&found, &range)));
    assert!(find(0x1f).is_none());
    assert!(find(0x20).is_some_and(|found| Arc::ptr_eq(&found, &beside)));
    for range in [former, beside, range] {
        range.release();
    }
    assert!(find(0x10).is_none());
}

static RUN: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn destructor(_object: *mut c_void) {
    RUN.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn a_thread_keeps_the_entries_of_its_home_to_its_end() {
    let range = Range::register(0x40, 0x50);
    let theirs = Arc::clone(&range);
    std::thread::spawn(move || {
        theirs.entries.fetch_add(1, Ordering::SeqCst);
        let entry = Entry {
            range: Arc::clone(&theirs),
            destructor,
            object: std::ptr::null_mut(),
        };
        ENTRIES.with_borrow_mut(|entries| entries.0.push(entry));
        HOME.set(theirs.start);
        theirs.vacate();
        visit();
        assert_eq!(RUN.load(Ordering::SeqCst), 0, "its code is further out");
    })
    .join()
    .expect("no panic");
    assert_eq!(RUN.load(Ordering::SeqCst), 1);
    assert_eq!(range.entries.load(Ordering::SeqCst), 0);
    range.release();
}

/// Says that it runs, and waits until it may end.
unsafe extern "C" fn slow(gates: *mut c_void) {
    // SAFETY: It is the pointer that the test set, to a pair that outlives the thread.
    let (runs, go_on) = unsafe { &*gates.cast::<(Barrier, Barrier)>() };
    runs.wait();
    go_on.wait();
}

#[test]
fn a_key_is_not_settled_while_its_destructor_runs() {
    let at = slow as *const () as usize;
    let range = Range::register(at, at + 1);
    let mut key = 0;
    // SAFETY: `key` is writable, and `slow` may be called with what is set below.
    let status = unsafe { pthread_key_create(&raw mut key, Some(slow)) };
    assert_eq!(status, 0);
    let gates = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        let gates = &gates;
        scope.spawn(move || {
            let gates = std::ptr::from_ref(gates).cast();
            // SAFETY: The key was made above, and is deleted only after this thread's end.
            assert_eq!(unsafe { libc::pthread_setspecific(key, gates) }, 0);
        });
        gates.0.wait();
        assert_eq!(range.settle(), Err(Hold::Entries(1)));
        gates.1.wait();
    });
    while range.settle().is_err() {
        std::thread::yield_now();
    }
    assert!(keys().places.iter().flatten().all(|known| known.key != key));
    range.release();
}
