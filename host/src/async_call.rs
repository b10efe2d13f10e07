//! An async call: a call by name whose caller waits with a waker instead of a thread.
//!
//! Wherever a call may have to wait (for a gate that closes, for a `&mut self` method to end, for a thread, for what an
//! `async` method waits for), nothing is kept but its future. An `async` method is polled by its caller; any other method
//! runs on the host's workers, or at once where the caller waits with a thread anyway.

use crate::{
    alarm,
    clock::Clock,
    core::Core,
    data::Scope,
    deadline,
    desk::Switchboard,
    driver,
    error::CallError,
    foreign::interpose,
    gate::{Knot, Owned, Within, is_inside_any},
    generation::Generation,
    host::{Host, Reply},
    pending::Pending,
    promise::promise,
    slot::Slot,
    turned_away,
};
use std::{
    future::poll_fn,
    sync::{Arc, Weak, atomic::Ordering},
    task::Poll,
    time::{Duration, Instant},
};

impl Host {
    /// Calls a method by name, `async` or not, without ever keeping the thread that polls waiting: not for a swap, not for
    /// other calls. Arguments are as for [`Host::call`]. Any executor will do; it begins when it is first polled, and does
    /// not keep the host.
    ///
    /// An `async` method is polled by whoever polls this. Others run on the host's own threads. Dropping the future
    /// cancels an `async` method, whose outcome is unknown then; one that is not `async` goes on.
    ///
    /// It waits at most `call.timeout` of the configuration to be let in; once inside it has no limit.
    ///
    /// # Errors
    /// See [`CallError`]. [`CallError::Cancelled`]: the plugin was unloaded, or the host shut down, and the call was still
    /// pending at the drain deadline.
    ///
    /// ```no_run
    /// # async fn example(host: &host::Host) -> Result<(), host::CallError> {
    /// let reply = host.call_async("counter", "add", b"[5]").await?;
    /// println!("{}", String::from_utf8_lossy(&reply.result));
    /// # Ok(())
    /// # }
    /// ```
    pub fn call_async(
        &self,
        plugin: &str,
        method: &str,
        arguments: &[u8],
    ) -> impl Future<Output = Result<Reply, CallError>> + Send + use<> {
        let call = AsyncCall {
            plugin: plugin.to_owned(),
            method: method.to_owned(),
            arguments: arguments.to_vec(),
            within: Within::default(),
            scope: None,
        };
        call.run(Arc::downgrade(self.core()))
    }

    /// Whether this is an `async` method of what serves now.
    #[must_use]
    pub fn is_async(&self, plugin: &str, method: &str) -> bool {
        let serving = self.core().slot(plugin).and_then(|slot| slot.gate.tenant());
        serving.is_some_and(|generation| {
            let number = generation.method(method).map(|(number, _)| number);
            number.is_some_and(|number| generation.is_async(number))
        })
    }
}

/// A call by name, with its arguments as JSON text, and the pending calls that wait for it.
pub(crate) struct AsyncCall {
    pub(crate) plugin: String,
    pub(crate) method: String,
    pub(crate) arguments: Vec<u8>,
    pub(crate) within: Within,
    /// What it sees of hot data; `None`: what is shown when it is let in.
    pub(crate) scope: Option<Scope>,
}

impl AsyncCall {
    /// Calls. The future does not keep the host.
    pub(crate) async fn run(self, core: Weak<Core>) -> Result<Reply, CallError> {
        interpose::visit();
        let (slot, clock, limit) = self.begin(&core)?;
        let until = deadline::after(limit);
        let lease = self.enter(&slot, &clock, until, limit).await?;
        let generation = Arc::clone(lease.tenant());
        let (method, _) = generation
            .method(&self.method)
            .ok_or_else(|| turned_away::unknown_method(&generation, &self.method))?;
        if !generation.is_async(method) {
            drop((lease, generation));
            return self.run_elsewhere(&core, &slot, limit).await;
        }
        let is_within = self.within.holds(&slot.gate, &generation);
        let share = poll_fn(|context| {
            let instance = &generation.instance;
            match slot.gate.further_out(&generation) {
                Some(true) => Poll::Ready(Err(Knot::UnderExclusive)),
                out => instance
                    .poll_share(is_within || out.is_some(), context.waker())
                    .map(Ok),
            }
        });
        let share = alarm::before(until, &clock, share)
            .await
            .ok_or_else(|| turned_away::occupied(&self.method, limit))?
            .map_err(|knot| turned_away::knotted(knot, &slot.name, &self.method))?;
        drop(generation);
        let scope = self.scope(&core)?;
        let host: Weak<dyn Switchboard> = core;
        Pending::begin(lease, share, method, &self.arguments, &host, clock, scope)?.await
    }

    /// What it sees of hot data.
    fn scope(&self, core: &Weak<Core>) -> Result<Scope, CallError> {
        let present = || {
            let core = core.upgrade().ok_or_else(stopped)?;
            Ok(Scope::present(core.data.publisher().shown()))
        };
        self.scope.clone().map_or_else(present, Ok)
    }

    /// What the call needs of the host.
    fn begin(&self, core: &Weak<Core>) -> Result<(Arc<Slot>, Clock, Duration), CallError> {
        let core = core.upgrade().ok_or_else(stopped)?;
        // Calls that running calls make are part of those, which a shutdown waits for.
        let is_part = is_inside_any() || self.within.is_some();
        if core.shutting_down.load(Ordering::Acquire) && !is_part {
            return Err(turned_away::shutting_down());
        }
        let slot = core
            .slot(&self.plugin)
            .ok_or_else(|| CallError::UnknownPlugin {
                plugin: self.plugin.clone(),
            })?;
        Ok((slot, core.clock.clone(), core.config.call.timeout))
    }

    async fn enter(
        &self,
        slot: &Slot,
        clock: &Clock,
        until: Instant,
        limit: Duration,
    ) -> Result<Owned<Generation>, CallError> {
        let enter = slot.gate.enter_owned(self.within.clone());
        match alarm::before(until, clock, enter).await {
            Some(Ok(lease)) => Ok(lease),
            Some(Err(refusal)) => Err(turned_away::at_the_gate(slot, &self.method, refusal, limit)),
            None => Err(turned_away::closed(&slot.name, limit)),
        }
    }

    /// Runs a method that is not `async`.
    async fn run_elsewhere(
        self,
        core: &Weak<Core>,
        slot: &Slot,
        limit: Duration,
    ) -> Result<Reply, CallError> {
        let core = core.upgrade().ok_or_else(stopped)?;
        let AsyncCall {
            plugin,
            method,
            arguments,
            within,
            scope,
        } = self;
        if driver::may_wait() {
            let _began = within.begin();
            let _sees = scope.as_ref().map(Scope::begin);
            return core.call(&plugin, &method, &arguments, limit);
        }
        let lost = CallError::Failed(format!(
            "the call to {plugin}.{method} was lost, and its outcome is unknown"
        ));
        let (answer, answered) = promise();
        let its_core = Arc::clone(&core);
        let errand = move || {
            let _began = within.begin();
            let _sees = scope.as_ref().map(Scope::begin);
            answer.keep(its_core.call(&plugin, &method, &arguments, limit));
        };
        let submitted = core.workers.submit(&slot.name, Box::new(errand));
        drop(core);
        submitted.map_err(|_full| turned_away::queue_is_full())?;
        answered.await.unwrap_or(Err(lost))
    }
}

fn stopped() -> CallError {
    CallError::NotServing("the host has stopped".to_owned())
}
