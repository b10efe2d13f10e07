//! Interfaces in use: which of a plugin's interfaces live handles go through, and what a new build has to offer for them.
//!
//! Whoever makes a handle claims a *place* for the interface, as it was known when the caller was compiled; callers that
//! know the same one share a place. A candidate *proposes* its tables before anything is drained: where one that somebody
//! uses is missing or differs, it is turned away. From then on new claims have to fit the candidate as well, so that it
//! cannot be overtaken.
//!
//! # Invariants
//! 1. At a place of a plugin's tables stands nothing, or a table that fits the interface that the place was claimed by.
//! 2. A place is free again only when the last [`Line`] through it is dropped, which is after its last call.
//!
//! What a retired plugin used counts no longer ([`Line::release`]), though calls that it still makes find their way.

use crate::{
    error::HandleError,
    foreign::tables::{PLACES, Tables, TypedMethod},
    gate::Notes,
    slot::Slot,
};
use parking_lot::Mutex;
use plugin_api::manifest::Interface;
use std::{collections::BTreeMap, sync::Arc};

/// The interfaces of a slot that are in use.
#[derive(Default)]
pub(crate) struct Interfaces(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// By their numbers.
    places: Vec<Option<InUse>>,
    candidate: Option<Arc<Tables>>,
    last: u64,
}

/// One place.
struct InUse {
    wanted: Interface,
    /// Who uses it, by the numbers of their lines; `None` once it counts no longer.
    users: BTreeMap<u64, Option<User>>,
}

/// Who uses an interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum User {
    /// The program around the host.
    Service,
    /// A plugin.
    Plugin(Arc<str>),
}

/// One user's way to an interface of a slot.
pub(crate) struct Line {
    /// The slot.
    pub(crate) slot: Arc<Slot>,
    /// The place.
    pub(crate) place: u8,
    /// What calls of its methods there note.
    pub(crate) notes: Notes,
    /// The interface, as the user knows it.
    pub(crate) wanted: Interface,
    number: u64,
}

impl Interfaces {
    /// Claims a place for an interface that what serves offers, and a candidate too, if there is one.
    ///
    /// # Errors
    /// It is not serving, or one of the two does not offer it, or another one; or all places are taken.
    pub(crate) fn claim(
        slot: &Arc<Slot>,
        wanted: Interface,
        user: User,
    ) -> Result<Line, HandleError> {
        let mut book = slot.interfaces.0.lock();
        // Under the lock: a candidate stays one until it serves.
        let tenant = slot.gate.tenant().ok_or_else(|| not_serving(slot))?;
        let serving = Arc::clone(tenant.instance.tables());
        drop(tenant);
        let tables: Vec<_> = [Some(serving), book.candidate.clone()]
            .into_iter()
            .flatten()
            .collect();
        for tables in &tables {
            fits(tables.offered(), &wanted)
                .map_err(|misfit| misfit.told(&slot.name, &wanted.name))?;
        }
        let is_same = |in_use: &Option<InUse>| {
            in_use
                .as_ref()
                .is_some_and(|in_use| in_use.wanted == wanted)
        };
        let index = (book.places.iter().position(is_same))
            .or_else(|| book.places.iter().position(Option::is_none))
            .unwrap_or(book.places.len());
        let place = u8::try_from(index).map_err(|_| HandleError::TooMany {
            plugin: slot.name.to_string(),
            most: PLACES,
        })?;
        book.last += 1;
        let number = book.last;
        if index == book.places.len() {
            book.places.push(None);
        }
        book.places[index]
            .get_or_insert_with(|| InUse {
                wanted: wanted.clone(),
                users: BTreeMap::new(),
            })
            .users
            .insert(number, Some(user));
        for tables in &tables {
            tables.set(place, &wanted.name);
        }
        Ok(Line {
            slot: Arc::clone(slot),
            place,
            notes: TypedMethod::notes(place),
            wanted,
            number,
        })
    }

    /// Why a build that offers these cannot serve in `slot`, for the sake of those who use the present one.
    ///
    /// # Errors
    /// The interface, the difference and the users, in words.
    pub(crate) fn check(slot: &Slot, offered: &[Interface]) -> Result<(), String> {
        slot.interfaces.0.lock().check(slot, offered.iter())
    }

