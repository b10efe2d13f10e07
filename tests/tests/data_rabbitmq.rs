//! Data from RabbitMQ: the newest message is followed, and no message is lost that nobody has decided on.

use host::{
    Host,
    config::SourceSetting,
    data::{Refusal, SourceState},
    event::Happening,
};
use lapin::{
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use std::{
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};
use tests::{
    Program, Scene,
    sources::{
        Proxy, Truth,
        rabbitmq::{EXCHANGE, PASSWORD, RabbitTruth, number},
        trial::{self, Trial, Watcher},
    },
    until,
};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

#[test]
fn a_change_is_seen() {
    trial::a_change_is_seen(RabbitTruth::shared(), EXAMINER);
}

#[test]
fn what_comes_twice_is_one_revision() {
    trial::what_comes_twice_is_one_revision(RabbitTruth::shared(), EXAMINER);
}

#[test]
fn garbage_is_refused_and_the_last_good_serves() {
    trial::garbage_is_refused_and_the_last_good_serves(RabbitTruth::shared(), EXAMINER);
}

#[test]
fn a_burst_comes_down_to_the_last() {
    trial::a_burst_comes_down_to_the_last(RabbitTruth::shared(), EXAMINER, number);
}

#[test]
fn a_killed_server_is_followed_again() {
    trial::a_killed_server_is_followed_again(RabbitTruth::alone(), EXAMINER, number);
}

#[test]
fn cut_connections_lose_nothing() {
    trial::cut_connections_lose_nothing(RabbitTruth::shared(), EXAMINER, number);
}

#[test]
fn a_silent_connection_is_noticed() {
    trial::a_silent_connection_is_noticed(RabbitTruth::shared(), EXAMINER);
}

#[test]
fn a_host_starts_without_its_source() {
    trial::a_host_starts_without_its_source(RabbitTruth::alone(), EXAMINER);
}

#[test]
fn what_changed_meanwhile_is_there() {
    trial::what_changed_meanwhile_is_there(RabbitTruth::shared(), EXAMINER);
}

/// A trial of this truth, whose number is 1 and is held.
fn begun(truth: RabbitTruth) -> Trial<RabbitTruth> {
    let mut trial = Trial::of(truth, EXAMINER);
    trial.truth.put(1);
    trial.holds(1);
    trial
}

/// Waits for a refusal whose reason has these words.
fn refused(trial: &Trial<RabbitTruth>, words: &str) -> Refusal {
    let is_refused = |what: &Happening| match what {
        Happening::DataRefused { refusal, .. } => refusal.mistake.reason.contains(words),
        _ => false,
    };
    match trial.event(words, is_refused).what {
        Happening::DataRefused { refusal, .. } => refusal,
        other => panic!("{other:?}"),
    }
}

/// Waits until the source is lost with a reason that has these words.
fn lost(host: &Host, words: &str) -> String {
    until(&format!("the source is lost: {words}"), || {
        match host.datasets().swap_remove(0).source?.state {
            SourceState::Lost { reason } if reason.contains(words) => Some(reason),
            _ => None,
        }
    })
}

#[test]
fn what_a_new_queue_may_have_missed_is_remarked_until_a_message_comes() {
    let mut trial = Trial::of(RabbitTruth::shared(), EXAMINER);
    let remark = |host: &Host| {
        host.datasets()
            .swap_remove(0)
            .source
            .and_then(|source| source.remark)
    };
    let _remark = until("it is remarked", || {
        remark(&trial.host).filter(|remark| remark.contains("was not there"))
    });
    trial.truth.put(1);
    trial.holds(1);
    until("nothing is remarked", || {
        remark(&trial.host).is_none().then_some(())
    });
}

fn text(text: &str) -> SourceSetting {
    SourceSetting::Text(text.to_owned())
}

fn version(number: i64) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert("x-version".into(), AMQPValue::LongLongInt(number));
    headers
}

