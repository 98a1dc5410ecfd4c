//! Dense convolutions: for a block of pixels, the sums of a panel of output channels stay in registers.
//!
//! Plain loops and `#[inline(always)]` throughout: code called inside must be inlined into the function that is
//! compiled for the current processor, and a closure that is not inlined there keeps its vectors in memory.
//!
//! General matrix products (`matrixmultiply`) are slower here: they copy the pixels into panels of their own, which
//! costs as much as these networks' few channels take to compute.

use pulp::{Simd, WithSimd};

/// Number of output channels that are computed at once.
const LANES: usize = 16;

/// Weights `[depth, channels]` as panels of `[depth, LANES]`, the last one padded with zeros.
pub(super) fn panels(weights: &[f32], channels: usize) -> Vec<f32> {
    let panel = |from: usize| {
        weights
            .chunks_exact(channels)
            .flat_map(move |line| (from..from + LANES).map(|at| line.get(at).copied().unwrap_or(0.0)))
    };
    (0..channels).step_by(LANES).flat_map(panel).collect()
}

/// A convolution of an image that is padded already.
pub(super) struct Convolution<'a> {
    /// `[…, channels]`.
    pub(super) pixels: &'a [f32],
    /// Distance from one line of the image to the next, in values.
    pub(super) pitch: usize,
    /// Where the patch of each output pixel starts.
    pub(super) corners: &'a [usize],
    /// Height of a patch.
    pub(super) lines: usize,
    /// Width of a patch, times channels.
    pub(super) line: usize,
    /// The weights, as returned by [`panels`].
    pub(super) panels: &'a [f32],
    pub(super) bias: &'a [f32],
    /// What is less becomes this, and what is more.
    pub(super) limits: [f32; 2],
}

/// Runs the convolution, and writes `[output pixels, output channels]`.
pub(super) struct Fill<'a>(pub(super) Convolution<'a>, pub(super) &'a mut [f32]);

impl WithSimd for Fill<'_> {
    type Output = ();

    // As many pixels and panels at once as have their sums in registers, along with a line of weights.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(convolution, out) = self;
        match S::F32_LANES {
            16 => convolution.run::<S, 8, 1, 2>(simd, out),
            8 => convolution.run::<S, 6, 2, 1>(simd, out),
            4 => convolution.run::<S, 4, 4, 1>(simd, out),
            _ => convolution.run::<S, 1, LANES, 1>(simd, out),
        }
    }
}

impl Convolution<'_> {
    /// Runs on `PIXELS` pixels and `PANELS` panels of `VECTORS` vectors at a time.
    #[inline(always)]
    fn run<S: Simd, const PIXELS: usize, const VECTORS: usize, const PANELS: usize>(
        &self,
        simd: S,
        out: &mut [f32],
    ) {
        let size = self.lines * self.line * LANES;
        let group = PANELS * size;
        let groups = self.panels.chunks_exact(group);
        let single = groups.remainder().chunks_exact(size);
        let mut from = 0;
        for panels in groups {
            self.group::<S, PIXELS, VECTORS, PANELS>(simd, panels, from, out);
            from += PANELS * LANES;
        }
        for panel in single {
            self.group::<S, PIXELS, VECTORS, 1>(simd, panel, from, out);
            from += LANES;
        }
    }

    /// Computes the channels of `PANELS` panels, which start at channel `from`, for every pixel.
    #[inline(always)]
    fn group<S: Simd, const PIXELS: usize, const VECTORS: usize, const PANELS: usize>(
        &self,
        simd: S,
        panels: &[f32],
        from: usize,
        out: &mut [f32],
    ) {
        let channels = self.bias.len();
        let (blocks, rest) = self.corners.as_chunks::<PIXELS>();
        let mut bias = [[0.0; LANES]; PANELS];
        for (panel, bias) in bias.iter_mut().enumerate() {
            let from = from + panel * LANES;
            let count = LANES.min(channels - from);
            bias[..count].copy_from_slice(&self.bias[from..from + count]);
        }
        for (block, corners) in blocks.iter().enumerate() {
            let sums = self.sums::<S, PIXELS, VECTORS, PANELS>(simd, *corners, panels, &bias);
            put(&mut out[block * PIXELS * channels..], from, channels, &sums);
        }
        match self.corners.last_chunk() {
            // A block with pixels that are there already costs less than the last ones one by one.
            Some(corners) if !rest.is_empty() => {
                let sums = self.sums::<S, PIXELS, VECTORS, PANELS>(simd, *corners, panels, &bias);
                let at = self.corners.len() - PIXELS;
                put(&mut out[at * channels..], from, channels, &sums);
            }
            _ => {
                for (pixel, corner) in (blocks.len() * PIXELS..).zip(rest) {
                    let sums = self.sums::<S, 1, VECTORS, PANELS>(simd, [*corner], panels, &bias);
                    put(&mut out[pixel * channels..], from, channels, &sums);
                }
            }
        }
    }

    /// The sums of the channels of the panels over the patches at `corners`.
    #[inline(always)]
    fn sums<S: Simd, const PIXELS: usize, const VECTORS: usize, const PANELS: usize>(
        &self,
        simd: S,
        corners: [usize; PIXELS],
        panels: &[f32],
        bias: &[[f32; LANES]; PANELS],
    ) -> [[[f32; LANES]; PANELS]; PIXELS] {
        let size = panels.len() / PANELS;
        let mut sums = [[[simd.splat_f32s(0.0); VECTORS]; PANELS]; PIXELS];
        for sums in &mut sums {
            for (sums, bias) in sums.iter_mut().zip(bias) {
                let (bias, _) = S::as_simd_f32s(bias);
                *sums = *bias.first_chunk().expect("a panel is VECTORS wide");
            }
        }
        for dy in 0..self.lines {
            // Slices that the compiler knows to be of one length: bounds checks would take a third longer.
            let mut lines: [&[f32]; PIXELS] = [&[]; PIXELS];
            for (line, corner) in lines.iter_mut().zip(corners) {
                *line = &self.pixels[corner + dy * self.pitch..][..self.line];
            }
            let mut weights: [&[[S::f32s; VECTORS]]; PANELS] = [&[]; PANELS];
            for (panel, weights) in weights.iter_mut().enumerate() {
                let line = &panels[panel * size + dy * self.line * LANES..][..self.line * LANES];
                *weights = &S::as_simd_f32s(line).0.as_chunks().0[..self.line];
            }
            for depth in 0..self.line {
                for pixel in 0..PIXELS {
                    let value = simd.splat_f32s(lines[pixel][depth]);
                    for panel in 0..PANELS {
                        for at in 0..VECTORS {
                            sums[pixel][panel][at] =
                                simd.mul_add_e_f32s(value, weights[panel][depth][at], sums[pixel][panel][at]);
                        }
                    }
                }
            }
        }
        let [least, most] = self.limits.map(|limit| simd.splat_f32s(limit));
        let mut out = [[[0.0; LANES]; PANELS]; PIXELS];
        for (out, sums) in out.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
            let (vectors, _) = S::as_mut_simd_f32s(out);
            for at in 0..VECTORS {
                vectors[at] = simd.min_f32s(simd.max_f32s(sums[at], least), most);
            }
        }
        out
    }
}

