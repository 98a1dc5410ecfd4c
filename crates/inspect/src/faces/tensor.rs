//! Activations, and the buffers that they reuse.

use std::cell::RefCell;
use std::collections::HashMap;

/// A tensor `[height, width, channels]`.
#[derive(Debug, Clone, Default)]
pub(super) struct Tensor {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) data: Vec<f32>,
}

impl Tensor {
    /// The value at a pixel and channel.
    pub(super) fn at(&self, y: usize, x: usize, channel: usize) -> f32 {
        self.data[(y * self.width + x) * self.channels + channel]
    }
}

thread_local! {
    /// Buffers of earlier runs by their length, so that later runs on the same thread neither allocate nor clear. A
    /// network asks for the same few lengths in every run.
    static SPARE: RefCell<HashMap<usize, Vec<Vec<f32>>>> = RefCell::default();
}

/// A buffer that must be fully overwritten: it contains stale values.
pub(super) fn buffer(length: usize) -> Vec<f32> {
    SPARE
        .with_borrow_mut(|spare| spare.get_mut(&length).and_then(Vec::pop))
        .unwrap_or_else(|| vec![0.0; length])
}

pub(super) fn give_back(data: Vec<f32>) {
    SPARE.with_borrow_mut(|spare| spare.entry(data.len()).or_default().push(data));
}