#[test]
fn a_refused_message_is_put_into_the_dead_letter_with_the_reason() {
    let mut trial = begun(RabbitTruth::shared());
    trial.truth.publish("[1,\n ?]", &version(7));
    refused(&trial, "expected value");
    let dead_letter = trial.truth.dead_letter();
    let message = until("it is there", || trial.truth.get(&dead_letter));
    assert_eq!(message.data, b"[1,\n ?]");
    let headers = message.properties.headers().clone().unwrap_or_default();
    let header = |name: &str| match headers.inner().get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(header("x-refused-by"), trial.truth.queue());
    assert_eq!(header("x-refused-stage"), "parsed");
    assert_eq!(
        header("x-refused-reason"),
        "line 2 column 2: expected value"
    );
    assert_eq!(header("x-refused-exchange"), EXCHANGE);
    assert_eq!(header("x-version"), "Some(LongLongInt(7))");
    assert_eq!(trial.held(), Some(1));
    trial.truth.put(2);
    trial.holds(2);
    let queue = trial.truth.queue();
    let mut trial = trial.restarted(|_| ());
    assert_eq!(
        trial.truth.waiting(&queue),
        0,
        "all that was decided is acknowledged"
    );
}

#[test]
fn a_message_that_cannot_be_put_into_the_dead_letter_is_not_acknowledged() {
    let mut truth = RabbitTruth::shared();
    // No user may declare a queue of this name.
    truth.settings.push(("dead_letter", text("amq.dead")));
    let mut trial = begun(truth);
    trial.truth.put_garbage();
    let reason = lost(&trial.host, "putting a refused message");
    assert!(
        reason.contains("not acknowledged") && reason.contains("ACCESS_REFUSED"),
        "{reason}"
    );
    let queue = trial.truth.queue();
    until("it is in the queue", || {
        (trial.truth.waiting(&queue) == 1).then_some(())
    });
    assert_eq!(trial.held(), Some(1));
    trial.truth.put(2);
    trial.holds(2);
}

#[test]
fn a_message_that_is_too_large_is_refused() {
    let mut truth = RabbitTruth::shared();
    truth.dataset.max_bytes = 10;
    let mut trial = begun(truth);
    trial.truth.publish("\"12345678901\"", &version(2));
    refused(&trial, "max_bytes");
    let dead_letter = trial.truth.dead_letter();
    until("it is put aside", || trial.truth.get(&dead_letter));
    assert_eq!(trial.held(), Some(1));
}

#[test]
fn what_a_pin_keeps_out_is_not_lost() {
    let mut trial = begun(RabbitTruth::shared());
    trial.truth.put(2);
    trial.holds(2);
    let back = |host: &Host, to: u64, pin: bool| {
        host.rollback_data("rates", Some(to), pin, "a test")
            .expect("it is kept");
    };
    back(&trial.host, 1, true);
    trial.truth.put(3);
    trial.truth.put(4);
    assert_eq!(trial.held(), Some(1));
    back(&trial.host, 2, false);
    trial.holds(4);
    // And neither if the host ends meanwhile.
    back(&trial.host, 1, true);
    trial.truth.put(5);
    trial.truth.put(6);
    let trial = trial.restarted(|_| ());
    assert_eq!(trial.held(), Some(1));
    back(&trial.host, 2, false);
    trial.holds(6);
}

#[test]
fn what_a_pin_keeps_out_outlives_the_patience_of_the_broker() {
    let mut truth = RabbitTruth::shared();
    truth.dataset.poll = Duration::from_millis(20);
    let mut trial = begun(truth);
    trial.truth.put(2);
    trial.holds(2);
    trial
        .host
        .rollback_data("rates", Some(1), true, "a test")
        .expect("it is kept");
    trial.truth.put(3);
    // It is given back at each poll, and comes again.
    let received = |trial: &Trial<RabbitTruth>| {
        let status = trial.host.datasets().swap_remove(0);
        status.source.map(|source| source.state)
    };
    for _ in 0..20 {
        assert_eq!(received(&trial), Some(SourceState::Healthy));
        trial.truth.put(3);
    }
    assert_eq!(trial.held(), Some(1));
    trial
        .host
        .rollback_data("rates", Some(2), false, "a test")
        .expect("it is kept");
    trial.holds(3);
}

#[test]
fn what_a_pin_keeps_out_stays_in_its_place_whenever_it_is_given_back() {
    let mut truth = RabbitTruth::shared();
    truth.dataset.poll = Duration::from_millis(1);
    let mut trial = begun(truth);
    for round in 1..=20 {
        let last = round * 100;
        let pin = |trial: &Trial<RabbitTruth>, pin| {
            let done = trial.host.rollback_data("rates", Some(1), pin, "a test");
            done.expect("it is kept");
        };
        pin(&trial, true);
        for number in last - 10..=last {
            trial.truth.put(number);
        }
        pin(&trial, false);
        trial.holds(last);
    }
}

