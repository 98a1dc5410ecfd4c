//! What a run would do with each character, and at what cost: decided before anything is paid.

mod file;
mod known;
mod standing;
mod totals;

pub use file::{Agreed, PlanError, PlanFile, Planned, ReadOptions};
pub use known::known_standing;
pub use standing::{ByStanding, Image, Policy, Row, Standing, standing};
pub use totals::{Group, Totals, Uploads};
