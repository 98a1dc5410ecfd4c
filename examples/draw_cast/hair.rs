//! Hair, brows that stand out, and beards, in the head's frame.

use crate::head::mouth_line;
use crate::math::{V, cone, ellipsoid, noise, smax, smin, smoothstep, sphere, turn_z};
use crate::person::{Beard, Gear, Hair, Person};

const FAR: f32 = 1e3;

/// The distance `d` with waves along strands that run from the crown down.
fn strands(who: &Person, p: V, d: f32, freq: f32, depth: f32) -> f32 {
    // They matter close to the surface only.
    if d > 0.15 {
        return d - 2.0 * depth;
    }
    let angle = p.0.atan2(p.2 + 0.3);
    let drift = noise(V(p.0 * 2.0, p.1 * 1.4, p.2 * 2.0) + V(who.grain, 0.0, 0.0));
    let fine = ((angle * 2.3 + drift * 1.1) * freq).sin();
    let coarse = (angle * freq * 0.55 + drift * 7.0 + who.grain).sin();
    d + depth * (0.45 * fine + coarse)
}

/// What the face needs free of hair: `low` is how far down the forehead the hair reaches.
fn face_opening(p: V, low: f32, width: f32) -> f32 {
    ellipsoid(p - V(0.0, -0.40, 0.85), V(0.56 * width, 1.02 - low, 0.78))
}

/// Signed distance to the hair; far away when bald. Under headgear, only what it leaves free.
pub(crate) fn hair(who: &Person, p: V) -> f32 {
    let round = p.len();
    if who.hair == Hair::Bald || round > 2.2 {
        return if who.hair == Hair::Bald { FAR } else { round - 1.9 };
    }
    let d = loose_hair(who, p);
    let shell = |r: V| ellipsoid(p - V(0.0, 0.22, -0.12), r);
    match who.gear {
        Gear::Helm | Gear::Visor if p.1 > -0.3 => smax(d, shell(V(0.77, 0.86, 0.93)), 0.03),
        Gear::Hood => smax(
            d,
            ellipsoid(p - V(0.0, 0.10, -0.08), V(0.86 * who.head_width, 0.98, 0.95)),
            0.03,
        ),
        Gear::Hat => smax(d, p.1 - 0.62 - 0.12 * p.2, 0.03),
        _ => d,
    }
}

