//! The context: what a plugin can ask of its host.

use crate::{
    content::{Content, Read},
    contract::{FORMAT_JSON, Fault, FaultKind, HostServicesBox},
    dataset::Dataset,
    handle::Handle,
    interface::Interface,
    job::{self, Job},
    task::{Operation, Task},
};
use abi_stable::std_types::{RResult, RSlice, RStr};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{self, Poll, ready},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What a plugin can ask of its host: other plugins, timers, jobs, the clock, randomness.
///
/// `new`, `attach` and every method can take it as first parameter; it is not one of the caller's arguments:
///
/// ```
/// use plugin_api::{CallError, Context};
///
/// #[derive(Default)]
/// struct Greeter;
///
/// #[plugin_api::plugin(name = "greeter", stateless)]
/// impl Greeter {
///     /// Greets `name`, and counts it.
///     fn greet(&self, ctx: &Context, name: &str) -> Result<String, CallError> {
///         let greeted: u64 = ctx.call("counter", "add", (1,))?;
///         Ok(format!("{name}, you are number {greeted}"))
///     }
/// }
/// # fn main() {}
/// ```
///
/// That of an `async` method can wait without a thread, by [`sleep`](Context::sleep) and
/// [`call_async`](Context::call_async).
///
/// A clone is the same context. When its plugin is retired, a context lets go of the host: whatever is asked of it then
/// is answered with [`FaultKind::UNAVAILABLE`]. [`Context::detached`] is in that condition from the start, for tests.
///
/// # Time and randomness
/// State should depend on [`now`](Context::now) and [`random`](Context::random) rather than on the system's own: what
/// comes from the context can be recorded, and a call be executed again with the same outcome.
#[derive(Clone)]
pub struct Context {
    services: Arc<RwLock<Option<Arc<HostServicesBox>>>>,
    /// That of the pending call it was given to.
    task: Option<Arc<Task>>,
    /// The datasets that the plugin reads.
    reads: &'static [Read],
}

impl Context {
    /// A context without a host, for the unit tests of methods that take one.
    ///
    /// ```
    /// use plugin_api::{Context, FaultKind};
    ///
    /// let error = Context::detached().call::<u64>("counter", "total", ()).unwrap_err();
    /// assert_eq!(error.kind, FaultKind::UNAVAILABLE);
    /// ```
    #[must_use]
    pub fn detached() -> Self {
        Context {
            services: Arc::default(),
            task: None,
            reads: &[],
        }
    }

    pub(crate) fn of(services: HostServicesBox, reads: &'static [Read]) -> Self {
        Context {
            services: Arc::new(RwLock::new(Some(Arc::new(services)))),
            task: None,
            reads,
        }
    }

    /// The same context, for a call that is pending.
    pub(crate) fn with_task(&self, task: &Arc<Task>) -> Self {
        Context {
            services: Arc::clone(&self.services),
            task: Some(Arc::clone(task)),
            reads: self.reads,
        }
    }

    /// Lets go of the host. A call that is under way on another thread keeps the services until it ends.
    pub(crate) fn close(&self) {
        let services = self
            .services
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(services);
    }

    pub(crate) fn is(&self, other: &Context) -> bool {
        Arc::ptr_eq(&self.services, &other.services)
    }

