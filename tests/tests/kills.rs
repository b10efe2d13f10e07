//! What was acknowledged outlives `kill -9` at any moment: a host in a process of its own is asked for random things, killed in
//! the middle of one, and started again.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{Answer, Artifact, Connection, Program};

const TOKEN: &str = "0f4c2a";
const DATASETS: [&str; 2] = ["limits", "rates"];
/// How often a host is ended.
const ENDS: u64 = 16;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A folder with a configuration that declares both datasets, and no plugins so far.
fn scene() -> TempDir {
    let scene = folder();
    let write = |name: &str, content: &str| {
        fs::write(scene.path().join(name), content).expect("it is written");
    };
    fs::create_dir(scene.path().join("plugins")).expect("it is made");
    write("token", TOKEN);
    write(
        "host.toml",
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\n[data.limits]\nkeep = 20\n[data.rates]\nkeep = 20\n",
    );
    scene
}

fn run(scene: &TempDir, state: TempDir) -> Program {
    Program::start_with(state, |command| {
        command
            .current_dir(scene.path())
            .args(["run", "plugins", "--listen", "127.0.0.1:0"]);
    })
}

/// Numbers that look random, and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What may be asked of a host.
#[derive(Debug, Clone)]
enum Act {
    Put(usize, u64),
    PutGarbage(usize),
    PutBoth(u64),
    PutBothGarbage(u64),
    Back { place: usize, to: u64, pin: bool },
}

/// What a dataset holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    number: u64,
    content: u64,
    pinned: bool,
}

/// What should be true.
#[derive(Default)]
struct Model {
    held: [Option<Held>; 2],
    /// Every number that was ever seen, with its content.
    seen: [BTreeMap<u64, u64>; 2],
}

impl Model {
    fn roll(&self, dice: &mut Dice) -> Act {
        let place = usize::from(dice.below(2) == 1);
        let kept: Vec<u64> = self.seen[place].keys().rev().take(5).copied().collect();
        match (dice.below(10), kept.get(dice.below(5) as usize)) {
            (0, _) => Act::PutGarbage(place),
            (1, _) => Act::PutBothGarbage(dice.below(5)),
            (2..=4, _) => Act::PutBoth(dice.below(5)),
            (5..=6, Some(to)) => Act::Back {
                place,
                to: *to,
                pin: dice.below(2) == 0,
            },
            _ => Act::Put(place, dice.below(5)),
        }
    }

    /// The contents and pins that are held after this.
    fn after(&self, act: &Act) -> [Option<(u64, bool)>; 2] {
        let mut held = self.held.map(|held| held.map(|it| (it.content, it.pinned)));
        match act {
            Act::Put(place, content) => held[*place] = Some((*content, false)),
            Act::PutBoth(content) => held = [Some((*content, false)); 2],
            Act::PutGarbage(_) | Act::PutBothGarbage(_) => {}
            Act::Back { place, to, pin } => held[*place] = Some((self.seen[*place][to], *pin)),
        }
        held
    }

    /// This was answered to what leads there: it is so now. What is new has a greater number than all before.
    fn note(&mut self, place: usize, number: u64, (content, pinned): (u64, bool)) {
        let before = self.held[place].filter(|before| before.content == content);
        let last = self.seen[place].keys().next_back().copied();
        match before {
            Some(before) => assert_eq!(number, before.number, "{}", DATASETS[place]),
            None => assert!(last < Some(number), "{number} after {last:?}"),
        }
        self.seen[place].insert(number, content);
        self.held[place] = Some(Held {
            number,
            content,
            pinned,
        });
    }

    /// After a restart all is held as it was before what was under way, or as it is after that.
    fn compare(&mut self, desk: &Desk, under_way: &Act) {
        let now = desk.held();
        let as_seen = now.map(|held| held.map(|it| (it.content, it.pinned)));
        let before = self.held.map(|held| held.map(|it| (it.content, it.pinned)));
        let after = self.after(under_way);
        assert!(
            as_seen == before || as_seen == after,
            "{now:?} after {before:?} and {under_way:?}"
        );
        for (place, held) in now.into_iter().enumerate() {
            if let Some(held) = held {
                self.note(place, held.number, (held.content, held.pinned));
            }
        }
        desk.keeps(&mut self.seen);
    }
}

