//! A second network, asked where the first is in doubt: whether a close-up shows a face.
//!
//! It is EfficientNet-Lite0, trained on ImageNet's photographs and then on drawn faces, and on what was taken for one
//! (`training/verify.py`): it knows animals, tools and emblems by what they are.

use image::RgbImage;

use super::network::Network;
use super::tensor::Tensor;
use super::{Letterbox, Rect};

/// Side of the square on which it sees a close-up, in pixels.
const SIDE: usize = 128;
/// Side of a close-up, in multiples of the face's longer side.
pub(super) const CLOSE: f32 = 2.4;

/// The network, ready to run.
pub(super) struct Verifier(Network);

impl Verifier {
    pub(super) fn with(network: &[u8]) -> Self {
        Self(Network::embedded(network))
    }

    /// The log-odds that areas of an image show a face.
    pub(super) fn ask(&self, picture: &RgbImage, areas: &[Rect]) -> Vec<f32> {
        if areas.is_empty() {
            return Vec::new();
        }
        let mut seen = Tensor::stale(areas.len(), SIDE, SIDE, 3);
        for (to, area) in seen.data.chunks_exact_mut(SIDE * SIDE * 3).zip(areas) {
            let Letterbox { pixels, .. } = close_up(picture, *area);
            for (to, value) in to.iter_mut().zip(&*pixels.data) {
                // As ImageNet's networks of this kind are trained.
                *to = (value - 127.0) / 128.0;
            }
        }
        // All in one run: a part of its time goes by while the weights come out of memory.
        let [told] = self.0.run(&seen, ["face"]);
        told.data.to_vec()
    }
}

fn close_up(picture: &RgbImage, area: Rect) -> Letterbox {
    let length = (area.longer_side() * CLOSE).max(16.0).floor();
    let (x, y) = area.centre();
    let corner = [x, y].map(|middle| (middle - length / 2.0).trunc());
    Letterbox::part(picture, corner, length, SIDE)
}

#[cfg(test)]
mod tests {
    use super::super::Detector;
    use super::*;

    #[test]
    fn several_areas_are_seen_as_each_of_them_alone() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../samples/cast/nadia_volkova.jpg"
        );
        let picture = image::open(path).expect("a sample").to_rgb8();
        let verifier = &Detector::shared().verifier;
        let areas = [200.0, 400.0, 600.0].map(|at| Rect::around(at, at, at / 2.0, at / 2.0));
        let together = verifier.ask(&picture, &areas);
        assert_ne!(together[0], together[1]);
        for (area, together) in areas.into_iter().zip(together) {
            let alone = verifier.ask(&picture, &[area])[0];
            assert!(
                (alone - together).abs() < 1e-3,
                "{alone} alone, {together} with others"
            );
        }
        assert!(verifier.ask(&picture, &[]).is_empty());
    }
}
