//! From a person to pixels: rays are marched through the distances, edges are sampled again, and the
//! image is finished as a render, a painting or an ink drawing.

use image::{Rgba, RgbaImage};
use rayon::prelude::*;

use crate::light::{Met, Mood, light};
use crate::math::V;
use crate::person::{Finish, Gear, Hair, Person};
use crate::scene::{Material, nearest};

/// What part of the scene is in the image, in the units of a head that is two high.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) x: f32,
    pub(crate) y: f32,
    /// From the lower to the upper edge.
    pub(crate) height: f32,
}

impl Frame {
    /// Head and shoulders, with room for what stands up from the head.
    pub(crate) fn of(who: &Person) -> Self {
        match (who.gear, who.hair) {
            (Gear::Hat, _) => Self {
                x: 0.08,
                y: 0.10,
                height: 4.3,
            },
            (Gear::Horns | Gear::Hood | Gear::Crown, _) => Self {
                x: 0.0,
                y: -0.16,
                height: 3.7,
            },
            (Gear::None, Hair::Mohawk | Hair::Spiky | Hair::Puffs | Hair::Bun) => Self {
                x: 0.0,
                y: -0.10,
                height: 3.7,
            },
            _ => Self {
                x: 0.0,
                y: -0.26,
                height: 3.4,
            },
        }
    }
}

/// An image to be painted.
#[derive(Debug, Clone)]
pub(crate) struct Picture<'p> {
    pub(crate) who: &'p Person,
    pub(crate) mood: &'p Mood,
    pub(crate) frame: Frame,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) finish: Finish,
    /// No wall: transparent where nobody is.
    pub(crate) cut_out: bool,
    /// Fewer samples: for casts of thousands.
    pub(crate) quick: bool,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    colour: V,
    alpha: f32,
    depth: f32,
    normal: V,
    of: Option<Material>,
}

const CAMERA: f32 = 9.0;
const TILE: u32 = 8;

impl Picture<'_> {
    /// Paints it.
    pub(crate) fn paint(&self) -> RgbaImage {
        let (w, h) = (self.width, self.height);
        let starts = self.tile_starts();
        let tiles_across = w.div_ceil(TILE);
        let start = |x: u32, y: u32| starts[(y / TILE * tiles_across + x / TILE) as usize];
        let first: Vec<Sample> = (0..w * h)
            .into_par_iter()
            .map(|i| self.sample((i % w) as f32 + 0.5, (i / w) as f32 + 0.5, start(i % w, i / w)))
            .collect();
        let at = |x: i64, y: i64| {
            &first[(y.clamp(0, h as i64 - 1) * w as i64 + x.clamp(0, w as i64 - 1)) as usize]
        };
        let smooth: Vec<(V, f32)> = (0..w * h)
            .into_par_iter()
            .map(|i| {
                let (x, y) = ((i % w) as i64, (i / w) as i64);
                let here = at(x, y);
                let around = [at(x - 1, y), at(x + 1, y), at(x, y - 1), at(x, y + 1)];
                let edge = around.iter().any(|o| {
                    o.of != here.of
                        || (o.depth - here.depth).abs() > 0.06
                        || (o.colour.luma() - here.colour.luma()).abs() > 0.10
                });
                let mut sum = (here.colour * here.alpha, here.alpha, 1.0);
                if edge && !self.quick {
                    let begin = (start(i % w, i / w) - 0.15).max(0.0);
                    for (dx, dy) in [(0.12, 0.37), (0.62, 0.12), (0.87, 0.62), (0.37, 0.87)] {
                        let more = self.sample(x as f32 + dx, y as f32 + dy, begin);
                        sum = (sum.0 + more.colour * more.alpha, sum.1 + more.alpha, sum.2 + 1.0);
                    }
                }
                let mut colour = sum.0 * (1.0 / sum.1.max(1e-6));
                if self.finish == Finish::Inked {
                    colour = colour.mix(V(0.012, 0.010, 0.014), self.ink(x, y, &at));
                }
                (colour, sum.1 / sum.2)
            })
            .collect();
        let mut picture = RgbaImage::new(w, h);
        for (pixel, (colour, alpha)) in picture.pixels_mut().zip(&smooth) {
            let [r, g, b] = develop(*colour * self.mood.exposure);
            *pixel = Rgba([r, g, b, (alpha * 255.0).round() as u8]);
        }
        if self.finish == Finish::Painted {
            strokes(&picture, (h / 190).max(2) as i64)
        } else {
            picture
        }
    }

    fn ray(&self, px: f32, py: f32) -> (V, V) {
        let scale = self.frame.height / self.height as f32;
        let target = V(
            self.frame.x + (px - self.width as f32 / 2.0) * scale,
            self.frame.y - (py - self.height as f32 / 2.0) * scale,
            0.2,
        );
        let eye = V(self.frame.x, self.frame.y * 0.6, CAMERA);
        (eye, (target - eye).unit())
    }

    /// How far a ray of each tile may go before any of the tile's pixels meets something.
    fn tile_starts(&self) -> Vec<f32> {
        let (across, down) = (self.width.div_ceil(TILE), self.height.div_ceil(TILE));
        let spread = 0.75 * TILE as f32 * self.frame.height / self.height as f32;
        (0..across * down)
            .into_par_iter()
            .map(|i| {
                let centre = |t: u32| (t * TILE) as f32 + TILE as f32 / 2.0;
                let (eye, along) = self.ray(centre(i % across), centre(i / across));
                let mut t = CAMERA - 2.4;
                for _ in 0..60 {
                    let d = nearest(self.who, eye + along * t).d;
                    if d < spread * 1.6 || t > CAMERA + 2.6 {
                        break;
                    }
                    t += (d - spread) * 0.8;
                }
                t
            })
            .collect()
    }

    fn sample(&self, px: f32, py: f32, start: f32) -> Sample {
        let (eye, along) = self.ray(px, py);
        let mut t = start.max(CAMERA - 2.4);
        let pixel = self.frame.height / self.height as f32;
        let limit = if self.quick { 48 } else { 110 };
        for _ in 0..limit {
            if t > CAMERA + 2.6 {
                break;
            }
            let at = eye + along * t;
            let near = nearest(self.who, at);
            if near.d < pixel * 0.22 {
                let normal = self.normal(at, pixel * 0.6);
                let colour = light(
                    self.who,
                    self.mood,
                    self.finish,
                    Met {
                        at,
                        normal,
                        of: near.of,
                    },
                    self.quick,
                );
                return Sample {
                    colour,
                    alpha: 1.0,
                    depth: t,
                    normal,
                    of: Some(near.of),
                };
            }
            t += near.d * 0.72;
        }
        let (u, v) = (px / self.width as f32, py / self.height as f32);
        let colour = self.mood.behind(u, v, self.width as f32 / self.height as f32);
        let alpha = if self.cut_out { 0.0 } else { 1.0 };
        Sample {
            colour,
            alpha,
            depth: 20.0,
            normal: V(0.0, 0.0, 1.0),
            of: None,
        }
    }

    /// By four distances at the corners of a tetrahedron.
    fn normal(&self, at: V, e: f32) -> V {
        let e = e.max(0.0012);
        let corners = [
            V(1.0, -1.0, -1.0),
            V(-1.0, -1.0, 1.0),
            V(-1.0, 1.0, -1.0),
            V(1.0, 1.0, 1.0),
        ];
        corners
            .into_iter()
            .fold(V::default(), |sum, c| sum + c * nearest(self.who, at + c * e).d)
            .unit()
    }

    /// How much of an outline is at (x, y): where depth jumps, the material changes or the surface creases.
    fn ink<'s>(&self, x: i64, y: i64, at: &impl Fn(i64, i64) -> &'s Sample) -> f32 {
        let r = (self.height as i64 / 420).max(1);
        let here = at(x, y);
        let mut line = 0.0f32;
        for (dx, dy) in [
            (r, 0),
            (-r, 0),
            (0, r),
            (0, -r),
            (r, r),
            (-r, -r),
            (r, -r),
            (-r, r),
        ] {
            let o = at(x + dx, y + dy);
            let jump = ((o.depth - here.depth).abs() - 0.10) * 9.0;
            let change = if o.of == here.of { 0.0 } else { 0.75 };
            let crease = (0.62 - o.normal.dot(here.normal)) * 1.1;
            line = line.max(jump.max(change).max(crease));
        }
        line.clamp(0.0, 0.88)
    }
}