/// Writes the sums of some pixels, from channel `from`; the last panel may be wider than the remaining channels.
#[inline(always)]
fn put<const PANELS: usize>(to: &mut [f32], from: usize, channels: usize, sums: &[[[f32; LANES]; PANELS]]) {
    for (to, panels) in to.chunks_exact_mut(channels).zip(sums) {
        for (to, sums) in to[from..].chunks_mut(LANES).zip(panels) {
            match to.as_mut_array() {
                Some(to) => *to = *sums,
                None => to.copy_from_slice(&sums[..to.len()]),
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Values in −1…1 that repeat after 199.
    pub(in super::super) fn values(length: usize) -> Vec<f32> {
        (0..length)
            .map(|at| (at * 73 % 199) as f32 / 99.0 - 1.0)
            .collect()
    }

    /// The kinds of processors that this one can be.
    pub(in super::super) fn archs() -> Vec<pulp::Arch> {
        let mut archs = vec![pulp::Arch::Scalar];
        #[cfg(target_arch = "x86_64")]
        archs.extend(pulp::x86::V3::try_new().map(pulp::Arch::V3));
        archs.push(pulp::Arch::new());
        archs
    }

    proptest! {
        #[test]
        fn it_is_what_the_sums_say_on_every_kind_of_processor(
            side in 3_usize..9, inside in 1_usize..40, outside in 1_usize..40,
            kernel in prop::sample::select(vec![1_usize, 3]), stride in 1_usize..3,
            limits in prop::sample::select(vec![[f32::NEG_INFINITY, f32::INFINITY], [0.0, f32::INFINITY], [0.0, 0.5]]),
        ) {
            let (pixels, depth) = (values(side * side * inside), kernel * kernel * inside);
            let (weights, bias) = (values(depth * outside), values(outside));
            let across = (side - kernel) / stride + 1;
            let corners: Vec<usize> = (0..across * across)
                .map(|at| (at / across * side + at % across) * stride * inside)
                .collect();
            let mut expected = Vec::new();
            for corner in &corners {
                for channel in 0..outside {
                    let sum: f32 = (0..depth)
                        .map(|at| {
                            let line = kernel * inside;
                            let value = pixels[corner + at / line * side * inside + at % line];
                            value * weights[at * outside + channel]
                        })
                        .sum();
                    let value = sum + bias[channel];
                    expected.push(value.clamp(limits[0], limits[1]));
                }
            }
            let panels = panels(&weights, outside);
            for arch in archs() {
                let convolution = Convolution {
                    pixels: &pixels, pitch: side * inside, corners: &corners,
                    lines: kernel, line: kernel * inside, panels: &panels, bias: &bias, limits,
                };
                let mut out = vec![f32::NAN; expected.len()];
                arch.dispatch(Fill(convolution, &mut out));
                for (out, expected) in out.iter().zip(&expected) {
                    prop_assert!((out - expected).abs() < 1e-3, "{out} for {expected} on {arch:?}");
                }
            }
        }
    }
}
