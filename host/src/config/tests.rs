//! What the configuration promises.

use super::*;

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("host.toml");
    std::fs::write(&file, text).expect("writing host.toml");
    // What the example names.
    let schemas = folder.path().join("schemas");
    std::fs::create_dir(&schemas).expect("making the folder of schemas");
    std::fs::write(schemas.join("rates.json"), "{}").expect("writing a schema");
    let variables = variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    Config::read(Some(&file), variables).map_err(|error| ConfigError {
        problems: error
            .problems
            .into_iter()
            .map(|problem| problem.replace(&format!("{}/", folder.path().display()), ""))
            .collect(),
    })
}

fn problem(text: &str, variables: &[(&str, &str)]) -> String {
    let error = read(text, variables).expect_err("a problem");
    assert_eq!(error.problems.len(), 1, "{error}");
    error.to_string()
}

#[test]
fn an_empty_file_means_the_defaults() {
    assert_eq!(read("", &[]), Ok(Config::default()));
}

#[test]
fn every_key_is_read() {
    let text = r#"
        [call]
        listen = "0.0.0.0:9000"
        max_body = "16MiB"
        timeout = "2s"
        threads = 3
        per_plugin = 2
        queue = 7
        max_connections = 11
        max_head = "16KiB"
        head_timeout = "5s"
        body_timeout = "6s"
        idle_timeout = "7s"
        [admin]
        listen = "127.0.0.1:9001"
        token_file = "/etc/token"
        [plugins]
        dir = "/srv/plugins"
        drain_deadline = "250ms"
        on_drain_deadline = "keep_trying"
        removal_grace = "1s"
        on_removal = "keep"
        keep_artifacts = 2
        vet_timeout = "3s"
        close_patience = "3ms"
        handover_timeout = "4s"
        max_generations = 5
        [log]
        filter = "debug"
        format = "json"
    "#;
    let expected = Config {
        call: CallConfig {
            listen: ([0, 0, 0, 0], 9000).into(),
            max_body: 16 << 20,
            timeout: Duration::from_secs(2),
            threads: 3,
            per_plugin: Some(2),
            queue: 7,
            max_connections: 11,
            max_head: 16 << 10,
            head_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(6),
            idle_timeout: Duration::from_secs(7),
        },
        admin: AdminConfig {
            listen: Some(([127, 0, 0, 1], 9001).into()),
            token_file: Some("/etc/token".into()),
        },
        plugins: PluginsConfig {
            dir: Some("/srv/plugins".into()),
            each: PluginConfig {
                drain_deadline: Duration::from_millis(250),
                on_drain_deadline: OnDrainDeadline::KeepTrying,
                removal_grace: Duration::from_secs(1),
                on_removal: OnRemoval::Keep,
                keep_artifacts: 2,
                vet_timeout: Duration::from_secs(3),
                close_patience: Duration::from_millis(3),
                handover_timeout: Duration::from_secs(4),
                max_generations: 5,
            },
        },
        plugin: BTreeMap::new(),
        data: BTreeMap::new(),
        log: LogConfig {
            filter: "debug".into(),
            format: LogFormat::Json,
        },
    };
    assert_eq!(read(text, &[]), Ok(expected));
}

#[test]
fn one_plugin_never_has_all_threads_where_there_are_several() {
    let share = |threads, per_plugin| {
        let call = CallConfig {
            threads,
            per_plugin,
            ..CallConfig::default()
        };
        call.share()
    };
    assert_eq!(
        [1, 2, 3, 8].map(|threads| share(threads, None)),
        [1, 1, 1, 4]
    );
    assert_eq!(
        [1, 2, 3, 8].map(|threads| share(threads, Some(9))),
        [1, 1, 2, 7]
    );
}

/// The file that shows operators every key, commented out.
const EXAMPLE: &str = include_str!("../../../host.toml.example");

/// The example with its settings in force.
fn example_in_force() -> String {
    let is_setting = |line: &&str| !line.starts_with("# ") && !line.is_empty();
    EXAMPLE
        .lines()
        .filter(is_setting)
        .map(|line| line.trim_start_matches('#').to_owned() + "\n")
        .collect()
}

