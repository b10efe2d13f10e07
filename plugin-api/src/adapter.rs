//! The adapter: one living plugin as the contract wants it, around the author's value.
//!
//! # Invariants
//! 1. Author's code (methods, `new`, `attach`, migrate functions, `Drop`) runs inside the guard only.
//! 2. There is a value from `create` until `retire`, or until a restore has failed. The old value is dropped after the new one
//!    is in its place.
//! 3. After `retire`, or the adapter's drop without it, nothing of the host's services is reachable from this library.

use crate::{
    body::{Housed, SHARED, Shared},
    content::{self, Read},
    context::Context,
    contract::{
        Answer, FORMAT_JSON, Face, Fault, FaultKind, HostServicesBox, Offer, ParsedBox, PendingBox,
        PluginObject, PluginObject_TO, PluginObjectBox, TaskBox,
    },
    guard::{drop_guarded, guard, hook, unhook},
    logging,
    manifest::{Decimal, Encoding},
    pending::{self, Work},
    state::State,
    task::Task,
};
use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RSlice, RVec},
};
use std::sync::Arc;

/// What [`plugin`](macro@crate::plugin) implements for the author's type.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// Whether it keeps state: [`Stateful`] or [`Stateless`].
    type Keeping: Keeping<Self>;

    /// Name, version and mode, as members of a JSON object.
    const IDENTITY: &'static str;
    /// What a panic does in the author's crate, as the manifest says it.
    const PANIC: &'static str;
    /// The doc comment of the `impl` block, as the inside of a JSON string.
    const DOC: &'static str;
    /// The methods, as a JSON array.
    const METHODS: &'static str;
    /// The interfaces it offers, as a JSON array.
    const INTERFACES: &'static str = "[]";
    /// The interfaces it offers, in the same order.
    const OFFERS: &'static [Offer] = &[];
    /// The names of the datasets it reads, as a JSON array.
    const READ_NAMES: &'static str = "[]";
    /// The datasets it reads, in the same order.
    const READS: &'static [Read] = &[];

    /// Makes the value: the author's `new`, or `Default`.
    fn create(context: &Context) -> Result<Self, Fault>;

    /// The author's `attach`, if there is one.
    fn attach(&mut self, _context: &Context) -> Result<(), Fault> {
        Ok(())
    }

    /// Calls the `&self` method with this number; arguments and result are JSON text.
    fn call(&self, context: &Context, method: u32, arguments: &[u8]) -> Result<Vec<u8>, Fault>;

    /// Calls the `&mut self` method with this number.
    fn call_exclusive(
        &mut self,
        context: &Context,
        method: u32,
        arguments: &[u8],
    ) -> Result<Vec<u8>, Fault>;

    /// Begins the `async` method with this number; the arguments are read before it returns.
    fn begin(
        _plugin: Arc<Self>,
        _context: Context,
        method: u32,
        _arguments: &[u8],
    ) -> Result<Work, Fault> {
        Err(not_async(method))
    }
}

/// What becomes of a plugin's value at a swap.
pub trait Keeping<P> {
    /// The manifest's schema: a number or `null`.
    const SCHEMA: &'static str;
    /// The manifest's word for the encoding.
    const ENCODING: &'static str;
    /// The doc comment of the state.
    const DOC: &'static str;

    /// The state in the format of `schema`.
    fn snapshot(plugin: &P, schema: u32) -> Result<Vec<u8>, Fault>;
    /// The plugin with the state in `snapshot`.
    fn restore(schema: u32, snapshot: &[u8]) -> Result<P, Fault>;
}

/// It goes over to the next generation.
pub struct Stateful;

/// It is dropped.
pub struct Stateless;

struct Number<P>(P);

impl<P: State> Number<P> {
    const DECIMAL: &'static Decimal = &Decimal::new(P::SCHEMA);
}

impl<P: State> Keeping<P> for Stateful {
    const SCHEMA: &'static str = Number::<P>::DECIMAL.text();
    const ENCODING: &'static str = match P::ENCODING {
        Encoding::Messagepack => "messagepack",
        Encoding::Own => "own",
    };
    const DOC: &'static str = P::DOC;

    fn snapshot(plugin: &P, schema: u32) -> Result<Vec<u8>, Fault> {
        plugin
            .save(schema)
            .map_err(|message| Fault::new(FaultKind::STATE, message))
    }

    fn restore(schema: u32, snapshot: &[u8]) -> Result<P, Fault> {
        P::load(schema, snapshot).map_err(|message| Fault::new(FaultKind::STATE, message))
    }
}

impl<P> Keeping<P> for Stateless {
    const SCHEMA: &'static str = "null";
    const ENCODING: &'static str = "messagepack";
    const DOC: &'static str = "";

    fn snapshot(_: &P, _: u32) -> Result<Vec<u8>, Fault> {
        Err(no_state())
    }

    fn restore(_: u32, _: &[u8]) -> Result<P, Fault> {
        Err(no_state())
    }
}

fn no_state() -> Fault {
    Fault::new(FaultKind::STATE, "this plugin has no state")
}

/// How a plugin without a `new` function begins.
#[diagnostic::on_unimplemented(
    message = "there is no way to make a `{Self}`",
    label = "derive `Default` for `{Self}`, or write `fn new() -> Self` among its methods"
)]
pub trait Beginning {
    /// The value it begins with.
    fn beginning() -> Self;
}

#[diagnostic::do_not_recommend]
impl<P: Default> Beginning for P {
    fn beginning() -> Self {
        P::default()
    }
}

/// A plugin without a `new` function.
pub fn begin<P: Beginning>() -> P {
    P::beginning()
}

