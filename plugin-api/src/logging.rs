//! Logging: the records of a plugin, from the `tracing` and `log` crates, on their way to the host as plain text.
//!
//! A library has its own copies of both crates, so the host's subscriber does not see what happens here. This module's
//! subscriber renders each record, with the spans around it, and gives it to the services of the living plugin; without
//! one, records are dropped. Deciding what is worth keeping is left to the host.
//!
//! # Threads
//! Any thread logs at any time. Span data stands behind one lock, which is not held while author's code (a `Debug`
//! implementation) or the host runs. Which spans a thread is in stands in a thread-local of fixed size without a
//! destructor; spans entered deeper than that are not told. A record made while another one is rendered on the same
//! thread is dropped, so that logging from a `Debug` implementation ends.

use crate::{context::Context, contract::HostServicesBox};
use abi_stable::std_types::RStr;
use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::Interest,
};

/// The contract's number for an error.
pub(crate) const ERROR: u32 = 1;

/// The context of the living plugin.
static CONTEXT: RwLock<Option<Context>> = RwLock::new(None);
/// The open spans.
static SPANS: Mutex<BTreeMap<u64, Span>> = Mutex::new(BTreeMap::new());
static LAST_SPAN: AtomicU64 = AtomicU64::new(0);

/// The spans a thread is in, outermost first.
const DEPTH: usize = 32;

thread_local! {
    static ENTERED: [Cell<u64>; DEPTH] = const { [const { Cell::new(0) }; DEPTH] };
    static ENTERED_COUNT: Cell<usize> = const { Cell::new(0) };
    static RENDERING: Cell<bool> = const { Cell::new(false) };
}

/// Sends the records of this library to the host behind `context`.
pub(crate) fn begin(context: &Context) {
    *CONTEXT.write().unwrap_or_else(PoisonError::into_inner) = Some(context.clone());
    // An error means that one is set already: by a plugin object before this one, or by the author, who then wants it.
    let _ = tracing::subscriber::set_global_default(Forward);
    let _ = log::set_logger(&Forward);
    log::set_max_level(log::LevelFilter::Trace);
}

/// Drops the records of this library from now on, unless another context has taken over.
pub(crate) fn end(context: &Context) {
    let mut current = CONTEXT.write().unwrap_or_else(PoisonError::into_inner);
    if current.as_ref().is_some_and(|current| current.is(context)) {
        *current = None;
        log::set_max_level(log::LevelFilter::Off);
        spans().clear();
    }
}

/// Gives one record to the host.
pub(crate) fn write(level: u32, target: &str, message: &str) {
    if let Some(host) = host() {
        host.log(level, RStr::from_str(target), RStr::from_str(message));
    }
}

fn host() -> Option<Arc<HostServicesBox>> {
    let context = CONTEXT
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    context?.services()
}

/// Whether the host has a reader for records of this level.
fn is_read(level: u32) -> bool {
    host().is_some_and(|host| level <= host.log_level())
}

/// Whether this thread is inside a call through a gate of the host's.
pub(crate) fn is_inside() -> bool {
    host().is_some_and(|host| host.is_inside())
}

fn spans() -> MutexGuard<'static, BTreeMap<u64, Span>> {
    SPANS.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Span {
    metadata: &'static Metadata<'static>,
    fields: String,
    holders: usize,
}

/// The subscriber and logger.
struct Forward;