/// From light to sRGB bytes, with a filmic shoulder (K. Narkowicz's fit of the ACES curve).
pub(crate) fn develop(light: V) -> [u8; 3] {
    let tone = |x: f32| {
        let x = x * 0.8;
        let y = ((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14)).clamp(0.0, 1.0);
        let s = if y <= 0.003_130_8 {
            12.92 * y
        } else {
            1.055 * y.powf(1.0 / 2.4) - 0.055
        };
        (s * 255.0).round() as u8
    };
    [tone(light.0), tone(light.1), tone(light.2)]
}

/// Flattens into patches like brush strokes: each pixel takes the mean of the calmest of the four squares
/// that it is a corner of (Kuwahara's filter).
fn strokes(picture: &RgbaImage, r: i64) -> RgbaImage {
    let (w, h) = (picture.width() as usize, picture.height() as usize);
    // Sums over all pixels above and to the left: of the colours, the luma's square, and alpha.
    let mut sums = vec![[0f64; 6]; (w + 1) * (h + 1)];
    for y in 0..h {
        let mut row = [0f64; 6];
        for x in 0..w {
            let p = picture.get_pixel(x as u32, y as u32).0.map(f64::from);
            let luma = 0.3 * p[0] + 0.6 * p[1] + 0.1 * p[2];
            for (sum, v) in row.iter_mut().zip([p[0], p[1], p[2], p[3], luma, luma * luma]) {
                *sum += v;
            }
            for k in 0..6 {
                sums[(y + 1) * (w + 1) + x + 1][k] = sums[y * (w + 1) + x + 1][k] + row[k];
            }
        }
    }
    let mean = |x0: i64, y0: i64, x1: i64, y1: i64| {
        let (x0, y0) = (x0.max(0) as usize, y0.max(0) as usize);
        let (x1, y1) = ((x1 + 1).min(w as i64) as usize, (y1 + 1).min(h as i64) as usize);
        let n = ((x1 - x0) * (y1 - y0)) as f64;
        let at = |x: usize, y: usize, k: usize| sums[y * (w + 1) + x][k];
        std::array::from_fn::<f64, 6, _>(|k| {
            (at(x1, y1, k) - at(x0, y1, k) - at(x1, y0, k) + at(x0, y0, k)) / n
        })
    };
    let mut out = picture.clone();
    for (x, y, pixel) in out.enumerate_pixels_mut() {
        let (x, y) = (x as i64, y as i64);
        let squares = [
            (x - r, y - r, x, y),
            (x, y - r, x + r, y),
            (x - r, y, x, y + r),
            (x, y, x + r, y + r),
        ];
        let calmest = squares
            .map(|(x0, y0, x1, y1)| mean(x0, y0, x1, y1))
            .into_iter()
            .min_by(|a, b| (a[5] - a[4] * a[4]).total_cmp(&(b[5] - b[4] * b[4])));
        if let Some(m) = calmest {
            *pixel = Rgba([m[0] as u8, m[1] as u8, m[2] as u8, m[3] as u8]);
        }
    }
    out
}
