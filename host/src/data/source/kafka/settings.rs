//! The settings of a Kafka source, and what they are in librdkafka's words.

use super::{Circumstances, SourceConfig};
use crate::data::format::Format;
use anyhow::{Context, Result, bail, ensure};
use rdkafka::{ClientConfig, config::RDKafkaLogLevel};
use std::{path::PathBuf, time::Duration};

/// The words for modes; the first is the default.
pub(super) const MODES: &[&str] = &["latest", "table"];
/// How a connection may be secured, in Kafka's words; the first is the default.
pub(super) const SECURITIES: &[&str] = &["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];
/// How a client may prove who it is; the first is the default.
pub(super) const MECHANISMS: &[&str] = &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// How long a broker may be silent.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer of a broker, whatever is fetched.
const LARGEST_ANSWER: u64 = 100 << 20;

/// What of a topic is the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Its newest message.
    Latest,
    /// The newest value of each key.
    Table,
}

/// The settings.
pub(super) struct Settings {
    pub(super) topic: String,
    pub(super) mode: Mode,
    /// The only partition that is read, where one is named.
    pub(super) partition: Option<i32>,
    /// The group for which offsets are committed, where one is named.
    pub(super) group: Option<String>,
    /// How long a broker may be silent.
    pub(super) timeout: Duration,
    pub(super) format: Format,
    pub(super) max_bytes: u64,
    pub(super) poll: Duration,
    /// Settings of librdkafka.
    connection: Vec<(&'static str, String)>,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// They do not fit together, or not with this build.
    pub(super) fn of(config: &SourceConfig, circumstances: &Circumstances) -> Result<Settings> {
        let mode = match config.text("mode") {
            Some("table") => Mode::Table,
            _ => Mode::Latest,
        };
        ensure!(
            mode == Mode::Latest || circumstances.format != Format::Bytes,
            "mode \"table\" makes one object of all values, and the format \"bytes\" is not parsed; set another format"
        );
        let partition = config.count("partition").map(i32::try_from);
        Ok(Settings {
            topic: config.text("topic").context("it has no topic")?.to_owned(),
            mode,
            partition: partition.transpose().context("reading `partition`")?,
            group: config.text("group").map(str::to_owned),
            timeout: config.duration("timeout").unwrap_or(TIMEOUT),
            format: circumstances.format,
            max_bytes: circumstances.max_bytes,
            poll: circumstances.poll,
            connection: connection(config)?,
        })
    }

    /// What they are for librdkafka, in a source of this dataset.
    pub(super) fn for_client(&self, dataset: &str) -> ClientConfig {
        let mut client = ClientConfig::new();
        let fetched = self.max_bytes.clamp(1 << 20, LARGEST_ANSWER / 2);
        let timeout = self.timeout.as_millis().clamp(10, 300_000).to_string();
        let own_group = || {
            let name = rustix::system::uname();
            format!("host-{}-{dataset}", name.nodename().to_string_lossy())
        };
        client
            .set("client.id", format!("host-{dataset}"))
            .set("group.id", self.group.clone().unwrap_or_else(own_group))
            // The truth decides where to begin, and what was decided where to commit.
            .set("auto.offset.reset", "error")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("allow.auto.create.topics", "false")
            // It is no member of the group, and has no session; a commit that waits for a broker keeps a client that ends
            // for this long, though.
            .set("session.timeout.ms", "1000")
            // A silent broker is noticed.
            .set("socket.timeout.ms", &timeout)
            .set("socket.connection.setup.timeout.ms", timeout_of_setup(self.timeout))
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "1000")
            // Bounds of what is held in memory. A single message may be larger than what is asked for.
            .set("fetch.message.max.bytes", fetched.to_string())
            .set("fetch.max.bytes", fetched.to_string())
            .set("message.max.bytes", fetched.to_string())
            .set("queued.max.messages.kbytes", (fetched >> 10).to_string())
            .set("receive.message.max.bytes", (LARGEST_ANSWER.max(2 * fetched)).to_string())
            .set_log_level(RDKafkaLogLevel::Info);
        for (key, value) in &self.connection {
            client.set(*key, value);
        }
        client
    }
}

/// The time-out of a connection that is being made, within librdkafka's bounds.
fn timeout_of_setup(timeout: Duration) -> String {
    timeout.as_millis().clamp(1_000, 300_000).to_string()
}