#[test]
fn an_older_version_is_acknowledged_and_changes_nothing() {
    let mut trial = begun(RabbitTruth::shared());
    trial.truth.publish("7", &version(17));
    trial.holds(7);
    let held = trial.host.data("rates").expect("it is held");
    let expected = format!("rabbitmq {} at version 17", trial.truth.name);
    assert_eq!(held.record.origin.to_string(), expected);
    trial.truth.publish("6", &version(16));
    let mut trial = trial.restarted(|truth| truth.publish("5", &version(15)));
    let queue = trial.truth.queue();
    until("they are acknowledged", || {
        let source = trial.host.datasets().swap_remove(0).source?;
        (source.state == SourceState::Healthy).then_some(())
    });
    assert_eq!((trial.truth.waiting(&queue), trial.held()), (0, Some(7)));
    trial.truth.publish("8", &version(18));
    trial.holds(8);
    let history = trial.host.data_history("rates", 10).expect("it is read");
    assert_eq!(history.len(), 3, "{history:#?}");
}

#[test]
fn what_is_delivered_again_after_a_crash_is_no_step_back() {
    let mut truth = RabbitTruth::shared();
    // A queue that somebody has made otherwise is taken as it is; this one keeps all.
    let queue = truth.queue();
    let declared = truth.ask(async |channel| {
        let options = QueueDeclareOptions::durable();
        channel
            .queue_declare(queue.as_str().into(), options, FieldTable::default())
            .await
    });
    declared.expect("it is declared");
    let mut trial = begun(truth);
    trial.truth.put(5);
    trial.holds(5);
    trial.truth.put(6);
    trial.holds(6);
    // As if none of them had been acknowledged.
    let trial = trial.restarted(|truth| {
        [1, 5, 6].into_iter().for_each(|number| truth.put(number));
    });
    let watcher = Watcher::of(&trial.host, number);
    until("the source has been heard", || {
        (!trial.host.datasets().swap_remove(0).from_disk).then_some(())
    });
    trial.holds(6);
    watcher.saw_no_step_back();
    let history = trial.host.data_history("rates", 10).expect("it is read");
    assert_eq!(history.len(), 3, "{history:#?}");
}

#[test]
fn what_was_published_and_not_acknowledged_when_kill_9_came_is_no_second_revision() {
    let mut truth = RabbitTruth::shared();
    let proxy = Proxy::to(truth.port());
    let scene = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(scene.path().join("plugins")).expect("it is made");
    let configuration = format!(
        "[data.rates]\npoll = \"1h\"\nsource = {{ kind = \"rabbitmq\", queue = \"{}\", host = \"here\", \
         heartbeat = \"60s\", url = \"amqp://guest:{PASSWORD}@127.0.0.1:{}\" }}\n",
        truth.name,
        proxy.port()
    );
    std::fs::write(scene.path().join("host.toml"), configuration).expect("it is written");
    let run = |state| {
        Program::start_with(state, |command| {
            command
                .current_dir(scene.path())
                .args(["run", "plugins", "--listen", "127.0.0.1:0"]);
        })
    };
    let holds = |host: &Program, expected: &str| {
        until(&format!("the host holds {expected}"), || {
            let held = host.command(&["data", "get", "rates"]).stdout;
            (held == expected).then_some(())
        });
    };
    let host = run(tempfile::tempdir().expect("a temporary folder"));
    truth.put(1);
    holds(&host, "1");
    // What the host says from now on is lost, its acknowledgement among it.
    proxy.mute();
    truth.put(2);
    holds(&host, "2");
    let queue = truth.queue();
    assert_eq!(truth.waiting(&queue), 0);
    host.signal("KILL");
    let (_, state) = host.wait();
    until("it is in the queue again", || {
        (truth.waiting(&queue) == 1).then_some(())
    });
    let host = run(state);
    until("the source has been heard", || {
        let status = host.command(&["data", "list", "--json"]).json()["datasets"][0].clone();
        let is_heard = status["source"]["state"] == "healthy" && status["from_disk"] == false;
        is_heard.then_some(())
    });
    let history = host.command(&["data", "history", "rates", "--json"]).json();
    let numbers = history["revisions"].as_array().expect("a list").iter();
    let numbers: Vec<_> = numbers.map(|it| it["number"].as_u64()).collect();
    assert_eq!(numbers, [Some(2), Some(1)]);
    host.signal("TERM");
    let _ended = host.wait();
    assert_eq!(truth.waiting(&queue), 0, "it is acknowledged now");
}

