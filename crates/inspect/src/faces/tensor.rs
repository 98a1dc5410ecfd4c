//! Activations, and the buffers that they reuse.

use std::cell::RefCell;

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
    /// Buffers of earlier runs, so that later runs on the same thread allocate nothing.
    static SPARE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer that must be fully overwritten: it contains stale values.
pub(super) fn buffer(length: usize) -> Vec<f32> {
    let mut data = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
    data.resize(length, 0.0);
    data
}

pub(super) fn zeros(length: usize) -> Vec<f32> {
    let mut data = buffer(length);
    data.fill(0.0);
    data
}

pub(super) fn give_back(data: Vec<f32>) {
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < 16 {
            spare.push(data);
        }
    });
}
