//! Speaks the paid enrollment API: once, paced, or in doubt.