#[test]
fn the_example_as_it_stands_changes_nothing() {
    assert_eq!(read(EXAMPLE, &[]), Ok(Config::default()));
}

#[test]
fn the_example_in_force_says_the_defaults_where_there_are_any() {
    let config = read(&example_in_force(), &[]).expect("a configuration");
    let defaults = Config::default();
    let call = CallConfig {
        threads: defaults.call.threads,
        per_plugin: None,
        ..config.call
    };
    assert_eq!(call, defaults.call);
    assert_eq!(config.plugins.each, defaults.plugins.each);
    assert_eq!(
        config.plugin,
        BTreeMap::from([("counter".to_owned(), defaults.plugins.each)])
    );
    assert_eq!(config.log, defaults.log);
    let rates = &config.data["rates"];
    let expected = DatasetConfig {
        json_schema: rates.json_schema.clone(),
        stale_after: rates.stale_after,
        source: rates.source.clone(),
        ..DatasetConfig::default()
    };
    assert_eq!(*rates, expected);
}

#[test]
fn the_example_names_every_section_and_key() {
    let example: toml::Table = example_in_force().parse().expect("the example is TOML");
    for section in settings::SECTIONS {
        let table = example[*section].as_table().expect("a section is a table");
        let table = match *section {
            settings::PER_PLUGIN => continue,
            settings::DATASETS => table["rates"].as_table().expect("a section is a table"),
            _ => table,
        };
        for key in settings::keys(section) {
            assert!(table.contains_key(key), "[{section}] {key} is missing");
        }
    }
}

#[test]
fn an_unknown_key_is_told_with_file_line_and_the_nearest_key() {
    assert_eq!(
        problem("[call]\n\ntimeoutt = \"5s\"\n", &[]),
        "host.toml:3: unknown key \"timeoutt\" in [call]; did you mean \"timeout\"?"
    );
    assert_eq!(
        problem("[plugin.counter]\nvet_timout = \"5s\"\n", &[]),
        "host.toml:2: unknown key \"vet_timout\" in [plugin.counter]; did you mean \"vet_timeout\"?"
    );
    assert_eq!(
        problem("[log]\nqqqqqqqq = 1\n", &[]),
        "host.toml:2: unknown key \"qqqqqqqq\" in [log]; there are filter, format"
    );
}