impl Subscriber for Forward {
    /// Asked for each record: the host may change its mind.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_read(number(metadata.level()))
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut text = Text::default();
        attributes.record(&mut text);
        // The first number is 1: an id is not 0.
        let number = LAST_SPAN.fetch_add(1, Ordering::Relaxed) + 1;
        let span = Span {
            metadata: attributes.metadata(),
            fields: text.join(),
            holders: 1,
        };
        spans().insert(number, span);
        span::Id::from_u64(number)
    }

    fn record(&self, id: &span::Id, values: &span::Record<'_>) {
        let mut text = Text::default();
        values.record(&mut text);
        if let Some(span) = spans().get_mut(&id.into_u64()) {
            if !span.fields.is_empty() {
                span.fields.push(' ');
            }
            span.fields.push_str(&text.join());
        }
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        render(number(metadata.level()), metadata.target(), |text| {
            event.record(text);
        });
    }

    fn enter(&self, id: &span::Id) {
        let count = ENTERED_COUNT.get();
        if count < DEPTH {
            ENTERED.with(|entered| entered[count].set(id.into_u64()));
        }
        ENTERED_COUNT.set(count + 1);
    }

    fn exit(&self, id: &span::Id) {
        let count = ENTERED_COUNT.get();
        ENTERED.with(|entered| {
            // Spans may be left out of order: the others close ranks.
            let kept = &entered[..count.min(DEPTH)];
            if let Some(at) = kept.iter().rposition(|cell| cell.get() == id.into_u64()) {
                for inner in at + 1..kept.len() {
                    kept[inner - 1].set(kept[inner].get());
                }
            }
        });
        ENTERED_COUNT.set(count.saturating_sub(1));
    }

    fn clone_span(&self, id: &span::Id) -> span::Id {
        if let Some(span) = spans().get_mut(&id.into_u64()) {
            span.holders += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: span::Id) -> bool {
        let mut spans = spans();
        let Some(span) = spans.get_mut(&id.into_u64()) else {
            return false;
        };
        span.holders -= 1;
        let last = span.holders == 0;
        if last {
            spans.remove(&id.into_u64());
        }
        last
    }

    fn current_span(&self) -> tracing_core::span::Current {
        let innermost = ENTERED_COUNT.get().min(DEPTH).checked_sub(1);
        let id = innermost.map(|at| ENTERED.with(|entered| entered[at].get()));
        let spans = spans();
        match id.and_then(|id| Some((id, spans.get(&id)?.metadata))) {
            Some((id, metadata)) => {
                tracing_core::span::Current::new(span::Id::from_u64(id), metadata)
            }
            None => tracing_core::span::Current::none(),
        }
    }
}

impl log::Log for Forward {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        is_read(metadata.level() as u32)
    }

    fn log(&self, record: &log::Record<'_>) {
        if !log::Log::enabled(self, record.metadata()) {
            return;
        }
        render(record.level() as u32, record.target(), |text| {
            text.message(record.args());
        });
    }

    fn flush(&self) {}
}

