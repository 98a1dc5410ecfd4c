//! Casts of any size for load tests. A few hundred faces are painted; every image then shows one of them in
//! another place, size and light, before a wall of its own.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Result;
use image::{Rgba, RgbaImage, imageops};
use rayon::prelude::*;

use crate::light::Mood;
use crate::math::Rng;
use crate::person::{Finish, Gear, Person};
use crate::render::{Frame, Picture, develop};
use crate::samples::write;

/// What a crowd is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowd {
    /// How many characters.
    pub(crate) count: usize,
    /// The same seed gives the same cast.
    pub(crate) seed: u64,
    /// How many different faces are painted.
    pub(crate) faces: usize,
    /// The longer side of the images, in pixels.
    pub(crate) size: u32,
}

/// Faces are painted this high, and enlarged for larger images.
const PAINTED: u32 = 400;

impl Crowd {
    /// Writes `cast.csv` and `art/`.
    pub(crate) fn write(self, out: &Path) -> Result<()> {
        std::fs::create_dir_all(out.join("art"))?;
        let painted: Vec<RgbaImage> = (0..self.faces.clamp(1, self.count.max(1)))
            .into_par_iter()
            .map(|i| self.face(i as u64))
            .collect();
        let names = names(self.count, self.seed);
        let mut csv = csv::Writer::from_path(out.join("cast.csv"))?;
        csv.write_record(["name", "image", "role", "voice"])?;
        let mut rng = Rng::new(self.seed ^ 0xC0FFEE);
        for (i, name) in names.iter().enumerate() {
            let role = rng.pick(&[
                "guard", "merchant", "scout", "smith", "healer", "pilot", "scholar", "rogue",
            ]);
            let voice = rng.pick(&["bass", "baritone", "tenor", "alto", "soprano"]);
            csv.write_record([name, &format!("art/{i:06}.jpg"), role, voice])?;
        }
        csv.flush()?;
        (0..self.count).into_par_iter().try_for_each(|i| {
            let picture = self.place(&painted[i % painted.len()], i as u64);
            write(&picture, &out.join(format!("art/{i:06}.jpg")))
        })
    }

    fn face(self, i: u64) -> RgbaImage {
        let mut rng = Rng::new(self.seed.wrapping_mul(0x1000_0001).wrapping_add(i));
        let mut who = Person::random(&mut rng);
        if who.gear == Gear::Hat {
            who.gear = Gear::None;
        }
        let mood = Mood::random(&mut rng);
        let frame = Frame {
            height: 3.6,
            ..Frame::of(&who)
        };
        let finish = if i % 5 == 4 { Finish::Inked } else { Finish::Render };
        Picture {
            who: &who,
            mood: &mood,
            frame,
            width: PAINTED * 5 / 6,
            height: PAINTED,
            finish,
            cut_out: true,
            quick: true,
        }
        .paint()
    }

    /// `face` somewhere near the middle of an image of its own.
    fn place(self, face: &RgbaImage, i: u64) -> RgbaImage {
        let mut rng = Rng::new((self.seed ^ 0x5EED).wrapping_mul(0x2000_0003).wrapping_add(i));
        let narrow = rng.pick(&[0.75, 0.8, 1.0]);
        let (w, h) = ((self.size as f32 * narrow) as u32, self.size);
        let wall = wall(&mut rng, w, h);
        let scale = rng.within(0.82, 1.1) * h as f32 / face.height() as f32;
        let (fw, fh) = (
            (face.width() as f32 * scale) as u32,
            (face.height() as f32 * scale) as u32,
        );
        let mut face = imageops::resize(face, fw, fh, imageops::FilterType::Triangle);
        if rng.chance(0.5) {
            imageops::flip_horizontal_in_place(&mut face);
        }
        let gain = [
            rng.within(0.86, 1.08),
            rng.within(0.86, 1.08),
            rng.within(0.86, 1.08),
        ];
        for p in face.pixels_mut() {
            let [r, g, b, a] = p.0;
            let lit = |v: u8, k: f32| (f32::from(v) * k).min(255.0) as u8;
            *p = Rgba([lit(r, gain[0]), lit(g, gain[1]), lit(b, gain[2]), a]);
        }
        let mut picture = wall;
        let x = (w as f32 - fw as f32) * 0.5 + rng.within(-0.05, 0.05) * w as f32;
        let y = h as f32 - fh as f32 + rng.within(0.0, 0.06) * h as f32;
        imageops::overlay(&mut picture, &face, x as i64, y.max(0.0) as i64);
        picture
    }
}

/// A wall: drawn small, since it is smooth.
fn wall(rng: &mut Rng, w: u32, h: u32) -> RgbaImage {
    let mood = Mood::random(rng);
    let (sw, sh) = (w.div_ceil(8), h.div_ceil(8));
    let shift = rng.within(0.0, 0.2);
    let small = RgbaImage::from_fn(sw, sh, |x, y| {
        let (u, v) = (x as f32 / sw as f32 + shift, y as f32 / sh as f32);
        let [r, g, b] = develop(mood.behind(u, v, w as f32 / h as f32) * mood.exposure);
        Rgba([r, g, b, 255])
    });
    imageops::resize(&small, w, h, imageops::FilterType::Triangle)
}

const FIRST: [&str; 24] = [
    "Ar", "Bel", "Cor", "Da", "El", "Fen", "Gal", "Hes", "Il", "Jor", "Ka", "Lun", "Mor", "Ny", "Or", "Pel",
    "Quin", "Ros", "Syl", "Tam", "Ul", "Var", "Wyn", "Zé",
];
const LAST: [&str; 20] = [
    "a", "an", "dric", "eth", "ia", "in", "is", "la", "lin", "mir", "na", "or", "ra", "rik", "ros", "sa",
    "than", "ven", "wen", "ys",
];
const HOUSE: [&str; 24] = [
    "Ash", "Black", "Bright", "Cold", "Deep", "Elder", "Fair", "Grey", "High", "Iron", "Long", "Marsh",
    "North", "Oak", "Raven", "Red", "Salt", "Silver", "Stone", "Storm", "Swift", "Thorn", "White", "Winter",
];
const PLACE: [&str; 20] = [
    "brook", "croft", "dale", "fell", "field", "ford", "gate", "glen", "hand", "heath", "helm", "hill",
    "mere", "moor", "ridge", "shaw", "vale", "ward", "water", "wood",
];

/// As many names, no two alike.
fn names(count: usize, seed: u64) -> Vec<String> {
    let mut rng = Rng::new(seed ^ 0xA11CE);
    let mut taken = HashSet::new();
    let mut names = Vec::with_capacity(count);
    while names.len() < count {
        let (first, last) = (rng.pick(&FIRST), rng.pick(&LAST));
        let mut name = format!("{first}{last} {}{}", rng.pick(&HOUSE), rng.pick(&PLACE));
        if !taken.insert(name.clone()) {
            name = format!("{name} {}", names.len());
            taken.insert(name.clone());
        }
        names.push(name);
    }
    names
}
