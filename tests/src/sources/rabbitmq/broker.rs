//! A broker of a test's own: how it is started, and how it is asked by its own tool.

use crate::sources::{Server, Serves, as_nobody, certificates, free_port};
use std::{fs, path::Path, process::Command};

/// The file that holds the ports of a broker beside that for clients.
const PORTS: &str = "ports";

/// Starts `epmd` and the broker in one process group, which ends with the process of the test at the latest.
const START: &str = r#"
folder=$1
(tail --pid="$2" -f /dev/null; rm -rf "$folder"; kill -KILL 0) &
epmd -port "$ERL_EPMD_PORT" &
exec /usr/lib/rabbitmq/bin/rabbitmq-server
"#;

/// A broker: one for a test, or one that tests share and that none may kill.
pub(super) enum Broker {
    Own(Server),
    Shared(&'static Server),
}

impl Broker {
    pub(super) fn server(&self) -> &Server {
        match self {
            Broker::Own(server) => server,
            Broker::Shared(server) => server,
        }
    }

    /// Has the broker's own tool do this.
    pub(super) fn tool(&self, arguments: &[&str]) {
        let mut tool = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl");
        environment(&mut tool, self.server().folder(), self.port());
        let output = as_nobody(tool.args(arguments)).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
    }

    fn own(&mut self) -> &mut Server {
        match self {
            Broker::Own(server) => server,
            Broker::Shared(_) => panic!("others use this broker; take one that is alone"),
        }
    }
}

impl Serves for Broker {
    fn port(&self) -> u16 {
        self.server().port()
    }

    fn kill(&mut self) {
        self.own().kill();
    }

    fn start_again(&mut self) {
        self.own().start_again();
    }
}

/// Starts one, which speaks TLS or does not.
pub(super) fn start(tls: bool) -> Server {
    Server::start(|folder| prepare(folder, tls), command, Server::accepts)
}

fn prepare(folder: &Path, tls: bool) {
    let mut settings = String::from("log.console.level = warning\n");
    if tls {
        certificates::make(folder);
        let [certificate, key] = certificates::server(folder);
        settings += &format!(
            "ssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.verify = verify_none\nlisteners.tcp = none\n",
            certificates::authority(folder).display(),
            certificate.display(),
            key.display()
        );
    }
    for (name, content) in [
        ("rabbitmq.conf", settings),
        ("plugins", "[].\n".to_owned()),
        (PORTS, format!("{} {}", free_port(), free_port())),
    ] {
        fs::write(folder.join(name), content).expect("it is written");
    }
}

fn command(folder: &Path, port: u16) -> Command {
    if certificates::authority(folder).exists() {
        let path = folder.join("rabbitmq.conf");
        let settings = fs::read_to_string(&path).expect("it was written");
        let settings = settings + &format!("listeners.ssl.1 = 127.0.0.1:{port}\n");
        fs::write(path, settings).expect("it is written");
    }
    let mut command = Command::new("sh");
    let test = std::process::id().to_string();
    command.args(["-c", START, "sh"]).arg(folder).arg(test);
    environment(&mut command, folder, port);
    as_nobody(&mut command);
    command
}

fn environment(command: &mut Command, folder: &Path, port: u16) {
    let ports = fs::read_to_string(folder.join(PORTS)).expect("it was written");
    let (distribution, mapper) = ports.split_once(' ').expect("there are two");
    let erlang = "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none";
    command
        .current_dir(folder)
        .env("HOME", folder)
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("ERL_EPMD_PORT", mapper)
        .env("RABBITMQ_NODENAME", format!("rabbit-{port}@localhost"))
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", distribution)
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang)
        .env("RABBITMQ_LOGS", "-");
    for (variable, path) in [
        ("RABBITMQ_MNESIA_BASE", "mnesia"),
        ("RABBITMQ_LOG_BASE", "log"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
        ("RABBITMQ_CONF_ENV_FILE", "none"),
        ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
    ] {
        command.env(variable, folder.join(path));
    }
}
