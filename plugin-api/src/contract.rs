//! The contract: the types that host and plugin are both compiled against.
//!
//! A plugin's library exports one symbol, [`EXPORTED_HEADER`], from which the host reaches the [`PluginModule`] after
//! checking its layout. The module makes one [`PluginObject`]; everything the host ever asks of the plugin is a method
//! of it, or of a table of its [`Face`], and everything the plugin ever asks of the host is a method of the
//! [`HostServices`] it was given.
//!
//! # Rules
//! 1. Every change raises the [`CONTRACT_LEVEL`]. Fields and methods are only appended; where one has to be changed, hosts do
//!    not take the levels of before any more.
//! 2. Whatever a plugin returns lives in the plugin's library: the host copies it and drops it before the call's lease
//!    ends. Whatever the host passes is borrowed for the call, but for the services, which the plugin owns.
//! 3. No panic crosses: each side catches its own and answers with a [`Fault`].
//! 4. What a plugin has begun and not ended (a [`PendingObject`]) is dropped before the plugin is retired. No waker of the
//!    plugin's crosses: its code asks the call's [`TaskObject`] to wake whoever polls.
//! 5. What a plugin has parsed of a dataset (a [`ParsedObject`]) may be dropped as long as its library is mapped, also
//!    after the plugin is retired: calls and threads of its may look at it until then.
//! 6. `&self` methods may be called from any number of threads at once; `&mut self` methods are called alone.
//! 7. The functions of a plugin's tables are called only from when it was made, and restored where it is to be, until it is
//!    retired; hosts have never done otherwise.

use abi_stable::{
    StableAbi,
    library::RootModule,
    package_version_strings, sabi_trait,
    sabi_types::VersionStrings,
    std_types::{RBox, ROption, RResult, RSlice, RStr, RString, RVec},
};
use std::fmt;

/// The number of this contract. It rises with every change. Since level 2 an [`Offer`] has timed functions.
pub const CONTRACT_LEVEL: u32 = 2;

/// The symbol a plugin's library exports: a static [`abi_stable::library::LibHeader`].
pub const EXPORTED_HEADER: &str = "plugin_api_header";

/// The format of by-name arguments and results, and of a dataset's content: JSON text in UTF-8.
pub const FORMAT_JSON: u32 = 1;

/// The format of a dataset's content that is given as it came.
pub const FORMAT_BYTES: u32 = 2;

/// What kind of [`Fault`] it is, as a number that later levels may add to.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, PartialEq, Eq)]
pub struct FaultKind(u32);

macro_rules! fault_kinds {
    ($($number:literal $constant:ident $word:literal $doc:literal;)*) => {
        impl FaultKind {
            $(#[doc = $doc] pub const $constant: FaultKind = FaultKind($number);)*

            /// The word for this kind, as it stands in answers and logs.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self.0 {
                    $($number => $word,)*
                    _ => "unknown",
                }
            }
        }
    };
}

fault_kinds! {
    1 REFUSED "refused" "The author's method returned `Err`.";
    2 BAD_ARGUMENTS "bad_arguments" "The arguments do not fit the method.";
    3 PANICKED "panicked" "The plugin's code panicked.";
    4 UNKNOWN_METHOD "unknown_method" "The plugin has no such method.";
    5 STATE "state" "A snapshot could not be made, migrated or restored.";
    6 UNKNOWN_PLUGIN "unknown_plugin" "The host has no plugin of that name.";
    7 NOT_SERVING "not_serving" "The plugin is known but not serving now.";
    8 BUSY "busy" "The call waited too long to be let in; it was not executed.";
    9 UNAVAILABLE "unavailable" "The host does not offer this service here and now (during vetting or a handover, say).";
    10 TIMED_OUT "timed_out" "The call did not end in time; its outcome is unknown.";
    11 BAD_RESULT "bad_result" "The call was executed, but its result could not be written or read in the format asked for.";
    12 NOT_OFFERED "not_offered" "The plugin does not offer the interface asked for, or another version of it.";
    13 CANCELLED "cancelled" "The call was pending in a plugin that went out of service; its outcome is unknown.";
    14 DATA "data" "Content of a dataset cannot be read, or the plugin refuses it.";
}

