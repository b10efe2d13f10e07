//! The service: a host together with its two doors, from its start to its end. It is what `run` is, and the inside of
//! `dev`.
//!
//! The end, in order: new calls are refused with 503 while the listener still answers; calls inside run to their end and
//! states are saved; connections in flight finish; the admin side goes last. A second signal ends all of it at once.

use super::{
    admin::{AdminSide, Doors},
    caller::Caller,
    calls::Calls,
    commands::{Place, Run},
    configuration::{self, configuration, longest_drain, start_logging},
    connection::{self, Limits},
    failure::{Ending, Failure},
    http,
    output::Output,
    places::Places,
    signals::{Signals, Told},
    socket::AdminSocket,
    state_dir,
    token::Token,
};
use axum::serve::ListenerExt as _;
use host::{
    Host,
    config::{CallConfig, Config},
    report::ShutdownReport,
};
use hyper::service::service_fn;
use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{runtime::Runtime, sync::watch, task::JoinHandle};

/// How long requests in flight may take once the host itself has ended.
const GRACE: Duration = Duration::from_secs(1);
/// Short calls that run at once on the listener's own threads; the threads for all others belong to the library.
const MOST_CALLS_HERE: usize = 4;

/// What a service is to be.
pub(crate) struct Plan {
    /// The configuration.
    pub(crate) config: Config,
    /// The folder to watch.
    pub(crate) directory: PathBuf,
    /// The names that count in it; all, if `None`.
    pub(crate) only_files: Option<Vec<String>>,
}

/// A running host with its doors.
pub(crate) struct Service {
    host: Host,
    runtime: Runtime,
    calls: Calls,
    listener: JoinHandle<()>,
    end_listener: watch::Sender<bool>,
    address: SocketAddr,
    admin: AdminSide,
    socket: AdminSocket,
    drain_deadline: Duration,
}

/// `host run`.
pub(crate) fn run(run: Run, place: &Place, output: &Output) -> Result<(), Failure> {
    let config = configuration(&run.settings)?;
    let directory = run.directory.or_else(|| config.plugins.dir.clone());
    let directory = directory.ok_or_else(|| {
        Failure::usage(
            "which folder is to be watched? Write `host run DIR`, or `dir = \"DIR\"` under [plugins] in host.toml",
        )
    })?;
    start_logging(&config.log)?;
    if let Some(told) = configuration::told(&run.settings) {
        tracing::info!("{told}");
    }
    if !directory.is_dir() {
        tracing::warn!(
            "there is no folder {} yet; it is watched from when it is made",
            directory.display()
        );
    }
    let plan = Plan {
        config,
        directory,
        only_files: None,
    };
    let service = Service::start(plan, place)?;
    service.serve(output, |_| Ok(()))
}

impl Service {
    /// Starts a host and opens its doors.
    pub(crate) fn start(plan: Plan, place: &Place) -> Result<Self, Failure> {
        let Plan {
            config,
            directory,
            only_files,
        } = plan;
        let state_dir = state_dir::of_new_host(place)?;
        let socket = AdminSocket::bind(&state_dir, place.admin.as_deref())?;
        let (calls_in, address) = listen(config.call.listen, "--listen or [call] listen")?;
        let admin_tcp = admin_on_tcp(&config)?;
        let drain_deadline = longest_drain(&config);
        let call_config = config.call.clone();

        let host = start_host(config, &directory, only_files, &state_dir)?;
        let calls = Calls::new(host.clone(), &call_config);
        let doors = Doors {
            socket: socket.listener().map_err(not_possible)?,
            tcp: admin_tcp,
        };
        let admin = AdminSide::start(host.clone(), calls.clone(), doors)?;
        let runtime = runtime().map_err(not_possible)?;
        let (end_listener, ended) = watch::channel(false);
        let listener = {
            let _inside = runtime.enter();
            let calls_in = tokio::net::TcpListener::from_std(calls_in).map_err(not_possible)?;
            let runtime = runtime.handle().clone();
            let wake = move || drop(runtime.spawn(std::future::ready(())));
            let places = Places::new(http_threads() - 1, wake).map_err(not_possible)?;
            tokio::spawn(answer_calls(
                calls_in,
                calls.clone(),
                Arc::new(places),
                limits(&call_config),
                ended,
            ))
        };
        Ok(Service {
            host,
            runtime,
            calls,
            listener,
            end_listener,
            address,
            admin,
            socket,
            drain_deadline,
        })
    }

    /// Says that it is ready, does `when_ready`, and serves until a signal asks for the end. What `when_ready` gives lives
    /// until then.
    pub(crate) fn serve<T>(
        self,
        output: &Output,
        when_ready: impl FnOnce(&Host) -> Result<T, Failure>,
    ) -> Result<(), Failure> {
        let mut signals = {
            let _inside = self.runtime.enter();
            Signals::take().map_err(not_possible)?
        };
        let socket = std::path::absolute(self.socket.path()).map_err(not_possible)?;
        output.line(&format!(
            "ready call=http://{} admin={}",
            self.address,
            socket.display()
        ));
        let beside = when_ready(&self.host)?;
        self.runtime.block_on(until_told(&mut signals, &self.host));
        drop(beside);
        self.end(signals)
    }