/// The fault for a method's number that the plugin does not have, or not in that way.
pub fn unknown_method(method: u32, exclusive: bool) -> Fault {
    let receiver = if exclusive { "&mut self" } else { "&self" };
    Fault::new(
        FaultKind::UNKNOWN_METHOD,
        format!("there is no `{receiver}` method with number {method}"),
    )
}

/// The fault for a method's number that is begun, and is not that of an `async` method.
pub fn not_async(method: u32) -> Fault {
    Fault::new(
        FaultKind::UNKNOWN_METHOD,
        format!("there is no `async` method with number {method}"),
    )
}

/// Makes the plugin: the function behind the root module's `create`.
pub(crate) extern "C" fn create<P: Plugin>(services: HostServicesBox) -> Answer<PluginObjectBox> {
    let context = Context::of(services, P::READS);
    let mut adapter = Adapter::<P>::open(context);
    match guard(|| P::create(adapter.body.context())) {
        Ok(value) => {
            adapter.body.put(value);
            RResult::ROk(PluginObject_TO::from_value(adapter, TD_Opaque))
        }
        Err(fault) => RResult::RErr(fault),
    }
}

/// Parses content of a dataset that the plugin reads.
pub(crate) extern "C" fn parse<P: Plugin>(
    read: u32,
    format: u32,
    content: RSlice<'_, u8>,
) -> Answer<ParsedBox> {
    content::answer(P::READS, read, format, content)
}

struct Adapter<P: Plugin> {
    /// Each pending call has a share in its value.
    body: Housed<P>,
    open: bool,
}

impl<P: Plugin> Adapter<P> {
    fn open(context: Context) -> Self {
        hook();
        logging::begin(&context);
        Adapter {
            body: Housed::new(context),
            open: true,
        }
    }

    /// The value, for one who has it alone: no call is pending.
    fn alone(&mut self) -> Result<(&mut P, &Context), Fault> {
        let (value, context) = self.body.alone();
        match value.ok_or_else(retired)? {
            Ok(value) => Ok((value, context)),
            Err(Shared) => Err(Fault::new(FaultKind::BUSY, SHARED)),
        }
    }

    /// Drops the author's value, then lets go of the services.
    fn close(&mut self) -> Result<(), Fault> {
        let outcome = drop_guarded(self.body.take());
        if std::mem::replace(&mut self.open, false) {
            logging::end(self.body.context());
            self.body.let_go();
            unhook();
        }
        outcome
    }
}

impl<P: Plugin> Drop for Adapter<P> {
    fn drop(&mut self) {
        // The fault of a value's `Drop` has nobody to go to here; `retire` is where the host asks for it.
        let _ = self.close();
    }
}

fn retired() -> Fault {
    Fault::new(FaultKind::NOT_SERVING, "this plugin is retired")
}

fn check(format: u32) -> Result<(), Fault> {
    if format == FORMAT_JSON {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::BAD_ARGUMENTS,
        format!("arguments have format {format}, this plugin reads format {FORMAT_JSON} (JSON)"),
    ))
}

fn answer<T, U: From<T>>(outcome: Result<T, Fault>) -> Answer<U> {
    match outcome {
        Ok(value) => RResult::ROk(value.into()),
        Err(fault) => RResult::RErr(fault),
    }
}

impl<P: Plugin> PluginObject for Adapter<P> {
    fn call(&self, method: u32, format: u32, arguments: RSlice<'_, u8>) -> Answer<RVec<u8>> {
        answer(guard(|| {
            check(format)?;
            let value = self.body.value().ok_or_else(retired)?;
            value.call(self.body.context(), method, arguments.as_slice())
        }))
    }

    fn call_exclusive(
        &mut self,
        method: u32,
        format: u32,
        arguments: RSlice<'_, u8>,
    ) -> Answer<RVec<u8>> {
        answer(guard(|| {
            check(format)?;
            let (value, context) = self.alone()?;
            value.call_exclusive(context, method, arguments.as_slice())
        }))
    }

    fn snapshot(&self, schema: u32) -> Answer<RVec<u8>> {
        answer(guard(|| {
            let value = self.body.value().ok_or_else(retired)?;
            P::Keeping::snapshot(value, schema)
        }))
    }

    fn restore(&mut self, schema: u32, snapshot: RSlice<'_, u8>) -> Answer<()> {
        let restored = guard(|| P::Keeping::restore(schema, snapshot.as_slice()));
        let outcome = match restored {
            Ok(value) if self.open => drop_guarded(self.body.put(value)),
            Ok(value) => drop_guarded(value).and(Err(retired())),
            // Of no further use, so the old value goes as well.
            Err(fault) => drop_guarded(self.body.take()).and(Err(fault)),
        };
        answer(outcome)
    }

    fn attach(&mut self) -> Answer<()> {
        answer(guard(|| {
            let (value, context) = self.alone()?;
            value.attach(context)
        }))
    }

    fn retire(&mut self) -> Answer<()> {
        answer(self.close())
    }

    fn face(&self) -> Face {
        Face {
            object: self.body.object(),
            offers: RSlice::from_slice(P::OFFERS),
        }
    }

    fn begin(
        &self,
        method: u32,
        format: u32,
        arguments: RSlice<'_, u8>,
        task: TaskBox,
    ) -> Answer<PendingBox> {
        let task = Task::new(task);
        answer(guard(|| {
            check(format)?;
            let value = self.body.value().ok_or_else(retired)?;
            let context = self.body.context().with_task(&task);
            let work = P::begin(Arc::clone(value), context, method, arguments.as_slice())?;
            Ok(pending::object(work, &task))
        }))
    }
}

#[cfg(test)]
mod tests;
