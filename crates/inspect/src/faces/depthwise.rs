//! Depthwise convolutions, one filter of 3 × 3 or 5 × 5 per channel: as many channels at once as a vector has lanes, along a line of
//! the image. The columns under the filter move through registers, so that each is loaded once per line of the output.

use pulp::{Simd, WithSimd};

/// A depthwise convolution.
pub(super) struct Depthwise<'a> {
    /// `[height, width, channels]`.
    pub(super) pixels: &'a [f32],
    pub(super) height: usize,
    pub(super) width: usize,
    /// Zeros around the image.
    pub(super) top: usize,
    pub(super) left: usize,
    /// Height and width of a filter: 3 or 5.
    pub(super) kernel: usize,
    /// `[kernel, kernel, channels]`.
    pub(super) weights: &'a [f32],
    pub(super) bias: &'a [f32],
    /// 1 or 2.
    pub(super) stride: usize,
    /// What is less becomes this, and what is more.
    pub(super) limits: [f32; 2],
    /// Width of the output.
    pub(super) across: usize,
}

/// Runs the convolution, and writes `[output height, across, channels]`.
pub(super) struct Fill<'a>(pub(super) Depthwise<'a>, pub(super) &'a mut [f32]);

impl WithSimd for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(depthwise, out) = self;
        match (depthwise.kernel, depthwise.stride) {
            (3, 1) => depthwise.run::<S, 3, 1>(simd, out),
            (3, 2) => depthwise.run::<S, 3, 2>(simd, out),
            (5, 1) => depthwise.run::<S, 5, 1>(simd, out),
            (5, 2) => depthwise.run::<S, 5, 2>(simd, out),
            (kernel, stride) => unreachable!("a network with filters of {kernel} and a stride of {stride}"),
        }
    }
}

impl Depthwise<'_> {
    #[inline(always)]
    fn run<S: Simd, const KERNEL: usize, const STRIDE: usize>(&self, simd: S, out: &mut [f32]) {
        let channels = self.bias.len();
        let pitch = self.width * channels;
        let zeros = vec![0.0; pitch];
        for (y, to) in out.chunks_exact_mut(self.across * channels).enumerate() {
            let mut lines = [zeros.as_slice(); KERNEL];
            for (dy, line) in lines.iter_mut().enumerate() {
                let inside = (y * STRIDE + dy)
                    .checked_sub(self.top)
                    .filter(|y| *y < self.height);
                if let Some(y) = inside {
                    *line = &self.pixels[y * pitch..][..pitch];
                }
            }
            let mut from = 0;
            while from + S::F32_LANES <= channels {
                self.line::<S, KERNEL, STRIDE, true>(simd, lines, from, to);
                from += S::F32_LANES;
            }
            if from < channels {
                self.line::<S, KERNEL, STRIDE, false>(simd, lines, from, to);
            }
        }
    }

    /// A line of the output, for the channels of one vector; the remaining ones unless `WHOLE`.
    #[inline(always)]
    fn line<S: Simd, const KERNEL: usize, const STRIDE: usize, const WHOLE: bool>(
        &self,
        simd: S,
        lines: [&[f32]; KERNEL],
        from: usize,
        to: &mut [f32],
    ) {
        let channels = self.bias.len();
        let count = if WHOLE { S::F32_LANES } else { channels - from };
        let bias = load::<S, WHOLE>(simd, &self.bias[from..from + count]);
        let [least, most] = self.limits.map(|limit| simd.splat_f32s(limit));
        let zero = simd.splat_f32s(0.0);
        let mut weights = [[zero; KERNEL]; KERNEL];
        for (dy, weights) in weights.iter_mut().enumerate() {
            for (dx, weight) in weights.iter_mut().enumerate() {
                let at = (dy * KERNEL + dx) * channels + from;
                *weight = load::<S, WHOLE>(simd, &self.weights[at..at + count]);
            }
        }
        // The columns under the filter: the first of them are there before the first pixel.
        let mut columns = [[zero; KERNEL]; KERNEL];
        for (dx, column) in columns.iter_mut().enumerate().take(KERNEL - STRIDE) {
            *column = self.column::<S, KERNEL, WHOLE>(simd, lines, dx, from, count);
        }
        for (x, pixel) in to.chunks_exact_mut(channels).enumerate() {
            for (dx, column) in columns.iter_mut().enumerate().skip(KERNEL - STRIDE) {
                *column = self.column::<S, KERNEL, WHOLE>(simd, lines, x * STRIDE + dx, from, count);
            }
            let mut sum = bias;
            for dx in 0..KERNEL {
                for dy in 0..KERNEL {
                    sum = simd.mul_add_e_f32s(columns[dx][dy], weights[dy][dx], sum);
                }
            }
            let sum = simd.min_f32s(simd.max_f32s(sum, least), most);
            let pixel = &mut pixel[from..from + count];
            match WHOLE {
                true => S::as_mut_simd_f32s(pixel).0[0] = sum,
                false => simd.partial_store_f32s(pixel, sum),
            }
            for dx in 0..KERNEL - STRIDE {
                columns[dx] = columns[dx + STRIDE];
            }
        }
    }

    /// The values in column `at`, counted from the left border.
    #[inline(always)]
    fn column<S: Simd, const KERNEL: usize, const WHOLE: bool>(
        &self,
        simd: S,
        lines: [&[f32]; KERNEL],
        at: usize,
        from: usize,
        count: usize,
    ) -> [S::f32s; KERNEL] {
        let mut column = [simd.splat_f32s(0.0); KERNEL];
        if at >= self.left && at - self.left < self.width {
            let at = (at - self.left) * self.bias.len() + from;
            for dy in 0..KERNEL {
                column[dy] = load::<S, WHOLE>(simd, &lines[dy][at..at + count]);
            }
        }
        column
    }
}

