//! PNG files made by hand: encoders don't make what is odd or broken.
#![allow(unreachable_pub, reason = "a part of one test binary")]

use image::RgbImage;

/// The check sum of PNG chunks.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| {
            if c & 1 == 1 {
                0xEDB8_8320 ^ (c >> 1)
            } else {
                c >> 1
            }
        })
    })
}

pub fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [kind.as_slice(), data].concat();
    let length = (data.len() as u32).to_be_bytes();
    [length.as_slice(), &named, &crc(&named).to_be_bytes()].concat()
}

/// A PNG that says it has that size, and has no pixels.
pub fn png_header(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"IDAT", &[]),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

/// A PNG of that size, with depth, colour type and interlacing, and these chunks.
pub fn file(
    width: u32,
    height: u32,
    [depth, colour, interlaced]: [u8; 3],
    chunks: &[(&[u8; 4], Vec<u8>)],
) -> Vec<u8> {
    let kind = [depth, colour, 0, 0, interlaced];
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &kind].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(chunk(b"IHDR", &header));
    for (kind, data) in chunks {
        file.extend(chunk(kind, data));
    }
    file.extend(chunk(b"IEND", &[]));
    file
}

/// Adler-32, as zlib ends with it.
pub fn adler(data: &[u8]) -> u32 {
    let (a, b) = data.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

/// A zlib stream of blocks that are not compressed.
pub fn stored(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let blocks = data.chunks(65_535);
    let last = blocks.len().saturating_sub(1);
    for (at, block) in blocks.enumerate() {
        let length = block.len() as u16;
        out.push(u8::from(at == last));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(adler(data).to_be_bytes());
    out
}

/// A zlib stream of about that many zeros, in a hundred and fiftieth of the space: one literal, then copies of 258 bytes
/// each in the fixed code, eight bits for the length and five for the distance of one.
pub fn zeros(length: usize) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let (mut bits, mut count) = (0_u32, 0);
    let mut put = |value: u32, length: u32| {
        bits |= value << count;
        count += length;
        while count >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    };
    put(0b011, 3); // the last block, fixed code
    put(0b0000_1100, 8); // literal 0: 00110000, first bit first
    for _ in 0..length / 258 {
        put(0b1010_0011, 8); // 285: 11000101, first bit first
        put(0, 5);
    }
    put(0, 7); // the end
    put(0, 7);
    // The sum of n zeros after Adler's 1: a = 1, b = n.
    let count = (length / 258 * 258 + 1) % 65_521;
    out.extend(((count as u32) << 16 | 1).to_be_bytes());
    out
}

/// Interlacing by seven passes.
pub struct Adam7;

impl Adam7 {
    /// First column and line, and the steps, of each pass.
    const PASSES: [[u32; 4]; 7] = [
        [0, 0, 8, 8],
        [4, 0, 8, 8],
        [0, 4, 4, 8],
        [2, 0, 4, 4],
        [0, 2, 2, 4],
        [1, 0, 2, 2],
        [0, 1, 1, 2],
    ];

    /// The lines of all passes, none of them filtered.
    pub fn lines(picture: &RgbImage) -> Vec<u8> {
        let mut out = Vec::new();
        for [left, top, across, down] in Self::PASSES {
            for y in (top..picture.height()).step_by(down as usize) {
                out.push(0);
                for x in (left..picture.width()).step_by(across as usize) {
                    out.extend(picture.get_pixel(x, y).0);
                }
            }
        }
        out
    }
}
