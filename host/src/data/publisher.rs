//! The publisher: decides what becomes a revision, and shows it to all who read.
//!
//! Content is received, parsed, validated, checked, written to the ledger, published, and told to those who use it.
//! Whatever it is refused for, what was held is held on, and the refusal stands beside it.
//!
//! # Invariants
//! 1. One decision at a time: `deciding` is held from the look at what is held to the last word about it.
//! 2. What is published is on disk, and numbers only grow.
//! 3. Publishing is one store of one pointer, for a change set too; nobody sees half of it.
//! 4. What has the digest and the format of what is held is no new revision.
//! 5. What an operator put or went back to holds until the source brings something else than it brought before; what is
//!    pinned holds until an operator lifts the pin.

use super::{
    audience::{Audience, Cast},
    dataset::{Dataset, DatasetStatus, Refusal, Stage},
    format::{Format, Mistake},
    herald::{Herald, Messenger},
    last_good::last_good,
    ledger::{Brought, ByHand, Entry, Ledger, Memory},
    reader::Objection,
    revision::{Origin, Revision, RevisionRecord},
    snapshot::{Shown, Snapshot, View},
};
use crate::{
    announce::{Announcer, now_millis},
    artifact::Digest,
    config::DatasetConfig,
    event::Happening,
};
use anyhow::{Context, Result};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::Instant,
};

/// What became of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is this revision now.
    Published(u64),
    /// It is what is held, or what an operator's decision holds against: nothing changed.
    Unchanged,
    /// An operator has pinned another revision. The source is asked again when the pin is lifted.
    Pinned,
    /// It was refused.
    Refused(Refusal),
}

/// Decides, and shows.
pub(crate) struct Publisher {
    pub(super) datasets: Arc<[Dataset]>,
    shown: Arc<Shown>,
    ledger: Ledger,
    pub(super) deciding: Mutex<()>,
    pub(super) decided: Condvar,
    pub(super) announcer: Arc<Announcer>,
    pub(super) audience: Audience,
    pub(super) herald: Arc<Herald>,
    /// The datasets that somebody was turned away for.
    pub(super) awaited: Mutex<BTreeSet<usize>>,
    pub(super) opened: Instant,
}

/// Content on its way to be a revision: parsed and valid.
pub(super) struct Candidate {
    /// The dataset.
    pub(super) place: usize,
    /// What it is to be; it has no number yet.
    pub(super) revision: Revision,
    /// What an operator decides with it.
    pub(super) by_hand: Option<ByHand>,
    /// The only revision that it may replace, if there is one; where another one is held by then, that stays.
    pub(super) instead_of: Option<u64>,
}

/// What becomes of a dataset by a decision: its place, itself, its memory, and its new revision if it gets one.
type Change<'a> = (usize, &'a Dataset, Memory, Option<Arc<Revision>>);

/// Why a change of several datasets was refused: one of them, and its refusal.
pub(crate) type Refused = (usize, Box<Refusal>);

impl Publisher {
    /// Opens the datasets: each holds the last good revision of the ledger.
    ///
    /// # Errors
    /// The ledger cannot be read, or a schema cannot be used.
    pub(crate) fn open(
        declared: &BTreeMap<String, DatasetConfig>,
        ledger: Ledger,
        announcer: Arc<Announcer>,
    ) -> Result<Publisher> {
        let mut datasets = Vec::new();
        let mut revisions = Vec::new();
        for (name, config) in declared {
            let dataset = Dataset::new(name, config, ledger.memory(name)?)?;
            let revision = last_good(&ledger, &dataset, &announcer)?;
            // Without a source nobody could confirm it.
            dataset.facts.lock().from_disk = revision.is_some() && config.source.is_some();
            revisions.push(revision.map(Arc::new));
            datasets.push(dataset);
        }
        let names: Arc<[String]> = declared.keys().cloned().collect();
        let datasets: Arc<[Dataset]> = datasets.into();
        Ok(Publisher {
            herald: Herald::new(Arc::clone(&datasets), Arc::clone(&announcer)),
            datasets,
            shown: Arc::new(Shown::new(Snapshot::first(names, revisions))),
            ledger,
            deciding: Mutex::new(()),
            decided: Condvar::new(),
            announcer,
            audience: Audience::default(),
            awaited: Mutex::default(),
            opened: Instant::now(),
        })
    }

