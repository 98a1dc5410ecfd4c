//! What colour a point has, and how the lights fall on it.

use crate::hair::brow;
use crate::head::{eye_centre, eye_radius, lid_rim, lips};
use crate::math::{Rng, V, bell, hex, noise, smoothstep, turn_x, turn_y};
use crate::person::{Beard, Finish, Hair, Person};
use crate::scene::{Material, nearest, to_head, turned};

/// Lamps and the wall behind.
#[derive(Debug, Clone)]
pub(crate) struct Mood {
    /// Towards the main lamp.
    pub(crate) key_from: V,
    pub(crate) key: V,
    pub(crate) fill: V,
    /// From behind, on both sides.
    pub(crate) rims: [V; 2],
    pub(crate) sky: V,
    pub(crate) ground: V,
    /// The wall's colour in the middle and at its edge.
    pub(crate) wall: [V; 2],
    pub(crate) exposure: f32,
    /// Soft discs of light on the wall: place, size, strength.
    pub(crate) discs: Vec<(f32, f32, f32, f32)>,
}

const WALLS: [(u32, u32, u32); 12] = [
    (0x6E8CA8, 0x1E2A3C, 0x8FC4FF),
    (0xC9A27A, 0x4A2E22, 0xFFB870),
    (0x8AA888, 0x23352C, 0xC8FFB0),
    (0x9C7FB0, 0x2C2140, 0xE0A8FF),
    (0xB4B0A6, 0x55524C, 0xFFFFFF),
    (0xC4847A, 0x401E26, 0xFF9A8A),
    (0x5FA3A3, 0x12303A, 0x90FFF0),
    (0xD4C49A, 0x6A5A3A, 0xFFF0B0),
    (0x4A5568, 0x14181F, 0x7FB0FF),
    (0xE2D8CC, 0x9A8E80, 0xFFE8D0),
    (0x7A6A5A, 0x241C18, 0xFFA850),
    (0xA8C0D0, 0x5A7488, 0xF0FAFF),
];

impl Mood {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let (middle, edge, rim) = rng.pick(&WALLS);
        Self::of(rng, hex(middle), hex(edge), hex(rim))
    }

    /// The mood with that wall.
    pub(crate) fn numbered(rng: &mut Rng, wall: usize) -> Self {
        let (middle, edge, rim) = WALLS[wall % WALLS.len()];
        Self::of(rng, hex(middle), hex(edge), hex(rim))
    }

    fn of(rng: &mut Rng, middle: V, edge: V, rim: V) -> Self {
        let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
        let warm = V(1.0, 0.93, 0.84).mix(V(0.95, 0.97, 1.0), rng.unit());
        let discs = (0..rng.next() % 9)
            .map(|_| {
                (
                    rng.unit(),
                    rng.unit(),
                    rng.within(0.03, 0.13),
                    rng.within(0.03, 0.14),
                )
            })
            .collect();
        Self {
            key_from: V(side * rng.within(0.3, 0.62), rng.within(0.35, 0.7), 0.8).unit(),
            key: warm * rng.within(1.65, 2.05),
            fill: middle.mix(V(0.5, 0.5, 0.5), 0.5) * 0.8,
            rims: [
                rim * rng.within(1.2, 2.4),
                rim.mix(warm, 0.5) * rng.within(0.3, 1.2),
            ],
            sky: middle.mix(V(0.7, 0.75, 0.8), 0.55) * 0.55,
            ground: edge.mix(V(0.35, 0.28, 0.24), 0.6) * 0.55,
            wall: [middle, edge],
            exposure: 0.92,
            discs,
        }
    }

    /// The wall at (x, y) of the image, both 0..1 from the upper left.
    pub(crate) fn behind(&self, x: f32, y: f32, aspect: f32) -> V {
        let (dx, dy) = ((x - 0.5) * aspect, y - 0.38);
        let r = (dx * dx + dy * dy).sqrt();
        let cloud =
            noise(V(x * 3.0 * aspect, y * 3.0, 7.0)) * 0.6 + noise(V(x * 7.0 * aspect, y * 7.0, 3.0)) * 0.4;
        let mut wall = self.wall[0].mix(self.wall[1], smoothstep(0.02, 0.82, r + 0.16 * (cloud - 0.5)));
        for (cx, cy, size, strength) in &self.discs {
            let (dx, dy) = ((x - cx) * aspect, y - cy);
            let d = (dx * dx + dy * dy).sqrt();
            wall = wall + self.rims[0] * (strength * 0.5 * smoothstep(*size, size * 0.82, d));
        }
        wall
    }
}

