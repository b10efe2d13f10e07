//! The examiner of in-process tests: it is started by the host under test, and judges what it is given.

fn main() {
    host::examiner();
}