fn loose_hair(who: &Person, p: V) -> f32 {
    let w = who.head_width;
    let q = p.mirrored();
    let skull = |grow: f32| {
        ellipsoid(
            p - V(0.0, 0.22, -0.12),
            V(0.70 * w + grow, 0.79 + grow, 0.86 + grow),
        )
    };
    let above = |y: f32, k: f32, d: f32| smax(d, y - p.1 - 0.3 * smoothstep(0.1, -0.6, p.2), k);
    // Under a helmet, hood or hat hair lies flat.
    let flat = matches!(who.gear, Gear::Helm | Gear::Hood | Gear::Hat | Gear::Visor);
    let opening = face_opening(p, 0.02, w);
    match who.hair {
        Hair::Bald => FAR,
        Hair::Cropped => {
            let d = smax(skull(0.035), -face_opening(p, 0.0, w), 0.05);
            strands(who, p, above(-0.22, 0.12, d), 30.0, 0.004)
        }
        Hair::Swept => {
            let top = ellipsoid(turn_z(p - V(-0.08, 0.72, 0.18), 0.22), V(0.64 * w, 0.34, 0.64));
            let d = if flat {
                skull(0.05)
            } else {
                smin(skull(0.06), top, 0.2)
            };
            let d = smax(d, -face_opening(p - V(0.0, 0.06, 0.0), 0.0, w), 0.09);
            strands(who, p, above(-0.3, 0.12, d), 13.0, 0.016)
        }
        Hair::Bob => {
            let shell = ellipsoid(p - V(0.0, 0.06, -0.12), V(0.92 * w, 1.06, 0.98));
            let fringe = cone(q, V(0.05, 0.66, 0.60), V(0.50, 0.30, 0.56), 0.14, 0.12);
            let d = smax(shell, -face_opening(p, 0.02, 1.12 * w), 0.08);
            let d = if flat { d } else { smin(d, fringe, 0.12) };
            strands(who, p, smax(d, -0.78 - p.1, 0.12), 12.0, 0.017)
        }
        Hair::Long => long(who, p, smax(skull(0.09), -opening, 0.1)),
        Hair::Bun => {
            let bun = if flat {
                FAR
            } else {
                sphere(p - V(0.0, 1.10, -0.25), 0.30) + 0.02 * (p.1 * 30.0 + p.0 * 9.0).sin()
            };
            let d = smax(skull(0.055), -opening, 0.07);
            let lock = cone(q, V(0.60 * w, 0.25, 0.36), V(0.66 * w, -0.42, 0.30), 0.055, 0.018);
            smin(
                smin(strands(who, p, above(-0.34, 0.15, d), 14.0, 0.012), bun, 0.06),
                lock,
                0.05,
            )
        }
        Hair::Puffs => {
            let puff = sphere(q - V(0.72, 0.86, -0.2), 0.40);
            let puff = if puff > 0.3 {
                puff - 0.07
            } else {
                puff - 0.07 * noise(p * 7.0) + 0.03 * noise(p * 17.0)
            };
            let d = strands(
                who,
                p,
                above(-0.3, 0.15, smax(skull(0.05), -opening, 0.07)),
                16.0,
                0.011,
            );
            if flat { d } else { smin(d, puff, 0.04) }
        }
        Hair::Afro => {
            let r = V(1.03 * w, 0.98, 1.02) * if flat { 0.88 } else { 1.0 };
            let d = ellipsoid(p - V(0.0, 0.34, -0.2), r) + 0.08;
            let d = if d > 0.35 {
                d - 0.15
            } else {
                d - 0.10 * noise(p * 5.0) - 0.05 * noise(p * 13.0)
            };
            smax(d, -face_opening(p - V(0.0, 0.02, 0.0), 0.0, 1.08 * w), 0.08).max(-0.45 - p.1)
        }
        Hair::Mohawk => {
            let shaved = above(-0.2, 0.1, smax(skull(0.012), -opening, 0.03));
            let r = ((p.1 - 0.22).powi(2) + (p.2 + 0.12).powi(2)).sqrt();
            let along = (p.1 - 0.22).atan2(p.2 + 0.12);
            let spikes = 0.07 * (along * 13.0 + p.0 * 2.0).sin().abs();
            let crest = smax(q.0 - 0.10 + 0.09 * (r - 0.8).max(0.0), r - 1.12 - spikes, 0.05).max(0.02 - p.1);
            let crest = smax(crest, -face_opening(p, 0.06, w), 0.05);
            smin(
                shaved,
                if flat {
                    FAR
                } else {
                    strands(who, V(p.2, p.0, p.1), crest, 9.0, 0.01)
                },
                0.05,
            )
        }
        Hair::Spiky => {
            let mut d = above(-0.28, 0.15, smax(skull(0.07), -opening, 0.08));
            if !flat {
                for (i, (x, y, z)) in SPIKES.iter().enumerate() {
                    let jitter = 0.12 * (who.grain + i as f32 * 2.4).sin();
                    let root = V(x * 0.52, 0.2 + y * 0.6, -0.1 + z * 0.62);
                    let tip = V(x * 1.05 + jitter, 0.22 + y * 1.12, -0.12 + z * 1.12 + jitter);
                    d = smin(d, cone(p, root, tip, 0.27, 0.01), 0.07);
                }
                d = smax(d, -face_opening(p, -0.06, w), 0.05);
            }
            strands(who, p, d, 12.0, 0.009)
        }
        Hair::Braids => {
            let d = strands(
                who,
                p,
                above(-0.5, 0.15, smax(skull(0.06), -opening, 0.08)),
                14.0,
                0.012,
            );
            smin(d, braid(q - V(0.66 * w, -0.35, 0.12)), 0.06)
        }
    }
}

const SPIKES: [(f32, f32, f32); 13] = [
    (0.0, 0.95, 0.55),
    (0.5, 0.85, 0.45),
    (-0.5, 0.85, 0.45),
    (0.75, 0.5, 0.15),
    (-0.75, 0.5, 0.15),
    (0.3, 1.0, 0.0),
    (-0.3, 1.0, 0.0),
    (0.8, 0.15, -0.2),
    (-0.8, 0.15, -0.2),
    (0.55, 0.7, -0.5),
    (-0.55, 0.7, -0.5),
    (0.0, 0.75, -0.8),
    (0.25, 0.7, 0.75),
];

