//! What the publisher promises.