impl fmt::Debug for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why something asked across the boundary was not done.
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct Fault {
    /// What kind of failure.
    pub kind: FaultKind,
    /// The failure in words, in UTF-8, without a full stop.
    pub message: RString,
}

impl Fault {
    /// A fault of this kind, with this message.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        let message: String = message.into();
        Fault {
            kind,
            message: message.into(),
        }
    }
}

/// The result of everything that is asked across the boundary.
pub type Answer<T> = RResult<T, Fault>;

/// What has become of a visit, as a number that later levels may add to.
#[repr(transparent)]
#[derive(StableAbi, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry(u32);

impl Entry {
    /// It is done.
    pub const DONE: Entry = Entry(0);
    /// The method that was called has panicked.
    pub const PANICKED: Entry = Entry(1);
    /// The method that was called has refused, or failed in another way.
    pub const REFUSED: Entry = Entry(2);
}

/// What a plugin wants to do inside another one, as the host runs it between entering and leaving.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct Visit {
    /// Does it, once. It is given the object, a table of it that fits the interface asked for, and `errand`.
    pub run: extern "C" fn(Object, Table, *mut ()) -> Entry,
    /// The caller's own; of use only while the call lasts that this was given to.
    pub errand: *mut (),
}

/// The end of something that a pending call has begun with its [`TaskObject`].
#[repr(C)]
#[derive(StableAbi)]
pub struct Done {
    /// The number that the plugin's side gave to it.
    pub operation: u64,
    /// The result, in the format asked for; nothing for a sleep.
    pub outcome: Answer<RVec<u8>>,
}

/// The trait objects, in a module of their own for the lints that their attribute's output needs.
#[expect(
    non_local_definitions,
    unsafe_code,
    reason = "what sabi_trait 0.11.3 generates: impls inside a const, vtables behind unsafe"
)]
mod objects {
    use super::{
        Address, Answer, Done, Face, JobControlBox, JobObjectBox, Lens, PendingBox, PortBox,
        ROption, RSlice, RStr, RVec, TaskBox, Visit, sabi_trait,
    };

    /// One living plugin, as the host holds it.
    #[sabi_trait]
    pub trait PluginObject: Send + Sync + 'static {
        /// Calls the `&self` method with this index in the manifest. Arguments and result are in `format`.
        fn call(&self, method: u32, format: u32, arguments: RSlice<'_, u8>) -> Answer<RVec<u8>>;

        /// Calls the `&mut self` method with this index in the manifest.
        fn call_exclusive(
            &mut self,
            method: u32,
            format: u32,
            arguments: RSlice<'_, u8>,
        ) -> Answer<RVec<u8>>;

        /// The state in the format of `schema`: the plugin's own number, or an older one that it can go down to.
        fn snapshot(&self, schema: u32) -> Answer<RVec<u8>>;

        /// Replaces the state by `snapshot`, which is in the format of `schema`: the plugin's own or an older one.
        /// On a fault the object is of no further use.
        fn restore(&mut self, schema: u32, snapshot: RSlice<'_, u8>) -> Answer<()>;

        /// Gets hold of what is not state (connections, timers, jobs); the last thing before it serves.
        fn attach(&mut self) -> Answer<()>;

        /// Drops the author's value and lets go of the host's services. Nothing is called afterwards.
        fn retire(&mut self) -> Answer<()>;

        /// Where the object lies, and the interfaces it offers. The same at any time of its life.
        fn face(&self) -> Face;

        /// Begins the `async` method with this index in the manifest; the arguments are read before it returns. What is
        /// pending has a share in the plugin: it is dropped before any `&mut self` method is called.
        #[sabi(last_prefix_field)]
        fn begin(
            &self,
            method: u32,
            format: u32,
            arguments: RSlice<'_, u8>,
            task: TaskBox,
        ) -> Answer<PendingBox>;
    }

    /// A call of an `async` method that has begun. Dropping it cancels it.
    #[sabi_trait]
    pub trait PendingObject: Send + 'static {
        /// Goes on as far as it can. Nothing while it waits: its task is woken when it can go further. Not to be polled
        /// again after it has answered.
        #[sabi(last_prefix_field)]
        fn poll(&mut self) -> ROption<Answer<RVec<u8>>>;
    }

