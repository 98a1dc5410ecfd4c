//! The shape of skin and eyes. The head's centre is the origin, its crown at y = 1, its chin near y = −1,
//! its face towards +z; x is mirrored.

use crate::math::{V, bell, cone, ellipsoid, smax, smin, smoothstep, sphere, turn_x, turn_z};
use crate::person::Person;

/// Where the eyeballs are; x is mirrored.
pub(crate) fn eye_centre(who: &Person) -> V {
    V(0.285 * who.head_width, 0.02, 0.535)
}

pub(crate) fn eye_radius(who: &Person) -> f32 {
    0.165 * who.eye_size
}

/// Signed distance in the face's plane to the rim of the lids: negative between them. `q` is mirrored.
pub(crate) fn lid_rim(who: &Person, q: V) -> f32 {
    let c = eye_centre(who);
    let p = turn_z(q - c, -who.eye_tilt);
    let half = 0.165 * who.eye_size;
    let (top, bottom) = (
        0.078 * who.eye_size * who.eye_open,
        0.050 * who.eye_size * who.eye_open.min(1.0),
    );
    // An almond: two circles through both corners; the upper one is highest towards the nose.
    let arc = |height: f32, y: f32, lean: f32| {
        let r = (half * half + height * height) / (2.0 * height);
        let (dx, dy) = (p.0 + lean, y - (height - r));
        (dx * dx + dy * dy).sqrt() - r
    };
    arc(top, p.1, 0.012).max(arc(bottom, -p.1, -0.01))
}

pub(crate) fn eyeball(who: &Person, p: V) -> f32 {
    sphere(p.mirrored() - eye_centre(who), eye_radius(who))
}

/// Height of the line between the lips at `x`.
pub(crate) fn mouth_line(who: &Person, x: f32) -> f32 {
    let t = x / (0.25 * who.mouth_width);
    -0.545 + 0.055 * who.smile * t * t + 0.008 * bell(x, 0.05)
}

/// How far `p` is inside of the (upper, lower) lip, 0..1 each.
pub(crate) fn lips(who: &Person, p: V) -> (f32, f32) {
    let t = (p.0 / (0.225 * who.mouth_width)).abs();
    if t >= 1.0 || p.2 < 0.3 {
        return (0.0, 0.0);
    }
    let dy = p.1 - mouth_line(who, p.0);
    let open = (1.0 - t * t).sqrt();
    let upper = 0.066 * who.lips * open * (1.0 - 0.22 * bell(p.0, 0.035)) * (1.0 - 0.3 * t);
    let lower = 0.088 * who.lips * open;
    let inside = |d: f32, height: f32| {
        if d < 0.0 {
            0.0
        } else {
            smoothstep(height + 0.014, height - 0.014, d)
        }
    };
    (inside(dy, upper), inside(-dy, lower))
}

