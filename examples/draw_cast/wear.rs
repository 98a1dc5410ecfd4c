//! What is worn: on the head in the head's frame, below the neck in the body's.

use crate::head::torso;
use crate::math::{V, cone, ellipsoid, noise, smax, smin, smoothstep, sphere, torus, turn_x, turn_z};
use crate::person::{Dress, Gear, Person};
use crate::scene::Material;

/// The nearest of several shapes, and what it is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Near {
    pub(crate) d: f32,
    pub(crate) of: Material,
}

impl Near {
    pub(crate) const NOTHING: Near = Near {
        d: 1e3,
        of: Material::Skin,
    };

    pub(crate) fn or(self, d: f32, of: Material) -> Near {
        if d < self.d { Near { d, of } } else { self }
    }
}

/// Headgear.
pub(crate) fn gear(who: &Person, p: V) -> Near {
    let q = p.mirrored();
    let w = who.head_width;
    let skull = |grow: f32| {
        ellipsoid(
            p - V(0.0, 0.22, -0.12),
            V(0.70 * w + grow, 0.79 + grow, 0.86 + grow),
        )
    };
    // A band round the head: a slice of a shell, higher at the brow.
    let band = |grow: f32, height: f32, half: f32| {
        let y = p.1 - height - 0.16 * p.2;
        smax((skull(grow) + 0.0).abs() - 0.028, y.abs() - half, 0.02)
    };
    match who.gear {
        Gear::None => Near::NOTHING,
        Gear::Circlet => {
            let gem = ellipsoid(p - V(0.0, 0.56, 0.70), V(0.065, 0.09, 0.05));
            let setting = torus(turn_x(p - V(0.0, 0.56, 0.68), 1.35), 0.075, 0.018);
            Near::NOTHING
                .or(smin(band(0.075, 0.44, 0.022), setting, 0.03), Material::Trim)
                .or(gem, Material::Gem)
        }
        Gear::Headband => {
            let folds = 0.006 * (p.1 * 90.0 + 4.0 * noise(p * 4.0)).sin();
            Near::NOTHING.or(band(0.08, 0.44, 0.085) + folds, Material::Cloth)
        }
        Gear::Crown => {
            let angle = p.0.atan2(p.2 + 0.12);
            let points = 0.13 * (1.0 - (angle * 4.0).sin().abs()).powf(1.3);
            let y = p.1 - 0.60 - 0.10 * p.2;
            let r = ((p.0 / w).powi(2) + ((p.2 + 0.12) * 0.84).powi(2)).sqrt();
            let wall = (r - 0.70 - 0.10 * y).abs() - 0.024;
            let crown = smax(wall, (y - 0.05 - points).max(-0.10 - y), 0.015) * 0.75;
            let rim = torus(V(p.0 / w, y + 0.09, (p.2 + 0.12) * 0.84), 0.70, 0.034) * 0.8;
            let gem = sphere(p - V(0.0, 0.685, 0.755), 0.062);
            Near::NOTHING
                .or(smin(crown, rim, 0.02), Material::Trim)
                .or(gem, Material::Gem)
        }
        Gear::Helm | Gear::Visor => helm(who, p, skull(0.13)),
        Gear::Hood => {
            let shell = ellipsoid(p - V(0.0, 0.14, -0.14), V(0.98 * w, 1.10, 1.04));
            let peak = cone(p, V(0.0, 0.7, 0.0), V(0.0, 1.02, -0.62), 0.5, 0.14);
            let drape = cone(q, V(0.70, -0.2, -0.1), V(0.85, -1.35, 0.0), 0.28, 0.40);
            let d = smin(smin(shell, peak, 0.3), drape, 0.25);
            let opening = ellipsoid(p - V(0.0, -0.22, 0.9), V(0.72 * w, 1.04, 0.95));
            let fold = 0.018 * (p.1 * 7.0 - 9.0 * q.0 + 3.0 * noise(p * 2.5)).sin();
            let hollow = ellipsoid(p - V(0.0, 0.14, -0.10), V(0.90 * w, 1.01, 0.97));
            let d = smax(smax(d + fold, -opening, 0.09), -hollow, 0.05);
            Near::NOTHING.or(d, Material::Cloth)
        }
        Gear::Hat => {
            let tilt = turn_z(turn_x(p - V(0.0, 0.62, -0.1), -0.12), 0.05);
            let droop = 0.05 * (tilt.0 * 2.4 + who.grain).sin() - 0.10 * (tilt.0 * tilt.0) * 0.4;
            let brim = ellipsoid(tilt - V(0.0, droop, 0.0), V(1.28, 0.055, 1.22));
            let bend = 0.22 * smoothstep(0.5, 1.5, tilt.1);
            let top = cone(tilt, V(0.0, 0.0, 0.0), V(bend, 1.35, -0.25), 0.74 * w, 0.06);
            let top = smax(top, -0.02 - tilt.1, 0.04) + 0.012 * (tilt.1 * 14.0 + 3.0 * noise(p * 3.0)).sin();
            let ribbon = smax(
                cone(tilt, V(0.0, 0.0, 0.0), V(bend, 1.35, -0.25), 0.765 * w, 0.06),
                (tilt.1 - 0.13).abs() - 0.065,
                0.01,
            );
            Near::NOTHING
                .or(smin(brim, top, 0.1), Material::Cloth)
                .or(ribbon, Material::Trim)
        }
        Gear::Horns => {
            let mid = V(0.74, 1.02, -0.02);
            let ring = 0.012 * ((q - V(0.4, 0.6, 0.2)).len() * 48.0).sin();
            let horn = smin(
                cone(q, V(0.40, 0.72, 0.24), mid, 0.15, 0.10),
                cone(q, mid, V(0.62, 1.42, -0.30), 0.10, 0.015),
                0.04,
            );
            Near::NOTHING.or(horn + ring, Material::Horn)
        }
    }
}

