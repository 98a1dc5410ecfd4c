//! The segments of a JPEG's header.

/// Baseline and extended sequential frames: the header of the picture, unless it is progressive.
pub(super) const SEQUENTIAL_FRAMES: [u8; 2] = [0xc0, 0xc1];
/// The start of a scan, after which data of the picture follow.
pub(super) const START_OF_SCAN: u8 = 0xda;

/// A segment of the header.
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    /// What it holds, after its length.
    pub(super) content: &'a [u8],
    /// What follows it in the file.
    pub(super) after: &'a [u8],
}

/// The segments of a JPEG up to the first scan, and that; they end early where the file is no JPEG.
pub(super) fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = bytes.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        // A marker may be preceded by fill bytes.
        while let [0xff, 0xff, ..] = rest {
            rest = &rest[1..];
        }
        let [0xff, marker, high, low, ..] = *rest else {
            return None;
        };
        let end = 2 + usize::from(u16::from_be_bytes([high, low]));
        let (segment, after) = rest.split_at_checked(end)?;
        rest = if marker == START_OF_SCAN { &[] } else { after };
        Some(Segment {
            marker,
            content: segment.get(4..)?,
            after,
        })
    })
}
