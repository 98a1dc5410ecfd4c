//! A minimal runner for convolutional networks: only what the face networks need.
//!
//! Activations are `[height, width, channels]` in f32; weights are fp16 from a `safetensors` file that
//! `models/convert.py` made from ONNX, with the graph in its metadata. Dense convolutions are in
//! [`convolve`], the depthwise ones in [`depthwise`]; `pulp` compiles both for the
//! current processor.

use std::collections::HashMap;

use pulp::{Simd, WithSimd};
use safetensors::SafeTensors;
use serde::Deserialize;

use super::convolve::{self, Convolution, panels};
use super::depthwise::{self, Depthwise};
use super::layers::{depth_to_space, mean, padded};
use super::tensor::{Tensor, Values};

/// The slot of the input image.
const PICTURE: i64 = -1;

/// The graph in the file's metadata.
#[derive(Deserialize)]
struct Graph {
    steps: Vec<RawStep>,
    outputs: HashMap<String, i64>,
}

#[derive(Deserialize)]
struct RawStep {
    op: Op,
    #[serde(rename = "in")]
    inputs: Vec<i64>,
    #[serde(default)]
    kernel: usize,
    #[serde(default)]
    stride: usize,
    #[serde(default)]
    pad: [usize; 4],
    #[serde(default)]
    relu: bool,
    #[serde(default)]
    relu6: bool,
    weights: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    /// Dense convolution.
    Conv,
    /// One filter per channel.
    Depthwise,
    /// Sum of two tensors.
    Add,
    /// max(x, 0).
    Relu,
    /// Blocks of 2 × 2 pixels out of the channels (DCR order).
    DepthToSpace,
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// The mean of all pixels, as one pixel.
    Mean,
}

struct Step {
    raw: RawStep,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// A network that is ready to run; shared by all threads.
pub(super) struct Network {
    steps: Vec<Step>,
    /// The last step that uses each tensor.
    last_use: Vec<usize>,
    outputs: HashMap<String, usize>,
    arch: pulp::Arch,
}

impl Network {
    /// Reads a network that is embedded in the binary.
    ///
    /// # Panics
    /// When the file was not written by `models/convert.py`; tests guarantee that it was.
    pub(super) fn embedded(file: &[u8]) -> Self {
        let (_, metadata) =
            SafeTensors::read_metadata(file).expect("an embedded model is a safetensors file");
        let graph = metadata
            .metadata()
            .as_ref()
            .and_then(|m| m.get("graph"))
            .expect("an embedded model contains its graph");
        let graph: Graph = serde_json::from_str(graph).expect("the graph of an embedded model is valid");
        let tensors = SafeTensors::deserialize(file).expect("an embedded model is complete");
        let read = |name: String| -> Vec<f32> {
            let bytes = tensors.tensor(&name).expect("the graph names its weights").data();
            let (halves, _) = bytes.as_chunks::<2>();
            halves
                .iter()
                .map(|half| half::f16::from_le_bytes(*half).to_f32())
                .collect()
        };
        let mut last_use = vec![0; graph.steps.len()];
        for (at, step) in graph.steps.iter().enumerate() {
            for &input in step.inputs.iter().filter(|i| **i != PICTURE) {
                last_use[input as usize] = at;
            }
        }
        let outputs: HashMap<String, usize> = graph
            .outputs
            .into_iter()
            .map(|(name, slot)| (name, slot as usize))
            .collect();
        for &output in outputs.values() {
            last_use[output] = usize::MAX;
        }
        let steps = graph.steps.into_iter().map(|raw| {
            let (mut weights, bias) = match &raw.weights {
                Some(key) => (read(format!("{key}.w")), read(format!("{key}.b"))),
                None => Default::default(),
            };
            if raw.op == Op::Conv {
                weights = panels(&weights, bias.len());
            }
            Step { raw, weights, bias }
        });
        Self {
            steps: steps.collect(),
            last_use,
            outputs,
            arch: pulp::Arch::new(),
        }
    }