    /// Makes these the tables of the slot's candidate, to be found by all who use an interface of the slot.
    ///
    /// # Errors
    /// As for [`check`](Interfaces::check).
    pub(crate) fn propose(slot: &Arc<Slot>, tables: &Arc<Tables>) -> Result<Proposal, String> {
        let mut book = slot.interfaces.0.lock();
        book.check(slot, tables.offered())?;
        for (place, in_use) in (0..=u8::MAX).zip(&book.places) {
            // One that nobody counts for any more may be missing.
            if let Some(in_use) = in_use
                && fits(tables.offered(), &in_use.wanted).is_ok()
            {
                tables.set(place, &in_use.wanted.name);
            }
        }
        book.candidate = Some(Arc::clone(tables));
        Ok(Proposal(Arc::clone(slot)))
    }
}

impl Book {
    fn check<'a>(
        &self,
        slot: &Slot,
        offered: impl Iterator<Item = &'a Interface> + Clone,
    ) -> Result<(), String> {
        for in_use in self.places.iter().flatten() {
            let mut users: Vec<&User> = in_use.users.values().flatten().collect();
            // What a plugin asks of itself ends with the generation that asks.
            users.retain(|user| !matches!(user, User::Plugin(plugin) if *plugin == slot.name));
            users.sort();
            users.dedup();
            if users.is_empty() {
                continue;
            }
            if let Err(misfit) = fits(offered.clone(), &in_use.wanted) {
                return Err(format!(
                    "{}; in use by {}: while that is so, keep the interface, and append new methods only",
                    misfit.in_words(&in_use.wanted.name),
                    in_words(&users)
                ));
            }
        }
        Ok(())
    }
}

fn in_words(users: &[&User]) -> String {
    let users: Vec<String> = users
        .iter()
        .map(|user| match user {
            User::Service => "the service around this host".to_owned(),
            User::Plugin(plugin) => format!("plugin \"{plugin}\""),
        })
        .collect();
    users.join(" and ")
}

fn not_serving(slot: &Slot) -> HandleError {
    HandleError::NotServing {
        plugin: slot.name.to_string(),
    }
}

/// Why what is offered does not do.
enum Misfit {
    /// No interface of the name is offered, but these.
    Missing(Vec<String>),
    /// It is another one.
    Differs(String),
}

/// Whether an interface is among those offered.
fn fits<'a>(
    offered: impl Iterator<Item = &'a Interface> + Clone,
    wanted: &Interface,
) -> Result<(), Misfit> {
    match offered.clone().find(|offered| offered.name == wanted.name) {
        None => Err(Misfit::Missing(
            offered.map(|offered| offered.name.clone()).collect(),
        )),
        Some(offered) => match offered.difference(wanted) {
            Some(difference) => Err(Misfit::Differs(difference)),
            None => Ok(()),
        },
    }
}

impl Misfit {
    fn told(self, plugin: &str, interface: &str) -> HandleError {
        let (plugin, interface) = (plugin.to_owned(), interface.to_owned());
        match self {
            Misfit::Missing(offered) => HandleError::NotOffered {
                plugin,
                interface,
                offered,
            },
            Misfit::Differs(difference) => HandleError::Differs { plugin, difference },
        }
    }

    fn in_words(self, interface: &str) -> String {
        match self {
            Misfit::Missing(_) => format!("it does not offer interface `{interface}`"),
            Misfit::Differs(difference) => difference,
        }
    }
}

/// A candidate's tables, which new claims have to fit as long as this is there: until it serves or comes to nothing.
pub(crate) struct Proposal(Arc<Slot>);

impl Drop for Proposal {
    fn drop(&mut self) {
        self.0.interfaces.0.lock().candidate = None;
    }
}

impl Line {
    /// Lets it count no longer: its user is on the way out.
    pub(crate) fn release(&self) {
        let mut book = self.slot.interfaces.0.lock();
        if let Some(in_use) = &mut book.places[usize::from(self.place)] {
            in_use.users.insert(self.number, None);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut book = self.slot.interfaces.0.lock();
        let book = &mut *book;
        let place = &mut book.places[usize::from(self.place)];
        let Some(in_use) = place else {
            return;
        };
        in_use.users.remove(&self.number);
        if !in_use.users.is_empty() {
            return;
        }
        *place = None;
        if let Some(tables) = &book.candidate {
            tables.clear(self.place);
        }
        if let Some(tenant) = self.slot.gate.tenant() {
            tenant.instance.tables().clear(self.place);
        }
    }
}
