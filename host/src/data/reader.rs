//! A reader: one generation's use of hot data, with all that its library has parsed.
//!
//! A snapshot is *prepared* before it is shown, so that no look waits: what has changed is parsed, the rest is shared with
//! the snapshot before. What is prepared is kept as long as anybody holds the snapshot, for calls that began with it.
//!
//! Parsing runs the author's code. It is done by a [`Hand`], within a limit; where it does not return, the snapshot is not
//! prepared, nothing more is until it does, and the library stays mapped. Old values are dropped by the hand too.
//!
//! # The nearest snapshot
//! A call may see a snapshot that was never prepared here: a successor's, which was loaded after it was shown, in a call
//! that began before; or an outgoing generation's, which is not asked any more. Then it is parsed on demand. Should that
//! fail, the call goes on with the nearest snapshot that is prepared; it does not fail.
//!
//! # Invariants
//! 1. `latest` is prepared for a snapshot that is shown, or was; `older` may have the next one.
//! 2. Every entry that holds something of this reader's is listed.
//! 3. After [`Reader::end`] nothing that the library has made is left here, and nothing is parsed any more.

mod asked;

pub(super) use asked::Asked;

use super::{
    dataset::ReaderStatus,
    entry::{Entry, Held},
    format::Mistake,
    frame::Window,
    prepared::{Kept, Prepared, Value},
    snapshot::{Shown, Snapshot, next_id},
};
use crate::{data::Revision, foreign::parsed::Parse, gate::GateId, hand::Hand};
use arc_swap::ArcSwap;
use asked::parse_all;
use parking_lot::Mutex;
use plugin_api::contract::Lens;
use std::{
    iter,
    sync::{Arc, Weak},
    time::Duration,
};

/// Whose use it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Title {
    /// The plugin.
    pub(crate) plugin: Arc<str>,
    /// The author's version.
    pub(crate) version: Arc<str>,
    /// The generation.
    pub(crate) generation: u64,
    /// Whether it is to be told when something has changed.
    pub(crate) is_told: bool,
}

/// A dataset that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadOf {
    /// Its place.
    pub(crate) place: usize,
    /// Its name.
    pub(crate) dataset: Arc<str>,
}

/// Why a snapshot cannot be used by a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objection {
    /// The place of the dataset that is at fault.
    pub(crate) place: usize,
    /// What is wrong with it, and who says so.
    pub(crate) mistake: Mistake,
}

/// Whether a reader is asked before something is published.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// Its objection is its own misfortune.
    Candidate,
    /// It has objected to what is published since.
    Unfit(String),
    /// Its objection refuses the revision.
    Serving,
    /// It is not asked.
    Leaving,
}

/// One generation's use of hot data.
pub(crate) struct Reader {
    id: u64,
    title: Title,
    reads: Vec<ReadOf>,
    limit: Duration,
    gate_id: GateId,
    shown: Arc<Shown>,
    standing: Mutex<Standing>,
    parser: Mutex<Option<Arc<dyn Parse>>>,
    /// Held, and for a short time only, by whoever keeps something of what was parsed, settles or ends: after the end,
    /// nobody keeps anything.
    hand: Mutex<Option<Hand>>,
    /// What the hand is parsing.
    parsing: Arc<Mutex<Option<Arc<str>>>>,
    latest: ArcSwap<Kept>,
    older: Mutex<Vec<Kept>>,
    entries: Mutex<Vec<Arc<Entry>>>,
    garbage: Arc<Mutex<Garbage>>,
    windows: Box<[Window]>,
}

/// What is to be dropped by the hand.
#[derive(Default)]
pub(crate) struct Garbage {
    held: Vec<Held>,
    kept: Vec<Kept>,
}

/// One value of what is to be prepared.
enum Piece {
    /// Some other snapshot has it.
    There(Arc<Value>),
    /// It is to be parsed: for which read, of what.
    ToParse(u32, ReadOf, Arc<Revision>),
}

impl Reader {
    /// A candidate's use of these datasets.
    pub(crate) fn new(
        title: Title,
        reads: Vec<ReadOf>,
        parser: Arc<dyn Parse>,
        gate_id: GateId,
        shown: Arc<Shown>,
        limit: Duration,
    ) -> Arc<Reader> {
        let id = next_id();
        Arc::new_cyclic(|this: &Weak<Reader>| Reader {
            id,
            windows: (0..reads.len())
                .map(|read| Window::new(this.as_ptr(), id, read))
                .collect(),
            title,
            reads,
            limit,
            gate_id,
            shown,
            standing: Mutex::new(Standing::Candidate),
            parser: Mutex::new(Some(parser)),
            hand: Mutex::new(None),
            parsing: Arc::default(),
            latest: ArcSwap::from_pointee(Kept::nothing()),
            older: Mutex::default(),
            entries: Mutex::default(),
            garbage: Arc::default(),
        })
    }

    /// Whose use it is.
    pub(crate) fn title(&self) -> &Title {
        &self.title
    }

    /// The datasets, in the order of the manifest.
    pub(crate) fn reads(&self) -> &[ReadOf] {
        &self.reads
    }

