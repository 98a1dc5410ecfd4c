//! Whether a JPEG ends before its picture does: decoders fill the rest with grey, as browsers do, and a paid asset would show
//! it forever.

use zune_core::bytestream::ZCursor;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// The start of scan, after which the picture's data follow.
const START_OF_SCAN: u8 = 0xda;
/// So many zeros at the end of a file are no picture data: a copy that broke off was filled up.
const FILLED_UP: usize = 64;

/// Whether a JPEG was cut off, or filled with zeros from some point on. A file with its end marker is taken for whole, and so
/// is one that lacks the marker alone, unless it is progressive: its decoder can't tell that from a cut.
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
    let mut rest = bytes.get(2..)?;
    loop {
        let [0xff, marker, high, low, ..] = *rest else {
            return None;
        };
        if marker == 0xff {
            // A marker may be preceded by fill bytes.
            rest = &rest[1..];
            continue;
        }
        let after = rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..)?;
        if marker == START_OF_SCAN {
            return Some(after);
        }
        rest = after;
    }
}
