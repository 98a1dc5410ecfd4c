//! TIFFs of every kind, written byte by byte.

use super::*;

/// A TIFF of these pages: each its width, its height, and its photometric interpretation with 8 bits a sample.
fn tiff(big: bool, pages: &[(&RgbImage, u16)]) -> Vec<u8> {
    let mut file = if big {
        b"II+\0\x08\0\0\0".to_vec()
    } else {
        b"II*\0".to_vec()
    };
    let offset = |value: usize| match big {
        true => (value as u64).to_le_bytes().to_vec(),
        false => (value as u32).to_le_bytes().to_vec(),
    };
    let mut link = file.len();
    file.extend(offset(0));
    for (picture, photometric) in pages {
        let is_palette = *photometric == 3;
        let data: Vec<u8> = match is_palette {
            // The red, as an index.
            true => picture.pixels().map(|pixel| pixel[0]).collect(),
            false => picture.as_raw().clone(),
        };
        let data_at = file.len();
        file.extend(&data);
        let map_at = file.len();
        // Index n is the colour (n, 255 − n, 0).
        let channel = |of: fn(u16) -> u16| (0..256).flat_map(move |n| (of(n) << 8).to_le_bytes());
        file.extend(channel(|n| n).chain(channel(|n| 255 - n)).chain(channel(|_| 0)));
        let bits_at = file.len();
        file.extend([8_u16; 3].iter().flat_map(|bits| bits.to_le_bytes()));
        let directory = file.len();
        file[link..link + offset(0).len()].copy_from_slice(&offset(directory));
        let samples = if is_palette { 1 } else { 3 };
        let long = |value: usize| offset(value);
        let bits = match (samples, big) {
            (3, false) => long(bits_at),
            (3, true) => [8_u16; 4].iter().flat_map(|bits| bits.to_le_bytes()).collect(),
            _ => long(8),
        };
        let mut entries = vec![
            (256, 4, 1, long(picture.width() as usize)),
            (257, 4, 1, long(picture.height() as usize)),
            (258, 3, samples, bits),
            (259, 3, 1, long(1)),
            (262, 3, 1, long(usize::from(*photometric))),
            (273, 4, 1, long(data_at)),
            (277, 3, 1, long(samples)),
            (278, 4, 1, long(picture.height() as usize)),
            (279, 4, 1, long(data.len())),
        ];
        if is_palette {
            entries.push((320, 3, 768, long(map_at)));
        }
        match big {
            true => file.extend((entries.len() as u64).to_le_bytes()),
            false => file.extend((entries.len() as u16).to_le_bytes()),
        }
        for (tag, kind, count, value) in entries {
            file.extend((tag as u16).to_le_bytes());
            file.extend((kind as u16).to_le_bytes());
            file.extend(offset(count));
            file.extend(value);
        }
        link = file.len();
        file.extend(offset(0));
    }
    file
}

#[test]
fn tiffs_of_every_kind_are_read_by_their_largest_page() {
    let face = sample().to_rgb8();
    let small = image::imageops::thumbnail(&face, 128, 128);
    let plain = inspect(&encoded(&DynamicImage::ImageRgb8(face.clone()), ImageFormat::Png));
    assert_eq!(plain.verdict, Verdict::Suitable);
    for (what, file) in [
        ("classic", tiff(false, &[(&face, 2)])),
        ("BigTIFF", tiff(true, &[(&face, 2)])),
        ("a thumbnail first", tiff(false, &[(&small, 2), (&face, 2)])),
        (
            "a thumbnail first, BigTIFF",
            tiff(true, &[(&small, 2), (&face, 2)]),
        ),
        ("a thumbnail last", tiff(false, &[(&face, 2), (&small, 2)])),
    ] {
        let seen = inspect(&file);
        assert_eq!(
            (seen.width, seen.height),
            face.dimensions(),
            "{what}: {:?}",
            seen.reasons
        );
        assert_eq!(seen.signature, plain.signature, "{what}");
    }
    // A palette: red counts as the index, and index n is (n, 255 - n, 0).
    let mapped = RgbImage::from_fn(face.width(), face.height(), |x, y| {
        let n = face.get_pixel(x, y)[0];
        Rgb([n, 255 - n, 0])
    });
    let mapped = inspect(&encoded(&DynamicImage::ImageRgb8(mapped), ImageFormat::Png));
    for big in [false, true] {
        let seen = inspect(&tiff(big, &[(&small, 2), (&face, 3)]));
        assert_eq!(seen.signature, mapped.signature, "palette: {:?}", seen.reasons);
    }
    // Cut anywhere in its directories, or with any byte of them broken, it is told and nothing worse.
    let file = tiff(false, &[(&small, 2), (&face, 3)]);
    let directories = [4..8, file.len() - 140..file.len()];
    for at in directories.into_iter().flatten() {
        for value in [0, 1, 0x7F, 0xFF] {
            let mut broken = file.clone();
            broken[at] = value;
            inspect(&broken);
        }
    }
}