    pub(crate) fn services(&self) -> Option<Arc<HostServicesBox>> {
        self.services
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn host(&self) -> Result<Arc<HostServicesBox>, CallError> {
        self.services().ok_or_else(|| CallError {
            kind: FaultKind::UNAVAILABLE,
            message: "there is no host any more: the plugin is retired".to_owned(),
        })
    }

    /// Calls a method of another plugin by name, or one of this plugin's own, through its gate.
    ///
    /// The arguments are what a request's body would be: a tuple is the argument list (`(5,)` for one argument, `()` for
    /// none), a struct or map names the arguments, and any other value is the single argument. A list or an `Option` as
    /// the single argument stands in a tuple, `(lines,)`, since a list is the argument list.
    ///
    /// # Errors
    /// The other plugin's refusal or fault, or why it could not be called. Calls made while a handover is under way,
    /// `new` and the migrate function included, are answered with [`FaultKind::UNAVAILABLE`].
    ///
    /// ```
    /// # fn example(ctx: &plugin_api::Context) -> Result<(), plugin_api::CallError> {
    /// let total: u64 = ctx.call("counter", "add", (5,))?;
    /// let total: u64 = ctx.call("counter", "total", ())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call<R: DeserializeOwned>(
        &self,
        plugin: &str,
        method: &str,
        arguments: impl Serialize,
    ) -> Result<R, CallError> {
        let arguments = body(&arguments)?;
        let answer = self.host()?.call(
            RStr::from_str(plugin),
            RStr::from_str(method),
            FORMAT_JSON,
            RSlice::from_slice(&arguments),
        );
        read(&result(answer)?, plugin, method)
    }

    /// Calls a method of another plugin (or of this one), `async` or not, while this call is pending: no thread waits.
    ///
    /// Otherwise like [`call`](Context::call). It begins when it is first polled. Dropping it cancels an `async` method;
    /// one that is not `async` and has begun goes on.
    ///
    /// # Errors
    /// As for [`call`](Context::call); and [`FaultKind::UNAVAILABLE`] with a context that is not that of a pending call,
    /// or when the call has 1024 operations under way.
    ///
    /// ```
    /// # use plugin_api::{CallError, Context};
    /// # #[derive(Default)] struct Greeter;
    /// #[plugin_api::plugin(name = "greeter", stateless)]
    /// impl Greeter {
    ///     async fn greet(&self, ctx: &Context, name: &str) -> Result<String, CallError> {
    ///         let greeted: u64 = ctx.call_async("counter", "add", (1,)).await?;
    ///         Ok(format!("{name}, you are number {greeted}"))
    ///     }
    /// }
    /// # fn main() {}
    /// ```
    pub fn call_async<R: DeserializeOwned>(
        &self,
        plugin: &str,
        method: &str,
        arguments: impl Serialize,
    ) -> AsyncCall<R> {
        let arguments = body(&arguments);
        let (plugin, method) = (plugin.to_owned(), method.to_owned());
        let task = self.task.clone();
        AsyncCall {
            answer: Box::pin(async move {
                let arguments = arguments?;
                let task = task.ok_or_else(not_pending)?;
                let answer = Operation::call(&task, &plugin, &method, &arguments)?.await?;
                Ok((answer, plugin, method))
            }),
            result: PhantomData,
        }
    }

    /// Waits for `duration` while this call is pending: no thread sleeps. The time begins when it is first polled.
    ///
    /// # Errors
    /// [`FaultKind::UNAVAILABLE`] with a context that is not that of a pending call, or when the call has 1024 operations
    /// under way.
    pub fn sleep(
        &self,
        duration: Duration,
    ) -> impl Future<Output = Result<(), CallError>> + Send + use<> {
        let task = self.task.clone();
        async move {
            let task = task.ok_or_else(not_pending)?;
            Operation::sleep(&task, nanoseconds(duration))?.await?;
            Ok(())
        }
    }

    /// Another plugin, to be called through an interface that it offers: plain types, no serialisation, no names.
    ///
    /// The place to ask for one is `attach`, and the place to keep it a field with `#[serde(skip)]`. It holds through swaps
    /// of the other plugin, and keeps builds of it out that lack the interface; it ends with this plugin's generation.
    ///
    /// # Errors
    /// The host knows no such plugin, it is not serving, or it does not offer this interface
    /// ([`FaultKind::NOT_OFFERED`]): then the message names the difference, or what it offers.
    ///
    /// ```
    /// #[plugin_api::interface]
    /// pub trait Arithmetic {
    ///     fn add(&self, a: u64, b: u64) -> u64;
    /// }
    ///
    /// fn example(ctx: &plugin_api::Context) -> Result<u64, plugin_api::CallError> {
    ///     let calc: plugin_api::Handle<dyn Arithmetic> = ctx.handle("calc")?;
    ///     calc.add(2, 3)
    /// }
    /// # fn main() {}
    /// ```
    pub fn handle<I: Interface + ?Sized>(&self, plugin: &str) -> Result<Handle<I>, CallError> {
        let answer = self.host()?.port(
            RStr::from_str(plugin),
            RStr::from_str(I::NAME),
            RStr::from_str(I::DESCRIPTION),
        );
        result(answer).map(Handle::new)
    }

