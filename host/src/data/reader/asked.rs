//! Asked: the question to a reader whether it can use a snapshot, on its way to the answer.
//!
//! The question is put without waiting, so that many readers can be asked side by side; each has its own limit from then
//! on, and the answer is waited for. With a good answer the reader is prepared.

use super::{
    super::content::parse, Arc, Duration, Hand, Mistake, Mutex, Objection, Parse, Piece, Prepared,
    Reader, Snapshot, Value, leaving,
};
use crate::{
    deadline,
    hand::{Awaited, CallsOut},
};
use std::time::Instant;

/// A reader that was asked.
pub(in super::super) struct Asked<'reader> {
    reader: &'reader Reader,
    snapshot: &'reader Arc<Snapshot>,
    step: Result<Step, Objection>,
}

enum Step {
    /// There was nothing to parse.
    Prepared,
    /// The hand parses.
    Parses {
        hand: Hand,
        awaited: Awaited<Parsed>,
        until: Instant,
        /// The place of the dataset that comes first.
        place: usize,
    },
}

/// What was parsed; or what is wrong, and the place of the dataset with it.
type Parsed = Result<Arc<Prepared>, (usize, Mistake)>;

impl Reader {
    /// Asks whether it can use a snapshot, which is shown or proposed to be: has the hand begin to parse what is new.
    pub(in super::super) fn ask<'reader>(
        &'reader self,
        snapshot: &'reader Arc<Snapshot>,
    ) -> Asked<'reader> {
        Asked {
            reader: self,
            snapshot,
            step: self.begin(&mut self.hand.lock(), snapshot),
        }
    }

    fn begin(&self, own: &mut Option<Hand>, snapshot: &Arc<Snapshot>) -> Result<Step, Objection> {
        if self.find(snapshot).is_some() {
            return Ok(Step::Prepared);
        }
        let pieces = self.pieces(snapshot)?;
        let first = pieces.iter().find_map(|piece| match piece {
            Piece::There(_) => None,
            Piece::ToParse(_, of, _) => Some(of.clone()),
        });
        let parser = self.parser.lock().clone();
        let object = |mistake| self.objects(first.as_ref().map_or(0, |of| of.place), mistake);
        // One that has ended keeps nothing.
        let parser = parser.ok_or_else(|| object(leaving()))?;
        let Some(first) = &first else {
            let prepared = parse_all(&*parser, pieces, |_| {});
            let prepared = prepared.map_err(|(place, mistake)| self.objects(place, mistake))?;
            self.keep(snapshot, prepared);
            return Ok(Step::Prepared);
        };
        if let Some(dataset) = self.is_parsing() {
            return Err(object(Mistake::of_all(format!(
                "its parsing of an earlier revision of data \"{dataset}\" has not returned"
            ))));
        }
        let hand = match own.take() {
            Some(hand) => hand,
            None => Hand::new(&self.title.plugin).map_err(|error| {
                object(Mistake::of_all(format!("no thread to parse it: {error}")))
            })?,
        };
        // From now on, not from when the hand comes to it: until it has returned nobody takes the reader for idle.
        let parsing = Parsing::begin(&self.parsing, &first.dataset);
        let work = move || {
            let parsed = parse_all(&*parser, pieces, |dataset| parsing.goes_on(dataset));
            drop(parsing);
            // The use of the library that it is ends before the answer is known.
            drop(parser);
            parsed
        };
        let until = deadline::after(self.limit);
        match hand.begin(CallsOut::Refused, work, drop) {
            Ok(awaited) => Ok(Step::Parses {
                hand,
                awaited,
                until,
                place: first.place,
            }),
            Err(_stuck) => Err(object(unreturned(self.limit))),
        }
    }
}

impl Asked<'_> {
    /// Waits for the answer, and keeps what is prepared.
    ///
    /// # Errors
    /// The first dataset that the reader cannot use: missing, or its content does not fit, or parsing has not returned in
    /// time.
    pub(in super::super) fn answer(self) -> Result<(), Objection> {
        let Asked {
            reader,
            snapshot,
            step,
        } = self;
        let Step::Parses {
            hand,
            awaited,
            until,
            place,
        } = step?
        else {
            return Ok(());
        };
        match awaited.until(until) {
            Ok(parsed) => {
                let mut own = reader.hand.lock();
                if reader.has_ended() {
                    hand.give(move || drop(parsed));
                    return Err(reader.objects(place, leaving()));
                }
                *own = Some(hand);
                let prepared = parsed.map_err(|(place, mistake)| reader.objects(place, mistake))?;
                reader.keep(snapshot, prepared);
                Ok(())
            }
            Err(_stuck) => Err(reader.objects(place, unreturned(reader.limit))),
        }
    }
}

fn unreturned(limit: Duration) -> Mistake {
    let limit = humantime::format_duration(limit);
    Mistake::of_all(format!("parsing it has not returned within {limit}"))
}

/// Parses on this thread what is to be parsed, and says of which dataset each time; gives all the values.
pub(super) fn parse_all(
    parser: &dyn Parse,
    pieces: Vec<Piece>,
    begins: impl Fn(&Arc<str>),
) -> Parsed {
    let value = |piece: Piece| match piece {
        Piece::There(value) => Ok(value),
        Piece::ToParse(read, of, revision) => {
            begins(&of.dataset);
            let parsed = parse(parser, read, &revision);
            parsed
                .map(|parsed| Value::new(revision.record.number, parsed))
                .map_err(|mistake| (of.place, mistake))
        }
    };
    let values = pieces.into_iter().map(value).collect::<Result<_, _>>()?;
    Ok(Arc::new(Prepared::new(values)))
}

/// A hand parses, until this is dropped.
struct Parsing(Arc<Mutex<Option<Arc<str>>>>);

impl Parsing {
    fn begin(place: &Arc<Mutex<Option<Arc<str>>>>, dataset: &Arc<str>) -> Parsing {
        let parsing = Parsing(Arc::clone(place));
        parsing.goes_on(dataset);
        parsing
    }

    fn goes_on(&self, dataset: &Arc<str>) {
        *self.0.lock() = Some(Arc::clone(dataset));
    }
}

impl Drop for Parsing {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}
