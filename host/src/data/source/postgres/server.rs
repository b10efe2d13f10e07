//! The server: one connection to it, which listens, answers in time, and is known to be lost when it is.

use super::{Identity, Inbox, Settings};
use anyhow::{Context, Result, anyhow, bail};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use std::{
    fmt::Display,
    future::{Future, poll_fn},
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection,
    config::{Host, SslMode},
    error::{DbError, SqlState},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What a session is set to that only reads: each statement is a transaction of its own, in one snapshot, and times are
/// written the same on every host.
const READ_ONLY: &str = "set default_transaction_read_only = on; \
                         set default_transaction_isolation = 'repeatable read'; \
                         set timezone = 'UTC'";

/// A connection.
pub(super) struct Server {
    /// Who asks on it.
    pub(super) client: Client,
    /// Counts the notices; cut off when the connection has ended.
    notices: watch::Receiver<u64>,
    /// Why it has ended.
    end: Arc<OnceLock<String>>,
    ping: Duration,
    limit: Duration,
}

/// What the URL says, with what it leaves open.
///
/// # Errors
/// It is no URL of a PostgreSQL server. The error does not show it.
pub(super) fn address(settings: &Settings) -> Result<Config> {
    let parsed: Result<Config, _> = settings.url.expose().parse();
    let Ok(mut config) = parsed else {
        bail!(
            "its url cannot be read; write postgres://USER:PASSWORD@HOST/DATABASE, what is special in a part as %XX, \
             and after a `?` no other sslmode than disable, prefer or require"
        );
    };
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        bail!("its url names no host; write postgres://USER:PASSWORD@HOST/DATABASE");
    }
    if settings.ca_file.is_some() || settings.identity.is_some() {
        // Who names a CA or a certificate wants what it stands for.
        config.ssl_mode(SslMode::Require);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(settings.timeout);
    }
    if config.get_application_name().is_none() {
        config.application_name("host");
    }
    config.keepalives_idle(settings.ping);
    config.tcp_user_timeout(settings.ping);
    Ok(config)
}

/// Where it leads, without who goes there.
fn place(config: &Config) -> String {
    let port = |at: usize| {
        let ports = config.get_ports();
        ports.get(at).or(ports.first()).copied().unwrap_or(5432)
    };
    let hosts = config.get_hosts().iter().enumerate();
    let mut places: Vec<String> = hosts
        .map(|(at, host)| match host {
            Host::Tcp(host) => format!("{host}:{}", port(at)),
            Host::Unix(folder) => format!("{}, port {}", folder.display(), port(at)),
        })
        .collect();
    if places.is_empty() {
        let addresses = config.get_hostaddrs().iter().enumerate();
        places.extend(addresses.map(|(at, host)| format!("{host}:{}", port(at))));
    }
    places.join(", ")
}

/// How TLS is spoken: certificates are always checked.
fn tls(config: &Config, settings: &Settings) -> Result<MakeRustlsConnect> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &settings.ca_file {
        for certificate in certificates("ca_file", path)? {
            let added = roots.add(certificate);
            added.with_context(|| format!("reading ca_file {}", path.display()))?;
        }
    } else if config.get_ssl_mode() != SslMode::Disable {
        // What cannot be read there is trusted as little as what is missing.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("setting TLS up")?
        .with_root_certificates(roots);
    let client = match &settings.identity {
        None => client.with_no_client_auth(),
        Some(Identity {
            cert_file,
            key_file,
        }) => {
            let key = PrivateKeyDer::from_pem_file(key_file)
                .with_context(|| format!("reading key_file {}", key_file.display()))?;
            client
                .with_client_auth_cert(certificates("cert_file", cert_file)?, key)
                .with_context(|| format!("using cert_file {} with its key", cert_file.display()))?
        }
    };
    Ok(MakeRustlsConnect::new(client))
}

/// The certificates of the file that this setting names. It is read at each connect, since it is renewed while a host runs.
fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let reading = || format!("reading the certificates of {setting} {}", path.display());
    let all = CertificateDer::pem_file_iter(path).with_context(reading)?;
    let all: Vec<_> = all.collect::<Result<_, _>>().with_context(reading)?;
    if all.is_empty() {
        bail!("{setting} {} holds no certificate in PEM", path.display());
    }
    Ok(all)
}

impl Server {
    /// A connection as the settings say.
    pub(super) async fn to(settings: &Settings) -> Result<Server> {
        let config = address(settings)?;
        let tls = tls(&config, settings)?;
        let place = place(&config);
        let connecting = || format!("connecting to {place}");
        let connected = timeout(settings.timeout, config.connect(tls));
        let connected = connected
            .await
            .with_context(|| format!("no answer within {:?}", settings.timeout))
            .with_context(connecting)?;
        let (client, connection) = connected
            .map_err(|error| advised(anyhow!(error)))
            .with_context(connecting)?;
        let (tell, notices) = watch::channel(0);
        let end = Arc::new(OnceLock::new());
        tokio::spawn(drive(connection, tell, Arc::clone(&end)));
        Ok(Server {
            client,
            notices,
            end,
            ping: settings.ping,
            // The server ends a statement that takes too long; who does not even say so is lost.
            limit: settings.timeout + settings.ping,
        })
    }