    /// Hot data that this plugin reads, by the type that it is read as.
    ///
    /// The plugin says that it reads it, so that the host knows it before it runs any code:
    ///
    /// ```
    /// use plugin_api::{Context, Dataset};
    ///
    /// #[plugin_api::dataset("rates")]
    /// struct Rates {
    ///     usd: f64,
    /// }
    ///
    /// struct Pricing {
    ///     rates: Dataset<Rates>,
    /// }
    ///
    /// #[plugin_api::plugin(name = "pricing", stateless, reads(Rates))]
    /// impl Pricing {
    ///     fn new(ctx: &Context) -> Self {
    ///         Pricing { rates: ctx.dataset() }
    ///     }
    ///
    ///     fn in_usd(&self, eur: f64) -> f64 {
    ///         eur * self.rates.get().usd
    ///     }
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// A context without a host gives a dataset without a value: see [`Dataset::of`].
    ///
    /// # Panics
    /// When the plugin has not said that it reads `T`.
    #[must_use]
    #[track_caller]
    pub fn dataset<T: Content>(&self) -> Dataset<T> {
        let Some(host) = self.services() else {
            return Dataset::default();
        };
        let type_name = std::any::type_name::<T>();
        let name = type_name.rsplit("::").next().unwrap_or(type_name);
        let Some(number) = Read::number::<T>(self.reads) else {
            panic!(
                "`{name}` is not among what this plugin reads: write #[plugin_api::plugin(reads({name}))]"
            );
        };
        match result(host.lens(number)) {
            Ok(lens) => Dataset::through(lens, host),
            Err(error) => panic!("data \"{}\" cannot be read: {error}", T::NAME),
        }
    }

    /// Runs `job` on a thread of the host's, from the moment this generation serves (at once, when it does already).
    ///
    /// The generation's end cancels the job, which should then return: see [`Job::sleep`]. A job reaches the plugin's
    /// state by calling its own plugin, like everyone else. A job that panics is logged by the host.
    ///
    /// # Errors
    /// Why the host does not take the job.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn example(ctx: &plugin_api::Context) -> Result<(), plugin_api::CallError> {
    /// let context = ctx.clone();
    /// ctx.spawn("poll", move |job| {
    ///     while !job.sleep(Duration::from_secs(1)) {
    ///         if let Err(error) = context.call::<u64>("counter", "add", (1,)) {
    ///             plugin_api::warn!(%error, "not counted");
    ///         }
    ///     }
    /// })
    /// # }
    /// ```
    pub fn spawn(
        &self,
        name: &str,
        job: impl FnOnce(&Job) + Send + 'static,
    ) -> Result<(), CallError> {
        let host = self.host()?;
        result(host.spawn(RStr::from_str(name), job::object(job)))
    }

    /// Calls this plugin's own `method` every `period`, the first time after one period.
    ///
    /// The time counts from the moment this generation serves, and the timer ends with the generation; the next one
    /// sets its own in `attach`. Arguments are as for [`call`](Context::call).
    ///
    /// # Errors
    /// Why the host does not set the timer.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn example(ctx: &plugin_api::Context) -> Result<(), plugin_api::CallError> {
    /// let timer = ctx.every(Duration::from_secs(60), "expire", ())?;
    /// timer.stop();
    /// # Ok(())
    /// # }
    /// ```
    pub fn every(
        &self,
        period: Duration,
        method: &str,
        arguments: impl Serialize,
    ) -> Result<Timer, CallError> {
        // A period of 0 means "once" to the host.
        let period = nanoseconds(period).max(1);
        self.timer(period, period, method, &arguments)
    }

