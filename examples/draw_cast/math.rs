//! Vectors, signed distances and a seeded generator: all that painting needs.
//!
//! Distances follow the usual formulas for signed distance functions (I. Quilez, "distance functions").

use std::ops::{Add, Mul, Neg, Sub};

/// A point, a direction, or linear RGB.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct V(pub(crate) f32, pub(crate) f32, pub(crate) f32);

impl Add for V {
    type Output = V;
    fn add(self, o: V) -> V {
        V(self.0 + o.0, self.1 + o.1, self.2 + o.2)
    }
}
impl Sub for V {
    type Output = V;
    fn sub(self, o: V) -> V {
        V(self.0 - o.0, self.1 - o.1, self.2 - o.2)
    }
}
impl Mul<f32> for V {
    type Output = V;
    fn mul(self, k: f32) -> V {
        V(self.0 * k, self.1 * k, self.2 * k)
    }
}
/// Component by component, as light is filtered by a colour.
impl Mul for V {
    type Output = V;
    fn mul(self, o: V) -> V {
        V(self.0 * o.0, self.1 * o.1, self.2 * o.2)
    }
}
impl Neg for V {
    type Output = V;
    fn neg(self) -> V {
        self * -1.0
    }
}

impl V {
    pub(crate) fn dot(self, o: V) -> f32 {
        self.0 * o.0 + self.1 * o.1 + self.2 * o.2
    }
    pub(crate) fn cross(self, o: V) -> V {
        V(
            self.1 * o.2 - self.2 * o.1,
            self.2 * o.0 - self.0 * o.2,
            self.0 * o.1 - self.1 * o.0,
        )
    }
    pub(crate) fn len(self) -> f32 {
        self.dot(self).sqrt()
    }
    pub(crate) fn unit(self) -> V {
        self * (1.0 / self.len().max(1e-9))
    }
    pub(crate) fn mix(self, o: V, t: f32) -> V {
        self * (1.0 - t) + o * t
    }
    pub(crate) fn map(self, f: impl Fn(f32) -> f32) -> V {
        V(f(self.0), f(self.1), f(self.2))
    }
    /// With `x` made positive: faces are symmetric.
    pub(crate) fn mirrored(self) -> V {
        V(self.0.abs(), self.1, self.2)
    }
    pub(crate) fn luma(self) -> f32 {
        self.dot(V(0.2126, 0.7152, 0.0722))
    }
}

/// A colour from its sRGB hex code, in linear light.
pub(crate) fn hex(rgb: u32) -> V {
    let channel = |shift: u32| {
        let c = (rgb >> shift & 255) as f32 / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    };
    V(channel(16), channel(8), channel(0))
}

pub(crate) fn smoothstep(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// exp(-(x/w)²)
pub(crate) fn bell(x: f32, w: f32) -> f32 {
    let t = x / w;
    (-t * t).exp()
}

/// Smooth union: `k` is how far apart two shapes begin to melt.
pub(crate) fn smin(a: f32, b: f32, k: f32) -> f32 {
    let h = (k - (a - b).abs()).max(0.0) / k;
    a.min(b) - h * h * k * 0.25
}
/// Smooth intersection.
pub(crate) fn smax(a: f32, b: f32, k: f32) -> f32 {
    -smin(-a, -b, k)
}

pub(crate) fn sphere(p: V, r: f32) -> f32 {
    p.len() - r
}
pub(crate) fn ellipsoid(p: V, r: V) -> f32 {
    let q = V(p.0 / r.0, p.1 / r.1, p.2 / r.2);
    let k0 = q.len();
    let k1 = V(q.0 / r.0, q.1 / r.1, q.2 / r.2).len();
    k0 * (k0 - 1.0) / k1.max(1e-6)
}
/// A capsule from `a` to `b` whose radius goes from `ra` to `rb`.
pub(crate) fn cone(p: V, a: V, b: V, ra: f32, rb: f32) -> f32 {
    let (pa, ba) = (p - a, b - a);
    let h = (pa.dot(ba) / ba.dot(ba)).clamp(0.0, 1.0);
    (pa - ba * h).len() - (ra + (rb - ra) * h)
}
/// A ring round the y axis.
pub(crate) fn torus(p: V, radius: f32, tube: f32) -> f32 {
    let q = (p.0 * p.0 + p.2 * p.2).sqrt() - radius;
    (q * q + p.1 * p.1).sqrt() - tube
}

pub(crate) fn turn_y(p: V, angle: f32) -> V {
    let (s, c) = angle.sin_cos();
    V(c * p.0 - s * p.2, p.1, s * p.0 + c * p.2)
}
pub(crate) fn turn_x(p: V, angle: f32) -> V {
    let (s, c) = angle.sin_cos();
    V(p.0, c * p.1 - s * p.2, s * p.1 + c * p.2)
}
pub(crate) fn turn_z(p: V, angle: f32) -> V {
    let (s, c) = angle.sin_cos();
    V(c * p.0 - s * p.1, s * p.0 + c * p.1, p.2)
}

fn hash(x: i32, y: i32, z: i32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x8DA6_B343) ^ (y as u32).wrapping_mul(0xD816_3841);
    h ^= (z as u32).wrapping_mul(0xCB1A_B31F);
    h = (h ^ h >> 15).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ h >> 12).wrapping_mul(0x297A_2D39);
    (h ^ h >> 15) as f32 / u32::MAX as f32
}

/// Smooth noise of one unit's wavelength, in 0..1.
pub(crate) fn noise(p: V) -> f32 {
    let cell = p.map(f32::floor);
    let f = (p - cell).map(|t| t * t * (3.0 - 2.0 * t));
    let (x, y, z) = (cell.0 as i32, cell.1 as i32, cell.2 as i32);
    let lerp = |a: f32, b: f32, t: f32| a + (b - a) * t;
    let row = |y, z| lerp(hash(x, y, z), hash(x + 1, y, z), f.0);
    let plane = |z| lerp(row(y, z), row(y + 1, z), f.1);
    lerp(plane(z), plane(z + 1), f.2)
}

/// SplitMix64: small, quick, and the same on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }
    /// In 0..1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }
    pub(crate) fn within(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.unit()
    }
    pub(crate) fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[(self.next() % of.len() as u64) as usize]
    }
}