#[test]
fn the_queue_of_a_host_that_is_away_keeps_the_newest_only() {
    let trial = begun(RabbitTruth::shared());
    let trial = trial.restarted(|truth| {
        truth.put_all(2..1000);
        truth.put(1000);
        let queue = truth.queue();
        assert_eq!(truth.waiting(&queue), 1);
    });
    trial.holds(1000);
    let history = trial.host.data_history("rates", 10).expect("it is read");
    assert_eq!(history.len(), 2, "{history:#?}");
}

#[test]
fn a_queue_that_somebody_deletes_is_declared_again() {
    let mut trial = begun(RabbitTruth::shared());
    let queue = trial.truth.queue();
    let deleted = trial.truth.ask(async |channel| {
        let options = QueueDeleteOptions::default();
        channel.queue_delete(queue.as_str().into(), options).await
    });
    deleted.expect("it is deleted");
    trial.event("the loss", |what| match what {
        Happening::SourceLost { reason, .. } => reason.contains("the queue was deleted"),
        _ => false,
    });
    trial.truth.put(2);
    trial.holds(2);
}

#[test]
fn a_binding_that_somebody_removes_is_made_again_at_the_next_poll() {
    let mut truth = RabbitTruth::shared();
    truth.dataset.poll = Duration::from_millis(50);
    let mut trial = begun(truth);
    let (queue, key) = (trial.truth.queue(), trial.truth.name.clone());
    let unbound = trial.truth.ask(async |channel| {
        let key = key.as_str().into();
        let none = FieldTable::default();
        channel
            .queue_unbind(queue.as_str().into(), EXCHANGE.into(), key, none)
            .await
    });
    unbound.expect("it is unbound");
    trial.truth.put(2);
    trial.holds(2);
}

#[test]
fn an_exchange_of_its_own_is_declared() {
    let mut truth = RabbitTruth::shared();
    let exchange = format!("{}-exchange", truth.name);
    truth.settings.push(("exchange", text(&exchange)));
    truth.settings.push(("routing_key", text("all.of.them")));
    let mut trial = Trial::of(truth, EXAMINER);
    until("it is published", || {
        let published = trial.truth.ask(async |channel| {
            let options = lapin::options::BasicPublishOptions {
                mandatory: true,
                ..lapin::options::BasicPublishOptions::default()
            };
            let (exchange, key) = (exchange.as_str().into(), "all.of.them".into());
            let properties = lapin::BasicProperties::default();
            channel
                .basic_publish(exchange, key, options, b"1", properties)
                .await?
                .await
        });
        (published.ok()? == lapin::Confirmation::Ack(None)).then_some(())
    });
    trial.holds(1);
}

#[test]
fn a_second_host_of_the_same_name_is_told_so() {
    let mut trial = begun(RabbitTruth::shared());
    let mut scene = Scene::new(EXAMINER);
    let mut dataset = trial.truth.dataset();
    dataset.source = Some(trial.truth.source(trial.proxy.port()));
    scene.config.data.insert("rates".to_owned(), dataset);
    let second = scene.start();
    let reason = lost(&second, "exclusive");
    assert!(reason.contains("with `host`"), "{reason}");
    trial.truth.put(2);
    trial.holds(2);
    drop(trial.host);
    trial.truth.put(3);
    until("the second takes over", || {
        number(&*second.data("rates")?).filter(|number| *number == 3)
    });
}

#[test]
fn a_broker_that_is_out_of_memory_is_followed_on() {
    let trial = begun(RabbitTruth::alone()).restarted(|truth| truth.put(2));
    trial.holds(2);
    let mut trial = trial.restarted(|truth| {
        truth.put_garbage();
        truth.alarm(true);
    });
    lost(&trial.host, "it runs out of memory or disk");
    assert_eq!(trial.held(), Some(2));
    trial.truth.alarm(false);
    let dead_letter = trial.truth.dead_letter();
    until("it is put aside", || trial.truth.get(&dead_letter));
    trial.truth.put(3);
    trial.holds(3);
}