    /// The datasets, by name.
    pub(crate) fn datasets(&self) -> &[Dataset] {
        &self.datasets
    }

    /// The ledger.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A look at the present snapshot.
    pub(crate) fn view(&self) -> View {
        View::of(&self.shown)
    }

    /// One revision of everything, as it is now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.shown.load_full()
    }

    /// The revision that the dataset in this place holds.
    pub(crate) fn held(&self, place: usize) -> Option<Arc<Revision>> {
        self.shown.load().at(place).cloned()
    }

    /// The place of a dataset.
    pub(crate) fn place(&self, dataset: &str) -> Option<usize> {
        self.shown.load().place(dataset)
    }

    /// How a dataset stands.
    pub(crate) fn status(&self, place: usize) -> Option<DatasetStatus> {
        let held = self.held(place).map(|held| held.record.clone());
        let readers = self.audience.serving(place);
        let readers = readers.iter().map(|reader| reader.status(place)).collect();
        let dataset = self.datasets.get(place)?;
        Some(dataset.status(held, readers, self.opened.elapsed()))
    }

    /// Who calls the plugins that are told of changes.
    pub(crate) fn send_by(&self, messenger: Weak<dyn Messenger>) {
        self.herald.send_by(messenger);
    }

    /// What is shown, for those who keep looking at it.
    pub(crate) fn shown(&self) -> &Arc<Shown> {
        &self.shown
    }

    /// Content from a source. `format` is the dataset's own, unless the source writes another.
    ///
    /// # Errors
    /// The ledger cannot be written: nothing has changed, and the same content should be brought again.
    pub(crate) fn bring(
        &self,
        place: usize,
        content: Vec<u8>,
        format: Format,
        origin: Origin,
    ) -> Result<Decision> {
        let hash = Digest::of(&content);
        if let Some(decision) = self.known(&self.deciding.lock(), place, (hash, format), &origin)? {
            return Ok(decision);
        }
        self.note_received(place, hash, content.len(), &origin);
        match self.prepare(place, content, format, origin.clone(), None) {
            Err(refusal) => {
                self.refuse(place, Refusal::clone(&refusal))?;
                Ok(Decision::Refused(*refusal))
            }
            Ok(candidate) => {
                let turn = self.deciding.lock();
                if let Some(decision) = self.known(&turn, place, (hash, format), &origin)? {
                    return Ok(decision);
                }
                match self.decide(&turn, vec![candidate])? {
                    Ok(numbers) => Ok(numbers
                        .first()
                        .map_or(Decision::Unchanged, |number| Decision::Published(*number))),
                    Err((_, refusal)) => Ok(Decision::Refused(*refusal)),
                }
            }
        }
    }

    /// What the source has cannot be used as it is.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub(crate) fn refuse(&self, place: usize, refusal: Refusal) -> Result<()> {
        self.note_refusal(&self.deciding.lock(), place, refusal)
    }

    /// Parses and validates content.
    pub(super) fn prepare(
        &self,
        place: usize,
        content: Vec<u8>,
        format: Format,
        origin: Origin,
        by_hand: Option<ByHand>,
    ) -> Result<Candidate, Box<Refusal>> {
        let hash = Digest::of(&content);
        let refused = |stage, mistake| {
            Box::new(Refusal {
                time: now_millis(),
                origin: origin.clone(),
                stage,
                mistake,
                hash: Some(hash),
            })
        };
        let dataset = self.datasets.get(place);
        let most = dataset.map_or(0, |dataset| dataset.config.max_bytes);
        let length = content.len() as u64;
        if length > most {
            return Err(refused(Stage::Received, too_large(length, most)));
        }
        let parsed = format
            .parse(&content)
            .map_err(|mistake| refused(Stage::Parsed, mistake))?;
        if let (Some(schema), Some(parsed)) = (
            dataset.and_then(|dataset| dataset.schema.as_ref()),
            parsed.as_ref(),
        ) {
            schema
                .check(parsed)
                .map_err(|mistake| refused(Stage::Validated, mistake))?;
        }
        let record = RevisionRecord {
            number: 0,
            time: 0,
            origin,
            format,
            hash,
            length,
        };
        Ok(Candidate {
            place,
            revision: Revision {
                record,
                content,
                parsed,
            },
            by_hand,
            instead_of: None,
        })
    }

    /// What is to be said of a source's content without a look into it; `None` if it may become a revision.
    fn known(
        &self,
        turn: &MutexGuard<'_, ()>,
        place: usize,
        (hash, format): (Digest, Format),
        origin: &Origin,
    ) -> Result<Option<Decision>> {
        let Some(dataset) = self.datasets.get(place) else {
            return Ok(Some(Decision::Unchanged));
        };
        let mut memory = dataset.facts.lock().memory.clone();
        let brought = brought(hash, origin);
        let is_held = self
            .held(place)
            .is_some_and(|held| (held.record.hash, held.record.format) == (hash, format));
        let pinned = memory.by_hand.as_ref().is_some_and(|by| by.pinned);
        if is_held {
            memory.refusal = None;
            memory.brought = Some(brought);
            memory.by_hand = memory.by_hand.filter(|by| by.pinned);
        } else if pinned {
            self.confirm(turn, dataset);
            return Ok(Some(Decision::Pinned));
        } else if memory.by_hand.is_some() && is_again(memory.brought.as_ref(), &brought) {
            memory.refusal = None;
        } else {
            return Ok(None);
        }
        if memory != dataset.facts.lock().memory {
            let mut entry = entry(dataset, &mut memory, None);
            self.ledger.write(std::slice::from_mut(&mut entry))?;
            dataset.facts.lock().memory = memory;
        }
        self.confirm(turn, dataset);
        Ok(Some(Decision::Unchanged))
    }

    /// What a dataset holds is the truth, or an operator's word against it.
    pub(super) fn confirm(&self, _turn: &MutexGuard<'_, ()>, dataset: &Dataset) {
        let mut facts = dataset.facts.lock();
        facts.confirmed = Some(Instant::now());
        facts.from_disk = false;
        drop(facts);
        self.decided.notify_all();
    }

    /// The decision: all candidates become revisions, or none. Gives the numbers of those that are new.
    pub(super) fn decide(
        &self,
        turn: &MutexGuard<'_, ()>,
        candidates: Vec<Candidate>,
    ) -> Result<Result<Vec<u64>, Refused>> {
        self.decide_with(turn, candidates, &Cast::default())
    }

    /// The same, in one step with a change of those who read.
    pub(super) fn decide_with(
        &self,
        turn: &MutexGuard<'_, ()>,
        candidates: Vec<Candidate>,
        cast: &Cast,
    ) -> Result<Result<Vec<u64>, Refused>> {
        let mut changes = Vec::new();
        for mut candidate in candidates {
            let Some(dataset) = self.datasets.get(candidate.place) else {
                continue;
            };
            let held = self.held(candidate.place);
            let number = held.as_ref().map(|held| held.record.number);
            if candidate.instead_of.is_some() && candidate.instead_of != number {
                continue;
            }
            let mut facts = dataset.facts.lock();
            let record = &mut candidate.revision.record;
            let is_new = held.is_none_or(|held| {
                (held.record.hash, held.record.format) != (record.hash, record.format)
            });
            if is_new {
                // Taken for good: a check may remember what it saw under this number.
                if record.number == 0 || record.number != facts.memory.last {
                    facts.memory.last += 1;
                    record.number = facts.memory.last;
                }
                record.time = now_millis();
            }
            let mut memory = facts.memory.clone();
            drop(facts);
            // What the source has stays refused, whatever an operator puts in its place.
            memory.refusal = memory
                .refusal
                .filter(|refusal| refusal.origin.is_source() && !record.origin.is_source());
            if record.origin.is_source() {
                memory.brought = Some(brought(record.hash, &record.origin));
                memory.by_hand = None;
            } else if is_new || memory.by_hand.is_some() || pins(candidate.by_hand.as_ref()) {
                memory.by_hand = candidate.by_hand;
            }
            let revision = is_new.then(|| Arc::new(candidate.revision));
            changes.push((candidate.place, dataset, memory, revision));
        }
        let next = self.next(&changes);
        let to_be_shown = next.clone().unwrap_or_else(|| self.snapshot());
        if let Err(objection) = self.audience.prepare(&to_be_shown, cast) {
            // Nobody keeps what was prepared for it.
            drop((next, to_be_shown));
            return self.refused_by_a_reader(turn, &changes, objection).map(Err);
        }
        let mut entries: Vec<Entry<'_>> = changes
            .iter_mut()
            .map(|(_, dataset, memory, revision)| entry(dataset, memory, revision.as_deref()))
            .collect();
        self.ledger.write(&mut entries)?;
        drop(entries);
        for reader in &cast.joining {
            reader.settle(&to_be_shown);
            self.audience.join(reader);
        }
        Ok(Ok(self.publish(turn, changes, next)))
    }

    /// What would be shown after these candidates. Their numbers are taken for good.
    pub(super) fn as_if(&self, candidates: Vec<Candidate>) -> Arc<Snapshot> {
        let _turn = self.deciding.lock();
        let shown = self.shown.load();
        let new = candidates.into_iter().filter_map(|mut candidate| {
            let dataset = self.datasets.get(candidate.place)?;
            let record = &mut candidate.revision.record;
            let held = shown.at(candidate.place);
            if held.is_some_and(|held| {
                (held.record.hash, held.record.format) == (record.hash, record.format)
            }) {
                return None;
            }
            let mut facts = dataset.facts.lock();
            facts.memory.last += 1;
            record.number = facts.memory.last;
            Some((candidate.place, Arc::new(candidate.revision)))
        });
        Arc::new(shown.next(new))
    }

    /// What is to be shown after these changes, if there is anything new in them.
    fn next(&self, changes: &[Change<'_>]) -> Option<Arc<Snapshot>> {
        let new = changes.iter().filter_map(|(place, _, _, revision)| {
            let revision = revision.as_ref()?;
            Some((*place, Arc::clone(revision)))
        });
        let mut new = new.peekable();
        new.peek()?;
        Some(Arc::new(self.shown.load().next(new)))
    }

    /// A plugin cannot use what was to be shown. What others have prepared for it goes.
    fn refused_by_a_reader(
        &self,
        turn: &MutexGuard<'_, ()>,
        changes: &[Change<'_>],
        objection: Objection,
    ) -> Result<Refused> {
        let Objection { place, mistake } = objection;
        let changed = changes.iter().filter(|change| change.3.is_some());
        let fault = changed
            .clone()
            .find(|change| change.0 == place)
            .or(changed.clone().next());
        let (place, record) = fault
            .and_then(|(place, _, _, revision)| Some((*place, &revision.as_ref()?.record)))
            .context("something was to be published")?;
        let refusal = Refusal {
            time: now_millis(),
            origin: record.origin.clone(),
            stage: Stage::Checked,
            mistake,
            hash: Some(record.hash),
        };
        self.note_refusal(turn, place, refusal.clone())?;
        self.audience.settle(&self.snapshot());
        Ok((place, Box::new(refusal)))
    }

    /// Shows what is on disk by now, and tells of it.
    fn publish(
        &self,
        turn: &MutexGuard<'_, ()>,
        changes: Vec<Change<'_>>,
        next: Option<Arc<Snapshot>>,
    ) -> Vec<u64> {
        if let Some(next) = &next {
            self.shown.store(Arc::clone(next));
            self.audience.settle(next);
        }
        let mut numbers = Vec::new();
        for (_, dataset, memory, revision) in &changes {
            let mut facts = dataset.facts.lock();
            let overtaken = facts.memory.by_hand.is_some() && memory.by_hand.is_none();
            let was_pinned = pins(facts.memory.by_hand.as_ref());
            facts.memory = memory.clone();
            facts.from_disk = false;
            drop(facts);
            self.confirm(turn, dataset);
            let name = &dataset.name;
            if let Some(revision) = revision {
                numbers.push(revision.record.number);
                self.announcer
                    .announce(told(name.clone(), &revision.record, memory, overtaken));
            }
            let pinned = pins(memory.by_hand.as_ref());
            // A new revision that is pinned says so itself.
            if was_pinned != pinned && (was_pinned || revision.is_none()) {
                let dataset = name.clone();
                self.announcer
                    .announce(Happening::DataPinned { dataset, pinned });
            }
        }
        for (place, _, _, revision) in &changes {
            if let Some(revision) = revision {
                let readers = self.audience.serving(*place);
                self.herald
                    .published(*place, revision.record.number, &readers);
            }
        }
        if next.is_some() {
            self.look_again(changes.iter().map(|change| change.0));
        }
        numbers
    }

    fn note_refusal(
        &self,
        _turn: &MutexGuard<'_, ()>,
        place: usize,
        refusal: Refusal,
    ) -> Result<()> {
        let Some(dataset) = self.datasets.get(place) else {
            return Ok(());
        };
        let mut memory = dataset.facts.lock().memory.clone();
        let last = memory.refusal.as_ref();
        if last.is_some_and(|last| refusal.repeats(last)) {
            return Ok(());
        }
        memory.refusal = Some(refusal.clone());
        let mut entry = entry(dataset, &mut memory, None);
        self.ledger.write(std::slice::from_mut(&mut entry))?;
        dataset.facts.lock().memory = memory;
        self.announcer.announce(Happening::DataRefused {
            dataset: dataset.name.clone(),
            refusal,
        });
        Ok(())
    }
}

fn pins(by_hand: Option<&ByHand>) -> bool {
    by_hand.is_some_and(|by_hand| by_hand.pinned)
}

fn brought(hash: Digest, origin: &Origin) -> Brought {
    let cursor = match origin {
        Origin::Source { cursor, .. } => cursor.clone(),
        Origin::Operator { .. } | Origin::Release { .. } | Origin::Rollback { .. } => None,
    };
    Brought { hash, cursor }
}

/// Whether it is what the source brought before: the same content, from the same place in its order if it has one.
fn is_again(before: Option<&Brought>, now: &Brought) -> bool {
    before.is_some_and(|before| {
        before.hash == now.hash
            && (before.cursor == now.cursor || before.cursor.is_none() || now.cursor.is_none())
    })
}

fn entry<'a>(
    dataset: &'a Dataset,
    memory: &'a mut Memory,
    revision: Option<&'a Revision>,
) -> Entry<'a> {
    Entry {
        dataset: &dataset.name,
        memory,
        revision,
        keep: dataset.config.keep as u64,
    }
}

/// The event for a new revision.
fn told(dataset: String, record: &RevisionRecord, memory: &Memory, overtaken: bool) -> Happening {
    let revision = record.number;
    match &record.origin {
        Origin::Rollback { to, .. } => Happening::DataRolledBack {
            dataset,
            revision,
            to: *to,
            pinned: pins(memory.by_hand.as_ref()),
        },
        origin => Happening::DataPublished {
            dataset,
            revision,
            origin: origin.clone(),
            overtakes_operator: overtaken && origin.is_source(),
        },
    }
}

pub(super) fn too_large(length: u64, most: u64) -> Mistake {
    let (length, most) = (bytesize::ByteSize(length), bytesize::ByteSize(most));
    Mistake::of_all(format!(
        "it has {length}, and max_bytes of the dataset is {most}"
    ))
}