/// A point that a ray met.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Met {
    pub(crate) at: V,
    pub(crate) normal: V,
    pub(crate) of: Material,
}

/// The light that comes from a point towards the camera, which looks along −z.
pub(crate) fn light(who: &Person, mood: &Mood, finish: Finish, met: Met, quick: bool) -> V {
    let head = to_head(who, met.at);
    let look = surface(who, head, met);
    let n = look.normal;
    let view = V(0.0, 0.0, 1.0);
    let open = openness(who, met.at, met.normal, if quick { 3 } else { 5 });
    let inked = finish == Finish::Inked;
    let shade = shadow(
        who,
        met.at + met.normal * 0.012,
        mood.key_from,
        if quick { 10 } else { 28 },
    );
    let fill_from = V(-mood.key_from.0.signum() * 0.8, 0.1, 0.6).unit();
    let lamps = [
        (mood.key_from, mood.key, shade),
        (fill_from, mood.fill, 0.5 + 0.5 * open),
        (
            V(-mood.key_from.0.signum() * 0.75, 0.35, -0.55).unit(),
            mood.rims[0],
            open,
        ),
        (
            V(mood.key_from.0.signum() * 0.85, 0.2, -0.5).unit(),
            mood.rims[1],
            open,
        ),
    ];
    let hemi = mood.ground.mix(mood.sky, 0.5 + 0.5 * n.1);
    // In skin, light wanders: what little gets into the folds is red.
    let tint = if met.of == Material::Skin {
        V(0.62, 1.0, 1.1)
    } else {
        V(1.0, 1.0, 1.0)
    };
    let mut sum = look.albedo * hemi * V(open.powf(tint.0), open.powf(tint.1), open.powf(tint.2));
    let strands = strand_direction(head, n, who);
    for (i, (from, colour, seen)) in lamps.into_iter().enumerate() {
        let facing = n.dot(from);
        let half = (from + view).unit();
        let shine = n.dot(half).max(0.0);
        let graze = (1.0 - n.dot(view).max(0.0)).powi(4);
        let step = |x: f32| {
            if inked && i == 0 {
                0.85 * smoothstep(0.30, 0.36, x) + 0.15 * smoothstep(0.7, 0.74, x)
            } else {
                x
            }
        };
        let plain = step(facing.max(0.0) * seen);
        let (diffuse, gloss) = match met.of {
            Material::Skin => {
                let wrap = |w: f32| {
                    let (w, power) = if inked { (0.15, 1.0) } else { (w, 1.25) };
                    let seen = if w > 0.3 { seen.powf(0.75) } else { seen };
                    step(((facing + w) / (1.0 + w)).max(0.0).powf(power) * seen)
                };
                let gloss = 0.16 * shine.powi(18) + 0.14 * shine.powi(70) * look.gloss;
                (
                    V(wrap(0.36), wrap(0.22), wrap(0.17)),
                    V(1.0, 1.0, 1.0) * (gloss * seen + 0.10 * graze * facing.max(0.0)),
                )
            }
            Material::Hair => {
                let along = strands.dot(from);
                let across = (1.0 - along * along).max(0.0).sqrt();
                let along_h = strands.dot(half);
                let sheen = (1.0 - along_h * along_h).max(0.0).sqrt();
                let lit = step((0.4 * across + 0.6 * facing).max(0.0) * seen);
                let tinted = look.albedo.mix(V(1.0, 1.0, 1.0), 0.25) * (0.30 * sheen.powi(26))
                    + V(1.0, 1.0, 1.0) * (0.07 * sheen.powi(110));
                (V(lit, lit, lit), tinted * (seen * smoothstep(-0.2, 0.5, facing)))
            }
            Material::Cloth => {
                let lit = step(((facing + 0.1) / 1.1).max(0.0) * seen);
                (V(lit, lit, lit), look.albedo * (0.5 * graze * facing.max(0.0)))
            }
            Material::Horn => (
                V(plain, plain, plain),
                V(1.0, 1.0, 1.0) * (0.2 * shine.powi(24) * seen),
            ),
            Material::Eye => {
                let lit = step(((facing + 0.35) / 1.35).max(0.0)) * (0.35 + 0.65 * seen);
                (
                    V(lit, lit, lit),
                    V(1.0, 1.0, 1.0) * (0.5 * shine.powi(160) * seen),
                )
            }
            Material::Metal | Material::Trim | Material::Gem => {
                let power = if met.of == Material::Gem { 90 } else { 30 };
                let lit = plain * 0.32;
                (
                    V(lit, lit, lit),
                    look.albedo.mix(V(1.0, 1.0, 1.0), 0.3) * (1.1 * shine.powi(power) * seen),
                )
            }
        };
        sum = sum + look.albedo * colour * diffuse * if i >= 2 { 0.75 } else { 1.0 } + colour * gloss;
    }
    if matches!(met.of, Material::Metal | Material::Trim | Material::Gem) {
        let mirror = V(2.0 * n.2 * n.0, 2.0 * n.2 * n.1, 2.0 * n.2 * n.2 - 1.0);
        let horizon = bell(mirror.1 - 0.12, 0.22) * 0.9 + 0.25 + 0.6 * mirror.1.max(0.0);
        sum = sum + look.albedo * mood.sky.mix(mood.rims[0], 0.25) * (horizon * open * 0.9);
    }
    sum + look.glow
}