#[test]
fn a_login_that_is_refused_is_told_without_its_password() {
    let mut truth = RabbitTruth::shared();
    truth.url = "amqp://ada:a-word-nobody-says@127.0.0.1:{}".to_owned();
    let trial = Trial::of(truth, EXAMINER);
    let reason = lost(&trial.host, "connecting to RabbitMQ");
    assert!(
        reason.contains("check the user and the password"),
        "{reason}"
    );
    assert!(!reason.contains("a-word-nobody-says"), "{reason}");
}

#[test]
fn the_permissions_that_are_asked_for_are_enough_and_a_lack_is_told() {
    let mut truth = RabbitTruth::shared();
    let (queue, dead_letter) = (truth.queue(), truth.dead_letter());
    let configure = format!("^({queue}|{dead_letter})$");
    let write = format!("^({queue}|amq.default)$");
    let read = format!("^({queue}|{EXCHANGE})$");
    truth.let_in("ada", [&configure, &write, &read]);
    truth.let_in("eve", [&configure, &write, &format!("^{queue}$")]);
    truth.url = format!("amqp://ada:{PASSWORD}@127.0.0.1:{{}}");
    let mut trial = begun(truth);
    trial.truth.put_garbage();
    until("it is put aside", || trial.truth.get(&dead_letter));
    trial.truth.put(2);
    trial.holds(2);
    let mut truth = RabbitTruth::shared();
    truth.url = format!("amqp://eve:{PASSWORD}@127.0.0.1:{{}}");
    truth.name = trial.truth.name.clone();
    drop(trial);
    let trial = Trial::of(truth, EXAMINER);
    let reason = lost(&trial.host, "its user needs the permissions");
    assert!(reason.contains("binding queue"), "{reason}");
}

#[test]
fn a_broker_that_never_answers_is_given_up() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
    let port = silent.local_addr().expect("it has one").port();
    let truth = RabbitTruth::shared();
    let mut scene = Scene::new(EXAMINER);
    let mut dataset = truth.dataset();
    dataset.source = Some(truth.source(port));
    scene.config.data.insert("rates".to_owned(), dataset);
    lost(&scene.start(), "the broker has not answered for");
}

#[test]
fn a_vhost_that_is_not_there_is_told() {
    let mut truth = RabbitTruth::shared();
    truth.url = format!("amqp://guest:{PASSWORD}@127.0.0.1:{{}}/elsewhere");
    let trial = Trial::of(truth, EXAMINER);
    lost(&trial.host, "vhost elsewhere not found");
}

#[test]
fn a_broker_behind_tls_is_followed_if_its_authority_is_known() {
    let truth = RabbitTruth::behind_tls();
    let mut trial = Trial::of(truth, EXAMINER);
    lost(&trial.host, "UnknownIssuer");
    let ca_file = SourceSetting::Path(trial.truth.ca_file());
    trial.truth.settings.push(("ca_file", ca_file));
    let source = trial.truth.source(trial.proxy.port());
    let rates = trial.scene.config.data.get_mut("rates");
    rates.expect("it is declared").source = Some(source);
    let mut trial = trial.restarted(|_| ());
    trial.truth.put(1);
    trial.holds(1);
    trial.truth.put(2);
    trial.holds(2);
}

#[test]
fn settings_that_make_no_sense_are_refused_at_the_start() {
    let start = |url: &str, key: &'static str, setting: SourceSetting| {
        let mut scene = Scene::new(EXAMINER);
        let url = SourceSetting::Secret(host::config::Secret::new(url));
        let own = [("url", url), ("queue", text("rates")), (key, setting)];
        let dataset = host::config::DatasetConfig {
            source: Some(host::config::SourceConfig::of("rabbitmq", own)),
            ..host::config::DatasetConfig::default()
        };
        scene.config.data.insert("rates".to_owned(), dataset);
        let host = Host::builder()
            .config(scene.config.clone())
            .state_dir(scene.state_dir());
        let error = host.examiner(EXAMINER).start().err();
        format!("{:#}", error.expect("it does not start"))
    };
    let error = start("http://ada:hidden@127.0.0.1", "host", text("here"));
    assert!(
        error.contains("write amqp://") && !error.contains("hidden"),
        "{error}"
    );
    let ca_file = SourceSetting::Path("ca.pem".into());
    let error = start("amqp://127.0.0.1", "ca_file", ca_file);
    assert!(error.contains("begin its url with amqps://"), "{error}");
    let error = start("amqp://127.0.0.1", "host", text(&"x".repeat(256)));
    assert!(error.contains("too long"), "{error}");
}
