//! A method: what a caller names, looked up once, and the calls that go through it.
//!
//! A name is looked up in what serves: which number the method has there, and whether it is called alone. That holds for
//! one generation; so a method keeps what it found together with the generation's number, and looks again when another one
//! answers. Both stand in one word, so that they always belong together.

use crate::{
    core::Core,
    data,
    error::CallError,
    event::Happening,
    foreign::{
        instance::{PluginFault, Unanswered},
        interpose,
    },
    gate::{self, Call, Failure, Lease, Refusal, Within},
    generation::Generation,
    host::{Host, Reply},
    pace,
    slot::Slot,
    turned_away,
};
use plugin_api::contract::FaultKind;
use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// One method of one plugin, by its name. It goes on working when the plugin is swapped, unloaded and loaded again. Clones
/// are the same method. It is a clone of its [`Host`] too, which does not end by itself before it is dropped.
///
/// ```no_run
/// # fn main() -> anyhow::Result<()> {
/// # let host = host::Host::builder().start()?;
/// let add = host.method("counter", "add")?;
/// for _ in 0..1_000 {
///     add.call(b"[1]")?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Method(Arc<Known>);

struct Known {
    host: Host,
    slot: Arc<Slot>,
    name: Box<str>,
    place: Place,
}

impl Method {
    /// The method of this name, unless what serves has none.
    pub(crate) fn find(host: &Host, plugin: &str, name: &str) -> Result<Method, CallError> {
        let slot = host.core().slot(plugin);
        let slot = slot.ok_or_else(|| unknown_plugin(plugin))?;
        let place = Place::default();
        if let Some(generation) = slot.gate.tenant() {
            Asked {
                name,
                place: Some(&place),
            }
            .find_in(&generation)?;
        }
        Ok(Method(Arc::new(Known {
            host: host.clone(),
            slot,
            name: Box::from(name),
            place,
        })))
    }

    /// The plugin's name.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.0.slot.name
    }

    /// The method's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether the other one is a clone of this.
    #[must_use]
    pub fn is(&self, other: &Method) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether what serves now has it as an `async` method.
    #[must_use]
    pub fn is_async(&self) -> bool {
        let serving = self.0.slot.gate.tenant();
        serving.is_some_and(|generation| {
            let number = generation.method(&self.0.name).map(|(number, _)| number);
            number.is_some_and(|number| generation.is_async(number))
        })
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            name: &self.0.name,
            place: Some(&self.0.place),
        }
    }

    /// Calls it on the calling thread, as [`Host::call`] does.
    ///
    /// # Errors
    /// See [`CallError`]; but for `Refused`, `Panicked` and `Failed`, the method was not executed.
    pub fn call(&self, arguments: &[u8]) -> Result<Reply, CallError> {
        let core = self.0.host.core();
        let limit = core.config.call.timeout;
        core.call_in(&self.0.slot, &self.asked(), arguments, Manner::Waits(limit))
            .map_err(|unmet| unmet.told(&self.0.slot, &self.0.name, limit))
    }

    /// Calls it on the calling thread if that is sure to be quick: it is known to be short (its last calls through this or
    /// [`Method::call_queued`] each took less than 100 us), does not call other plugins, and nobody has to be waited for.
    /// Otherwise it gives `None`, and nothing was executed. For threads that must not be kept, as those of an async runtime.
    ///
    /// A method whose last calls were short may be long this time: then the thread is kept all the same.
    ///
    /// # Errors
    /// As [`Method::call`].
    pub fn call_if_short(&self, arguments: &[u8]) -> Option<Result<Reply, CallError>> {
        let core = self.0.host.core();
        match core.call_in(&self.0.slot, &self.asked(), arguments, Manner::OnlyIfShort) {
            Ok(reply) => Some(Ok(reply)),
            Err(Unmet::Error(error)) => Some(Err(error)),
            Err(Unmet::NotShort | Unmet::Closed | Unmet::Occupied) => None,
        }
    }

    /// Gives a call to the host's own bounded number of threads; `answer` is called on one of them. Never waits.
    ///
    /// # Errors
    /// [`CallError::Busy`]: as many calls of the plugin wait as `call.queue` of the configuration allows.
    pub fn call_queued(
        &self,
        arguments: impl AsRef<[u8]> + Send + 'static,
        answer: impl FnOnce(Result<Reply, CallError>) + Send + 'static,
    ) -> Result<(), CallError> {
        let known = Arc::clone(&self.0);
        let errand = move || {
            let method = Method(known);
            let (core, slot) = (method.0.host.core(), &method.0.slot);
            let limit = core.config.call.timeout;
            let manner = Manner::WaitsAndLearns(limit);
            let answered = core.call_in(slot, &method.asked(), arguments.as_ref(), manner);
            answer(answered.map_err(|unmet| unmet.told(slot, &method.0.name, limit)));
        };
        let workers = &self.0.host.core().workers;
        workers
            .submit(&self.0.slot.name, Box::new(errand))
            .map_err(|_full| turned_away::queue_is_full())
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Method({}.{})", self.plugin(), self.name())
    }
}

