//! The decisions of people about a character's image.

/// The decision of a person about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Approval {
    /// No decision.
    #[default]
    None,
    /// Enroll it, although it needs review.
    Approved,
    /// Don't enroll it.
    Rejected,
}
