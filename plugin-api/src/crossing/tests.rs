//! What crosses comes out as it went in, and its shape says what it is.

use super::*;
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    time::{Duration, Instant},
};

/// An order.
#[crate::data]
#[derive(Debug, Clone, PartialEq)]
struct Order {
    id: u64,
    lines: Vec<Line>,
    note: Option<String>,
    #[serde(skip)]
    seen: Option<u8>,
}

/// Lines of one kind.
#[crate::data]
#[derive(Debug, Clone, PartialEq)]
enum Line {
    Text { r#type: String, count: u32 },
    Pair(u8, [i16; 3]),
    Nothing,
}

/// Nothing at all.
#[crate::data]
#[derive(Debug, Clone, PartialEq)]
struct Nothing;

/// One of anything.
#[crate::data]
#[derive(Debug, Clone, PartialEq)]
struct Page<T> {
    of: Vec<T>,
}

#[crate::data(plain)]
#[derive(Debug, PartialEq)]
struct Point {
    x: f64,
    at: [u32; 2],
}

/// Goes by name only: it holds itself.
#[crate::data]
#[derive(Debug)]
struct Tree {
    branches: Vec<Tree>,
}

/// Goes by name only: an `Instant` cannot cross.
#[crate::data]
#[derive(Debug)]
struct Since {
    #[serde(with = "instant")]
    at: Instant,
}

mod instant {
    use std::time::Instant;

    pub(super) fn serialize<S: serde::Serializer>(
        _: &Instant,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Instant, D::Error> {
        <() as serde::Deserialize>::deserialize(deserializer).map(|()| Instant::now())
    }
}

fn there_and_back<T: Crossing + Clone + PartialEq + Debug>(value: &T) {
    assert_eq!(&T::from_wire(value.clone().into_wire()), value);
}

fn order() -> Order {
    Order {
        id: 7,
        lines: vec![
            Line::Text {
                r#type: "t".to_owned(),
                count: 2,
            },
            Line::Pair(1, [-1, 0, 1]),
            Line::Nothing,
        ],
        note: Some("soon".to_owned()),
        seen: None,
    }
}

#[test]
fn what_crosses_comes_out_as_it_went_in() {
    there_and_back(&u64::MAX);
    there_and_back(&f64::MIN_POSITIVE);
    there_and_back(&'ß');
    there_and_back(&true);
    there_and_back(&());
    there_and_back(&"text".to_owned());
    there_and_back(&vec![String::new(), "a".to_owned()]);
    there_and_back(&vec![1_u8, 2, 3]);
    there_and_back(&Some(vec![Some(1_i8), None]));
    there_and_back(&Result::<u8, String>::Err("no".to_owned()));
    there_and_back(&(1_u8, "b".to_owned(), 'c', 4.0_f32, (), [5_u64; 2]));
    there_and_back(&Duration::new(u64::MAX, 999_999_999));
    there_and_back(&BTreeMap::from([
        ("a".to_owned(), 1_u8),
        ("b".to_owned(), 2),
    ]));
    there_and_back(&HashMap::<u8, String>::from([(1, "a".to_owned())]));
    there_and_back(&order());
    there_and_back(&vec![order(); 3]);
    there_and_back(&Nothing);
    there_and_back(&Page { of: vec![order()] });
    there_and_back(&Point { x: 0.5, at: [1, 2] });
    there_and_back(&vec![Point { x: 0.5, at: [1, 2] }; 2]);
}

#[test]
fn a_skipped_field_stays_behind() {
    let seen = Order {
        seen: Some(1),
        ..order()
    };
    assert_eq!(Order::from_wire(seen.into_wire()), order());
}

#[test]
fn a_shape_names_the_fields_and_what_they_are() {
    const ORDER: &str = crate::__laid_out!(<Vec<Order> as Crossing>::SHAPE);
    assert_eq!(
        ORDER,
        "Vec<Order{id: u64, lines: Vec<Line{Text{type: String, count: u32}, Pair(u8, [i16; 3]), Nothing}>, \
         note: Option<String>}>"
    );
    const POINTS: &str = crate::__laid_out!(<[Point] as Lent>::SHAPE);
    assert_eq!(POINTS, "&[Point{x: f64, at: [u32; 2]}]");
    const PAGE: &str = crate::__laid_out!(<Page<Nothing> as Crossing>::SHAPE);
    assert_eq!(PAGE, "Page{of: Vec<Nothing>}");
}

#[test]
fn what_is_lent_lies_where_it_was() {
    let points = [Point { x: 1.0, at: [1, 2] }; 2];
    assert!(std::ptr::eq(
        <[Point]>::lent(points[..].lend()),
        &points[..]
    ));
    assert!(std::ptr::eq(Point::lent(points[0].lend()), &points[0]));
    assert_eq!(str::lent("text".lend()), "text");
}

#[test]
fn what_cannot_cross_serves_by_name() {
    let since = Since { at: Instant::now() };
    let text = serde_json::to_string(&since).unwrap();
    assert!(serde_json::from_str::<Since>(&text).unwrap().at >= since.at);
    let tree: Tree = serde_json::from_str(r#"{"branches":[{"branches":[]}]}"#).unwrap();
    assert_eq!(tree.branches[0].branches.len(), 0);
}
