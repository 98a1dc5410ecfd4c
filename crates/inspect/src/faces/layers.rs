//! Layers without weights: borders, channels, sizes.

use super::tensor::{Tensor, Values};

/// The tensor padded with zeros: `[top, left, bottom, right]`.
pub(super) fn padded(x: &Tensor, [top, left, bottom, right]: [usize; 4]) -> Tensor {
    let (height, width, channels) = (x.height + top + bottom, x.width + left + right, x.channels);
    let mut data = Values::stale(height * width * channels);
    let (before, after) = (left * channels, right * channels);
    let (above, rest) = data.split_at_mut(top * width * channels);
    let (lines, below) = rest.split_at_mut(x.height * width * channels);
    above.fill(0.0);
    below.fill(0.0);
    let from = x.data.chunks_exact(x.width * channels);
    for (to, from) in lines.chunks_exact_mut(width * channels).zip(from) {
        let (start, rest) = to.split_at_mut(before);
        let (inside, end) = rest.split_at_mut(rest.len() - after);
        start.fill(0.0);
        inside.copy_from_slice(from);
        end.fill(0.0);
    }
    Tensor {
        height,
        width,
        channels,
        data,
    }
}

pub(super) fn pad_channels(x: &Tensor, more: usize) -> Tensor {
    let channels = x.channels + more;
    let mut out = Tensor {
        channels,
        data: Values::stale(x.height * x.width * channels),
        ..*x
    };
    for (to, from) in out
        .data
        .chunks_exact_mut(channels)
        .zip(x.data.chunks_exact(x.channels))
    {
        let (same, added) = to.split_at_mut(x.channels);
        same.copy_from_slice(from);
        added.fill(0.0);
    }
    out
}

/// Doubles height and width: each output is a quarter pixel off an input's centre, so the weights are ¾ and ¼.
pub(super) fn double(x: &Tensor) -> Tensor {
    let (height, width, channels) = (x.height * 2, x.width * 2, x.channels);
    let mut out = Tensor {
        height,
        width,
        channels,
        data: Values::stale(height * width * channels),
    };
    let sides = |at: usize, length: usize| {
        let near = at / 2;
        let far = if at.is_multiple_of(2) {
            near.saturating_sub(1)
        } else {
            (near + 1).min(length - 1)
        };
        (near, far)
    };
    let pixel = |y: usize, px: usize| &x.data[(y * x.width + px) * channels..][..channels];
    for (y, line) in out.data.chunks_exact_mut(width * channels).enumerate() {
        let (near_y, far_y) = sides(y, x.height);
        for (px, to) in line.chunks_exact_mut(channels).enumerate() {
            let (near_x, far_x) = sides(px, x.width);
            let near = pixel(near_y, near_x).iter().zip(pixel(near_y, far_x));
            let far = pixel(far_y, near_x).iter().zip(pixel(far_y, far_x));
            for ((to, (a, b)), (c, d)) in to.iter_mut().zip(near).zip(far) {
                *to = 0.75 * (0.75 * a + 0.25 * b) + 0.25 * (0.75 * c + 0.25 * d);
            }
        }
    }
    out
}

pub(super) fn depth_to_space(x: &Tensor) -> Tensor {
    let (height, width, channels) = (x.height * 2, x.width * 2, x.channels / 4);
    let mut out = Tensor {
        height,
        width,
        channels,
        data: Values::stale(x.data.len()),
    };
    for (at, pixel) in x.data.chunks_exact(x.channels).enumerate() {
        let (y, px) = (at / x.width * 2, at % x.width * 2);
        for (block, values) in pixel.chunks_exact(channels).enumerate() {
            let to = ((y + block / 2) * width + px + block % 2) * channels;
            out.data[to..to + channels].copy_from_slice(values);
        }
    }
    out
}