/// Where a method was found: a generation's number, the method's number in it, and whether it is called alone, in one
/// word; or nothing.
#[derive(Default)]
struct Place(AtomicU64);

impl Place {
    const METHOD_BITS: u32 = 16;
    const GENERATION_BITS: u32 = 47;

    /// The method's number, and whether it is called alone, if it was found in this generation.
    fn look(&self, generation: u64) -> Option<(u32, bool)> {
        let word = self.0.load(Ordering::Relaxed);
        let number = (word >> 1) & ((1 << Self::METHOD_BITS) - 1);
        // Generations begin at 1, so that a place that holds nothing fits none.
        (word >> (Self::METHOD_BITS + 1) == generation && generation != 0)
            .then_some((number as u32, word & 1 == 1))
    }

    /// Keeps what was found; numbers beyond what a word has room for are looked up each time.
    fn keep(&self, generation: u64, (number, exclusive): (u32, bool)) {
        let number = u64::from(number);
        if generation >> Self::GENERATION_BITS == 0 && number >> Self::METHOD_BITS == 0 {
            let word = (generation << Self::METHOD_BITS | number) << 1 | u64::from(exclusive);
            self.0.store(word, Ordering::Relaxed);
        }
    }
}

/// The method that a caller asks for, and where it may have been found before.
pub(crate) struct Asked<'a> {
    name: &'a str,
    place: Option<&'a Place>,
}

impl Asked<'_> {
    #[inline]
    fn find_in(&self, generation: &Generation) -> Result<(u32, bool), CallError> {
        let number = generation.life.number;
        if let Some(found) = self.place.and_then(|place| place.look(number)) {
            return Ok(found);
        }
        let found = generation
            .method(self.name)
            .ok_or_else(|| turned_away::unknown_method(generation, self.name))?;
        if let Some(place) = self.place {
            place.keep(number, found);
        }
        Ok(found)
    }
}

/// How a call is to be made.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// It may wait this long to be let in.
    Waits(Duration),
    /// So, and what is learnt of the method's pace is noted.
    WaitsAndLearns(Duration),
    /// It waits for nobody, and is made only if the method is known to be short; what is learnt of its pace is noted.
    OnlyIfShort,
}

impl Manner {
    fn limit(self) -> Duration {
        match self {
            Manner::Waits(limit) | Manner::WaitsAndLearns(limit) => limit,
            Manner::OnlyIfShort => Duration::ZERO,
        }
    }
}

/// Why a call was not answered by a value.
pub(crate) enum Unmet {
    /// It has ended, or could not be made, with this error.
    Error(CallError),
    /// The gate was closed for all of its time; it was not executed.
    Closed,
    /// Others were inside, where one had to be alone, for all of its time; it was not executed.
    Occupied,
    /// The method is not known to be short; it was not executed.
    NotShort,
}

impl Unmet {
    /// What the caller is told who waited for `limit`.
    fn told(self, slot: &Slot, method: &str, limit: Duration) -> CallError {
        match self {
            Unmet::Error(error) => error,
            Unmet::Closed => turned_away::closed(&slot.name, limit),
            Unmet::Occupied | Unmet::NotShort => turned_away::occupied(method, limit),
        }
    }
}

impl From<CallError> for Unmet {
    fn from(error: CallError) -> Self {
        Unmet::Error(error)
    }
}

impl Core {
    /// Calls a method by name on this thread, waiting at most `limit` to be let in.
    pub(crate) fn call(
        &self,
        plugin: &str,
        method: &str,
        arguments: &[u8],
        limit: Duration,
    ) -> Result<Reply, CallError> {
        let slots = self.slots.all();
        let slot = slots.get(plugin).ok_or_else(|| unknown_plugin(plugin))?;
        let asked = Asked {
            name: method,
            place: None,
        };
        self.call_in(slot, &asked, arguments, Manner::Waits(limit))
            .map_err(|unmet| unmet.told(slot, method, limit))
    }

