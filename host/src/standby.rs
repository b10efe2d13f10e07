//! The standby: an examiner that was started ahead of its artifact, so that no swap waits for a process to start.
//!
//! A start takes longer than all else of an examination: the program is large, and is linked each time. So after an
//! examination, once it has been *quiet* for a moment, the next examiner is started; it waits at its *post* until there is an
//! artifact for it. An examination that finds the post vacant (the first, one of several side by side) starts its own.
//!
//! # States of the post
//! - *vacant*: nobody waits.
//! - *manned*: one waits. An examination takes it away, which leaves the post vacant.
//! - *closed*: the host has ended. Nobody waits there any more.
//!
//! # Invariants
//! 1. At most one waits, and none before the first examination.
//! 2. Nobody comes back to the post: each examines one artifact, and ends.
//! 3. One that goes before its first stage has touched nothing, so no artifact is judged by it: another is started.
//! 4. One whose program was replaced while it waited examines nothing.
//! 5. One that does not begin soon (somebody has stopped it) is ended, and another started, with the time that is left.
//!
//! # Who may touch what
//! The post has a lock. Examinations take from it, and only the starter's thread mans it. It holds the lock while it starts a
//! process: who comes then waits for that one, which takes no longer than to start another.
//!
//! The kernel ends an examiner with the *thread* that has started it: so it ends with a host that is killed, whatever its
//! artifact does. That is why the starter's thread lives as long as [`Examiners`], which whoever examines has borrowed.

use crate::{
    child::{Examined, Examiner},
    deadline,
    examiner::{Order, Supply},
};
use anyhow::Result;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// So long nothing is examined before the next examiner is started. The swap that the last one was for is over by then, and
/// loses no processor to it.
const QUIET: Duration = Duration::from_millis(100);

/// So long a standby may take to begin, where that is not more than a quarter of all its time.
const BEGINS: Duration = Duration::from_secs(1);

/// Who examines artifacts: each in a process of its own, one of which may have been started ahead.
pub(crate) struct Examiners {
    program: PathBuf,
    post: Arc<Mutex<Post>>,
    starter: Option<Starter>,
}

/// Where a standby waits.
#[derive(Default)]
struct Post {
    waits: Option<Standby>,
    is_closed: bool,
}

/// An examiner that waits for its order.
struct Standby {
    examiner: Examiner,
    build: Build,
}

/// The thread that starts examiners ahead. It ends with its bell.
struct Starter {
    bell: Sender<()>,
    thread: JoinHandle<()>,
}

impl Examiners {
    /// Processes of this program, each started when it is needed.
    pub(crate) fn new(program: PathBuf) -> Examiners {
        Examiners {
            program,
            post: Arc::default(),
            starter: None,
        }
    }

    /// Processes of this program, one of them started ahead from the first examination on.
    ///
    /// # Errors
    /// The thread for that could not be started.
    pub(crate) fn with_standby(program: PathBuf) -> io::Result<Examiners> {
        let mut examiners = Examiners::new(program.clone());
        let post = Arc::clone(&examiners.post);
        let (bell, rung) = bounded(1);
        let thread = std::thread::Builder::new()
            .name("standby".to_owned())
            .spawn(move || {
                while is_quiet_after_a_ring(&rung) {
                    post.lock().man(&program);
                }
            })?;
        examiners.starter = Some(Starter { bell, thread });
        Ok(examiners)
    }

    /// Has an artifact examined, for at most `limit`. `data` is given to one that reads some.
    ///
    /// # Errors
    /// The platform's: a process could not be started, listened to, or waited for.
    pub(crate) fn examine(
        &self,
        order: &Order,
        limit: Duration,
        data: Option<&Supply>,
    ) -> Result<Examined> {
        let deadline = deadline::after(limit);
        let by_standby = self.take();
        let begins_by = deadline::after(BEGINS.min(limit / 4));
        let by_standby =
            by_standby.map(|standby| standby.examine(order, data, begins_by, deadline));
        let heard = match by_standby.transpose()? {
            Some(heard) if heard.has_begun() || Instant::now() >= deadline => heard,
            _ => Examiner::start(&self.program)?.examine(order, data, deadline, deadline)?,
        };
        // A program that has not begun may be no examiner, and go on for ever if nobody gives it up.
        if let Some(starter) = self.starter.as_ref().filter(|_| heard.has_begun()) {
            // Full means that it rings anyway.
            let _full = starter.bell.try_send(());
        }
        Ok(heard.judge(limit))
    }

    /// Whoever waits at the post, if it is of the program that is there now.
    fn take(&self) -> Option<Examiner> {
        let standby = self.post.lock().waits.take()?;
        let is_current = Build::of(&self.program).as_ref() == Some(&standby.build);
        is_current.then_some(standby.examiner)
    }