/// Colour and fine relief of a surface.
struct Look {
    albedo: V,
    normal: V,
    gloss: f32,
    /// Light of its own: the catchlight in an eye.
    glow: V,
}

fn surface(who: &Person, head: V, met: Met) -> Look {
    let plain = |albedo: V| Look {
        albedo,
        normal: met.normal,
        gloss: 1.0,
        glow: V::default(),
    };
    match met.of {
        Material::Skin => skin(who, head, met),
        Material::Eye => eye(who, head, met.normal),
        Material::Hair => {
            let streak = noise(V(head.0 * 16.0, head.1 * 2.5, head.2 * 16.0) + V(who.grain, 0.0, 0.0));
            let along = strand_direction(head, met.normal, who);
            let across = along.cross(met.normal);
            let fine = noise(V(head.0 * 46.0, head.1 * 5.0, head.2 * 46.0)) - 0.5;
            let normal = (met.normal + across * (0.55 * fine)).unit();
            Look {
                albedo: who.hair_colour * (0.66 + 0.5 * streak + 0.35 * fine),
                normal,
                gloss: 1.0,
                glow: V::default(),
            }
        }
        Material::Cloth => {
            let weave = 0.94 + 0.06 * (met.at.0 * 150.0).sin() * (met.at.1 * 150.0).sin();
            plain(who.cloth * weave * (0.85 + 0.3 * noise(met.at * 2.5)))
        }
        Material::Trim => plain(who.trim * (0.8 + 0.3 * noise(met.at * 9.0))),
        Material::Metal => {
            let worn =
                noise(met.at * 5.0) * 0.5 + noise(V(met.at.0 * 40.0, met.at.1 * 6.0, met.at.2 * 40.0)) * 0.5;
            plain(V(0.30, 0.31, 0.34).mix(who.cloth, 0.15) * (0.6 + 0.6 * worn))
        }
        Material::Gem => plain(who.iris.mix(hex(0xC01840), 0.5) * 1.4),
        Material::Horn => plain(hex(0xC9B48C).mix(hex(0x3A2A20), smoothstep(0.85, 1.45, head.1))),
    }
}

