//! The changes: how a database counts those of a table, and what their numbers tell.
//!
//! A trigger writes each change into a change table with a number that only grows. The number of the last change that a
//! content shows is its cursor; a database whose last change is older than what was brought before has gone back.

use super::{Delivery, Inbox};
use crate::data::format::Mistake;

/// The change table.
pub(super) const CHANGES: &str = "host_changes";

/// What is wrong with a delivery whose last change is older than one that was brought before.
pub(super) fn behind(inbox: &Inbox, delivery: &Delivery) -> Option<Mistake> {
    let (_, brought) = inbox.held();
    let brought = number(brought.as_deref())?;
    let now = number(delivery.cursor.as_deref())?;
    (now < brought).then(|| {
        Mistake::of_all(format!(
            "the database is at change {now}, and change {brought} was brought before: it is behind, or an older state of it \
             was restored; it is taken when it has caught up, or as it is by `host data install-triggers`"
        ))
    })
}

/// The number in a cursor.
pub(super) fn number(cursor: Option<&str>) -> Option<i64> {
    cursor?.parse().ok()
}