/// Where the brokers are, and how they are spoken to.
fn connection(config: &SourceConfig) -> Result<Vec<(&'static str, String)>> {
    let brokers = config.text("brokers").context("it has no brokers")?;
    let security = config.text("security").unwrap_or("plaintext");
    let mut connection = vec![
        ("bootstrap.servers", brokers.to_owned()),
        ("security.protocol", security.to_owned()),
    ];
    let (tls, sasl) = (security.ends_with("ssl"), security.starts_with("sasl"));
    let needs_tls = |what: &str| {
        format!(
            "{what} needs TLS, which this host was built without: librdkafka brings none of its own; build it with `--features kafka-tls` (and the headers of OpenSSL)"
        )
    };
    ensure!(
        !tls || cfg!(feature = "kafka-tls"),
        needs_tls(&format!("security = \"{security}\""))
    );
    for (key, of_client) in [
        ("ca_file", "ssl.ca.location"),
        ("cert_file", "ssl.certificate.location"),
        ("key_file", "ssl.key.location"),
    ] {
        if let Some(path) = config.path(key) {
            ensure!(tls, "`{key}` is set, and `security` is \"{security}\"; write \"ssl\" or \"sasl_ssl\"");
            connection.push((of_client, text(path.into())?));
        }
    }
    let login = (config.text("username"), config.secret("password"));
    match login {
        (Some(username), Some(password)) if sasl => {
            let mechanism = config.text("mechanism").unwrap_or("PLAIN");
            ensure!(
                mechanism == "PLAIN" || cfg!(feature = "kafka-tls"),
                needs_tls(&format!("mechanism = \"{mechanism}\""))
            );
            connection.extend([
                ("sasl.mechanism", mechanism.to_owned()),
                ("sasl.username", username.to_owned()),
                ("sasl.password", password.expose().to_owned()),
            ]);
        }
        (None, None) if !sasl => {}
        (None, _) | (_, None) if sasl => {
            bail!("security = \"{security}\" needs `username` and `password` (or `password_file`)")
        }
        _ => bail!("there is a login, and `security` is \"{security}\"; write \"sasl_plaintext\" or \"sasl_ssl\""),
    }
    Ok(connection)
}

fn text(path: PathBuf) -> Result<String> {
    let path = path.into_os_string().into_string();
    path.map_err(|path| anyhow::anyhow!("{} is no text", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, SourceSetting};

    fn settings(more: &[(&str, &str)], format: Format) -> Result<Settings> {
        let mut all = vec![("brokers", "127.0.0.1:9"), ("topic", "rates")];
        all.extend_from_slice(more);
        let settings = all.into_iter().map(|(key, value)| {
            let value = match key {
                "password" => SourceSetting::Secret(Secret::new(value)),
                "ca_file" => SourceSetting::Path(value.into()),
                _ => SourceSetting::Text(value.to_owned()),
            };
            (key, value)
        });
        let circumstances = Circumstances {
            format,
            max_bytes: 16 << 20,
            poll: Duration::from_secs(60),
        };
        Settings::of(&SourceConfig::of("kafka", settings), &circumstances)
    }

    fn complaint(more: &[(&str, &str)]) -> String {
        let error = settings(more, Format::Json).err();
        error.map_or_else(String::new, |error| format!("{error:#}"))
    }

    #[test]
    fn settings_that_do_not_fit_together_say_what_to_write() {
        let login = [("username", "ada"), ("password", "hidden")];
        assert!(complaint(&login).contains("sasl_plaintext"));
        assert!(complaint(&[("security", "sasl_plaintext")]).contains("password_file"));
        assert!(complaint(&[("ca_file", "ca.pem")]).contains("\"ssl\""));
        let table = settings(&[("mode", "table")], Format::Bytes);
        assert!(table.is_err_and(|error| error.to_string().contains("format")));
    }

    #[test]
    fn what_needs_tls_names_the_feature_that_has_it() {
        let scram = [
            ("security", "sasl_plaintext"),
            ("mechanism", "SCRAM-SHA-256"),
            ("username", "ada"),
            ("password", "hidden"),
        ];
        for more in [&[("security", "ssl")][..], &scram] {
            let complaint = complaint(more);
            assert_eq!(complaint.is_empty(), cfg!(feature = "kafka-tls"));
            assert!(complaint.is_empty() || complaint.contains("--features kafka-tls"));
        }
    }

    #[test]
    fn librdkafka_takes_the_settings() {
        let login = [
            ("security", "sasl_plaintext"),
            ("username", "ada"),
            ("password", "hidden"),
        ];
        for more in [&[][..], &login] {
            let client = settings(more, Format::Json).map(|all| all.for_client("rates"));
            let client = client.expect("they fit").create_native_config();
            assert!(client.is_ok(), "{:?}", client.err());
        }
    }
}
