//! What `image` leaves to its caller in TIFF files: BigTIFF's mark, files whose first page is only a thumbnail, palettes.

use std::borrow::Cow;

use super::Pixels;

/// Tags, by TIFF 6.0.
const WIDTH: u16 = 256;
const LENGTH: u16 = 257;
const BITS: u16 = 258;
const PHOTOMETRIC: u16 = 262;
const COLOR_MAP: u16 = 320;

/// Photometric interpretations.
const BLACK_IS_ZERO: u8 = 1;
const PALETTE: u64 = 3;

/// The most pages that are looked at, and the most entries of each.
const MOST_PAGES: usize = 64;
const MOST_ENTRIES: u64 = 4096;

/// Whether a file is a TIFF; of either kind.
pub(super) fn is_tiff(bytes: &[u8]) -> bool {
    Layout::of(bytes).is_some()
}

/// A file whose first page is the largest of `bytes`, and the palette of that page, if it has one.
pub(super) fn largest_page(bytes: &[u8]) -> (Cow<'_, [u8]>, Option<Palette>) {
    let unchanged = (Cow::Borrowed(bytes), None);
    let Some(layout) = Layout::of(bytes) else {
        return unchanged;
    };
    let pages = layout.pages(bytes);
    let Some(first) = pages.first() else {
        return unchanged;
    };
    // Of pages of one size the first counts.
    let largest = pages.iter().rev().max_by_key(|page| page.pixels).unwrap_or(first);
    let palette = largest.palette(bytes, layout);
    if largest.directory == first.directory && palette.is_none() {
        return unchanged;
    }
    let mut changed = bytes.to_vec();
    layout.put_first(&mut changed, largest.directory);
    if let (Some(_), Some(at)) = (&palette, largest.photometric_at) {
        // Read as grey, so that the indices come out.
        let value = if layout.little {
            [BLACK_IS_ZERO, 0]
        } else {
            [0, BLACK_IS_ZERO]
        };
        changed[at..at + 2].copy_from_slice(&value);
    }
    (Cow::Owned(changed), palette)
}

/// The colours of an image of indices.
pub(super) struct Palette(Vec<[u8; 3]>);

impl Palette {
    /// Replaces indices, which were read as grey, by their colours.
    pub(super) fn apply(&self, pixels: &mut Pixels) {
        let colours = |index: u8| self.0[usize::from(index)];
        match pixels {
            Pixels::Rgb(picture) => picture.pixels_mut().for_each(|pixel| pixel.0 = colours(pixel[0])),
            Pixels::Rgba(picture) => {
                for pixel in picture.as_chunks_mut::<4>().0 {
                    let [red, green, blue] = colours(pixel[0]);
                    *pixel = [red, green, blue, pixel[3]];
                }
            }
        }
    }
}

/// How numbers are written in a file.
#[derive(Clone, Copy)]
struct Layout {
    little: bool,
    /// BigTIFF: offsets and counts have 8 bytes instead of 4.
    big: bool,
}

/// A page, as far as it is needed here.
struct Page {
    /// Where its directory begins.
    directory: u64,
    pixels: u64,
    bits: u64,
    photometric: u64,
    /// Where the value of its photometric interpretation stands.
    photometric_at: Option<usize>,
    /// Where its colour map begins, and how many numbers that has.
    map: Option<(u64, u64)>,
}

impl Page {
    /// The palette of a page of 8 bits.
    fn palette(&self, bytes: &[u8], layout: Layout) -> Option<Palette> {
        let (at, count) = self.map?;
        if self.photometric != PALETTE || self.bits != 8 || count != 3 * 256 {
            return None;
        }
        // 256 reds, then greens, then blues, of 16 bits each.
        let channel = |which: u64, index: u64| {
            let value = layout.number(bytes, at + (which * 256 + index) * 2, 2)?;
            u8::try_from(value >> 8).ok()
        };
        let color = |index| Some([channel(0, index)?, channel(1, index)?, channel(2, index)?]);
        (0..256).map(color).collect::<Option<_>>().map(Palette)
    }
}

impl Layout {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (little, big) = match bytes.get(..4)? {
            b"II*\0" => (true, false),
            b"MM\0*" => (false, false),
            b"II+\0" => (true, true),
            b"MM\0+" => (false, true),
            _ => return None,
        };
        Some(Self { little, big })
    }

    /// Where the header keeps the place of the first directory, and how many bytes an offset has.
    fn first(self) -> (usize, usize) {
        if self.big { (8, 8) } else { (4, 4) }
    }

    fn put_first(self, bytes: &mut [u8], directory: u64) {
        let (at, length) = self.first();
        let value = if self.little {
            directory.to_le_bytes()
        } else {
            directory.to_be_bytes()
        };
        let value = if self.little {
            &value[..length]
        } else {
            &value[8 - length..]
        };
        bytes[at..at + length].copy_from_slice(value);
    }

    /// The number of `length` bytes at a place; `None` beyond the end.
    fn number(self, bytes: &[u8], at: u64, length: usize) -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let part = bytes.get(at..at.checked_add(length)?)?;
        let digits = part.iter().map(|byte| u64::from(*byte));
        let join = |number: u64, digit: u64| number << 8 | digit;
        Some(match self.little {
            true => digits.rev().fold(0, join),
            false => digits.fold(0, join),
        })
    }

    fn pages(self, bytes: &[u8]) -> Vec<Page> {
        let (at, length) = self.first();
        let mut pages: Vec<Page> = Vec::new();
        let mut next = self.number(bytes, at as u64, length);
        while let Some(directory) = next.filter(|at| *at != 0) {
            let is_loop = pages.iter().any(|page| page.directory == directory);
            if is_loop || pages.len() == MOST_PAGES {
                break;
            }
            let Some((page, after)) = self.page(bytes, directory) else {
                break;
            };
            pages.push(page);
            next = after;
        }
        pages
    }

    /// The page with that directory, and where the next directory is.
    fn page(self, bytes: &[u8], directory: u64) -> Option<(Page, Option<u64>)> {
        let (head, entry_length, offset_length) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let entries = self.number(bytes, directory, head)?.min(MOST_ENTRIES);
        let start = directory.checked_add(head as u64)?;
        let (mut width, mut length) = (0, 0);
        let mut page = Page {
            directory,
            pixels: 0,
            bits: 1,
            photometric: 0,
            photometric_at: None,
            map: None,
        };
        for index in 0..entries {
            let at = start.checked_add(index * entry_length)?;
            let tag = self.number(bytes, at, 2)?;
            let kind = self.number(bytes, at + 2, 2)?;
            let count = self.number(bytes, at + 4, offset_length)?;
            let value_at = at + 4 + offset_length as u64;
            // Short, long, or BigTIFF's long.
            let size = match kind {
                3 => 2,
                4 => 4,
                16 => 8,
                _ => continue,
            };
            let value = self.number(bytes, value_at, size)?;
            match u16::try_from(tag) {
                Ok(WIDTH) => width = value,
                Ok(LENGTH) => length = value,
                Ok(BITS) => page.bits = value,
                Ok(PHOTOMETRIC) if kind == 3 => {
                    page.photometric = value;
                    page.photometric_at = usize::try_from(value_at).ok();
                }
                Ok(COLOR_MAP) if kind == 3 => {
                    page.map = Some((self.number(bytes, value_at, offset_length)?, count));
                }
                _ => {}
            }
        }
        page.pixels = width.saturating_mul(length);
        let next_at = start.checked_add(entries * entry_length)?;
        Some((page, self.number(bytes, next_at, offset_length)))
    }
}
