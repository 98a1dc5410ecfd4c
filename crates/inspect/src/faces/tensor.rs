//! Activations, and the memory that they reuse.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Images `[height, width, channels]` of one size, one after another.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) count: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) data: Values,
}

impl Tensor {
    /// Images that must be fully overwritten.
    pub(super) fn stale(count: usize, height: usize, width: usize, channels: usize) -> Self {
        Self {
            count,
            height,
            width,
            channels,
            data: Values::stale(count * height * width * channels),
        }
    }

    /// The values of an image.
    pub(super) fn images(&self) -> impl Iterator<Item = &[f32]> {
        self.data.chunks_exact(self.height * self.width * self.channels)
    }

    /// The value at a pixel and channel of the first image.
    pub(super) fn at(&self, y: usize, x: usize, channel: usize) -> f32 {
        self.data[(y * self.width + x) * self.channels + channel]
    }
}

thread_local! {
    /// Memory of earlier tensors, so that later ones on the same thread neither allocate nor clear.
    static SPARE: RefCell<Vec<Vec<f32>>> = RefCell::default();
}

/// The values of a tensor. What is dropped is taken again by the next one that fits into it: memory that was used
/// just before is still in the processor's cache.
#[derive(Debug)]
pub(super) struct Values {
    memory: Vec<f32>,
    length: usize,
}

impl Values {
    /// Values that must be fully overwritten: they are those of an earlier tensor.
    pub(super) fn stale(length: usize) -> Self {
        let memory = SPARE.with_borrow_mut(|spare| {
            let places = 0..spare.len();
            let fits = places.clone().filter(|at| spare[*at].len() >= length);
            if let Some(least) = fits.min_by_key(|at| spare[*at].len()) {
                return Some(spare.swap_remove(least));
            }
            // One of those that are too small makes room.
            if let Some(most) = places.max_by_key(|at| spare[*at].len()) {
                spare.swap_remove(most);
            }
            None
        });
        Self {
            memory: memory.unwrap_or_else(|| vec![0.0; length]),
            length,
        }
    }
}

impl Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[..self.length]
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[..self.length]
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        // A thread that ends has no spare memory any more.
        let _ = SPARE.try_with(|spare| spare.borrow_mut().push(memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_taken_again_by_what_fits_best() {
        SPARE.take();
        let (small, large) = (Values::stale(10), Values::stale(100));
        let places = [small.memory.as_ptr(), large.memory.as_ptr()];
        drop((small, large));
        let (first, second) = (Values::stale(8), Values::stale(8));
        assert_eq!([first.memory.as_ptr(), second.memory.as_ptr()], places);
        assert_eq!((first.len(), second.len()), (8, 8));
        drop((first, second));
        let larger = Values::stale(101);
        assert_eq!(larger.len(), 101);
        assert_eq!(
            SPARE.with_borrow(|spare| spare.iter().map(Vec::len).collect::<Vec<_>>()),
            [10]
        );
    }
}