    /// What a host does for one pending call. An operation is begun under a number that the plugin's side chooses; when
    /// it has ended, it is given by `next_done`, once, and the call is woken. Whatever is asked after the call's end is
    /// answered with a fault, or does nothing.
    #[sabi_trait]
    pub trait TaskObject: Send + Sync + 'static {
        /// Has the call polled again, soon.
        fn wake(&self);

        /// Begins to wait for that many nanoseconds.
        fn sleep(&self, operation: u64, nanoseconds: u64) -> Answer<()>;

        /// Begins to call a plugin's method by name, `async` or not.
        fn call(
            &self,
            operation: u64,
            plugin: RStr<'_>,
            method: RStr<'_>,
            format: u32,
            arguments: RSlice<'_, u8>,
        ) -> Answer<()>;

        /// Forgets an operation; one that has ended already is no fault. A call that was let in by then has an unknown
        /// outcome.
        fn cancel(&self, operation: u64);

        /// An operation that has ended.
        #[sabi(last_prefix_field)]
        fn next_done(&self) -> ROption<Done>;
    }

    /// What a host does for a plugin. Every method may be called from any thread, at any time of the plugin's life.
    #[sabi_trait]
    pub trait HostServices: Send + Sync + 'static {
        /// Writes one log record. `level`: 1 error, 2 warn, 3 info, 4 debug, 5 trace.
        fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>);

        /// The most verbose level that anybody reads now, numbered as in `log`; 0 is none. Records beyond it need not be
        /// written.
        fn log_level(&self) -> u32;

        /// Calls another plugin's method (or this one's own, through the gate) by name.
        fn call(
            &self,
            plugin: RStr<'_>,
            method: RStr<'_>,
            format: u32,
            arguments: RSlice<'_, u8>,
        ) -> Answer<RVec<u8>>;

        /// Runs a job on a thread of the host, from the moment this generation serves.
        fn spawn(&self, name: RStr<'_>, job: JobObjectBox) -> Answer<()>;

        /// Calls this plugin's own method after `delay` nanoseconds of serving, and then, if `period` is not 0, every
        /// `period` nanoseconds. Gives the timer's number.
        fn timer(
            &self,
            delay: u64,
            period: u64,
            method: RStr<'_>,
            format: u32,
            arguments: RSlice<'_, u8>,
        ) -> Answer<u64>;

        /// Stops a timer; one that is gone already is no fault.
        fn stop_timer(&self, timer: u64);

        /// Nanoseconds since 1970-01-01 00:00 UTC, by the host's clock.
        fn now(&self) -> u64;

        /// 64 random bits from the host.
        fn random(&self) -> u64;

        /// Whether the calling thread is inside a call through a gate, so that a panic on it is caught.
        fn is_inside(&self) -> bool;

        /// A call of one of this plugin's [timed](Offer::timed) functions begins on the calling thread.
        fn timed_call_begins(&self);

        /// That call ends.
        fn timed_call_ends(&self);

        /// A way into another plugin by an interface that it offers. `description` is what the caller takes the
        /// interface for: what is offered must begin with the same methods.
        fn port(
            &self,
            plugin: RStr<'_>,
            interface: RStr<'_>,
            description: RStr<'_>,
        ) -> Answer<PortBox>;

        /// The lens on the dataset with this number among those that the plugin's manifest says it reads. It may be used
        /// from any thread, as long as the services are held.
        #[sabi(last_prefix_field)]
        fn lens(&self, read: u32) -> Answer<Lens>;
    }

    /// What a plugin has parsed of a revision. It may be dropped on any thread.
    #[sabi_trait]
    pub trait ParsedObject: Send + Sync + 'static {
        /// Where the value lies; the same as long as this lives.
        #[sabi(last_prefix_field)]
        fn address(&self) -> Address;
    }

    /// A way into another plugin by one interface. While it is there, no build of that plugin serves that lacks it.
    #[sabi_trait]
    pub trait PortObject: Send + Sync + 'static {
        /// Enters the plugin, runs `visit` there, which is to call the interface's method with this number, and leaves.
        /// A fault means that it was not run.
        #[sabi(last_prefix_field)]
        fn with(&self, method: u32, exclusive: bool, visit: Visit) -> Answer<()>;
    }

    /// Work that a plugin has given to the host to run.
    #[sabi_trait]
    pub trait JobObject: Send + 'static {
        /// Runs to the end. The host asks it to end through `control`.
        #[sabi(last_prefix_field)]
        fn run(&mut self, control: JobControlBox) -> Answer<()>;
    }

    /// How a running job learns that it should end.
    #[sabi_trait]
    pub trait JobControl: Send + Sync + 'static {
        /// Whether the job should end now: its generation is on its way out.
        fn cancelled(&self) -> bool;

        /// Sleeps for that many nanoseconds, or until cancelled; says whether it was cancelled.
        #[sabi(last_prefix_field)]
        fn sleep(&self, nanoseconds: u64) -> bool;
    }
}