fn skin(who: &Person, p: V, met: Met) -> Look {
    let q = p.mirrored();
    let blood = V(1.06, 0.68, 0.64);
    let mut c = who.skin;
    let flush = |amount: f32, c: V| c.mix(c * blood, amount);
    c = c * (0.93 + 0.14 * noise(p * 4.0));
    let c0 = eye_centre(who);
    if p.2 > 0.1 && p.1 > -1.05 {
        c = flush(0.55 * bell(q.0 - 0.40, 0.19) * bell(q.1 + 0.25, 0.16), c);
        c = flush(0.45 * bell(q.0, 0.13) * bell(q.1 + 0.28, 0.10), c);
        c = flush(0.22 * bell(q.0, 0.2) * bell(q.1 + 0.85, 0.14), c);
        // Round the eyes the skin is thin.
        let near_eye = ((q.0 - c0.0).powi(2) + ((q.1 - c0.1) * 1.25).powi(2)).sqrt();
        c = c.mix(
            c * V(0.80, 0.68, 0.70),
            (0.45 + 0.35 * who.age) * smoothstep(0.25, 0.12, near_eye),
        );
        if who.lipstick > 0.0 {
            let lid = smoothstep(0.10, 0.02, lid_rim(who, q)) * smoothstep(0.0, 0.04, q.1 - c0.1);
            c = c.mix(c * V(0.62, 0.42, 0.50), 0.6 * who.lipstick * lid);
        }
    } else if p.1 > -0.4 && q.0 > 0.6 {
        c = flush(0.5, c);
    }
    if who.freckles > 0.0 && p.2 > 0.2 {
        let zone = bell(q.1 + 0.17, 0.16) * smoothstep(0.62, 0.2, q.0);
        let dots = smoothstep(0.70, 0.80, noise(p * 34.0)) + 0.6 * smoothstep(0.72, 0.8, noise(p * 55.0));
        c = c.mix(
            c * V(0.62, 0.45, 0.36),
            (who.freckles * zone * dots * 0.8).min(0.8),
        );
    }
    if who.beard == Beard::Stubble || who.beard == Beard::Goatee || who.beard == Beard::Full {
        let jaw =
            smoothstep(-0.30, -0.52, p.1 + 0.22 * (0.45 - q.0).max(0.0)) * smoothstep(-1.15, -0.95, p.1);
        let dots = 0.55 + 0.45 * noise(p * 70.0);
        c = c.mix(
            c * V(0.50, 0.48, 0.50).mix(who.hair_colour, 0.25),
            0.75 * jaw * dots * f32::from(p.2 > -0.3),
        );
    }
    if let Some(paint) = who.war_paint {
        let stripe = smoothstep(0.035, 0.022, (q.1 + 0.20 + 0.25 * (q.0 - 0.38)).abs()).max(smoothstep(
            0.035,
            0.022,
            (q.1 + 0.30 + 0.25 * (q.0 - 0.38)).abs(),
        )) * smoothstep(0.20, 0.24, q.0)
            * smoothstep(0.60, 0.52, q.0);
        let brow = smoothstep(0.05, 0.04, q.0) * smoothstep(0.26, 0.32, q.1) * smoothstep(0.72, 0.6, q.1);
        let worn = smoothstep(0.25, 0.5, noise(p * 22.0));
        c = c.mix(paint, 0.85 * stripe.max(brow) * worn * f32::from(p.2 > 0.2));
    }
    let (upper, lower) = lips(who, p);
    let lip = upper.max(lower);
    let mut normal = met.normal;
    if lip > 0.0 {
        let natural = who.skin * V(0.86, 0.50, 0.50);
        let painted = hex(0x9C1F30).mix(who.skin * V(0.9, 0.35, 0.4), 0.4);
        let tone = natural.mix(painted, who.lipstick) * if upper > lower { 0.82 } else { 1.0 };
        c = c.mix(tone, 0.85 * lip);
        let lines = (p.0 * 210.0).sin() * 0.03 * lip;
        normal = (normal + V(lines, 0.0, 0.0)).unit();
    }
    // Lashes: a dark line on the rim of the lids.
    if p.2 > 0.3 {
        let rim = lid_rim(who, q);
        let upper = smoothstep(-0.03, 0.01, q.1 - c0.1);
        let lash = smoothstep(0.030 + 0.008 * who.lipstick, 0.008, rim) * (0.25 + 0.75 * upper);
        c = c.mix(hex(0x160E0C), 0.9 * lash);
    }
    let hairs = brow(who, q);
    c = c.mix(who.hair_colour * 0.75, 0.92 * hairs);
    if who.hair == Hair::Bald || who.hair == Hair::Mohawk {
        let scalp = smoothstep(0.55, 0.75, p.1 - 0.35 * (p.2 - 0.3).max(0.0)) * 0.12;
        c = c.mix(c * 0.75, scalp);
    }
    if who.scar {
        let along = (p.1 + 0.10).clamp(-0.26, 0.40);
        let off =
            (p.0 - 0.33 - 0.18 * (p.1 + 0.1) - 0.012 * (p.1 * 37.0).sin()).abs() + (p.1 + 0.10 - along).abs();
        c = c.mix(
            c * V(1.05, 0.62, 0.60) + V(0.05, 0.02, 0.02),
            0.8 * smoothstep(0.024, 0.008, off) * f32::from(p.2 > 0.2),
        );
    }
    let pores = noise(p * 60.0) - 0.5;
    normal = (normal + V(pores, -pores, pores) * (0.025 + 0.05 * who.age)).unit();
    Look {
        albedo: c,
        normal,
        gloss: 1.0 + 2.0 * lip - hairs,
        glow: V::default(),
    }
}

