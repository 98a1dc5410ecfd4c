//! What an inspection is measured and calibrated by.

use super::faces::{Detector, Evidence};
use super::{Inspection, Inspector, hdr, size, unreadable};

impl Inspector {
    /// Judges an image to measure the inspection: only its faces unless `all`, so that small images will do. Also returns
    /// the likelihoods of the clearest face, and of a comparable second one.
    pub fn measure(&self, bytes: &[u8], all: bool) -> (Inspection, [f32; 2]) {
        let pixels = match self.decode(bytes) {
            Ok(pixels) => pixels,
            Err(error) => return (unreadable(&error), [0.0; 2]),
        };
        let (mut inspection, seen) = self.judge_faces(&self.fitted(&pixels), pixels.dimensions());
        if all {
            size(&mut inspection);
            hdr(&mut inspection, bytes);
        }
        (inspection, seen)
    }

    /// A function from an image to what the networks say of it, box by box, before it is calibrated. It fails with a message
    /// if the image can't be decoded.
    ///
    /// # Panics
    /// When the files were not written by `training/train.py` and `training/verify.py`.
    pub fn evidence(
        &self,
        network: &[u8],
        verifier: &[u8],
    ) -> impl Fn(&[u8]) -> Result<Vec<Evidence>, String> {
        let detector = Detector::with(network, verifier);
        move |bytes| {
            let pixels = self.decode(bytes).map_err(|error| error.to_string())?;
            Ok(detector.evidence(&self.fitted(&pixels)))
        }
    }
}