/// The values as a vector; filled up with zeros unless `WHOLE`.
#[inline(always)]
fn load<S: Simd, const WHOLE: bool>(simd: S, values: &[f32]) -> S::f32s {
    match WHOLE {
        true => S::as_simd_f32s(values).0[0],
        false => simd.partial_load_f32s(values),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::convolve::tests::{archs, values};
    use super::*;

    proptest! {
        #[test]
        fn it_is_what_the_sums_say_on_every_kind_of_processor(
            height in 5_usize..11, width in 5_usize..11, channels in 1_usize..40, stride in 1_usize..3,
            kernel in prop::sample::select(vec![3_usize, 5]), before in 0_usize..3, after in 0_usize..3,
            limits in prop::sample::select(vec![[f32::NEG_INFINITY, f32::INFINITY], [0.0, f32::INFINITY], [0.0, 0.5]]),
        ) {
            let pixels = values(height * width * channels);
            let (weights, bias) = (values(kernel * kernel * channels), values(channels));
            let down = (height + before + after - kernel) / stride + 1;
            let across = (width + before + after - kernel) / stride + 1;
            let mut expected = Vec::new();
            for (y, x, channel) in (0..down * across * channels)
                .map(|at| (at / channels / across, at / channels % across, at % channels))
            {
                let mut sum = bias[channel];
                for (dy, dx) in (0..kernel * kernel).map(|tap| (tap / kernel, tap % kernel)) {
                    let (y, x) = (y * stride + dy, x * stride + dx);
                    if (before..height + before).contains(&y) && (before..width + before).contains(&x) {
                        let at = ((y - before) * width + x - before) * channels + channel;
                        sum += pixels[at] * weights[(dy * kernel + dx) * channels + channel];
                    }
                }
                expected.push(sum.clamp(limits[0], limits[1]));
            }
            for arch in archs() {
                let depthwise = Depthwise {
                    pixels: &pixels, height, width, top: before, left: before,
                    kernel, weights: &weights, bias: &bias, stride, limits, across,
                };
                let mut out = vec![f32::NAN; expected.len()];
                arch.dispatch(Fill(depthwise, &mut out));
                for (out, expected) in out.iter().zip(&expected) {
                    prop_assert!((out - expected).abs() < 1e-3, "{out} for {expected} on {arch:?}");
                }
            }
        }
    }
}