#[test]
fn an_unknown_section_is_told_with_the_nearest_section() {
    assert_eq!(
        problem("# mine\n[plugns]\ndir = \"x\"\n", &[]),
        "host.toml:2: unknown section [plugns]; did you mean \"plugins\"?"
    );
    assert_eq!(
        problem("call = 5\n", &[]),
        "host.toml:1: \"call\" is a section; write [call] and its keys below"
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let error = read(
        "[call]\nqueue = 0\nlisten = 5\n[logs]\n",
        &[("HOST__CALL__TIMEOUT", "soon")],
    )
    .expect_err("four problems");
    assert_eq!(error.problems.len(), 4, "{error}");
}

#[test]
fn broken_toml_is_told_with_its_line() {
    let problem = problem("[call]\nlisten = \n", &[]);
    assert!(
        problem.starts_with("host.toml:2: this is not TOML: "),
        "{problem}"
    );
}

#[test]
fn limits_are_checked_and_what_to_write_is_said() {
    for (text, expected) in [
        (
            "[plugins]\ndrain_deadline = \"0s\"",
            "plugins.drain_deadline is \"0s\"; write a duration above zero",
        ),
        (
            "[plugins]\nvet_timeout = 5",
            "plugins.vet_timeout is 5; write a duration above zero with its unit",
        ),
        (
            "[plugins]\nremoval_grace = \"900 years\"",
            "write a duration",
        ),
        (
            "[plugins]\nkeep_artifacts = 0",
            "plugins.keep_artifacts is 0; write a whole number from 1 to",
        ),
        (
            "[plugin.a]\nmax_generations = 1",
            "plugin.a.max_generations is 1; write a whole number from 2 to",
        ),
        (
            "[call]\nqueue = 0",
            "call.queue is 0; write a whole number from 1 to",
        ),
        (
            "[call]\nthreads = -1",
            "call.threads is -1; write a whole number from 1 to",
        ),
        (
            "[call]\nthreads = \"4\"",
            "call.threads is \"4\"; write a whole number",
        ),
        (
            "[call]\nthreads = 1.5",
            "call.threads is a value of type float; write a whole number",
        ),
        (
            "[call]\nmax_body = \"0\"",
            "call.max_body is \"0\"; write a size such as \"16MiB\"",
        ),
        (
            "[call]\nmax_body = \"much\"",
            "call.max_body is \"much\"; write a size such as \"16MiB\"",
        ),
        (
            "[call]\nlisten = \"localhost\"",
            "call.listen is \"localhost\"; write an IP address with a port",
        ),
        (
            "[plugins]\non_removal = \"Keep\"",
            "plugins.on_removal is \"Keep\"; write \"unload\" or \"keep\"",
        ),
        ("[plugins]\ndir = \"\"", "plugins.dir is \"\"; write a path"),
        (
            "[log]\nfilter = \" \"",
            "log.filter is \" \"; write directives",
        ),
        (
            "[plugin.Counter]\n",
            "\"Counter\" cannot be a plugin's name",
        ),
        (
            "[plugin]\ncounter = 1",
            "\"counter\" is not a plugin's section; write [plugin.NAME]",
        ),
    ] {
        let problem = problem(text, &[]);
        assert!(problem.contains(expected), "{text:?} gave {problem:?}");
    }
}

#[test]
fn an_administration_address_needs_a_token() {
    assert_eq!(
        problem("[admin]\nlisten = \"127.0.0.1:1\"\n", &[]),
        "host.toml:2: admin.listen needs admin.token_file: write the path of a file that holds the bearer token"
    );
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("host.toml");
    std::fs::write(&file, "[plugins]\ndir = \"built\"\n").expect("writing host.toml");
    let config = Config::read(Some(&file), []).expect("a configuration");
    assert_eq!(config.plugins.dir, Some(folder.path().join("built")));
    let variable = [("HOST__PLUGINS__DIR".into(), "other".into())];
    let config = Config::read(Some(&file), variable).expect("a configuration");
    assert_eq!(config.plugins.dir, Some("other".into()));
    let text = "[data.rates]\njson_schema = \"s.json\"\nsource = { kind = \"file\", path = \"rates.json\" }\n";
    std::fs::write(&file, text).expect("writing host.toml");
    std::fs::write(folder.path().join("s.json"), "{}").expect("writing s.json");
    let config = Config::read(Some(&file), []).expect("a configuration");
    let rates = &config.data["rates"];
    assert_eq!(rates.json_schema, Some(folder.path().join("s.json")));
    let source = SourceConfig::file(folder.path().join("rates.json"));
    assert_eq!(rates.source, Some(source));
}

#[test]
fn a_named_file_must_exist() {
    let error = Config::read(Some(Path::new("/nowhere/host.toml")), []).expect_err("no such file");
    assert!(
        error
            .to_string()
            .starts_with("/nowhere/host.toml: the configuration cannot be read"),
        "{error}"
    );
}

#[test]
fn a_plugin_inherits_what_it_does_not_set() {
    let config = read(
        "[plugin.counter]\nvet_timeout = \"1s\"\n[plugins]\nvet_timeout = \"2s\"\ndrain_deadline = \"3s\"\n",
        &[],
    )
    .expect("a configuration");
    let counter = config.for_plugin("counter");
    assert_eq!(counter.vet_timeout, Duration::from_secs(1));
    assert_eq!(counter.drain_deadline, Duration::from_secs(3));
    assert_eq!(
        config.for_plugin("other").vet_timeout,
        Duration::from_secs(2)
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let text =
        "[call]\nlisten = \"127.0.0.1:1\"\nthreads = 2\n[plugins]\ndrain_deadline = \"1s\"\n";
    let config = read(
        text,
        &[
            ("HOST__CALL__LISTEN", "127.0.0.1:2"),
            ("HOST__CALL__MAX_BODY", "1KiB"),
            ("HOST__PLUGINS__DRAIN_DEADLINE", "9s"),
            ("HOST__PLUGINS__KEEP_ARTIFACTS", "8"),
            ("HOST__STATE_DIR", "/somewhere"),
            ("HOST_NAME", "not ours"),
        ],
    )
    .expect("a configuration");
    assert_eq!(config.call.listen, ([127, 0, 0, 1], 2).into());
    assert_eq!(config.call.threads, 2);
    assert_eq!(config.call.max_body, 1024);
    assert_eq!(config.plugins.each.drain_deadline, Duration::from_secs(9));
    assert_eq!(config.plugins.each.keep_artifacts, 8);
}

#[test]
fn a_plugin_is_found_by_its_spelling_in_the_environment() {
    let text = "[plugin.rate-limiter]\nkeep_artifacts = 3\nvet_timeout = \"2s\"\n";
    let config = read(
        text,
        &[
            ("HOST__PLUGIN__RATE_LIMITER__VET_TIMEOUT", "1s"),
            ("HOST__PLUGIN__WORD_COUNT__KEEP_ARTIFACTS", "9"),
        ],
    )
    .expect("a configuration");
    let limiter = config.for_plugin("rate-limiter");
    assert_eq!(
        (limiter.vet_timeout, limiter.keep_artifacts),
        (Duration::from_secs(1), 3)
    );
    assert_eq!(config.for_plugin("rate_limiter").keep_artifacts, 5);
    assert_eq!(config.for_plugin("word-count").keep_artifacts, 9);
    assert_eq!(config.for_plugin("word_count").keep_artifacts, 9);
}

#[test]
fn an_ambiguous_spelling_is_refused() {
    let text = "[plugin.a-b]\nkeep_artifacts = 3\n[plugin.a_b]\nkeep_artifacts = 3\n";
    assert_eq!(
        problem(text, &[("HOST__PLUGIN__A_B__VET_TIMEOUT", "1s")]),
        "HOST__PLUGIN__A_B__VET_TIMEOUT: this may mean the plugins a-b and a_b; set it in the file instead"
    );
}

#[test]
fn a_variable_that_fits_nothing_is_told_with_the_nearest() {
    for (name, expected) in [
        (
            "HOST__CALL__LISTN",
            "this is no setting; did you mean HOST__CALL__LISTEN?",
        ),
        (
            "HOST__STATEDIR",
            "this is no setting; did you mean HOST__STATE_DIR?",
        ),
        (
            "HOST__PLUGIN__COUNTER__VET_TIMEOUTS",
            "this is no setting; did you mean HOST__PLUGIN__NAME__VET_TIMEOUT?",
        ),
        (
            "HOST__FOO",
            "this is no setting; a setting is written HOST__SECTION__KEY",
        ),
        (
            "HOST__call__listen",
            "write it in upper case: HOST__CALL__LISTEN",
        ),
        (
            "HOST__PLUGIN__9__VET_TIMEOUT",
            "\"9\" cannot be a plugin's name",
        ),
    ] {
        assert_eq!(problem("", &[(name, "x")]), format!("{name}: {expected}"));
    }
}

#[test]
fn a_bad_value_in_the_environment_names_its_variable() {
    let problem = problem("", &[("HOST__CALL__TIMEOUT", "5")]);
    assert!(
        problem.starts_with("HOST__CALL__TIMEOUT: call.timeout is \"5\"; write a duration"),
        "{problem}"
    );
}

#[test]
fn a_dataset_takes_the_defaults_and_what_is_said() {
    let text = "[data.flags]\n[data.rates]\nformat = \"csv\"\nkeep = 3\nmax_bytes = \"1KiB\"\npoll = \"1s\"\n\
                stale_after = \"2s\"\nrequired = true\nsource = { kind = \"file\", path = \"/rates.csv\" }\n";
    let variables = [
        ("HOST__DATA__RATES__KEEP", "4"),
        ("HOST__DATA__RATES__SOURCE__PATH", "/other.csv"),
    ];
    let config = read(text, &variables).expect("a configuration");
    assert_eq!(config.data["flags"], DatasetConfig::default());
    let expected = DatasetConfig {
        format: crate::data::Format::Csv,
        json_schema: None,
        keep: 4,
        max_bytes: 1024,
        poll: Duration::from_secs(1),
        stale_after: Some(Duration::from_secs(2)),
        required: Some(Duration::from_secs(10)),
        source: Some(SourceConfig::file("/other.csv")),
    };
    assert_eq!(config.data["rates"], expected);
}

#[test]
fn what_does_not_fit_a_dataset_is_told_with_what_to_write() {
    for (text, expected) in [
        (
            "[data.rates]\nformat = \"xml\"",
            "host.toml:2: data.rates.format is \"xml\"; write \"json\" or \"toml\" or",
        ),
        (
            "[data.rates]\nfromat = \"json\"",
            "host.toml:2: unknown key \"fromat\" in [data.rates]; did you mean \"format\"?",
        ),
        (
            "[data.rates]\nsource = { kind = \"file\", paht = \"x\", path = \"y\" }",
            "unknown key \"paht\" of a source of kind \"file\" in [data.rates]; did you mean \"path\"?",
        ),
        (
            "[data.rates]\nsource = { kind = \"file\" }",
            "data.rates.source of kind \"file\" needs \"path\"",
        ),
        (
            "[data.rates]\nsource = { path = \"x\" }",
            "data.rates.source has no kind; write source = {",
        ),
        (
            "[data.rates]\nsource = { kind = \"nfs\" }",
            "data.rates.source.kind is \"nfs\": there is no such kind; write \"file\"",
        ),
        (
            "[data.rates]\nsource = \"x\"",
            "data.rates.source is \"x\"; write source = {",
        ),
        (
            "[data.rates]\nkeep = 0",
            "data.rates.keep is 0; write a whole number from 1",
        ),
        (
            "[data.rates]\nrequired = \"yes\"",
            "data.rates.required is \"yes\"; write true or false, without quotes",
        ),
        (
            "[data.rates]\nrequired = true",
            "data.rates is required and has no source",
        ),
        ("[data.Rates]\n", "\"Rates\" cannot be a dataset's name"),
        (
            "[data]\nrates = 1",
            "\"rates\" is not a dataset's section; write [data.NAME]",
        ),
    ] {
        let problem = problem(text, &[]);
        assert!(problem.contains(expected), "{text:?} gave {problem:?}");
    }
    assert_eq!(
        problem("", &[("HOST__DATA__RATES__KEEP", "3")]),
        "HOST__DATA__RATES__KEEP: the file declares no dataset [data.rates]; write that section first"
    );
}

#[test]
fn a_schema_is_read_with_the_configuration_that_names_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, schema) = (
        folder.path().join("host.toml"),
        folder.path().join("s.json"),
    );
    let told = |dataset: &str| {
        let text = format!("[data.rates]\njson_schema = \"s.json\"\n{dataset}\n");
        std::fs::write(&file, text).expect("writing host.toml");
        Config::read(Some(&file), []).map_err(|error| error.to_string())
    };
    let place = format!("{}:2: data.rates.json_schema: ", file.display());
    let missing = told("").expect_err("there is no schema");
    let expected = format!(
        "{place}reading the schema {}: No such file",
        schema.display()
    );
    assert!(missing.starts_with(&expected), "{missing}");
    std::fs::write(&schema, "{").expect("writing s.json");
    let broken = told("").expect_err("it is no JSON");
    assert!(broken.contains("EOF while parsing"), "{broken}");
    std::fs::write(&schema, "{}").expect("writing s.json");
    assert_eq!(
        told("").expect("a configuration").data["rates"].json_schema,
        Some(schema)
    );
    let unused = told("format = \"bytes\"").expect_err("bytes are not parsed");
    let expected = "data.rates has a json_schema and the format \"bytes\"";
    assert!(unused.contains(expected), "{unused}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\]a-z.=\"0-9\n_-]{0,80}") {
        let _ = read(&text, &[]);
    }

    #[test]
    fn no_variable_makes_the_reader_panic(name in "HOST__[A-Za-z0-9_]{0,30}", value in ".{0,20}") {
        let _ = read("", &[(&name, &value)]);
    }
}