fn helm(who: &Person, p: V, shell: f32) -> Near {
    let q = p.mirrored();
    let w = who.head_width;
    let opening = ellipsoid(p - V(0.0, -0.42, 0.95), V(0.60 * w, 0.93, 0.9));
    let cheek = cone(q, V(0.76 * w, 0.2, 0.1), V(0.60 * w, -0.62, 0.30), 0.10, 0.07);
    let bowl = smax(smax(shell, -opening, 0.03), -0.15 - p.1, 0.03);
    let plate = smax(
        cheek,
        -ellipsoid(p - V(0.0, -0.3, 0.9), V(0.50 * w, 0.9, 0.8)),
        0.03,
    );
    let ridge = smax(
        ellipsoid(p - V(0.0, 0.22, -0.12), V(0.84, 1.0, 1.06)),
        q.0 - 0.035,
        0.03,
    )
    .max(0.45 - p.1);
    // The rim follows the opening.
    let rim = smax((opening - 0.02).abs() - 0.035, shell.abs() - 0.035, 0.02).max(-0.1 - p.1);
    let near = Near::NOTHING
        .or(smin(bowl, plate, 0.05), Material::Metal)
        .or(smin(ridge, rim, 0.02), Material::Trim);
    if who.gear != Gear::Visor {
        return near;
    }
    let face = smax(
        ellipsoid(p - V(0.0, -0.12, 0.05), V(0.80 * w, 1.02, 1.0)),
        -p.2,
        0.05,
    );
    let slit = (p.1 - 0.06).abs().max(q.0 - 0.55) - 0.035;
    let breath = (((q.0 - 0.25) * 60.0).sin().abs() * 0.5 - (p.1 + 0.45).abs() * 3.0 + 0.2)
        .min(0.3 - (q.0 - 0.25).abs() * 3.0);
    near.or(
        smax(face, -slit, 0.02) + 0.02 * smoothstep(0.0, 0.2, breath),
        Material::Metal,
    )
}

pub(crate) fn earring(who: &Person, p: V) -> f32 {
    if !who.earrings {
        return 1e3;
    }
    let q = p.mirrored() - V(0.765 * who.head_width, -0.33, -0.02);
    let drop = ellipsoid(q - V(0.0, -0.10, 0.0), V(0.038, 0.08, 0.038));
    drop.min(sphere(q, 0.032))
}

