//! A mark: what a thread says of itself on a pin, in one word.
//!
//! It says how many of the thread's leases have ended; and while one has not, that, and which method is called. So a call
//! writes one word when it begins and one when it ends, each with one instruction more.
//!
//! From the lowest bit on: whether the thread is inside; the method's number and one, or nothing; the count. While the thread
//! is outside, nothing but the count.
//!
//! The count goes round, after 2^43 leases (hours of calls that take a nanosecond each): the numbers of leases are compared
//! as on a clock's face. The number of a lease that has not ended may be kept for any time: the count stands still. Of the
//! others, books keep those of the last timed call, and stays [say](super::stay) what they do.

/// A lease that has not ended.
const INSIDE: u64 = 1;
/// Bits that name a method, above that for being inside.
const NAME_BITS: u32 = 20;
/// The lowest bit of the count.
const ONE_LEASE: u64 = 1 << (NAME_BITS + 1);
/// How far a number of a lease is from the highest bit.
const ROUND: u32 = NAME_BITS + 1;

/// What a thread says of itself on a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

/// The number of one of a thread's leases on a gate; they go round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Number(u64);

/// What a call has its mark say: that it is inside, and which method it calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note(u64);

/// The notes of methods with numbers that follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Notes(Note);

impl Note {
    /// Numbers that a note can tell: those below this. A method with another number is not named.
    pub(crate) const NUMBERS: u32 = (1 << NAME_BITS) - 1;

    /// That of a call whose method is not known, or has no number that a note can tell.
    pub(super) const NAMELESS: Note = Note(INSIDE);

    /// That of a call of the method with this number, by the tenant's own count.
    pub(crate) const fn of(method: u32) -> Note {
        if method < Note::NUMBERS {
            Note((method as u64 + 1) << 1 | INSIDE)
        } else {
            Note::NAMELESS
        }
    }
}

impl Notes {
    /// So many they are.
    pub(crate) const COUNT: u32 = 1 << 11;

    /// Those of the methods from this one on.
    ///
    /// # Panics
    /// The last of them has no number that a note can tell.
    pub(crate) const fn from(first: u32) -> Notes {
        assert!(
            first <= Note::NUMBERS - Notes::COUNT,
            "all of them have numbers"
        );
        Notes(Note::of(first))
    }

    /// That of the method so many further on; nameless where that is none of them.
    #[inline(always)]
    pub(crate) const fn of(self, method: u32) -> Note {
        if method < Notes::COUNT {
            Note(self.0.0 + ((method as u64) << 1))
        } else {
            Note::NAMELESS
        }
    }
}

impl Mark {
    /// That of a thread that is outside, whose last lease had this number.
    pub(super) const fn outside(last: Number) -> Mark {
        Mark(last.0 << ROUND)
    }

    /// From what stands on a pin.
    #[inline(always)]
    pub(super) const fn from_bits(bits: u64) -> Mark {
        Mark(bits)
    }

    /// As it stands on a pin.
    #[inline(always)]
    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// Whether the thread is inside.
    #[inline(always)]
    pub(super) const fn is_inside(self) -> bool {
        self.0 & INSIDE != 0
    }

    /// The one of this thread, which is outside, while its next lease lasts.
    #[inline(always)]
    pub(super) const fn inside(self, note: Note) -> Mark {
        Mark(self.0 | note.0)
    }

    /// The one of this thread, which is outside, when its next lease has ended.
    #[inline(always)]
    pub(super) const fn next(self) -> Mark {
        Mark(self.0.wrapping_add(ONE_LEASE))
    }

    /// The number of the last lease that has ended.
    pub(super) const fn ended(self) -> Number {
        Number(self.0 >> ROUND)
    }

    /// The number of the lease that has not ended, if there is one.
    pub(super) fn lease(self) -> Option<Number> {
        self.is_inside().then(|| self.ended().next())
    }

    /// The number of the method that is called, if that is known.
    pub(super) fn method(self) -> Option<u32> {
        let name = (self.0 % ONE_LEASE) >> 1;
        (name as u32).checked_sub(1)
    }
}

impl Number {
    /// That of the lease after it.
    pub(super) const fn next(self) -> Number {
        Mark::outside(self).next().ended()
    }

    /// How many leases it is later than another; none, where it is not.
    pub(super) fn since(self, earlier: Number) -> u64 {
        if earlier.is_up_to(self) {
            Number(self.0.wrapping_sub(earlier.0)).on_the_face()
        } else {
            0
        }
    }

    /// Whether it is not later than another.
    pub(super) const fn is_up_to(self, other: Number) -> bool {
        // By the highest bit of the way between: at most half of the face.
        (other.0.wrapping_sub(self.0) << ROUND).cast_signed() >= 0
    }

    const fn on_the_face(self) -> u64 {
        (self.0 << ROUND) >> ROUND
    }
}

#[cfg(all(test, not(modelled)))]
mod tests {
    use super::*;

    /// The marks of a thread: before the count has gone round, and after.
    fn marks() -> [Mark; 3] {
        let last = Mark::from_bits(0u64.wrapping_sub(ONE_LEASE));
        [last, last.next(), last.next().next()]
    }

    #[test]
    fn a_mark_tells_the_method_and_the_count_and_neither_for_the_other() {
        for mark in marks() {
            assert!(!mark.is_inside() && mark.lease().is_none());
            for method in [0, 1, Note::NUMBERS - 1] {
                let inside = mark.inside(Note::of(method));
                assert_eq!(inside.method(), Some(method));
                assert_eq!(inside.lease(), Some(mark.next().ended()));
                assert_eq!(inside.ended(), mark.ended());
            }
            for method in [Note::NUMBERS, u32::MAX] {
                assert_eq!(mark.inside(Note::of(method)).method(), None);
            }
        }
    }

    #[test]
    fn notes_are_those_of_their_methods() {
        for first in [0, 7, Note::NUMBERS - Notes::COUNT] {
            for method in [0, 1, Notes::COUNT - 1] {
                assert_eq!(Notes::from(first).of(method), Note::of(first + method));
            }
            assert_eq!(Notes::from(first).of(Notes::COUNT), Note::NAMELESS);
        }
    }

    #[test]
    fn numbers_follow_one_another_also_where_they_go_round() {
        let [last, first, second] = marks().map(Mark::ended);
        assert_eq!(first, Number::default());
        assert_eq!(last.next(), first);
        assert!(last.is_up_to(first) && last.is_up_to(last) && !first.is_up_to(last));
        assert_eq!(second.since(last), 2);
        assert_eq!(last.since(last), 0);
        assert_eq!(last.since(second), 0, "it is earlier");
    }
}