/// The skin of the head: skull, face, nose, lips, lids, ears. Parts that are too far to matter are left out:
/// it is asked for some fifty times a pixel.
pub(crate) fn skin(who: &Person, p: V) -> f32 {
    let round = p.len();
    if round > 1.7 {
        return round - 1.35;
    }
    let q = p.mirrored();
    let w = who.head_width;
    let mut d = ellipsoid(q - V(0.0, 0.22, -0.12), V(0.70 * w, 0.79, 0.86));
    d = smin(
        d,
        ellipsoid(q - V(0.0, -0.25, 0.10), V(0.585 * w, 0.66, 0.62)),
        0.2,
    );
    if p.1 < 0.4 && p.2 > -0.6 {
        // The jaw from below the ear to the chin, the chin, the cheekbone, the muzzle that carries the lips.
        let jaw = cone(
            q,
            V(0.50 * w * who.jaw, -0.36, -0.10),
            V(0.12 * who.jaw, -0.80, 0.40),
            0.13,
            0.11,
        );
        d = smin(d, jaw, 0.2);
        d = smin(
            d,
            ellipsoid(
                q - V(0.0, -0.82, 0.45),
                V(0.14 * who.jaw, 0.12 * who.chin, 0.13 * who.chin),
            ),
            0.16,
        );
        d = smin(d, sphere(q - V(0.37 * w, -0.2, 0.42), 0.15 * who.cheeks), 0.22);
        d = smin(d, ellipsoid(q - V(0.0, -0.50, 0.52), V(0.22, 0.20, 0.20)), 0.16);
        // With age the cheeks sink.
        d = smax(
            d,
            -sphere(q - V(0.46 * w, -0.50, 0.74), 0.10 + 0.10 * who.age),
            0.25,
        );
    }
    // Nose and ears stand out by less than this.
    let out = 0.25 + 0.2 * who.elf;
    if d > out + 0.35 {
        return d - out;
    }
    if p.2 > 0.2 {
        if p.1 > -0.35 && p.1 < 0.6 {
            let ridge = (0.075 * who.brow_ridge, 0.05 * who.brow_ridge);
            d = smin(
                d,
                cone(q, V(0.07, 0.2, 0.655), V(0.40, 0.215, 0.50), ridge.0, ridge.1),
                0.13,
            );
            d = smax(
                d,
                -ellipsoid(q - V(0.29 * w, 0.03, 0.82), V(0.19, 0.125, 0.15)),
                0.13,
            );
        }
        if q.0 < 0.45 && p.1 > -0.6 && p.1 < 0.45 {
            d = smin(d, nose(who, q), 0.11);
        }
        if d < 0.12 {
            d = face_relief(who, q, d);
        }
        d = lids(who, q, d);
    }
    if q.0 > 0.45 { smin(d, ear(who, q), 0.05) } else { d }
}

fn nose(who: &Person, q: V) -> f32 {
    let tip_y = -0.29 * who.nose_length;
    let (w, out) = (who.nose_width, 0.03 * who.nose_bridge);
    let bridge = cone(q, V(0.0, 0.16, 0.655), V(0.0, -0.07, 0.735 + out), 0.045, 0.05);
    let ridge = cone(
        q,
        V(0.0, -0.07, 0.735 + out),
        V(0.0, tip_y + 0.03, 0.85),
        0.05,
        0.066,
    );
    let tip = sphere(q - V(0.0, tip_y, 0.865), 0.076 * (0.6 + 0.4 * w));
    let wing = ellipsoid(q - V(0.082 * w, tip_y - 0.022, 0.775), V(0.052 * w, 0.046, 0.075));
    let d = smin(smin(smin(bridge, ridge, 0.08), tip, 0.07), wing, 0.055);
    let nostril = ellipsoid(q - V(0.048 * w, tip_y - 0.066, 0.835), V(0.030 * w, 0.022, 0.04));
    smax(d, -nostril, 0.03)
}

/// Lips, the furrow above them, folds of age: small waves on the face.
fn face_relief(who: &Person, q: V, d: f32) -> f32 {
    let mut d = d;
    let dy = q.1 - mouth_line(who, q.0);
    let across = 1.0 - smoothstep(0.19 * who.mouth_width, 0.29 * who.mouth_width, q.0);
    if across > 0.0 && dy.abs() < 0.4 {
        let (up, low) = (0.030 * who.lips, -0.044 * who.lips);
        let centre = bell(q.0, 0.13);
        d -= across
            * 0.030
            * (bell(dy - up, 0.034 * who.lips) + (0.9 + 0.4 * centre) * bell(dy - low, 0.044 * who.lips));
        d += across * 0.026 * bell(dy, 0.012);
        d += across * 0.020 * bell(dy + 0.145 + 0.02 * who.lips, 0.04) * (0.5 + 0.5 * centre);
        d += 0.014 * bell(q.0, 0.028) * bell(dy - 0.125, 0.05);
        // The corners are drawn in.
        d += 0.012 * bell(q.0 - 0.24 * who.mouth_width, 0.03) * bell(dy, 0.03);
    }
    // From the nose's wing to the mouth's corner.
    let t = ((-0.33 - q.1) / 0.26).clamp(-0.2, 1.2);
    let fold = q.0 - (0.15 + 0.13 * t + 0.03 * who.smile.max(0.0));
    let depth = 0.002 + 0.022 * who.age + 0.006 * who.smile.max(0.0);
    d += depth * bell(fold, 0.035) * smoothstep(-0.2, 0.15, t) * smoothstep(1.25, 0.8, t);
    if who.age > 0.35 {
        let lines = ((q.1 - 0.02 * q.0) * 46.0).sin() * bell(q.1 - 0.47, 0.13) * smoothstep(0.42, 0.1, q.0);
        d += 0.005 * (who.age - 0.35) * lines;
        // Bags below the eyes.
        let c = eye_centre(who);
        d -= 0.016 * (who.age - 0.35) * bell(q.0 - c.0, 0.11) * bell(q.1 - c.1 + 0.13, 0.03);
    }
    d
}

