//! Actors: shells over plain minds.
