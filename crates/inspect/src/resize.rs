//! Resizes images.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{RgbImage, RgbaImage};

/// Quality of the resampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quality {
    /// Lanczos3, for images that people see.
    Fine,
    /// Box filter, for input of the network; bilinear when enlarging.
    Quick,
}

/// A copy of an image, resized to `width` × `height`.
pub(super) fn resized(picture: &RgbImage, width: u32, height: u32, quality: Quality) -> RgbImage {
    if picture.dimensions() == (width, height) {
        return picture.clone();
    }
    part_resized(
        picture,
        [0, 0, picture.width(), picture.height()],
        width,
        height,
        quality,
    )
}

/// A copy of a part of an image (left, top, width, height; inside it, not empty), resized to `width` × `height`.
pub(super) fn part_resized(
    picture: &RgbImage,
    part: [u32; 4],
    width: u32,
    height: u32,
    quality: Quality,
) -> RgbImage {
    let data = resample(
        picture.as_raw(),
        picture.dimensions(),
        part,
        (width, height),
        PixelType::U8x3,
        quality,
    );
    RgbImage::from_raw(width, height, data).expect("the size fits")
}

/// A resized copy of an image whose pixels are all opaque.
pub(super) fn resized_opaque(picture: &RgbaImage, width: u32, height: u32) -> RgbImage {
    let scaled;
    let rgba = match picture.dimensions() == (width, height) {
        true => picture.as_raw(),
        false => {
            let part = [0, 0, picture.width(), picture.height()];
            let to = (width, height);
            scaled = resample(
                picture.as_raw(),
                picture.dimensions(),
                part,
                to,
                PixelType::U8x4,
                Quality::Fine,
            );
            &scaled
        }
    };
    let mut out = RgbImage::new(width, height);
    for (to, [rgb @ .., _]) in out.as_chunks_mut::<3>().0.iter_mut().zip(rgba.as_chunks::<4>().0) {
        *to = *rgb;
    }
    out
}

fn resample(
    data: &[u8],
    (width, height): (u32, u32),
    part: [u32; 4],
    (to_width, to_height): (u32, u32),
    pixel: PixelType,
    quality: Quality,
) -> Vec<u8> {
    let enlarging = to_width > part[2] || to_height > part[3];
    let filter = match (quality, enlarging) {
        (Quality::Fine, _) => FilterType::Lanczos3,
        (Quality::Quick, true) => FilterType::Bilinear,
        (Quality::Quick, false) => FilterType::Box,
    };
    let source = ImageRef::new(width, height, data, pixel).expect("the buffer fits the size");
    let mut target = Image::new(to_width, to_height, pixel);
    let [left, top, across, down] = part.map(f64::from);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .use_alpha(false)
        .crop(left, top, across, down);
    // A resizer that is kept for the next image keeps a copy of this one.
    Resizer::new()
        .resize(&source, &mut target, &options)
        .expect("both images have the same pixel type");
    target.into_vec()
}