/// The way to the admin API of a host.
struct Desk(String);

impl Desk {
    fn of(host: &Program) -> Desk {
        let said = "the admin API answers over TCP";
        let _comes = host.line(said);
        // The log has what those before it said, too. It says so before it is ready.
        let log = host.log();
        let line = log.lines().rfind(|line| line.contains(said));
        let mut words = line.expect("it is said").split_whitespace();
        let address = words.find_map(|word| word.strip_prefix("address="));
        Desk(address.expect("it is said").to_owned())
    }

    /// An answer; `None` if none comes, since the host has ended.
    fn ask(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        let bearer = format!("Bearer {TOKEN}");
        let mut connection = Connection::open(&self.0).ok()?;
        let headers = [("authorization", bearer.as_str()), ("connection", "close")];
        connection.send(method, path, &headers, body).ok()?;
        connection.receive().ok()
    }

    fn read(&self, path: &str) -> Answer {
        self.ask("GET", path, "").expect("it answers")
    }

    /// The numbers that are held after this; `None` if nobody knows whether it was done.
    fn does(&self, act: &Act) -> Option<Vec<(usize, u64)>> {
        let both = |rates: &str, limits: u64| {
            let body = format!("{{\"rates\": \"{rates}\", \"limits\": \"{limits}\"}}");
            self.ask("POST", "/data", &body)
        };
        let path = |place: &usize| format!("/data/{}", DATASETS[*place]);
        let (answer, expected) = match act {
            Act::Put(place, content) => {
                let put = self.ask("PUT", &path(place), &content.to_string());
                (put, 200)
            }
            Act::PutGarbage(place) => (self.ask("PUT", &path(place), "?"), 422),
            Act::PutBoth(content) => (both(&content.to_string(), *content), 200),
            Act::PutBothGarbage(content) => (both("?", *content), 422),
            Act::Back { place, to, pin } => {
                let body = format!("{{\"to\": {to}, \"pin\": {pin}}}");
                let path = path(place) + "/rollback";
                (self.ask("POST", &path, &body), 200)
            }
        };
        let answer = answer?;
        assert_eq!(answer.status, expected, "{act:?}: {answer:?}");
        let answer = answer.json();
        let changes = match answer["changes"].as_array() {
            Some(changes) => changes.clone(),
            None if expected == 200 => vec![answer],
            None => Vec::new(),
        };
        let numbers = changes.iter().map(|change| {
            let place = DATASETS.iter().position(|name| change["dataset"] == *name);
            let number = change["revision"].as_u64();
            (place.expect("it is declared"), number.expect("a number"))
        });
        Some(numbers.collect())
    }

    /// What both datasets hold.
    fn held(&self) -> [Option<Held>; 2] {
        let list = self.read("/data").json();
        DATASETS.map(|name| {
            let all = list["datasets"].as_array().expect("a list");
            let status = all.iter().find(|it| it["name"] == name);
            let status = status.expect("it is declared");
            let number = status["held"]["number"].as_u64()?;
            Some(Held {
                number,
                content: self.content(name, number),
                pinned: status["pinned"] == true,
            })
        })
    }

    fn content(&self, dataset: &str, revision: u64) -> u64 {
        let content = self.read(&format!("/data/{dataset}?revision={revision}"));
        content.body.parse().expect("it is whole")
    }

    /// Every kept revision has the content that it had when it was seen first.
    fn keeps(&self, seen: &mut [BTreeMap<u64, u64>; 2]) {
        for (name, seen) in DATASETS.into_iter().zip(seen) {
            let history = self.read(&format!("/data/{name}/history?limit=100")).json();
            for record in history["revisions"].as_array().expect("a list") {
                let number = record["number"].as_u64().expect("a number");
                let content = self.content(name, number);
                let before = *seen.entry(number).or_insert(content);
                assert_eq!(before, content, "revision {number} of {name}");
            }
        }
    }
}

/// Asks for one thing after the other until the host has ended; gives what was under way then.
fn storm(desk: &Desk, model: &mut Model, dice: &mut Dice) -> Act {
    loop {
        let act = model.roll(dice);
        let Some(numbers) = desk.does(&act) else {
            return act;
        };
        let after = model.after(&act);
        for (place, number) in numbers {
            let after = after[place].expect("something is held");
            model.note(place, number, after);
        }
    }
}

