//! Layers without weights: borders, sizes.

use super::tensor::Tensor;

/// The images padded with zeros: `[top, left, bottom, right]`.
pub(super) fn padded(x: &Tensor, [top, left, bottom, right]: [usize; 4]) -> Tensor {
    let (height, width, channels) = (x.height + top + bottom, x.width + left + right, x.channels);
    let mut out = Tensor::stale(x.count, height, width, channels);
    let (before, after) = (left * channels, right * channels);
    for (to, from) in out
        .data
        .chunks_exact_mut(height * width * channels)
        .zip(x.images())
    {
        let (above, rest) = to.split_at_mut(top * width * channels);
        let (lines, below) = rest.split_at_mut(x.height * width * channels);
        above.fill(0.0);
        below.fill(0.0);
        let from = from.chunks_exact(x.width * channels);
        for (to, from) in lines.chunks_exact_mut(width * channels).zip(from) {
            let (start, rest) = to.split_at_mut(before);
            let (inside, end) = rest.split_at_mut(rest.len() - after);
            start.fill(0.0);
            inside.copy_from_slice(from);
            end.fill(0.0);
        }
    }
    out
}

pub(super) fn depth_to_space(x: &Tensor) -> Tensor {
    let (width, channels) = (x.width * 2, x.channels / 4);
    let mut out = Tensor::stale(x.count, x.height * 2, width, channels);
    for (at, pixel) in x.data.chunks_exact(x.channels).enumerate() {
        let (y, px) = (at / x.width * 2, at % x.width * 2);
        for (block, values) in pixel.chunks_exact(channels).enumerate() {
            let to = ((y + block / 2) * width + px + block % 2) * channels;
            out.data[to..to + channels].copy_from_slice(values);
        }
    }
    out
}

pub(super) fn mean(x: &Tensor) -> Tensor {
    let mut out = Tensor::stale(x.count, 1, 1, x.channels);
    let pixels = (x.height * x.width) as f32;
    out.data.fill(0.0);
    for (sums, image) in out.data.chunks_exact_mut(x.channels).zip(x.images()) {
        for pixel in image.chunks_exact(x.channels) {
            for (sum, value) in sums.iter_mut().zip(pixel) {
                *sum += value / pixels;
            }
        }
    }
    out
}
