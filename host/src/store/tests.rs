//! What the store promises, and what its tests are made of.

mod files;
mod journal;

use super::*;
use crate::{
    artifact::Digest,
    journal::{LastGood, Memory, Outcome, Record, SavedState},
    report::{Trigger, Verdict},
    step::Step,
};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(&folder.path().join("state")).expect("opening the store")
}

fn digest(number: u64) -> Digest {
    Digest::of(&number.to_le_bytes())
}

fn record(plugin: &str, generation: u64, outcome: Outcome) -> Record {
    Record {
        sequence: 0,
        time: 1,
        plugin: plugin.to_owned(),
        trigger: Trigger::Watch,
        version: "1.0.0".to_owned(),
        schema: Some(1),
        generation,
        incumbent: None,
        digest: digest(generation),
        staged_digest: digest(generation),
        file: None,
        state_bytes: None,
        steps: Vec::new(),
        outcome,
    }
}

fn swapped() -> Outcome {
    Outcome::Swapped {
        departure: None,
        remarks: Vec::new(),
    }
}

fn failed() -> Outcome {
    Outcome::Failed {
        step: Step::Vet,
        reason: "a reason".to_owned(),
    }
}

fn refused(reason: &str) -> Verdict {
    Verdict::Refused {
        reason: reason.to_owned(),
    }
}

fn saved(generation: u64, bytes: &[u8]) -> SavedState {
    SavedState {
        schema: 2,
        generation,
        time: 3,
        is_final: true,
        tainted: true,
        bytes: bytes.to_vec(),
    }
}

/// Takes an artifact through what a swap does to the store.
fn serve(store: &Store, plugin: &str, generation: u64) {
    let staged = store.staged_dir().join(format!("{generation}.so"));
    fs::write(&staged, generation.to_le_bytes()).expect("staging");
    store
        .keep_artifact(plugin, digest(generation), &staged)
        .expect("keeping");
    let mut record = record(plugin, generation, Outcome::Intent);
    record.sequence = store.begin(record.clone()).expect("the intent");
    record.outcome = swapped();
    store.finish(&record).expect("the outcome");
}
