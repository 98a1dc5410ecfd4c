//! What makes one face differ from another.

use crate::math::{Rng, V, hex};

/// How the hair falls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Hair {
    Bald,
    Cropped,
    Swept,
    Bob,
    Long,
    Bun,
    Puffs,
    Afro,
    Mohawk,
    Spiky,
    Braids,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Beard {
    None,
    Stubble,
    Goatee,
    Moustache,
    Full,
}

/// What is worn on the head; all of it leaves the face free, but for the visor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Gear {
    None,
    Circlet,
    Headband,
    Helm,
    Hood,
    Crown,
    Hat,
    Horns,
    /// A closed helmet: no face is to be seen.
    Visor,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Dress {
    Tunic,
    Robe,
    Armour,
    Collar,
}

/// How the image is finished.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Finish {
    /// Smooth, as out of a renderer.
    Render,
    /// Flattened into strokes.
    Painted,
    /// Few tones and an outline.
    Inked,
}

/// One face. Lengths are factors of an average one's unless said otherwise; colours are linear RGB.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) head_width: f32,
    pub(crate) jaw: f32,
    pub(crate) chin: f32,
    pub(crate) cheeks: f32,
    pub(crate) brow_ridge: f32,
    pub(crate) nose_width: f32,
    pub(crate) nose_length: f32,
    /// How much the bridge is curved out, −1..1.
    pub(crate) nose_bridge: f32,
    pub(crate) eye_size: f32,
    /// How far the lids are open, 0.5..1.2.
    pub(crate) eye_open: f32,
    /// How much the outer corners are raised, in radians.
    pub(crate) eye_tilt: f32,
    pub(crate) lips: f32,
    pub(crate) mouth_width: f32,
    /// −1..1.
    pub(crate) smile: f32,
    pub(crate) brow_weight: f32,
    /// How much the inner ends of the brows are lowered, −1..1.
    pub(crate) frown: f32,
    /// How far the ears are drawn out to a point, 0..1.
    pub(crate) elf: f32,
    pub(crate) neck: f32,
    pub(crate) shoulders: f32,
    /// 0 is twenty, 1 is eighty.
    pub(crate) age: f32,
    pub(crate) freckles: f32,
    pub(crate) scar: bool,
    /// Paint on cheeks and brow.
    pub(crate) war_paint: Option<V>,
    pub(crate) lipstick: f32,

    pub(crate) skin: V,
    pub(crate) iris: V,
    pub(crate) hair_colour: V,
    pub(crate) cloth: V,
    pub(crate) trim: V,
    pub(crate) hair: Hair,
    pub(crate) beard: Beard,
    pub(crate) gear: Gear,
    pub(crate) dress: Dress,
    pub(crate) earrings: bool,

    /// Radians: to the left, down, and towards a shoulder.
    pub(crate) yaw: f32,
    pub(crate) pitch: f32,
    pub(crate) roll: f32,
    /// Where hair and cloth have their waves.
    pub(crate) grain: f32,
}

/// From fair to dark, with warm and cool ones.
pub(crate) const SKINS: [u32; 12] = [
    0xE6BDA4, 0xE3B294, 0xDCA985, 0xD49C74, 0xCD9166, 0xBC7F55, 0xA86C46, 0x935D3C, 0x7E4C31, 0x6C4230,
    0x5C382A, 0xDEB39B,
];
const HAIRS: [u32; 12] = [
    0x1B1512, 0x2A1C15, 0x3E271A, 0x5A3820, 0x7B4B26, 0xA36B34, 0xC99A56, 0xE0C486, 0x8C2F14, 0xB8491D,
    0x7C7A78, 0xB4B2AE,
];
const DYES: [u32; 6] = [0x3457A6, 0x7A3FA0, 0x1F8A7A, 0xC23B6B, 0xE8E4EE, 0x4F7F2F];
const IRISES: [u32; 8] = [
    0x4A2F1C, 0x6B4522, 0x7A6A2C, 0x4F7A3A, 0x3A7A6C, 0x3C6EA8, 0x6F8FA8, 0x8A5A9C,
];
const CLOTHS: [u32; 12] = [
    0x2E4A6B, 0x6B2E36, 0x34543A, 0x55406B, 0x8A5A2B, 0x2B2F3A, 0xB09A6A, 0x2F6B6B, 0x8C3B22, 0x44566B,
    0x7A7266, 0xA8A49C,
];
const TRIMS: [u32; 5] = [0xD9B45A, 0xC7CCD4, 0xB87333, 0xEDE6D6, 0x3A2A20];

