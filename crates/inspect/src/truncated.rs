//! Whether a JPEG ends before its picture does: decoders fill the rest with grey, as browsers do, and a paid asset would show
//! it forever.

use zune_core::bytestream::ZCursor;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::jpeg::{START_OF_SCAN, segments};

/// So many zeros at the end of a file are no picture data: a copy that broke off was filled up.
const FILLED_UP: usize = 64;

/// Whether a JPEG was cut off, or filled with zeros from some point on. A file with its end marker is taken for whole, and so
/// is one that lacks the marker alone, unless it has several scans (progressive, or one for each colour): the decoder can't tell
/// that from a cut.
pub(super) fn is_truncated(bytes: &[u8]) -> bool {
    let Some(data) = picture_data(bytes) else {
        return false;
    };
    // It is near the end, where there is one.
    if data.windows(2).rev().any(|marker| marker == [0xff, 0xd9]) {
        return false;
    }
    let zeros = data.iter().rev().take_while(|byte| **byte == 0).count();
    zeros >= FILLED_UP || !decodes_strictly(bytes)
}

fn decodes_strictly(bytes: &[u8]) -> bool {
    let options = DecoderOptions::default().set_strict_mode(true);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options)
        .decode()
        .is_ok()
}

/// What follows the header of the first scan; `None` where no scan begins. Thumbnails in the segments before it have end
/// markers of their own.
fn picture_data(bytes: &[u8]) -> Option<&[u8]> {
    segments(bytes)
        .find(|segment| segment.marker == START_OF_SCAN)
        .map(|scan| scan.after)
}