    /// Runs the network on images `[side, side, 3]`, and returns its outputs in the order of `names`. Any multiple of 32 is
    /// a side: that is by how much the network reduces it.
    pub(super) fn run<const N: usize>(&self, picture: &Tensor, names: [&str; N]) -> [Tensor; N] {
        let mut slots: Vec<Option<Tensor>> = self.steps.iter().map(|_| None).collect();
        for (at, step) in self.steps.iter().enumerate() {
            let input = |which: usize| match step.raw.inputs[which] {
                PICTURE => picture,
                slot => slots[slot as usize].as_ref().expect("steps are in order"),
            };
            let made = step.run(self.arch, input(0), (step.raw.inputs.len() > 1).then(|| input(1)));
            slots[at] = Some(made);
            for &used in step.raw.inputs.iter().filter(|i| **i != PICTURE) {
                if self.last_use[used as usize] == at {
                    slots[used as usize] = None;
                }
            }
        }
        names.map(|name| slots[self.outputs[name]].take().expect("an output was computed"))
    }
}

impl RawStep {
    /// The least and the most that the activation leaves.
    fn limits(&self) -> [f32; 2] {
        match (self.relu, self.relu6) {
            (_, true) => [0.0, 6.0],
            (true, _) => [0.0, f32::INFINITY],
            _ => [f32::NEG_INFINITY, f32::INFINITY],
        }
    }
}

impl Step {
    fn run(&self, arch: pulp::Arch, x: &Tensor, other: Option<&Tensor>) -> Tensor {
        match self.raw.op {
            Op::Conv => self.conv(arch, x),
            Op::Depthwise => self.depthwise(arch, x),
            Op::Add => {
                let other = other.expect("a sum has two terms");
                let mut out = like(x);
                let [least, _] = self.raw.limits();
                arch.dispatch(Add(&x.data, &other.data, &mut out.data, least));
                out
            }
            Op::Relu => map(x, |v| v.max(0.0)),
            Op::Sigmoid => map(x, |v| 1.0 / (1.0 + (-v).exp())),
            Op::DepthToSpace => depth_to_space(x),
            Op::Mean => mean(x),
        }
    }

    /// Height and width of the output, from those of the input.
    fn size(&self, x: &Tensor) -> (usize, usize) {
        let RawStep {
            kernel,
            stride,
            pad: [top, left, bottom, right],
            ..
        } = self.raw;
        (
            (x.height + top + bottom - kernel) / stride + 1,
            (x.width + left + right - kernel) / stride + 1,
        )
    }

    fn conv(&self, arch: pulp::Arch, x: &Tensor) -> Tensor {
        let (height, width) = self.size(x);
        let channels = self.bias.len();
        let mut out = Tensor::stale(x.count, height, width, channels);
        let padded = (self.raw.pad != [0; 4]).then(|| padded(x, self.raw.pad));
        let x = padded.as_ref().unwrap_or(x);
        let RawStep { kernel, stride, .. } = self.raw;
        let mut corners = Vec::with_capacity(x.count * height * width);
        for (image, y) in (0..x.count).flat_map(|image| (0..height).map(move |y| (image, y))) {
            let line = (image * x.height + y * stride) * x.width * x.channels;
            corners.extend((0..width).map(|at| line + at * stride * x.channels));
        }
        let convolution = Convolution {
            pixels: &x.data,
            pitch: x.width * x.channels,
            corners: &corners,
            lines: kernel,
            line: kernel * x.channels,
            panels: &self.weights,
            bias: &self.bias,
            limits: self.raw.limits(),
        };
        arch.dispatch(convolve::Fill(convolution, &mut out.data));
        out
    }

    fn depthwise(&self, arch: pulp::Arch, x: &Tensor) -> Tensor {
        let (height, width) = self.size(x);
        let RawStep {
            kernel,
            stride,
            pad: [top, left, ..],
            ..
        } = self.raw;
        let mut out = Tensor::stale(x.count, height, width, x.channels);
        let size = height * width * x.channels;
        for (to, pixels) in out.data.chunks_exact_mut(size).zip(x.images()) {
            let depthwise = Depthwise {
                pixels,
                height: x.height,
                width: x.width,
                top,
                left,
                kernel,
                weights: &self.weights,
                bias: &self.bias,
                stride,
                limits: self.raw.limits(),
                across: width,
            };
            arch.dispatch(depthwise::Fill(depthwise, to));
        }
        out
    }
}

/// The sum of two tensors, at least the last field. A type rather than a closure, because the compiler may
/// choose not to inline a closure into the code for the current processor, which would lose its vector instructions.
struct Add<'a>(&'a [f32], &'a [f32], &'a mut [f32], f32);

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self(a, b, out, least) = self;
        add(a, b, out, least);
    }
}

/// The larger value, in one instruction; `f32::max` also handles NaN.
#[inline(always)]
fn at_least(value: f32, least: f32) -> f32 {
    if value > least { value } else { least }
}

fn like(x: &Tensor) -> Tensor {
    Tensor {
        data: Values::stale(x.data.len()),
        ..*x
    }
}

fn map(x: &Tensor, f: impl Fn(f32) -> f32) -> Tensor {
    let mut out = like(x);
    for (to, from) in out.data.iter_mut().zip(&*x.data) {
        *to = f(*from);
    }
    out
}

#[inline(always)]
fn add(a: &[f32], b: &[f32], out: &mut [f32], least: f32) {
    for ((to, a), b) in out.iter_mut().zip(a).zip(b) {
        *to = at_least(a + b, least);
    }
}