    /// Calls what is asked for on this thread.
    fn call_in(
        &self,
        slot: &Slot,
        asked: &Asked<'_>,
        arguments: &[u8],
        manner: Manner,
    ) -> Result<Reply, Unmet> {
        interpose::visit();
        data::leave_what_is_over();
        // Calls that running calls make are part of those, which a shutdown waits for.
        if self.shutting_down.load(Ordering::Acquire) && !gate::is_inside_any() {
            return Err(turned_away::shutting_down().into());
        }
        let was_inside = slot.gate.is_inside_here();
        let lease = slot
            .gate
            .enter(manner.limit())
            .map_err(|refusal| not_let_in(refusal, slot, asked.name, manner.limit()))?;
        let generation = lease.tenant();
        let (number, exclusive) = asked.find_in(generation)?;
        let pace = generation.pace(number);
        if matches!(manner, Manner::OnlyIfShort) && !pace.is_some_and(|pace| pace.is_short()) {
            return Err(Unmet::NotShort);
        }
        untied(&lease, slot, asked.name, number, exclusive)?;
        if generation.is_async(number) {
            drop(lease);
            return Ok(self.call_and_wait(&slot.name, asked.name, arguments)?);
        }
        let learns = !matches!(manner, Manner::Waits(_));
        if learns {
            pace::forget_call_out();
        }
        let inside_since = Cell::new(None);
        let enters = || inside_since.set(Some(Instant::now()));
        let (instance, limit) = (&generation.instance, manner.limit());
        let answered = if exclusive {
            let guard = |deadline| slot.gate.guard(generation, deadline);
            instance.call_exclusive(number, arguments, limit, guard, enters)
        } else {
            let from_inside = was_inside || Within::current().holds(&slot.gate, generation);
            instance.call(number, arguments, limit, from_inside, enters)
        };
        if let Some(since) = inside_since.get() {
            let took = since.elapsed();
            if let Some(pace) = pace.filter(|_| learns) {
                pace.note(took, pace::has_called_out());
            }
            lease.is_a_call();
        }
        match answered {
            Ok(result) => Ok(Reply {
                result,
                version: generation.version.clone(),
                generation: generation.life.number,
            }),
            Err(Unanswered::OutOfTime) => Err(Unmet::Occupied),
            Err(Unanswered::Fault(fault)) => {
                self.note_fault(slot, generation, asked.name, exclusive, &fault);
                Err(CallError::from_fault(&fault.0).into())
            }
        }
    }

    /// A failure is counted; a panic in a `&mut self` method leaves its mark.
    #[cold]
    fn note_fault(
        &self,
        slot: &Slot,
        generation: &Generation,
        method: &str,
        exclusive: bool,
        fault: &PluginFault,
    ) {
        let panicked = fault.0.kind == FaultKind::PANICKED;
        slot.gate.count_failure(generation, Failure::new(panicked));
        if exclusive && panicked && generation.taint() {
            self.announcer.announce(Happening::Tainted {
                plugin: generation.life.plugin.to_string(),
                generation: generation.life.number,
                method: method.to_owned(),
                reason: fault.to_string(),
            });
        }
    }
}

#[cold]
fn unknown_plugin(plugin: &str) -> CallError {
    CallError::UnknownPlugin {
        plugin: plugin.to_owned(),
    }
}

#[cold]
fn not_let_in(refusal: Refusal, slot: &Slot, method: &str, limit: Duration) -> Unmet {
    match refusal {
        Refusal::OutOfTime => Unmet::Closed,
        refusal => turned_away::at_the_gate(slot, method, refusal, limit).into(),
    }
}

/// Notes the method on the lease, unless it would wait for ever.
fn untied(
    lease: &Lease<'_, Generation>,
    slot: &Slot,
    method: &str,
    number: u32,
    exclusive: bool,
) -> Result<(), CallError> {
    let plugin = &slot.name;
    let call = Call::of(number, exclusive);
    lease
        .note(call)
        .map_err(|knot| turned_away::knotted(knot, plugin, method))?;
    if exclusive && Within::current().holds(&slot.gate, lease.tenant()) {
        return Err(turned_away::waited_for(plugin, method));
    }
    if exclusive && lease.tenant().snapshot_is_stuck() {
        return Err(turned_away::stuck(plugin, method));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_good_for_the_generation_it_was_found_in() {
        let place = Place::default();
        assert_eq!(place.look(0), None);
        assert_eq!(place.look(1), None);
        for found in [(0, false), (0, true), (7, false), (65_535, true)] {
            place.keep(41, found);
            assert_eq!(place.look(41), Some(found));
            assert_eq!(place.look(42), None);
            assert_eq!(place.look(0), None);
        }
    }

    #[test]
    fn a_number_that_a_place_has_no_room_for_is_not_kept() {
        let place = Place::default();
        place.keep(1 << 47, (1, false));
        place.keep(5, (65_536, false));
        assert_eq!(place.look(5), None);
        assert_eq!(place.look(1 << 47), None);
    }
}