fn long(who: &Person, p: V, cap: f32) -> f32 {
    let q = p.mirrored();
    let w = who.head_width;
    let wave = 0.05 * (p.1 * 4.2 + who.grain + p.0 * 2.0).sin();
    let bent = q + V(wave, 0.0, 0.0);
    let lock = cone(bent, V(0.64 * w, 0.42, 0.10), V(0.78, -0.75, 0.14), 0.19, 0.16);
    let end = cone(bent, V(0.78, -0.75, 0.14), V(0.70, -1.45, 0.24), 0.16, 0.03);
    let second = cone(
        q - V(0.5 * wave, 0.0, 0.0),
        V(0.72 * w, 0.1, -0.12),
        V(0.98, -1.30, 0.0),
        0.17,
        0.03,
    );
    let lock = smin(smin(lock, end, 0.08), second, 0.06);
    let back = ellipsoid(p - V(0.0, -0.45, -0.5), V(0.84 * w, 1.25, 0.46));
    strands(who, p, smin(smin(cap, lock, 0.16), back, 0.15), 12.0, 0.019)
}

/// A braid that hangs from the origin: lobes that cross.
fn braid(p: V) -> f32 {
    let t = (-p.1).clamp(0.0, 1.15);
    let phase = t * 17.0;
    let side = 0.05 * phase.sin();
    let thick = (0.115 - 0.03 * t) * (0.82 + 0.18 * (phase * 2.0).cos().abs());
    let a = (p - V(0.10 * t + side, -t, 0.18 * t)).len() - thick;
    let b = (p - V(0.10 * t - side, -t, 0.18 * t)).len() - thick * 0.9;
    smin(a, b, 0.03) * 0.7
}

/// Signed distance to the beard; far away when shaved.
pub(crate) fn beard(who: &Person, p: V) -> f32 {
    let q = p.mirrored();
    if matches!(who.beard, Beard::None | Beard::Stubble) || p.1 > 0.05 || p.2 < -0.3 {
        return FAR;
    }
    let waves = 0.012
        * ((p.0 * 38.0 + 5.0 * noise(p * 3.0) + who.grain).sin() + 0.5 * (p.0 * 81.0 + p.1 * 11.0).sin());
    let line = mouth_line(who, p.0);
    let moustache = || {
        let d = cone(
            q,
            V(0.035, -0.455, 0.745),
            V(0.19, line + 0.02, 0.67),
            0.055,
            0.042,
        );
        smin(
            d,
            cone(
                q,
                V(0.19, line + 0.02, 0.67),
                V(0.29, line - 0.12, 0.57),
                0.042,
                0.012,
            ),
            0.04,
        )
    };
    let d = match who.beard {
        Beard::None | Beard::Stubble => return FAR,
        Beard::Moustache => moustache(),
        Beard::Goatee => {
            let d = ellipsoid(p - V(0.0, -0.90, 0.54), V(0.15, 0.22, 0.14));
            smin(d, moustache(), 0.02)
        }
        Beard::Full => {
            let jaw = ellipsoid(
                q - V(0.0, -0.68, 0.13),
                V(0.585 * who.head_width * who.jaw.max(0.95), 0.52, 0.60),
            );
            let cheek = cone(
                q,
                V(0.62 * who.head_width, -0.02, 0.0),
                V(0.42, -0.5, 0.3),
                0.08,
                0.17,
            );
            let d = smin(jaw, cheek, 0.12);
            // Cheeks, lips and the skin below the nose stay free.
            let free = ellipsoid(p - V(0.0, -0.18, 0.80), V(0.40, 0.32, 0.5));
            let mouth = ellipsoid(
                p - V(0.0, line - 0.015, 0.85),
                V(0.17 * who.mouth_width, 0.085, 0.5),
            );
            smin(smax(smax(d, -free, 0.08), -mouth, 0.03), moustache(), 0.03)
        }
    };
    d + waves
}

/// How much brow there is at `q` (mirrored), 0..1.
pub(crate) fn brow(who: &Person, q: V) -> f32 {
    if q.2 < 0.2 {
        return 0.0;
    }
    let t = (q.0 - 0.09) / 0.39;
    if !(-0.15..=1.15).contains(&t) {
        return 0.0;
    }
    let arch = 0.215 + 0.10 * (t * 2.3).sin() - 0.06 * t - 0.055 * who.frown * (1.0 - t)
        + 0.02 * (1.0 - who.brow_ridge);
    let thick = 0.044 * who.brow_weight * (1.0 - 0.55 * t.clamp(0.0, 1.0));
    let hairs = 0.88 + 0.12 * ((q.0 * 110.0 - q.1 * 150.0).sin());
    let ends = smoothstep(-0.1, 0.06, t) * smoothstep(1.08, 0.85, t);
    ends * hairs * smoothstep(thick + 0.013, thick - 0.013, (q.1 - arch).abs()).min(1.0)
}
