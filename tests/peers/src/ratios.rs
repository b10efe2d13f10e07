//! The ratios: what the run comes down to, with what was aimed at.

use crate::telling::{Section, number};
use serde::Serialize;

/// Each is `None` until it is measured. Those without a prefix are about the whole product; `gate_` is the gate alone.
#[derive(Default, Serialize)]
pub(crate) struct Ratios {
    pub(crate) guarded_vs_raw: Option<f64>,
    pub(crate) guarded_vs_raw_undisturbed: Option<f64>,
    pub(crate) product_vs_raw: Option<f64>,
    pub(crate) product_vs_raw_undisturbed: Option<f64>,
    pub(crate) two_threads_vs_one: Option<f64>,
    pub(crate) vs_rwlock_2t: Option<f64>,
    pub(crate) vs_hot_lib_reloader_1t: Option<f64>,
    pub(crate) vs_hot_lib_reloader_2t: Option<f64>,
    pub(crate) vs_wasmtime: Option<f64>,
    pub(crate) vs_luajit: Option<f64>,
    pub(crate) vs_unix_socket: Option<f64>,
    pub(crate) gate_two_threads_vs_one: Option<f64>,
    pub(crate) gate_vs_rwlock_2t: Option<f64>,
    pub(crate) gate_vs_hot_lib_reloader_1t: Option<f64>,
    pub(crate) gate_vs_hot_lib_reloader_2t: Option<f64>,
    pub(crate) gate_vs_wasmtime: Option<f64>,
    pub(crate) gate_vs_luajit: Option<f64>,
    pub(crate) gate_vs_unix_socket: Option<f64>,
    pub(crate) mut_vs_raw: Option<f64>,
    pub(crate) blocked_window_p99_us: Option<f64>,
    pub(crate) p999_while_swapping_vs_without: Option<f64>,
    pub(crate) http_vs_axum: Option<f64>,
    pub(crate) swap_vs_hot_lib_reloader: Option<f64>,
}

/// What a ratio is to be.
#[derive(Clone, Copy)]
enum Aim {
    AtMost(f64),
    AtLeast(f64),
    None,
}

impl Aim {
    fn text(self) -> String {
        match self {
            Aim::AtMost(limit) => format!("<= {limit}"),
            Aim::AtLeast(limit) => format!(">= {limit}"),
            Aim::None => String::new(),
        }
    }

    fn verdict(self, value: f64) -> &'static str {
        let met = match self {
            Aim::AtMost(limit) => value <= limit,
            Aim::AtLeast(limit) => value >= limit,
            Aim::None => return "",
        };
        if met { "met" } else { "missed" }
    }
}

impl Ratios {
    /// Every ratio with its name, what it is to be, and what it means.
    fn all(&self) -> [(&'static str, Option<f64>, Aim, &'static str); 23] {
        use Aim::{AtLeast, AtMost};
        macro_rules! line {
            ($name:ident, $aim:expr, $means:literal) => {
                (stringify!($name), self.$name, $aim, $means)
            };
        }
        [
            line!(
                guarded_vs_raw,
                AtMost(1.2),
                "the gate and a function pointer / the pointer"
            ),
            line!(
                guarded_vs_raw_undisturbed,
                AtMost(1.2),
                "the same, of the mean of each placement's least time"
            ),
            line!(
                product_vs_raw,
                AtMost(1.5),
                "ours / its raw form, which returns a status and a value"
            ),
            line!(
                product_vs_raw_undisturbed,
                AtMost(1.5),
                "the same, of the mean of each placement's least time"
            ),
            line!(
                two_threads_vs_one,
                AtMost(1.15),
                "ours, ns per call at two threads / at one"
            ),
            line!(vs_rwlock_2t, Aim::None, "lock / ours, two threads"),
            line!(
                vs_hot_lib_reloader_1t,
                AtLeast(10.0),
                "hot-lib-reloader / ours"
            ),
            line!(
                vs_hot_lib_reloader_2t,
                AtLeast(60.0),
                "hot-lib-reloader / ours, two threads"
            ),
            line!(vs_wasmtime, AtLeast(4.0), "wasmtime / ours"),
            line!(vs_luajit, Aim::None, "LuaJIT / ours"),
            line!(vs_unix_socket, Aim::None, "another process / ours"),
            line!(
                gate_two_threads_vs_one,
                AtMost(1.15),
                "the gate, ns per call at two threads / at one"
            ),
            line!(gate_vs_rwlock_2t, Aim::None, "lock / the gate, two threads"),
            line!(
                gate_vs_hot_lib_reloader_1t,
                AtLeast(20.0),
                "hot-lib-reloader / the gate"
            ),
            line!(
                gate_vs_hot_lib_reloader_2t,
                AtLeast(100.0),
                "hot-lib-reloader / the gate, two threads"
            ),
            line!(gate_vs_wasmtime, AtLeast(8.0), "wasmtime / the gate"),
            line!(gate_vs_luajit, Aim::None, "LuaJIT / the gate"),
            line!(gate_vs_unix_socket, Aim::None, "another process / the gate"),
            line!(
                mut_vs_raw,
                Aim::None,
                "ours, a `&mut self` method / its raw form"
            ),
            line!(
                blocked_window_p99_us,
                AtMost(10.0),
                "microseconds that a swap holds new callers outside, gate, short calls"
            ),
            line!(
                p999_while_swapping_vs_without,
                AtMost(2.0),
                "p99.9 of short calls, gate, swapped every 5 ms / not at all"
            ),
            line!(
                http_vs_axum,
                AtLeast(0.9),
                "our requests per second / a bare handler's, the least of 1, 8, 64 connections"
            ),
            line!(
                swap_vs_hot_lib_reloader,
                AtLeast(50.0),
                "hot-lib-reloader as it comes / ours, CREATE to first new answer"
            ),
        ]
    }

    /// All of them beside their aims.
    pub(crate) fn section(&self) -> Section {
        let mut section = Section::new("Ratios", &["", "measured", "aim", "", "means"]);
        for (name, value, aim, means) in self.all() {
            let (measured, verdict) = match value {
                Some(value) => (number(value), aim.verdict(value)),
                None => ("-".to_owned(), ""),
            };
            section.row([&format!("`{name}`"), &measured, &aim.text(), verdict, means]);
        }
        section
    }
}
