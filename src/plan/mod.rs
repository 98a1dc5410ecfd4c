//! What a run would do with each character, and for how much: decided before any money moves.

mod file;
mod standing;
mod totals;

pub use file::{Agreed, PlanError, PlanFile, Planned, ReadOptions};
pub use standing::{ByStanding, Image, Policy, Row, Standing, standing};
pub use totals::{Group, Totals, Uploads};
