//! Writes name → asset id, for people and for game engines.