    /// Ends whoever waits, and lets nobody wait any more.
    pub(crate) fn close(&self) {
        let mut post = self.post.lock();
        post.is_closed = true;
        post.waits = None;
    }
}

impl Drop for Examiners {
    fn drop(&mut self) {
        self.close();
        if let Some(Starter { bell, thread }) = self.starter.take() {
            drop(bell);
            if thread.join().is_err() {
                tracing::error!("the thread that starts examiners has panicked");
            }
        }
    }
}

impl Post {
    /// Starts an examiner that waits here, if none does.
    fn man(&mut self, program: &Path) {
        if self.is_closed || self.waits.is_some() {
            return;
        }
        // Looked at before the start: should it be replaced in between, what was started is not used. One that cannot be
        // looked at could be replaced unnoticed.
        let Some(build) = Build::of(program) else {
            return;
        };
        match Examiner::start(program) {
            Ok(examiner) => self.waits = Some(Standby { examiner, build }),
            Err(error) => tracing::warn!("no examiner waits for the next artifact: {error:#}"),
        }
    }
}

/// Waits for the bell, and then until it has not rung for a while. Says whether there is still a bell.
fn is_quiet_after_a_ring(rung: &Receiver<()>) -> bool {
    if rung.recv().is_err() {
        return false;
    }
    loop {
        match rung.recv_timeout(QUIET) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// What tells a program from another that takes its place.
#[derive(PartialEq, Eq)]
struct Build {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Build {
    /// The one that a start would run now, unless it cannot be told.
    fn of(program: &Path) -> Option<Build> {
        let file = std::fs::metadata(program).ok()?;
        Some(Build {
            device: file.dev(),
            inode: file.ino(),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Verdict;
    use std::{fs, os::unix::fs::PermissionsExt, process::Command};
    use tempfile::TempDir;

    const LIMIT: Duration = Duration::from_secs(60);

    /// A folder with an examiner in it, and the examiners of that program.
    struct Ground {
        folder: TempDir,
        examiners: Examiners,
    }

    impl Ground {
        /// Examiners that `do` this between their first stage and a verdict, which is what `$said` says and their number.
        fn new(does: &str) -> Ground {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let program = folder.path().join("examiner");
            let ground = Ground {
                examiners: Examiners::with_standby(program).expect("a thread"),
                folder,
            };
            ground.put(does);
            ground
        }

        /// Puts another program in the place of the one that is there.
        fn put(&self, does: &str) {
            let next = self.folder.path().join("next");
            let script = format!(
                "#!/bin/sh\ncd '{}'\nread order || exit 2\n\
                 echo '{{\"tells\":\"stage\",\"stage\":\"working\"}}' >&0\n{does}\n\
                 echo '{{\"tells\":\"found\",\"verdict\":{{\"verdict\":\"refused\",\"reason\":\"'$said$$'\"}},\
                 \"lasting\":true}}' >&0\n",
                self.folder.path().display()
            );
            fs::write(&next, script).expect("written");
            fs::set_permissions(&next, fs::Permissions::from_mode(0o700)).expect("executable");
            // Another test that starts a process at this moment may hold it open for a moment more.
            until("it can be run", || Command::new(&next).output().ok());
            fs::rename(&next, &self.examiners.program).expect("replaced");
        }

        fn examine(&self) -> Verdict {
            let examined = self.examiners.examine(&Order::any("liba.so"), LIMIT, None);
            examined.expect("it is started").verdict
        }

        /// What the examiner has said for its reason.
        fn said(&self) -> String {
            match self.examine() {
                Verdict::Refused { reason } => reason,
                other => panic!("{other:?}"),
            }
        }

        /// Who waits at the post, once somebody does.
        fn standby(&self) -> String {
            until("an examiner waits", || {
                let post = self.examiners.post.lock();
                Some(post.waits.as_ref()?.examiner.number().to_string())
            })
        }

        /// Waits until this file is there.
        fn comes(&self, file: &str) {
            until(file, || {
                self.folder.path().join(file).exists().then_some(())
            });
        }

        fn write(&self, file: &str) {
            fs::write(self.folder.path().join(file), "").expect("written");
        }
    }

    fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(found) = condition() {
                return found;
            }
            assert!(Instant::now() < end, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether there is a process with this number, be it one that has ended and not been waited for.
    fn is_there(number: &str) -> bool {
        Path::new("/proc").join(number).exists()
    }

    fn signal(signal: &str, number: &str) {
        let sent = Command::new("kill").args([signal, number]).status();
        assert!(sent.expect("it can be run").success());
    }

    #[test]
    fn nobody_waits_before_the_first_examination_and_the_next_is_done_by_who_waited() {
        let ground = Ground::new("");
        assert!(ground.examiners.post.lock().waits.is_none());
        let first = ground.said();
        let waits = ground.standby();
        assert_ne!(first, waits);
        assert_eq!(ground.said(), waits);
    }

    #[test]
    fn a_process_examines_one_artifact_and_ends() {
        let ground = Ground::new("");
        let mut all: Vec<String> = (0..4)
            .map(|_| {
                let said = ground.said();
                assert!(!is_there(&said), "{said} has not ended");
                assert_ne!(ground.standby(), said);
                said
            })
            .collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4, "{all:?}");
    }

    #[test]
    fn two_examinations_side_by_side_both_get_their_verdict() {
        let ground = Ground::new(": > at-work-$$; while [ ! -e go ]; do sleep 0.01; done");
        ground.write("go");
        ground.said();
        let waits = ground.standby();
        fs::remove_file(ground.folder.path().join("go")).expect("it is there");
        std::thread::scope(|scope| {
            let one = scope.spawn(|| ground.said());
            ground.comes(&format!("at-work-{waits}"));
            let other = scope.spawn(|| ground.said());
            let at_work = || {
                fs::read_dir(ground.folder.path())
                    .expect("a folder")
                    .count()
            };
            // With the program and those of the first examination.
            until("both are at work", || (at_work() == 4).then_some(()));
            ground.write("go");
            assert_eq!(one.join().expect("a verdict"), waits);
            assert_ne!(other.join().expect("a verdict"), waits);
        });
    }

    #[test]
    fn a_standby_that_is_killed_while_it_waits_costs_no_verdict() {
        let ground = Ground::new("");
        ground.said();
        let waits = ground.standby();
        signal("-KILL", &waits);
        assert_ne!(ground.said(), waits);
        assert!(!is_there(&waits), "{waits} has not been waited for");
    }

    #[test]
    fn a_standby_that_is_stopped_while_it_waits_costs_no_verdict() {
        let ground = Ground::new("");
        ground.said();
        let waits = ground.standby();
        signal("-STOP", &waits);
        assert_ne!(ground.said(), waits);
        assert!(!is_there(&waits), "{waits} has not been ended");
    }

    #[test]
    fn an_artifact_that_ends_a_standby_has_crashed_and_the_stage_is_told() {
        let ground = Ground::new("[ -e first ] && { echo gone >&2; kill -SEGV $$; }; : > first");
        ground.said();
        ground.standby();
        let verdict = ground.examine();
        assert_eq!(verdict.word(), "crashed", "{verdict:?}");
        let reason = verdict.reason().expect("it has one");
        assert!(
            reason.contains("SIGSEGV")
                && reason.contains("while working")
                && reason.contains("gone"),
            "{reason}"
        );
    }

    #[test]
    fn a_program_that_was_replaced_is_not_used_in_its_old_form() {
        let ground = Ground::new("said=old-");
        assert!(ground.said().starts_with("old-"));
        let waits = ground.standby();
        ground.put("said=new-");
        assert!(ground.said().starts_with("new-"));
        assert!(!is_there(&waits), "{waits} has not been ended");
        let waits = ground.standby();
        assert_eq!(ground.said(), format!("new-{waits}"));
    }

    #[test]
    fn a_program_that_is_no_examiner_is_not_started_ahead() {
        let mut ground = Ground::new("");
        let (bell, rung) = bounded(1);
        let thread = std::thread::spawn(|| {});
        ground.examiners.starter = Some(Starter { bell, thread });
        ground.said();
        rung.try_recv().expect("another is to be started");
        fs::write(&ground.examiners.program, "#!/bin/sh\nexit 3\n").expect("written");
        let verdict = until("it can be run", || {
            let examined = ground
                .examiners
                .examine(&Order::any("liba.so"), LIMIT, None);
            examined.ok().map(|examined| examined.verdict)
        });
        assert_eq!(verdict.word(), "crashed", "{verdict:?}");
        rung.try_recv().expect_err("no other is to be started");
    }

    #[test]
    fn at_the_end_nobody_waits_and_nobody_comes() {
        let ground = Ground::new("");
        ground.said();
        let waits = ground.standby();
        ground.examiners.close();
        assert!(!is_there(&waits), "{waits} has not ended");
        assert_ne!(ground.said(), waits);
        ground.examiners.post.lock().man(&ground.examiners.program);
        assert!(ground.examiners.post.lock().waits.is_none());

        let ground = Ground::new("");
        ground.said();
        let waits = ground.standby();
        drop(ground);
        assert!(!is_there(&waits), "{waits} has not ended");
    }
}
