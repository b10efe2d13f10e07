//! The steps of an artifact's journey, one file each. Each takes the ticket of the step before and gives its own; none
//! calls another. Their order is known to [`crate::journey`] alone.

pub(crate) mod drain;
pub(crate) mod hand_over;
pub(crate) mod load;
pub(crate) mod switch;
pub(crate) mod unload;
pub(crate) mod vet;
pub(crate) mod watch;
