//! A link as a QR code: in the terminal, as a PNG, as an SVG path.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// The width of the quiet zone around a code that ISO/IEC 18004 requires, in modules.
const QUIET: usize = 4;
/// The minimum side of a PNG in pixels: enough to be scanned from across a table.
const PNG_SIDE: usize = 800;

/// The text exceeds the capacity of the largest QR code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link is too long for a QR code; open it on the phone in another way")]
pub struct LinkTooLong;

/// How a code is drawn in a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminalColors {
    /// Black on white, in colours that themes don't change.
    Colour,
    /// Without colours: light modules are drawn, so that the code can be read on dark terminals. Most phones also read
    /// the inverse code that a light terminal shows.
    Plain,
}

/// A QR code with the lowest error correction: a screen has no stains, and larger modules can be read from farther off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    width: usize,
    dark: Vec<bool>,
}

impl Code {
    /// Encodes a text.
    ///
    /// # Errors
    /// The text has more than about 2,953 bytes.
    pub fn new(text: &str) -> Result<Self, LinkTooLong> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|_| LinkTooLong)?;
        let dark = code.to_colors().into_iter().map(|c| c == Color::Dark).collect();
        Ok(Self {
            width: code.width(),
            dark,
        })
    }

    /// The side in modules, including the quiet zone.
    pub fn side(&self) -> usize {
        self.width + 2 * QUIET
    }

    /// Whether a module is dark; coordinates start at the corner of the quiet zone.
    fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < self.width);
        matches!((inside(x), inside(y)), (Some(x), Some(y)) if self.dark[y * self.width + x])
    }

    /// The lines for a terminal: [`side`](Self::side) columns wide, with two stacked modules in each character.
    pub fn lines(&self, ink: TerminalColors) -> Vec<String> {
        let side = self.side();
        let line = |y: usize| {
            let mut line = String::with_capacity(side * 3 + 24);
            if ink == TerminalColors::Colour {
                // 16 and 231 of the 256 colours are black and white in every theme.
                line.push_str("\x1b[38;5;16;48;5;231m");
            }
            for x in 0..side {
                // Below the last row is outside the code.
                let below = y + 1 < side && self.is_dark(x, y + 1);
                let drawn = match ink {
                    TerminalColors::Colour => (self.is_dark(x, y), below),
                    TerminalColors::Plain => (!self.is_dark(x, y), y + 1 < side && !below),
                };
                line.push(match drawn {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            if ink == TerminalColors::Colour {
                line.push_str("\x1b[0m");
            }
            line
        };
        (0..side).step_by(2).map(line).collect()
    }

    /// A PNG of at least 800 × 800 pixels, black on white.
    pub fn png(&self) -> Vec<u8> {
        let scale = PNG_SIDE.div_ceil(self.side());
        let pixels = (self.side() * scale) as u32;
        let picture = image::GrayImage::from_fn(pixels, pixels, |x, y| {
            let dark = self.is_dark(x as usize / scale, y as usize / scale);
            image::Luma([if dark { 0 } else { 255 }])
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, image::ImageFormat::Png)
            .expect("memory can be written");
        bytes.into_inner()
    }

    /// The dark modules as an SVG path in a square of [`side`](Self::side) units.
    pub fn svg_path(&self) -> String {
        let mut path = String::new();
        for y in 0..self.side() {
            let mut x = 0;
            while x < self.side() {
                let run = (x..self.side()).take_while(|x| self.is_dark(*x, y)).count();
                if run > 0 {
                    let _ = write!(path, "M{x} {y}h{run}v1h-{run}z");
                }
                x += run.max(1);
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str =
        "https://h5.example/verify?group=grp_0123456789abcdef&token=ZYXWVUTSRQPONMLKJIHGFEDCBA";

    /// Decodes an image with another implementation.
    fn read(picture: image::GrayImage) -> Option<String> {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let at = |x: usize, y: usize| picture.get_pixel(x as u32, y as u32).0[0];
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(width, height, at);
        picture
            .detect_grids()
            .first()?
            .decode()
            .ok()
            .map(|(_, text)| text)
    }

    /// Draws lines as a terminal would: each character is one module wide and two high.
    fn terminal(lines: &[String]) -> image::GrayImage {
        const SCALE: u32 = 4;
        let strip = |line: &String| console::strip_ansi_codes(line).chars().collect::<Vec<_>>();
        let lines: Vec<Vec<char>> = lines.iter().map(strip).collect();
        let (width, height) = (lines[0].len() as u32, 2 * lines.len() as u32);
        image::GrayImage::from_fn(width * SCALE, height * SCALE, |x, y| {
            let (x, y) = (x / SCALE, y / SCALE);
            let c = lines[y as usize / 2][x as usize];
            let drawn = c == '█' || c == if y % 2 == 0 { '▀' } else { '▄' };
            image::Luma([if drawn { 0 } else { 255 }])
        })
    }

    #[test]
    fn another_implementation_reads_the_png() {
        let code = Code::new(LINK).unwrap();
        let picture = image::load_from_memory(&code.png()).unwrap().into_luma8();
        assert!(picture.width() >= 800 && picture.width() == picture.height());
        assert_eq!(read(picture).as_deref(), Some(LINK));
    }

    #[test]
    fn another_implementation_reads_what_the_terminal_shows() {
        let code = Code::new(LINK).unwrap();
        let coloured = terminal(&code.lines(TerminalColors::Colour));
        assert_eq!(read(coloured).as_deref(), Some(LINK), "black ink on white");
        let mut plain = terminal(&code.lines(TerminalColors::Plain));
        image::imageops::invert(&mut plain);
        // The half line below an odd last row is not part of the code.
        let side = plain.width();
        let plain = image::imageops::crop_imm(&plain, 0, 0, side, side).to_image();
        assert_eq!(read(plain).as_deref(), Some(LINK), "light ink on black");
    }

    #[test]
    fn the_quiet_zone_is_four_modules_on_each_side() {
        let code = Code::new(LINK).unwrap();
        let side = code.side();
        for y in 0..side {
            for x in 0..side {
                let outside = |at: usize| at < 4 || at >= side - 4;
                assert!(!(outside(x) || outside(y)) || !code.is_dark(x, y), "{x}, {y}");
            }
        }
        assert!(code.is_dark(4, 4), "the corner of the code");
        for ink in [TerminalColors::Colour, TerminalColors::Plain] {
            let lines = code.lines(ink);
            assert_eq!(lines.len(), side.div_ceil(2));
            let wide = |line: &String| console::measure_text_width(line) == side;
            assert!(lines.iter().all(wide));
        }
        assert!(
            code.lines(TerminalColors::Plain)
                .iter()
                .all(|line| !line.contains('\x1b'))
        );
    }

    #[test]
    fn the_path_covers_just_the_dark_modules() {
        let code = Code::new(LINK).unwrap();
        let dark = code.dark.iter().filter(|dark| **dark).count();
        let path = code.svg_path();
        let runs = path.split('M').skip(1).map(|part| {
            let run = part.split(['h', 'v']).nth(1).expect("a run");
            run.parse::<usize>().expect("a number")
        });
        assert_eq!(runs.sum::<usize>(), dark);
    }

    #[test]
    fn a_link_that_no_code_holds_is_reported() {
        assert_eq!(Code::new(&"x".repeat(3000)), Err(LinkTooLong));
        assert!(Code::new(&format!("https://h5.example/{}", "x".repeat(2028))).is_ok());
    }
}