/// The lids: a shell round the eyeball with an almond cut out.
fn lids(who: &Person, q: V, d: f32) -> f32 {
    let p = q - eye_centre(who);
    let near = p.len();
    if near > 0.4 {
        return d;
    }
    let rim = lid_rim(who, q);
    let shell = near - (eye_radius(who) + 0.024 + 0.008 * smoothstep(-0.05, 0.08, p.1));
    let d = smin(d, shell, 0.05);
    // The crease above the upper lid.
    let crease = 0.014 * bell(rim - 0.055, 0.016) * smoothstep(0.0, 0.05, p.1);
    smax(d + crease, -(rim.max(-(p.2 - 0.02))), 0.012)
}

fn ear(who: &Person, q: V) -> f32 {
    let p = q - V(0.70 * who.head_width, -0.03, -0.08);
    if p.len() > 0.9 {
        return p.len() - 0.5;
    }
    let p = turn_z(turn_x(p, -0.12), 0.12);
    let mut d = ellipsoid(p - V(0.03, 0.0, 0.0), V(0.07, 0.20, 0.125));
    if who.elf > 0.0 {
        let point = V(
            0.16 + 0.16 * who.elf,
            0.16 + 0.30 * who.elf,
            -0.16 - 0.1 * who.elf,
        );
        d = smin(d, cone(p, V(0.03, 0.08, 0.0), point, 0.09, 0.008), 0.08);
    }
    let scoop = ellipsoid(p - V(0.095, 0.02, 0.035), V(0.045, 0.12, 0.07));
    smax(d, -scoop, 0.04)
}

/// The body below the neck, in its own frame: what clothes lie on.
pub(crate) fn torso(who: &Person, p: V) -> f32 {
    let q = p.mirrored();
    let n = who.neck;
    let d = cone(q, V(0.0, -0.55, -0.16), V(0.0, -1.6, -0.2), 0.35 * n, 0.38 * n);
    let d = smin(
        d,
        cone(
            q,
            V(0.12, -1.15, -0.26),
            V(0.85 * who.shoulders, -1.72, -0.25),
            0.20 * n,
            0.20,
        ),
        0.22,
    );
    smin(
        d,
        ellipsoid(q - V(0.0, -2.25, -0.2), V(1.2 * who.shoulders, 0.85, 0.52)),
        0.25,
    )
}

/// Neck and shoulders with collarbones and the muscle from ear to breastbone.
pub(crate) fn neck(who: &Person, p: V) -> f32 {
    let q = p.mirrored();
    let bone = cone(q, V(0.08, -1.53, 0.17), V(0.5, -1.50, 0.02), 0.045, 0.04);
    let muscle = cone(
        q,
        V(0.36 * who.neck, -0.75, -0.05),
        V(0.06, -1.48, 0.18),
        0.045,
        0.045,
    );
    smin(smin(torso(who, p), bone, 0.08), muscle, 0.12)
}
