//! Mistakes: what an author can get wrong, and that the compiler's answer says what to write instead.
//!
//! One file a mistake in `mistakes/`, with the expected answer beside it.

#[test]
fn every_mistake_is_answered_with_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/mistakes/*.rs");
}