impl Default for Person {
    fn default() -> Self {
        Self {
            head_width: 1.0,
            jaw: 1.0,
            chin: 1.0,
            cheeks: 1.0,
            brow_ridge: 1.0,
            nose_width: 1.0,
            nose_length: 1.0,
            nose_bridge: 0.0,
            eye_size: 1.0,
            eye_open: 1.0,
            eye_tilt: 0.05,
            lips: 1.0,
            mouth_width: 1.0,
            smile: 0.3,
            brow_weight: 1.0,
            frown: 0.0,
            elf: 0.0,
            neck: 1.0,
            shoulders: 1.0,
            age: 0.2,
            freckles: 0.0,
            scar: false,
            war_paint: None,
            lipstick: 0.0,
            skin: hex(SKINS[2]),
            iris: hex(IRISES[5]),
            hair_colour: hex(HAIRS[2]),
            cloth: hex(CLOTHS[0]),
            trim: hex(TRIMS[0]),
            hair: Hair::Swept,
            beard: Beard::None,
            gear: Gear::None,
            dress: Dress::Tunic,
            earrings: false,
            yaw: 0.25,
            pitch: 0.0,
            roll: 0.0,
            grain: 0.0,
        }
    }
}

impl Person {
    /// Anybody, but the same body for the same numbers.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        // Soft and strong builds differ in several features at once.
        let strong = rng.unit();
        let age = rng.unit().powf(1.6);
        let lean = |rng: &mut Rng, soft: f32, hard: f32, spread: f32| {
            soft + (hard - soft) * strong + rng.within(-spread, spread)
        };
        let grey = rng.chance(age * age);
        let hairs = if rng.chance(0.12) {
            &DYES[..]
        } else if grey {
            &HAIRS[10..]
        } else {
            &HAIRS[..10]
        };
        let bearded = strong > 0.55 && rng.chance(0.65);
        Self {
            head_width: rng.within(0.93, 1.07),
            jaw: lean(rng, 0.86, 1.1, 0.06),
            chin: lean(rng, 0.85, 1.15, 0.1),
            cheeks: rng.within(0.8, 1.2),
            brow_ridge: lean(rng, 0.6, 1.3, 0.15),
            nose_width: rng.within(0.8, 1.3),
            nose_length: lean(rng, 0.88, 1.08, 0.08),
            nose_bridge: rng.within(-0.6, 0.9),
            eye_size: lean(rng, 1.12, 0.95, 0.06),
            eye_open: rng.within(0.82, 1.1) - 0.15 * age,
            eye_tilt: rng.within(-0.06, 0.16),
            lips: lean(rng, 1.25, 0.9, 0.25),
            mouth_width: rng.within(0.88, 1.12),
            smile: rng.within(-0.35, 0.8),
            brow_weight: lean(rng, 0.75, 1.25, 0.15),
            frown: rng.within(-0.4, 0.8) * (0.4 + 0.6 * strong),
            elf: if rng.chance(0.15) {
                rng.within(0.6, 1.0)
            } else {
                0.0
            },
            neck: lean(rng, 0.85, 1.2, 0.06),
            shoulders: lean(rng, 0.86, 1.14, 0.05),
            age,
            freckles: if rng.chance(0.25) {
                rng.within(0.4, 1.0)
            } else {
                0.0
            },
            scar: rng.chance(0.1),
            war_paint: rng
                .chance(0.08)
                .then(|| hex(rng.pick(&[0x8C2020, 0x204C8C, 0xE8E4DA]))),
            lipstick: if strong < 0.45 && rng.chance(0.5) {
                rng.within(0.3, 0.9)
            } else {
                0.0
            },
            skin: hex(rng.pick(&SKINS)),
            iris: hex(rng.pick(&IRISES)),
            hair_colour: hex(rng.pick(hairs)),
            cloth: hex(rng.pick(&CLOTHS)),
            trim: hex(rng.pick(&TRIMS)),
            hair: if strong > 0.5 {
                rng.pick(&[
                    Hair::Cropped,
                    Hair::Swept,
                    Hair::Bald,
                    Hair::Long,
                    Hair::Spiky,
                    Hair::Mohawk,
                    Hair::Afro,
                    Hair::Swept,
                ])
            } else {
                rng.pick(&[
                    Hair::Bob,
                    Hair::Long,
                    Hair::Bun,
                    Hair::Puffs,
                    Hair::Braids,
                    Hair::Swept,
                    Hair::Afro,
                    Hair::Long,
                ])
            },
            beard: if bearded {
                rng.pick(&[Beard::Stubble, Beard::Goatee, Beard::Moustache, Beard::Full])
            } else {
                Beard::None
            },
            gear: if rng.chance(0.4) {
                rng.pick(&[
                    Gear::Circlet,
                    Gear::Headband,
                    Gear::Helm,
                    Gear::Hood,
                    Gear::Crown,
                    Gear::Hat,
                    Gear::Horns,
                ])
            } else {
                Gear::None
            },
            dress: rng.pick(&[Dress::Tunic, Dress::Robe, Dress::Armour, Dress::Collar]),
            earrings: strong < 0.5 && rng.chance(0.4),
            yaw: rng.within(-0.38, 0.38),
            pitch: rng.within(-0.06, 0.1),
            roll: rng.within(-0.08, 0.08),
            grain: rng.within(0.0, 100.0),
        }
    }
}