/// What is worn below the neck.
pub(crate) fn dress(who: &Person, p: V) -> Near {
    if p.1 > -0.55 {
        return Near {
            d: p.1 + 0.9,
            of: Material::Cloth,
        };
    }
    let q = p.mirrored();
    let body = torso(who, p);
    let folds = 0.02 * (q.0 * 9.0 - p.1 * 5.0 + 4.0 * noise(p * 1.7 + V(who.grain, 0.0, 0.0))).sin();
    let vee = |width: f32, depth: f32| q.0 / width - (p.1 + depth);
    match who.dress {
        Dress::Tunic => {
            let opening = ellipsoid(p - V(0.0, -1.02, 0.04), V(0.46, 0.50, 0.66));
            let cloth = smax(body - 0.085 + folds, -opening, 0.04);
            let hem = smax(opening.abs() - 0.045, body - 0.11 + folds, 0.03);
            Near::NOTHING.or(cloth, Material::Cloth).or(hem, Material::Trim)
        }
        Dress::Robe => {
            let opened = -vee(0.34, 1.95) * 0.3;
            let layer =
                |grow: f32, open: f32| smax(body - grow, smax(open, -p.2 - 0.05, 0.03).max(p.1 + 1.0), 0.03);
            let cloth = layer(0.09 - folds, opened);
            let cloth = cloth.min(smax(body - 0.09 + folds, (p.2 - 0.0).max(p.1 + 1.12), 0.03));
            let edge = smax(
                body - 0.12,
                (opened.abs() - 0.028).max(-p.2).max(p.1 + 1.05),
                0.02,
            );
            Near::NOTHING.or(cloth, Material::Cloth).or(edge, Material::Trim)
        }
        Dress::Armour => {
            let chest = smax(body - 0.12, p.1 + 1.30 - 0.1 * q.0, 0.05);
            let wall = cone(p, V(0.0, -1.55, -0.15), V(0.0, -1.05, -0.17), 0.60, 0.46);
            let rise = p.1 + 1.10 - 0.16 * p.2;
            let gorget = smax(smax(wall, rise, 0.03), -(wall + 0.05), 0.02);
            let pauldron = |dy: f32, grow: f32| {
                let s = ellipsoid(
                    q - V(1.0 * who.shoulders, -1.66 + dy, -0.2),
                    V(0.48 + grow, 0.40, 0.52 + grow),
                );
                smax(s, -1.70 + dy - p.1, 0.03)
            };
            let plates = pauldron(0.0, 0.0).min(pauldron(-0.17, 0.07));
            let edge =
                |dy: f32, grow: f32| smax(pauldron(dy, grow + 0.02), (p.1 + 1.66 - dy).abs() - 0.03, 0.02);
            let rim = smax(wall.abs() - 0.035, rise.abs() - 0.03, 0.02);
            let boss = ellipsoid(p - V(0.0, -1.62, 0.42), V(0.13, 0.15, 0.09));
            Near::NOTHING
                .or(chest.min(plates).min(gorget), Material::Metal)
                .or(
                    rim.min(edge(0.0, 0.0)).min(edge(-0.17, 0.07)).min(boss),
                    Material::Trim,
                )
        }
        Dress::Collar => {
            let cloth = smax(body - 0.08 + folds, p.1 + 1.18, 0.04);
            let flare = cone(p, V(0.0, -1.45, -0.16), V(0.0, -0.88, -0.24), 0.44, 0.62);
            let hollow = cone(p, V(0.0, -1.45, -0.16), V(0.0, -0.88, -0.24), 0.39, 0.57);
            let front = vee(0.55, 1.42) * 0.4;
            let collar = smax(smax(flare, -hollow, 0.02), p.1 + 0.92, 0.04);
            let collar = if p.2 > -0.15 {
                smax(collar, -front, 0.04)
            } else {
                collar
            };
            let clasp = sphere(p - V(0.0, -1.48, 0.36), 0.085);
            Near::NOTHING
                .or(smin(cloth, collar, 0.05), Material::Cloth)
                .or(clasp, Material::Trim)
        }
    }
}