    /// A connection on which nothing is changed.
    pub(super) async fn to_read(settings: &Settings) -> Result<Server> {
        let server = Server::to(settings).await?;
        let limit = settings.timeout.as_millis().clamp(1, i32::MAX as u128);
        let session = format!("{READ_ONLY}; set statement_timeout = {limit}");
        let set = server.asks(server.client.batch_execute(&session)).await?;
        set.map_err(|error| anyhow!("setting the session up: {}", told(&error)))?;
        Ok(server)
    }

    /// What the server answers to what was asked of the client. The inner error is its word about that.
    ///
    /// # Errors
    /// The connection is lost, or the server cannot do anything now.
    pub(super) async fn asks<T>(
        &self,
        asked: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<Result<T, DbError>> {
        let answer = timeout(self.limit, asked)
            .await
            .with_context(|| format!("the server has not answered within {:?}", self.limit))?;
        match answer {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) => match error.as_db_error() {
                Some(word) if !is_about_the_server(word.code()) => Ok(Err(word.clone())),
                Some(word) => Err(anyhow!(told(word))),
                None => Err(self.lost(error)),
            },
        }
    }

    fn lost(&self, error: tokio_postgres::Error) -> anyhow::Error {
        match self.end.get() {
            Some(reason) if error.is_closed() => anyhow!("the connection is lost: {reason}"),
            _ => anyhow!(error).context("the connection is lost"),
        }
    }

    /// What was notified so far is old.
    pub(super) fn forget_notices(&mut self) {
        self.notices.mark_unchanged();
    }

    /// Waits for a notice, a ring of the bell, or the time, and says whether it was a notice. A silent server is asked for
    /// an answer now and then.
    pub(super) async fn is_told(&mut self, inbox: &Inbox, until: Instant) -> Result<bool> {
        loop {
            tokio::select! {
                told = self.notices.changed() => {
                    return match told {
                        Ok(()) => Ok(true),
                        Err(_) => Err(anyhow!(
                            "the connection is lost: {}",
                            self.end.get().map_or("nobody says why", String::as_str)
                        )),
                    };
                }
                () = inbox.rung() => return Ok(false),
                () = sleep_until(until) => return Ok(false),
                () = sleep(self.ping) => {}
            }
            match timeout(self.ping, self.client.check_connection()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(self.lost(error)),
                Err(_) => bail!("the server is silent: no answer within {:?}", self.ping),
            }
        }
    }
}

/// Moves messages until the connection ends. However many notices come, they are one number.
async fn drive<S, T>(
    mut connection: Connection<S, T>,
    tell: watch::Sender<u64>,
    end: Arc<OnceLock<String>>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let reason = loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(_))) => tell.send_modify(|count| *count += 1),
            Some(Ok(_)) => {}
            Some(Err(error)) => match error.as_db_error() {
                Some(word) => break told(word),
                None => break format!("{:#}", anyhow!(error)),
            },
            None => break "the server has closed it".to_owned(),
        }
    };
    // Before those who ask on it are told that it is closed.
    let _set_once = end.set(reason);
}

/// Whether it says that the server cannot do anything now, or has to be asked again; otherwise it is about what was asked.
fn is_about_the_server(code: &SqlState) -> bool {
    // Connections, transactions that got in each other's way, resources, and an operator's hand.
    let classes = ["08", "40", "53", "57"];
    *code != SqlState::QUERY_CANCELED && classes.iter().any(|class| code.code().starts_with(class))
}

/// An error with what can be done about it.
fn advised(error: anyhow::Error) -> anyhow::Error {
    if format!("{error:#}").contains("invalid peer certificate") {
        return error.context(
            "the server's certificate is not trusted (name its CA in ca_file, or forgo TLS by ?sslmode=disable)",
        );
    }
    match error.downcast_ref::<tokio_postgres::Error>() {
        Some(own) => match own.as_db_error() {
            Some(word) => anyhow!(told(word)),
            None => error,
        },
        None => error,
    }
}

/// What the server says, in a line.
pub(super) fn told(error: &DbError) -> String {
    let hint = error.hint().map(|hint| format!("; {hint}"));
    format!(
        "{} ({}){}",
        error.message(),
        error.code().code(),
        hint.unwrap_or_default()
    )
}

/// A name as a part of a statement.
pub(super) fn name(name: impl Display) -> String {
    format!("\"{}\"", name.to_string().replace('"', "\"\""))
}

/// A text as a part of a statement.
pub(super) fn text(text: impl Display) -> String {
    let text = text.to_string().replace('\'', "''");
    // With a backslash a text means the same whatever the server's settings are only if it says so.
    match text.contains('\\') {
        true => format!("E'{}'", text.replace('\\', "\\\\")),
        false => format!("'{text}'"),
    }
}