    /// How the plugin looks at the dataset with this number. The lens is of use as long as this reader is held.
    pub(crate) fn lens(&self, read: u32) -> Option<Lens> {
        self.windows.get(read as usize).map(Window::lens)
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn shown(&self) -> &Shown {
        &self.shown
    }

    pub(super) fn gate_id(&self) -> GateId {
        self.gate_id
    }

    /// It has begun to hold something.
    pub(super) fn list(&self, entry: &Arc<Entry>) {
        self.entries.lock().push(Arc::clone(entry));
    }

    /// How it stands with the dataset in this place.
    pub(super) fn status(&self, place: usize) -> ReaderStatus {
        let read = self.reads.iter().position(|of| of.place == place);
        ReaderStatus {
            plugin: self.title.plugin.to_string(),
            version: self.title.version.to_string(),
            generation: self.title.generation,
            revision: read.and_then(|read| self.revision(read)),
            is_told: self.title.is_told,
        }
    }

    /// The revision that this reader sees of the dataset with this number now.
    pub(crate) fn revision(&self, read: usize) -> Option<u64> {
        let latest = self.latest.load();
        latest.prepared.value(read).map(|value| value.revision)
    }

    /// Whether it is asked before something is published, and whether its objection counts.
    pub(super) fn is_asked(&self) -> Option<bool> {
        match &*self.standing.lock() {
            Standing::Candidate => Some(false),
            Standing::Serving => Some(true),
            Standing::Unfit(_) | Standing::Leaving => None,
        }
    }

    /// A candidate objects to what will be published all the same. Says whether it is a candidate.
    pub(super) fn is_unfit(&self, objection: &Objection) -> bool {
        let mut standing = self.standing.lock();
        if *standing != Standing::Candidate {
            return *standing != Standing::Serving;
        }
        let dataset = self.reads.iter().find(|of| of.place == objection.place);
        let dataset = dataset.map_or("", |of| &of.dataset);
        *standing = Standing::Unfit(format!("data \"{dataset}\": {}", objection.mistake));
        true
    }

    /// It serves from now on.
    ///
    /// # Errors
    /// Something was published meanwhile that it cannot use.
    pub(crate) fn serve(&self) -> Result<(), String> {
        let mut standing = self.standing.lock();
        match &*standing {
            Standing::Unfit(reason) => Err(format!(
                "it cannot use what was published while it was loaded: {reason}"
            )),
            _ => {
                *standing = Standing::Serving;
                Ok(())
            }
        }
    }

    /// It is on its way out, and not asked any more.
    pub(crate) fn leave(&self) {
        *self.standing.lock() = Standing::Leaving;
    }

    /// Prepares for a snapshot, and has it as the latest.
    ///
    /// # Errors
    /// As those of [`Asked::answer`].
    pub(crate) fn try_on(&self, snapshot: &Arc<Snapshot>) -> Result<(), Objection> {
        self.ask(snapshot).answer()?;
        self.settle(snapshot);
        Ok(())
    }

    /// What is prepared for a snapshot; on demand, or the nearest there is.
    pub(super) fn at(&self, snapshot: &Arc<Snapshot>) -> Arc<Prepared> {
        if let Some(found) = self.find(snapshot) {
            return found;
        }
        match self.parse_here(snapshot) {
            Ok(prepared) => self.keep(snapshot, prepared),
            Err(objection) => {
                let nearest = self.nearest(snapshot.number);
                tracing::warn!(
                    plugin = &*self.title.plugin,
                    generation = self.title.generation,
                    "a call that sees snapshot {} goes on with snapshot {}: {}",
                    snapshot.number,
                    nearest.number,
                    objection.mistake
                );
                self.keep(snapshot, nearest.prepared)
            }
        }
    }

    /// Parses on this thread.
    fn parse_here(&self, snapshot: &Snapshot) -> Result<Arc<Prepared>, Objection> {
        let pieces = self.pieces(snapshot)?;
        let parser = self.parser.lock().clone();
        let place = self.reads.first().map_or(0, |of| of.place);
        let parser = parser.ok_or_else(|| self.objects(place, leaving()))?;
        parse_all(&*parser, pieces, |_| {}).map_err(|(place, mistake)| self.objects(place, mistake))
    }

    fn find(&self, snapshot: &Arc<Snapshot>) -> Option<Arc<Prepared>> {
        let latest = self.latest.load();
        if latest.is_for(snapshot) {
            return Some(Arc::clone(&latest.prepared));
        }
        let older = self.older.lock();
        self.find_in(&older, |kept| {
            kept.is_for(snapshot).then(|| Arc::clone(&kept.prepared))
        })
    }

    /// What the first has that has it, of all that is kept. `older` is locked, so that nothing changes places meanwhile.
    fn find_in<R>(&self, older: &[Kept], has: impl FnMut(&Kept) -> Option<R>) -> Option<R> {
        let latest = self.latest.load();
        iter::once(&**latest).chain(older).find_map(has)
    }

    fn nearest(&self, number: u64) -> Kept {
        let latest = self.latest.load_full();
        let older = self.older.lock();
        let all = older.iter().chain([&*latest]);
        let filled = all.filter(|kept| kept.prepared.addresses().len() == self.reads.len());
        filled
            .min_by_key(|kept| kept.number.abs_diff(number))
            .map_or_else(Kept::nothing, Kept::clone)
    }

    /// The values of a snapshot, one for each read: those that another has, and those that are to be parsed.
    fn pieces(&self, snapshot: &Snapshot) -> Result<Vec<Piece>, Objection> {
        let older = self.older.lock();
        let piece = |(number, of): (u32, &ReadOf)| {
            let revision = snapshot.at(of.place).ok_or_else(|| Objection {
                place: of.place,
                mistake: Mistake::of_all("it has no revision yet"),
            })?;
            let there = self.find_in(&older, |kept| {
                let value = kept.prepared.value(number as usize)?;
                (value.revision == revision.record.number).then(|| Arc::clone(value))
            });
            Ok(match there {
                Some(value) => Piece::There(value),
                None => Piece::ToParse(number, of.clone(), Arc::clone(revision)),
            })
        };
        (0..).zip(&self.reads).map(piece).collect()
    }

    /// Keeps what is prepared for a snapshot, unless another thread came first; gives what is seen there.
    fn keep(&self, snapshot: &Arc<Snapshot>, prepared: Arc<Prepared>) -> Arc<Prepared> {
        let kept = Kept::new(snapshot, Arc::clone(&prepared));
        let mut older = self.older.lock();
        let first = self.find_in(&older, |kept| {
            kept.is_for(snapshot).then(|| Arc::clone(&kept.prepared))
        });
        match first {
            Some(first) => {
                // It is for the hand to drop.
                self.garbage.lock().kept.push(kept);
                first
            }
            None => {
                older.push(kept);
                prepared
            }
        }
    }

    /// Its objection to a dataset, with who says so.
    fn objects(&self, place: usize, mistake: Mistake) -> Objection {
        let Title {
            plugin, version, ..
        } = &self.title;
        let reason = format!(
            "plugin \"{plugin}\" {version} cannot use it: {}",
            mistake.reason
        );
        Objection {
            place,
            mistake: Mistake::new(mistake.position, reason),
        }
    }

    /// A snapshot is shown now: what is prepared for it comes first, and what nobody asks for any more goes.
    pub(super) fn settle(&self, shown: &Arc<Snapshot>) {
        let mut hand = self.hand.lock();
        let mut garbage = Garbage::default();
        {
            let mut older = self.older.lock();
            if let Some(found) = older.iter().position(|kept| kept.is_for(shown)) {
                let latest = older.swap_remove(found);
                let before = self.latest.swap(Arc::new(latest));
                older.push(Kept::clone(&before));
            }
            let (wanted, unwanted) = older.drain(..).partition(Kept::is_wanted);
            *older = wanted;
            garbage.kept = unwanted;
        }
        {
            let mut entries = self.entries.lock();
            garbage.held = entries
                .iter()
                .filter_map(|entry| entry.take_free(shown))
                .collect();
            entries.retain(|entry| !Entry::is_left(entry));
        }
        self.discard(&mut hand, garbage);
    }

    /// Has the hand drop it, now or after what it is at.
    fn discard(&self, hand: &mut Option<Hand>, new: Garbage) {
        {
            let mut garbage = self.garbage.lock();
            garbage.held.extend(new.held);
            garbage.kept.extend(new.kept);
            if garbage.held.is_empty() && garbage.kept.is_empty() {
                return;
            }
        }
        if hand.is_none() {
            // The one before is stuck.
            *hand = Hand::new(&self.title.plugin).ok();
        }
        let garbage = Arc::clone(&self.garbage);
        if let Some(hand) = hand {
            hand.give(move || {
                let garbage = std::mem::take(&mut *garbage.lock());
                drop(garbage);
            });
        }
    }

    /// Whether it parses nothing any more.
    pub(super) fn has_ended(&self) -> bool {
        self.parser.lock().is_none()
    }

    /// What it parses and has not returned from.
    pub(crate) fn is_parsing(&self) -> Option<Arc<str>> {
        self.parsing.lock().clone()
    }

    /// Gives all that its library has made, to be dropped; that runs the author's code. Nothing of the plugin runs any more,
    /// and nothing looks.
    pub(crate) fn end(&self) -> Garbage {
        self.leave();
        let mut hand = self.hand.lock();
        drop(hand.take());
        let parser = self.parser.lock().take();
        drop(parser);
        let mut garbage = std::mem::take(&mut *self.garbage.lock());
        let entries = std::mem::take(&mut *self.entries.lock());
        garbage.held.extend(entries.iter().filter_map(|e| e.take()));
        garbage.kept.append(&mut self.older.lock());
        let latest = self.latest.swap(Arc::new(Kept::nothing()));
        garbage.kept.push(Kept::clone(&latest));
        garbage
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // What is left of one that was never ended holds its library; it is not to go with a thread that looked once.
        for entry in self.entries.get_mut() {
            drop(entry.take());
        }
    }
}

fn leaving() -> Mistake {
    Mistake::of_all("it is on its way out")
}

#[cfg(test)]
mod tests;