#[test]
fn data_is_as_it_was_acknowledged_never_mixed_and_numbers_are_never_used_again() {
    let (scene, mut state) = (scene(), folder());
    let (mut model, mut dice) = (Model::default(), Dice(0x9E37_79B9_7F4A_7C15));
    let mut under_way = Act::PutGarbage(0);
    let mut acts = 0;
    for _ in 0..ENDS {
        let host = run(&scene, std::mem::replace(&mut state, folder()));
        let desk = Desk::of(&host);
        model.compare(&desk, &under_way);
        let life = Duration::from_millis(dice.below(150));
        let before = model.seen.each_ref().map(BTreeMap::len);
        under_way = std::thread::scope(|scope| {
            let storm = scope.spawn(|| storm(&desk, &mut model, &mut dice));
            std::thread::sleep(life);
            host.signal("KILL");
            storm.join().expect("all is as it should be")
        });
        let now = model.seen.each_ref().map(BTreeMap::len);
        acts += now[0] + now[1] - before[0] - before[1];
        state = host.wait().1;
    }
    let host = run(&scene, state);
    model.compare(&Desk::of(&host), &under_way);
    assert!(acts as u64 > ENDS, "only {acts} revisions were made");
}

/// The versions and contents that a host serves, one of each plugin and dataset.
fn served(host: &Program) -> [String; 4] {
    let version = |plugin: &str| {
        let status = host.command(&["status", plugin, "--json"]).json();
        let version = status["serving"]["version"].as_str();
        version.unwrap_or("none").to_owned()
    };
    let content = |dataset: &str| host.command(&["data", "get", dataset]).stdout;
    [
        version("abacus"),
        version("slow"),
        content("limits"),
        content("rates"),
    ]
}

#[test]
fn a_release_is_whole_or_not_at_all_wherever_kill_9_cuts_it_off() {
    let (scene, mut state) = (scene(), folder());
    let abacus = || Artifact::of("steady").with("\"name\":\"steady\"", "\"name\":\"abacus\"");
    for number in ["1", "2"] {
        let folder = scene.path().join(number);
        let version = format!("1.0.{number}");
        let abacus = abacus().named("libabacus.so").version(&version);
        abacus.place(&folder);
        Artifact::of("slow").version(&version).place(&folder);
        fs::write(folder.join("content"), number).expect("it is written");
        let release = "[plugins]\nabacus = \"libabacus.so\"\nslow = \"libslow.so\"\n\
                       [data]\nlimits = \"content\"\nrates = \"content\"\n";
        fs::write(folder.join("release.toml"), release).expect("it is written");
    }
    let whole = |number: u64| {
        let (version, content) = (format!("1.0.{number}"), number.to_string());
        [version.clone(), version, content.clone(), content]
    };
    let apply = |host: &Program, number: u64| {
        let file = scene.path().join(number.to_string()).join("release.toml");
        host.command(&["release", "apply", file.to_str().expect("UTF-8")])
    };
    let host = run(&scene, std::mem::replace(&mut state, folder()));
    let first = apply(&host, 1);
    assert_eq!(first.code, Some(0), "{first:?}");
    let took = {
        let begin = Instant::now();
        let second = apply(&host, 2);
        assert_eq!(second.code, Some(0), "{second:?}");
        begin.elapsed()
    };
    let (mut host, mut now) = (host, 2);
    let mut dice = Dice(0x2545_F491_4F6C_DD1D);
    for _ in 0..ENDS {
        let next = 3 - now;
        // A little longer than it takes, so that some are acknowledged.
        let life = took.mul_f64(dice.below(120) as f64 / 100.0);
        let applied = std::thread::scope(|scope| {
            let applied = scope.spawn(|| apply(&host, next));
            std::thread::sleep(life);
            host.signal("KILL");
            applied.join().expect("no panic")
        });
        state = host.wait().1;
        host = run(&scene, state);
        let served = served(&host);
        let is_next = served == whole(next);
        assert!(
            is_next || (applied.code != Some(0) && served == whole(now)),
            "{served:?} after {applied:?}"
        );
        let releases = host.command(&["release", "list", "--json"]).json();
        assert_ne!(releases["releases"][0]["outcome"]["outcome"], "intent");
        if is_next {
            now = next;
        }
    }
}