/// The eyeball, painted by the angle to where it looks: into the camera, nearly.
fn eye(who: &Person, p: V, normal: V) -> Look {
    let side = if p.0 < 0.0 { -1.0 } else { 1.0 };
    let c = eye_centre(who);
    let centre = V(c.0 * side, c.1, c.2);
    let n = (p - centre) * (1.0 / eye_radius(who));
    // Turned back towards the camera, but no further than eyes turn.
    let gaze = turn_x(
        turn_y(V(0.0, 0.0, 1.0), (-who.yaw * 0.8).clamp(-0.4, 0.4)),
        (-who.pitch * 0.8).clamp(-0.2, 0.2),
    );
    let right = V(0.0, 1.0, 0.0).cross(gaze).unit();
    let up = gaze.cross(right);
    let (x, y) = (n.dot(right), n.dot(up));
    let r = (x * x + y * y).sqrt();
    let iris_r = 0.55;
    let angle = y.atan2(x);
    let fibres = noise(V(angle * 7.0, r * 3.0, who.grain + side));
    let ring = smoothstep(iris_r, iris_r - 0.10, r);
    let mut iris = who.iris * (0.75 + 0.8 * fibres) * (0.35 + 0.65 * ring);
    // Light gathers opposite to where it comes in.
    iris = iris * (1.0 + 1.1 * smoothstep(0.1, -0.4, y)) + V(0.02, 0.015, 0.01);
    let white = V(0.80, 0.78, 0.76).mix(V(0.78, 0.52, 0.48), 0.35 * smoothstep(0.55, 1.0, r));
    let mut colour = white.mix(iris, smoothstep(iris_r + 0.02, iris_r - 0.02, r));
    colour = colour.mix(V(0.006, 0.005, 0.005), smoothstep(0.26, 0.225, r));
    // The lid's shade.
    let rim = lid_rim(who, p.mirrored());
    let shade = smoothstep(0.0, -0.055, rim) * smoothstep(0.16, 0.02, p.1 - c.1 - 0.02);
    colour = colour * (0.42 + 0.58 * shade);
    let spot = |dx: f32, dy: f32, size: f32| {
        smoothstep(size, size * 0.6, ((x - dx).powi(2) + (y - dy).powi(2)).sqrt())
    };
    let glow = spot(-0.17, 0.20, 0.115) + 0.35 * spot(0.16, -0.20, 0.075);
    Look {
        albedo: colour,
        normal,
        gloss: 1.0,
        glow: V(1.0, 0.98, 0.95) * (glow * 0.95),
    }
}

/// Which way the strands run: away from the crown.
fn strand_direction(head: V, n: V, who: &Person) -> V {
    let away = turned_back(who, head - V(0.0, 0.95, -0.3));
    let flow = away + V(0.0, -0.35, 0.0);
    (flow - n * flow.dot(n)).unit()
}

fn turned_back(who: &Person, v: V) -> V {
    // The turns are small: the transpose by its columns.
    let (x, y, z) = (
        turned(who, V(1.0, 0.0, 0.0)),
        turned(who, V(0.0, 1.0, 0.0)),
        turned(who, V(0.0, 0.0, 1.0)),
    );
    V(x.dot(v), y.dot(v), z.dot(v))
}

/// How much of the sky a point sees, 0..1.
fn openness(who: &Person, at: V, n: V, steps: usize) -> f32 {
    let (mut hidden, mut weight) = (0.0, 1.0);
    for i in 1..=steps {
        let h = 0.02 + 0.30 * (i as f32 / steps as f32).powi(2);
        hidden += (h - nearest(who, at + n * h).d).max(0.0) * weight;
        weight *= 0.72;
    }
    (1.0 - 2.0 * hidden).clamp(0.12, 1.0)
}

/// How much of the main lamp a point sees, 0..1.
fn shadow(who: &Person, at: V, from: V, steps: usize) -> f32 {
    let (mut t, mut seen) = (0.02, 1.0f32);
    for _ in 0..steps {
        let d = nearest(who, at + from * t).d;
        seen = seen.min(7.0 * d / t);
        t += d.clamp(0.025, 0.25) * 36.0 / (8.0 + steps as f32);
        if seen < 0.005 || t > 2.0 {
            break;
        }
    }
    smoothstep(0.0, 1.0, seen.clamp(0.0, 1.0))
}