    fn end(self, mut signals: Signals) -> Result<(), Failure> {
        tracing::info!("shutting down: new calls are refused, calls inside run to their end");
        self.calls.refuse();
        let (host, deadline) = (self.host, self.drain_deadline);
        let ending = async {
            let report = tokio::task::spawn_blocking(move || host.shutdown(deadline)).await;
            self.end_listener.send_replace(true);
            let finished = self.listener.await;
            if let Err(error) = finished {
                tracing::error!(%error, "the call listener failed");
            }
            report
        };
        let report = self.runtime.block_on(async {
            tokio::select! {
                report = ending => report,
                () = signals.end() => crate::end_at_once(Ending::OutOfTime as u8),
            }
        });
        self.admin.end();
        drop(self.socket);
        // Nothing that hangs is waited for.
        self.runtime.shutdown_background();
        let report = report
            .map_err(|error| Failure::failed("failed", format!("the host failed: {error}")))?;
        judge(&report)
    }
}

/// What the end of a host means for the exit code.
fn judge(report: &ShutdownReport) -> Result<(), Failure> {
    if !report.out_of_time.is_empty() {
        return Err(Failure::out_of_time(format!(
            "calls did not end in time, so these states were not saved: {}",
            report.out_of_time.join("; ")
        )));
    }
    if !report.failed.is_empty() {
        return Err(Failure::failed(
            "state_not_saved",
            format!(
                "these states could not be saved: {}",
                report.failed.join("; ")
            ),
        ));
    }
    Ok(())
}

fn start_host(
    config: Config,
    directory: &Path,
    only_files: Option<Vec<String>>,
    state_dir: &Path,
) -> Result<Host, Failure> {
    let mut builder = Host::builder()
        .config(config)
        .directory(directory)
        .state_dir(state_dir);
    if let Some(names) = only_files {
        builder = builder.only_files(names);
    }
    builder
        .start()
        .map_err(|error| Failure::failed("start", format!("starting the host: {error:#}")))
}

async fn until_told(signals: &mut Signals, host: &Host) {
    while signals.next().await == Told::Rescan {
        tracing::info!("looking at the whole directory again");
        let host = host.clone();
        tokio::task::spawn_blocking(move || host.rescan());
    }
}

async fn answer_calls(
    listener: tokio::net::TcpListener,
    calls: Calls,
    places: Arc<Places>,
    limits: Limits,
    mut ended: watch::Receiver<bool>,
) {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps delaying small packets");
        }
    });
    let end = async move {
        // An error means that the sender is gone, which is the end too.
        let _ = ended.wait_for(|ended| *ended).await;
    };
    let router = http::with_refusals(calls.clone().router());
    let service = |progress| {
        let (calls, router) = (calls.clone(), router.clone());
        let caller = Caller::new(calls, router, progress, Arc::clone(&places));
        service_fn(move |request| Arc::clone(&caller).answer(request))
    };
    connection::serve(listener, service, limits, end, GRACE).await;
}

/// Binds an address, not blocking; `setting` is where another one can be chosen.
fn listen(address: SocketAddr, setting: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|error| {
        Failure::failed(
            "listen",
            format!(
                "cannot listen at {address}: {error}; choose another address with {setting}, port 0 for any free one"
            ),
        )
    })
}

fn admin_on_tcp(config: &Config) -> Result<Option<(TcpListener, Token)>, Failure> {
    let (Some(address), Some(file)) = (config.admin.listen, &config.admin.token_file) else {
        return Ok(None);
    };
    let token = Token::read(file)?;
    let (listener, address) = listen(address, "[admin] listen")?;
    tracing::info!(%address, "the admin API answers over TCP");
    Ok(Some((listener, token)))
}

fn limits(config: &CallConfig) -> Limits {
    let bytes = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
    Limits {
        connections: config.max_connections,
        head_size: bytes(config.max_head),
        head: config.head_timeout,
        body: config.body_timeout,
        idle: config.idle_timeout,
    }
}

/// Threads of the listener: one for each processor that may run short calls, and one that surely runs none.
fn http_threads() -> usize {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    processors.min(MOST_CALLS_HERE) + 1
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(http_threads())
        .thread_name("host-http")
        .enable_all()
        .build()
}

fn not_possible(error: std::io::Error) -> Failure {
    Failure::failed("failed", format!("preparing to serve: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(out_of_time: &[&str], failed: &[&str]) -> ShutdownReport {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        ShutdownReport {
            saved: Vec::new(),
            out_of_time: owned(out_of_time),
            failed: owned(failed),
        }
    }

    #[test]
    fn an_end_in_time_is_zero_and_one_out_of_time_four() {
        assert_eq!(judge(&report(&[], &[])), Ok(()));
        let ending = |report| judge(&report).unwrap_err().ending;
        assert_eq!(ending(report(&["counter"], &["cache"])), Ending::OutOfTime);
        assert_eq!(ending(report(&[], &["cache"])), Ending::Failed);
    }
}
