//! PostgreSQL: a source whose truth is what a query gives.
//!
//! A trigger on the table writes each change into a change table in the same transaction, and notifies a channel with the
//! number of the change. The notice says only that something has changed: the whole query is read again, in a snapshot of
//! its own. A number is taken before its transaction commits, so that a lower one may become visible after a higher one;
//! since each notice leads to another read, and reads on one connection follow each other, none is missed and the later
//! read is the newer one.
//!
//! Without the triggers the table is read every `poll`, and that is remarked. A lost connection may have lost notices:
//! another one listens first, and reads then. One that is silent is asked for an answer every `ping`. A server whose
//! change table is behind what was brought before has an older state: it is refused until it has caught up, or an
//! operator installs the triggers anew.

mod reading;
mod server;
mod triggers;

use super::{
    Circumstances, Delivery, Inbox, Kind, Source, changes,
    wait::{on_this_thread, once},
};
use crate::{
    config::{Key, Reads, Secret, SourceConfig, SourceSetting},
    data::{
        dataset::Stage,
        format::{Format, Mistake},
        triggers::TriggerOrder,
    },
};
use anyhow::{Context, Result, bail};
use reading::Reading;
use server::Server;
use std::{path::PathBuf, time::Duration};
use tokio::time::Instant;

/// The kind of source.
pub(super) const KIND: Kind = Kind {
    word: "postgres",
    feature: Some("postgres"),
    keys: &[
        Key::required("url", Reads::Secret),
        Key::required("table", Reads::Text),
        Key::required("query", Reads::Text),
        Key::optional("key", Reads::Text),
        Key::optional("channel", Reads::Text),
        Key::optional("ca_file", Reads::Path),
        Key::optional("cert_file", Reads::Path),
        Key::optional("key_file", Reads::Path),
        Key::optional("timeout", Reads::Duration),
        Key::optional("ping", Reads::Duration),
    ],
    place: "table",
    make: Some(make),
};

/// How long connecting and each statement may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be silent before it is asked for an answer, and how long that may take.
const PING: Duration = Duration::from_secs(5);
/// How soon a query that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What the source was declared with.
struct Settings {
    url: Secret,
    table: String,
    query: String,
    key: Option<String>,
    channel: Option<String>,
    ca_file: Option<PathBuf>,
    identity: Option<Identity>,
    timeout: Duration,
    ping: Duration,
    max_bytes: u64,
    poll: Duration,
}

/// Where the host's own certificate and its key are.
struct Identity {
    cert_file: PathBuf,
    key_file: PathBuf,
}

fn make(config: &SourceConfig, circumstances: &Circumstances) -> Result<Box<dyn Source>> {
    if circumstances.format != Format::Json {
        bail!("what a query gives is JSON; leave out `format`");
    }
    let text = |word| config.text(word).map(str::to_owned);
    let duration = |word, default| match config.settings.get(word) {
        Some(SourceSetting::Duration(duration)) => *duration,
        _ => default,
    };
    let path = |word| config.path(word).map(PathBuf::from);
    let identity = match (path("cert_file"), path("key_file")) {
        (Some(cert_file), Some(key_file)) => Some(Identity {
            cert_file,
            key_file,
        }),
        (None, None) => None,
        _ => bail!("it has one of cert_file and key_file; name the other too"),
    };
    let query = text("query").context("it has no query")?;
    let settings = Settings {
        url: config.secret("url").context("it has no url")?.clone(),
        table: text("table").context("it has no table")?,
        query: query.trim_end_matches([';', ' ', '\n']).to_owned(),
        key: text("key"),
        channel: text("channel"),
        ca_file: path("ca_file"),
        identity,
        timeout: duration("timeout", TIMEOUT),
        ping: duration("ping", PING),
        max_bytes: circumstances.max_bytes,
        poll: circumstances.poll,
    };
    server::address(&settings)?;
    Ok(Box::new(Postgres(settings)))
}

struct Postgres(Settings);

impl Source for Postgres {
    fn follow(&mut self, inbox: &Inbox) -> Result<()> {
        on_this_thread(inbox, self.listen(inbox))
    }

    fn triggers(&mut self, order: &TriggerOrder) -> Result<String> {
        once(triggers::execute(&self.0, order))
    }
}

impl Postgres {
    /// Follows one connection until it is lost.
    async fn listen(&self, inbox: &Inbox) -> Result<()> {
        let mut server = Server::to_read(&self.0).await?;
        let mut reading = None;
        let mut is_told = false;
        loop {
            server.forget_notices();
            let again = self.bring(inbox, &server, &mut reading, is_told).await?;
            is_told = server.is_told(inbox, Instant::now() + again).await?;
        }
    }

    /// Brings the truth, and says after how long to look again. Without a notice, what is read and how is found out anew:
    /// nothing tells of triggers that were dropped and tables that were altered.
    async fn bring(
        &self,
        inbox: &Inbox,
        server: &Server,
        reading: &mut Option<Reading>,
        is_told: bool,
    ) -> Result<Duration> {
        let mut found = match reading {
            Some(reading) if is_told => Some(reading.read(server, &self.0).await?),
            _ => None,
        };
        if !matches!(found, Some(Ok(_))) {
            found = None;
            match Reading::find(server, &self.0, reading.take(), inbox).await? {
                Ok(fresh) => found = Some(reading.insert(fresh).read(server, &self.0).await?),
                Err(mistake) => inbox.refuse(Stage::Received, mistake)?,
            }
        }
        let again = match found {
            Some(Ok(delivery)) => {
                match changes::behind(inbox, &delivery) {
                    Some(mistake) => inbox.refuse(Stage::Received, mistake)?,
                    None => drop(inbox.deliver(delivery)?),
                }
                self.0.poll
            }
            Some(Err(mistake)) => {
                inbox.refuse(Stage::Received, mistake)?;
                self.0.poll.min(RETRY)
            }
            None => self.0.poll.min(RETRY),
        };
        inbox.healthy();
        Ok(again)
    }
}
