//! What people have said about a character's image.

/// What people have said about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Approval {
    /// Nothing.
    #[default]
    None,
    /// Enroll it, although it needs review.
    Approved,
    /// Don't enroll it.
    Rejected,
}