pub use crate::face::{Face, Object, Offer, Table};
pub use crate::lens::{Address, Glance, Lens};
pub use objects::{
    HostServices, HostServices_TO, JobControl, JobControl_TO, JobObject, JobObject_TO,
    ParsedObject, ParsedObject_TO, PendingObject, PendingObject_TO, PluginObject, PluginObject_TO,
    PortObject, PortObject_TO, TaskObject, TaskObject_TO,
};

/// A living plugin.
pub type PluginObjectBox = PluginObject_TO<RBox<()>>;
/// The services given to one plugin.
pub type HostServicesBox = HostServices_TO<RBox<()>>;
/// A way into another plugin.
pub type PortBox = PortObject_TO<RBox<()>>;
/// A job on its way to the host.
pub type JobObjectBox = JobObject_TO<RBox<()>>;
/// A running job's control.
pub type JobControlBox = JobControl_TO<RBox<()>>;
/// A call that is pending in a plugin.
pub type PendingBox = PendingObject_TO<RBox<()>>;
/// What a plugin has parsed of a revision.
pub type ParsedBox = ParsedObject_TO<RBox<()>>;
/// What a host does for a pending call.
pub type TaskBox = TaskObject_TO<RBox<()>>;

/// What a plugin's library offers: the root module, reached through [`EXPORTED_HEADER`].
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModuleRef, prefix_fields = PluginModulePrefix)))]
#[sabi(missing_field(panic))]
pub struct PluginModule {
    /// Makes the plugin. It takes no exclusive resource: another generation may be serving.
    pub create: extern "C" fn(HostServicesBox) -> Answer<PluginObjectBox>,
    /// Parses content for the read with this number in the manifest, and checks it. The content is in `format`. It needs no
    /// object, runs on any thread, and may run beside all else.
    #[sabi(last_prefix_field)]
    pub parse: extern "C" fn(read: u32, format: u32, content: RSlice<'_, u8>) -> Answer<ParsedBox>,
}

impl RootModule for PluginModuleRef {
    abi_stable::declare_root_module_statics! {PluginModuleRef}
    const BASE_NAME: &'static str = "plugin";
    const NAME: &'static str = "plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}
