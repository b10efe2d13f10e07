//! Calls: what one costs, chained at one thread, and at two threads that call the same.

use crate::{
    arguments::Effort,
    builds::Libraries,
    contender::{self, Who},
    ratios::Ratios,
    rounds::{self, Series, least, median, ratio, undisturbed},
    telling::{Section, number, progress},
};
use anyhow::{Context, Result};

/// The series, by whose they are.
struct Results(Vec<Series>);

/// Measures all contenders.
pub(crate) fn measure(
    libraries: &Libraries,
    effort: &Effort,
    ratios: &mut Ratios,
) -> Result<Vec<Section>> {
    let contenders = contender::all(libraries)?;
    let bar = progress("calls", effort.call_rounds * contenders.len());
    let results = Results(rounds::run(
        &contenders,
        effort.call_rounds,
        effort.call_slice,
        &bar,
    )?);
    bar.finish_and_clear();
    results.fill(ratios)?;
    Ok(vec![results.section(effort)?])
}

impl Results {
    fn of(&self, who: Who) -> Result<&Series> {
        let found = self.0.iter().find(|series| series.who == who);
        found.with_context(|| format!("{who:?} has not run"))
    }

    fn section(&self, effort: &Effort) -> Result<Section> {
        let mut section = Section::new(
            "Calls: `add(u64, u64) -> u64`, the result of a call feeds the next",
            &[
                "contender",
                "ns, 1 thread",
                "over raw",
                "ns, 2 threads",
                "2 threads / 1",
                "undisturbed, 1 / 2",
                "least, 1 / 2",
                "over the gate, 1 / 2",
                "over ours, 1 / 2",
            ],
        );
        let (raw, gate, ours) = (self.of(Who::Raw)?, self.of(Who::Gate)?, self.of(Who::Ours)?);
        for series in &self.0 {
            let over = |other: &Series| {
                let (one, two) = (
                    ratio(&series.one, &other.one),
                    ratio(&series.two, &other.two),
                );
                format!("{} / {}", number(one), number(two))
            };
            section.row([
                series.what.clone(),
                number(median(series.one.iter().copied())),
                number(ratio(&series.one, &raw.one)),
                number(median(series.two.iter().copied())),
                number(ratio(&series.two, &series.one)),
                format!(
                    "{} / {}",
                    number(undisturbed(&series.one)),
                    number(undisturbed(&series.two))
                ),
                format!(
                    "{} / {}",
                    number(least(&series.one)),
                    number(least(&series.two))
                ),
                over(gate),
                over(ours),
            ]);
        }
        section.note(&format!(
            "Medians of {} interleaved rounds of {} ms a contender; a ratio is the median of the rounds' ratios. Two threads, each \
             kept on a processor, are timed from the first beginning to the last end. Each round has all loops at the next of {} \
             placements in a cache line; \"undisturbed\" is the mean of each placement's least time, \"least\" the least of \
             all.",
            effort.call_rounds,
            effort.call_slice.as_millis(),
            contender::PLACEMENTS
        ));
        Ok(section)
    }

    fn fill(&self, ratios: &mut Ratios) -> Result<()> {
        let (raw, status, gate) = (
            self.of(Who::Raw)?,
            self.of(Who::RawStatus)?,
            self.of(Who::Gate)?,
        );
        let (ours, exclusive) = (self.of(Who::Ours)?, self.of(Who::OursExclusive)?);
        let (lock, hot) = (self.of(Who::RwLock)?, self.of(Who::HotLibReloader)?);
        let (wasm, lua, socket) = (
            self.of(Who::Wasmtime)?,
            self.of(Who::LuaJit)?,
            self.of(Who::UnixSocket)?,
        );
        let alone = |above: &Series, below: &Series| {
            Some(undisturbed(&above.one) / undisturbed(&below.one))
        };
        let one = |above: &Series, below: &Series| Some(ratio(&above.one, &below.one));
        let two = |above: &Series, below: &Series| Some(ratio(&above.two, &below.two));
        ratios.guarded_vs_raw = one(gate, raw);
        ratios.guarded_vs_raw_undisturbed = alone(gate, raw);
        ratios.product_vs_raw = one(ours, status);
        ratios.product_vs_raw_undisturbed = alone(ours, status);
        ratios.mut_vs_raw = one(exclusive, status);
        ratios.two_threads_vs_one = Some(ratio(&ours.two, &ours.one));
        ratios.vs_rwlock_2t = two(lock, ours);
        ratios.vs_hot_lib_reloader_1t = one(hot, ours);
        ratios.vs_hot_lib_reloader_2t = two(hot, ours);
        ratios.vs_wasmtime = one(wasm, ours);
        ratios.vs_luajit = one(lua, ours);
        ratios.vs_unix_socket = one(socket, ours);
        ratios.gate_two_threads_vs_one = Some(ratio(&gate.two, &gate.one));
        ratios.gate_vs_rwlock_2t = two(lock, gate);
        ratios.gate_vs_hot_lib_reloader_1t = one(hot, gate);
        ratios.gate_vs_hot_lib_reloader_2t = two(hot, gate);
        ratios.gate_vs_wasmtime = one(wasm, gate);
        ratios.gate_vs_luajit = one(lua, gate);
        ratios.gate_vs_unix_socket = one(socket, gate);
        Ok(())
    }
}
