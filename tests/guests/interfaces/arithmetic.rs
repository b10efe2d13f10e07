//! The interface that `calc` offers, as a crate of its own would have it.

use plugin_api::Context;
use std::{collections::BTreeMap, time::Duration};

/// A place.
#[plugin_api::data(plain)]
#[derive(Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) tags: [u16; 3],
}

/// What is ordered.
#[plugin_api::data]
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Line {
    Pieces { item: String, count: u32 },
    Place(Point, Option<char>),
    Nothing,
}

/// An order.
#[plugin_api::data]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) lines: Vec<Line>,
    pub(crate) prices: BTreeMap<String, (i64, f32)>,
    pub(crate) within: Option<Duration>,
    pub(crate) sealed: Result<[bool; 2], String>,
}

/// Sums, and what else has to cross.
#[plugin_api::interface]
pub(crate) trait Arithmetic {
    /// Adds.
    fn add(&self, a: u64, b: u64) -> u64;
    /// Gives back what it is given.
    fn echo(&self, order: Order) -> Order;
    /// Gives the number of lines with the host's time taken, or refuses an order without any.
    fn check(&self, ctx: &Context, order: Order) -> Result<usize, String>;
    /// The point in the middle.
    fn middle(&self, of: &[Point], scale: &f64) -> Option<Point>;
    /// The longest of these, if it is longer than that.
    fn longest(&self, words: Vec<String>, than: &str) -> Option<String>;
    /// Stays inside until the test at that socket lets go.
    fn hold(&self, at: &str) -> Result<(), String>;
    /// Counts, alone.
    fn count(&mut self, by: u64) -> u64;
    /// Panics.
    fn fail(&self, why: String) -> u64;
    /// Counts one, and panics.
    fn fail_half_way(&mut self);
}
