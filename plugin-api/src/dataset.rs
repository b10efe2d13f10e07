//! A dataset as its reader has it: [`Dataset`], and a look at it, [`Look`].
//!
//! # Who may touch what
//! A [`Dataset`] is shared by all threads. A look stays on the thread that took it: it is counted on a counter which only
//! that thread writes.

use crate::{
    content::Content,
    contract::HostServicesBox,
    lens::{Glance, Lens},
};
use std::{
    fmt,
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Hot data that a plugin reads: see [`Context::dataset`](crate::Context::dataset).
///
/// The host parses each revision once, before it publishes it. [`get`](Dataset::get) costs about as much as loading a
/// pointer, and never waits. From the start of a call to its end it gives the same revision, also in the calls that this
/// call makes to other plugins; several datasets that were changed together change together. Outside of calls (in a job,
/// in `new`, on a thread of the plugin's own) each look is at what is published then.
///
/// In a state it is a field with `#[serde(skip)]`, which `attach` fills. A plugin's unit tests make one with
/// [`Dataset::of`].
pub struct Dataset<T: Content> {
    from: From<T>,
}

enum From<T> {
    Nowhere,
    Value(Arc<T>),
    Host {
        lens: Lens,
        /// What the lens is of use for as long as it is held.
        _services: Arc<HostServicesBox>,
    },
}

impl<T: Content> Dataset<T> {
    /// One that has this value for ever, without a host: for unit tests.
    ///
    /// ```
    /// #[plugin_api::dataset("rates")]
    /// struct Rates {
    ///     eur: f64,
    /// }
    ///
    /// let rates = plugin_api::Dataset::of(Rates { eur: 1.0 });
    /// assert_eq!(rates.get().eur, 1.0);
    /// ```
    pub fn of(value: T) -> Self {
        Dataset {
            from: From::Value(Arc::new(value)),
        }
    }

    pub(crate) fn through(lens: Lens, services: Arc<HostServicesBox>) -> Self {
        Dataset {
            from: From::Host {
                lens,
                _services: services,
            },
        }
    }

    /// A look at it.
    ///
    /// Keep it as short as is handy: what it shows stays in memory until it is dropped. It does not leave its thread, so it
    /// cannot be held across an `.await`: look again afterwards, at the same revision.
    ///
    /// # Panics
    /// When this is a [`Dataset::default`] that `attach` has not filled, or the plugin is examined without its data.
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn get(&self) -> Look<'_, T> {
        match self.try_get() {
            Some(look) => look,
            None => nothing::<T>(matches!(self.from, From::Nowhere)),
        }
    }

    /// A look at it, where there is something to be seen: always, but for the cases in which [`get`](Dataset::get)
    /// panics.
    #[inline]
    #[must_use]
    pub fn try_get(&self) -> Option<Look<'_, T>> {
        let Glance { value, looks } = match &self.from {
            From::Host { lens, .. } => (lens.look)(lens.of),
            From::Value(value) => Glance {
                value: Arc::as_ptr(value).cast(),
                looks: std::ptr::null(),
            },
            From::Nowhere => Glance::NOTHING,
        };
        Some(Look {
            value: NonNull::new(value.cast_mut())?.cast(),
            looks: NonNull::new(looks.cast_mut()),
            of: PhantomData,
        })
    }
}

#[cold]
#[track_caller]
fn nothing<T: Content>(is_unfilled: bool) -> ! {
    let name = T::NAME;
    if is_unfilled {
        panic!(
            "this `Dataset` of data \"{name}\" is not filled: write `self.field = ctx.dataset()` in `attach`"
        );
    }
    panic!("data \"{name}\" is not at hand here");
}

impl<T: Content> Default for Dataset<T> {
    /// One without a value, to be filled by `attach`.
    fn default() -> Self {
        Dataset {
            from: From::Nowhere,
        }
    }
}

impl<T: Content> Clone for Dataset<T> {
    fn clone(&self) -> Self {
        let from = match &self.from {
            From::Nowhere => From::Nowhere,
            From::Value(value) => From::Value(Arc::clone(value)),
            From::Host { lens, _services } => From::Host {
                lens: *lens,
                _services: Arc::clone(_services),
            },
        };
        Dataset { from }
    }
}

impl<T: Content> fmt::Debug for Dataset<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("name", &T::NAME)
            .finish_non_exhaustive()
    }
}

/// A look at a dataset: one revision of it, which stays as it is. See [`Dataset::get`].
pub struct Look<'dataset, T> {
    value: NonNull<T>,
    looks: Option<NonNull<AtomicU32>>,
    of: PhantomData<&'dataset T>,
}

impl<T> Deref for Look<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: It is the address of a `T`: that of an `Arc` which the dataset holds, or one that the host was given by
        // the parser of `T`, and keeps while the look is counted.
        unsafe { self.value.as_ref() }
    }
}

impl<T> Drop for Look<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(looks) = self.looks {
            // SAFETY: The host keeps the counter while it is not 0, and this look is counted on it.
            let looks = unsafe { looks.as_ref() };
            // Only this thread writes it, and others look: see `Lens::look`.
            looks.store(looks.load(Ordering::Relaxed) - 1, Ordering::Release);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Look<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