/// The contract's number for a level.
fn number(level: &Level) -> u32 {
    match *level {
        Level::ERROR => ERROR,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// Renders a record and gives it to the host.
fn render(level: u32, target: &str, record: impl FnOnce(&mut Text)) {
    struct Rendering;
    impl Drop for Rendering {
        fn drop(&mut self) {
            RENDERING.set(false);
        }
    }
    if RENDERING.replace(true) {
        return;
    }
    let _rendering = Rendering;
    let Some(host) = host() else { return };
    let mut text = Text::default();
    record(&mut text);
    let mut line = entered();
    line.push_str(&text.join());
    host.log(level, RStr::from_str(target), RStr::from_str(&line));
}

/// The spans this thread is in, as the beginning of a line: `request{id=7}:parse: `.
fn entered() -> String {
    let mut line = String::new();
    let count = ENTERED_COUNT.get().min(DEPTH);
    if count == 0 {
        return line;
    }
    let spans = spans();
    ENTERED.with(|entered| {
        for cell in &entered[..count] {
            if let Some(span) = spans.get(&cell.get()) {
                line.push_str(span.metadata.name());
                if !span.fields.is_empty() {
                    line.push('{');
                    line.push_str(&span.fields);
                    line.push('}');
                }
                line.push(':');
            }
        }
    });
    if !line.is_empty() {
        line.push(' ');
    }
    line
}

/// Fields as text: the message, then `name=value`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn message(&mut self, value: &dyn fmt::Display) {
        // Writing to a string fails only when the value's own `Display` does; then what it wrote is all there is.
        let _ = write!(self.message, "{value}");
    }

    fn field(&mut self, name: &str, value: fmt::Arguments<'_>) {
        if !self.fields.is_empty() {
            self.fields.push(' ');
        }
        let _ = write!(self.fields, "{name}={value}");
    }

    fn join(self) -> String {
        match (self.message.is_empty(), self.fields.is_empty()) {
            (true, _) => self.fields,
            (false, true) => self.message,
            (false, false) => self.message + " " + &self.fields,
        }
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            self.field(field.name(), format_args!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.field(field.name(), format_args!("{value:?}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.field(field.name(), format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, alone};

    fn records(work: impl FnOnce()) -> Vec<String> {
        let _alone = alone();
        let host = Host::default();
        let context = Context::of(host.services(), &[]);
        begin(&context);
        work();
        end(&context);
        tracing::error!("after the end");
        host.seen()
    }

    #[test]
    fn a_record_is_its_message_and_fields() {
        let seen = records(|| {
            tracing::info!("plain");
            tracing::warn!(count = 3, name = "a b", path = ?Some(1), text = %"c", "with fields");
            tracing::debug!(target: "elsewhere", only = true);
            log::error!("from the other crate: {}", 1);
        });
        assert_eq!(
            seen,
            [
                "3 plugin_api::logging::tests: plain",
                r#"2 plugin_api::logging::tests: with fields count=3 name="a b" path=Some(1) text=c"#,
                "4 elsewhere: only=true",
                "1 plugin_api::logging::tests: from the other crate: 1",
            ]
        );
    }

    #[test]
    fn a_record_tells_the_spans_it_is_in() {
        let seen = records(|| {
            let outer = tracing::info_span!("request", id = 7, user = tracing::field::Empty);
            let entered = outer.enter();
            tracing::info!("one");
            outer.record("user", "Ada");
            tracing::info_span!("parse").in_scope(|| tracing::info!("two"));
            std::thread::scope(|scope| {
                scope.spawn(|| tracing::info!("elsewhere"));
            });
            assert_eq!(tracing::Span::current().id(), outer.id());
            drop(entered);
            tracing::info!("three");
            drop(outer);
            assert!(spans().is_empty(), "a closed span is forgotten");
        });
        let target = "3 plugin_api::logging::tests";
        assert_eq!(
            seen,
            [
                format!("{target}: request{{id=7}}: one"),
                format!("{target}: request{{id=7 user=\"Ada\"}}:parse: two"),
                format!("{target}: elsewhere"),
                format!("{target}: three"),
            ]
        );
    }

    #[test]
    fn spans_may_be_left_out_of_order_and_nested_without_end() {
        let seen = records(|| {
            let (first, second) = (tracing::info_span!("first"), tracing::info_span!("second"));
            let (entered_first, entered_second) = (first.enter(), second.enter());
            drop(entered_first);
            tracing::info!("in second");
            drop(entered_second);
            let deep: Vec<_> = (0..DEPTH + 8)
                .map(|_| tracing::info_span!("deep").entered())
                .collect();
            drop(deep);
            tracing::info!("out");
        });
        let target = "3 plugin_api::logging::tests";
        assert_eq!(
            seen,
            [
                format!("{target}: second: in second"),
                format!("{target}: out")
            ]
        );
    }

    #[test]
    fn logging_while_a_record_is_rendered_ends() {
        struct Talkative;
        impl fmt::Debug for Talkative {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                tracing::info!(me = ?Talkative, "talking");
                f.write_str("Talkative")
            }
        }
        let seen = records(|| tracing::info!(value = ?Talkative, "said"));
        assert_eq!(seen, ["3 plugin_api::logging::tests: said value=Talkative"]);
    }
}