    /// Calls this plugin's own `method` once, after `delay`. Otherwise like [`every`](Context::every).
    ///
    /// # Errors
    /// Why the host does not set the timer.
    pub fn after(
        &self,
        delay: Duration,
        method: &str,
        arguments: impl Serialize,
    ) -> Result<Timer, CallError> {
        self.timer(nanoseconds(delay), 0, method, &arguments)
    }

    fn timer(
        &self,
        delay: u64,
        period: u64,
        method: &str,
        arguments: &impl Serialize,
    ) -> Result<Timer, CallError> {
        let arguments = body(arguments)?;
        let answer = self.host()?.timer(
            delay,
            period,
            RStr::from_str(method),
            FORMAT_JSON,
            RSlice::from_slice(&arguments),
        );
        Ok(Timer {
            number: result(answer)?,
            context: self.clone(),
        })
    }

    /// The time by the host's clock; without a host, by the system's.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        match self.services() {
            Some(host) => UNIX_EPOCH + Duration::from_nanos(host.now()),
            None => SystemTime::now(),
        }
    }

    /// 64 random bits from the host; without one, from the standard library's hasher. Not for keys and secrets.
    #[must_use]
    pub fn random(&self) -> u64 {
        match self.services() {
            Some(host) => host.random(),
            None => RandomState::new().hash_one(SystemTime::now()),
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("attached", &self.services().is_some())
            .finish()
    }
}

/// A call that a pending call makes: see [`Context::call_async`].
#[must_use = "it begins when it is awaited"]
pub struct AsyncCall<R> {
    answer: Pin<Box<dyn Future<Output = Result<Answered, CallError>> + Send>>,
    result: PhantomData<fn() -> R>,
}

/// The result as JSON text; of which plugin, by which method.
type Answered = (Vec<u8>, String, String);

impl<R: DeserializeOwned> Future for AsyncCall<R> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        let answered = ready!(self.answer.as_mut().poll(context));
        Poll::Ready(answered.and_then(|(answer, plugin, method)| read(&answer, &plugin, &method)))
    }
}

impl<R> fmt::Debug for AsyncCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncCall").finish_non_exhaustive()
    }
}

/// A timer of this generation's. Dropping it does not stop it.
#[derive(Clone, Debug)]
pub struct Timer {
    number: u64,
    context: Context,
}

impl Timer {
    /// Stops the timer. A call that it has made already is not taken back.
    pub fn stop(&self) {
        if let Some(host) = self.context.services() {
            host.stop_timer(self.number);
        }
    }
}

/// Why something that was asked of the host was not done.
///
/// It can be the error of a method that passes it on with `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// What kind of failure.
    pub kind: FaultKind,
    /// The failure in words.
    pub message: String,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CallError {}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        CallError {
            kind: fault.kind,
            // A copy: the host's string is the host's to free.
            message: fault.message.as_str().to_owned(),
        }
    }
}

fn not_pending() -> CallError {
    CallError {
        kind: FaultKind::UNAVAILABLE,
        message: "this context is not that of an `async` method, which alone can wait so"
            .to_owned(),
    }
}

fn read<R: DeserializeOwned>(answer: &[u8], plugin: &str, method: &str) -> Result<R, CallError> {
    serde_json::from_slice(answer).map_err(|error| CallError {
        kind: FaultKind::BAD_RESULT,
        message: format!("reading the result of {plugin}.{method}: {error}"),
    })
}

pub(crate) fn result<T>(answer: RResult<T, Fault>) -> Result<T, CallError> {
    answer.into_result().map_err(CallError::from)
}

/// Arguments as a request's body: JSON, but nothing at all for `()`.
fn body(arguments: &impl Serialize) -> Result<Vec<u8>, CallError> {
    let text = serde_json::to_vec(arguments).map_err(|error| CallError {
        kind: FaultKind::BAD_ARGUMENTS,
        message: format!("writing the arguments: {error}"),
    })?;
    Ok(if text == b"null" { Vec::new() } else { text })
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
