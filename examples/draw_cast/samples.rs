//! The cast and the problems of `samples/`: each image set by hand.

use std::path::Path;

use anyhow::Result;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, RgbaImage};

use crate::light::Mood;
use crate::math::{Rng, hex};
use crate::person::{Beard, Dress, Finish, Gear, Hair, Person};
use crate::problems::problems;
use crate::render::{Frame, Picture};

/// A character of the sample cast.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    pub(crate) role: &'static str,
    pub(crate) voice: &'static str,
    pub(crate) size: (u32, u32),
    pub(crate) finish: Finish,
    pub(crate) wall: usize,
    pub(crate) who: Person,
}

fn cast() -> Vec<Sample> {
    use Finish::{Inked, Painted, Render};
    let sample = |name, file, role, voice, size, finish, wall, who| Sample {
        name,
        file,
        role,
        voice,
        size,
        finish,
        wall,
        who,
    };
    vec![
        sample(
            "Mira Thornfield",
            "mira_thornfield.jpg",
            "scout, archer",
            "alto",
            (768, 1024),
            Render,
            2,
            Person {
                hair: Hair::Braids,
                hair_colour: hex(0x8C2F14),
                iris: hex(0x4F7A3A),
                skin: hex(0xE3B294),
                freckles: 0.9,
                cloth: hex(0x34543A),
                trim: hex(0xB87333),
                dress: Dress::Robe,
                smile: 0.5,
                jaw: 0.92,
                nose_width: 0.9,
                eye_size: 1.1,
                lips: 1.1,
                brow_ridge: 0.7,
                yaw: 0.28,
                roll: 0.05,
                neck: 0.9,
                shoulders: 0.92,
                ..soft()
            },
        ),
        sample(
            "Sir Aldric Vane",
            "sir_aldric_vane.jpg",
            "knight of the ford",
            "bass",
            (768, 1024),
            Painted,
            8,
            Person {
                gear: Gear::Helm,
                hair: Hair::Cropped,
                beard: Beard::Full,
                hair_colour: hex(0x7C7A78),
                skin: hex(0xDBA37A),
                iris: hex(0x6F8FA8),
                dress: Dress::Armour,
                cloth: hex(0x2E4A6B),
                age: 0.6,
                frown: 0.5,
                smile: -0.1,
                yaw: -0.30,
                eye_open: 0.9,
                ..strong()
            },
        ),
        sample(
            "Zoë Amberlight",
            "zoe_amberlight.png",
            "court mage",
            "soprano",
            (600, 750),
            Render,
            3,
            Person {
                gear: Gear::Circlet,
                hair: Hair::Long,
                hair_colour: hex(0xC9B9A0),
                skin: hex(0xE2B79E),
                iris: hex(0x8A5A9C),
                elf: 0.9,
                dress: Dress::Robe,
                cloth: hex(0x55406B),
                trim: hex(0xD9B45A),
                eye_size: 1.12,
                eye_tilt: 0.12,
                lipstick: 0.4,
                lips: 1.15,
                yaw: -0.22,
                smile: 0.35,
                ..soft()
            },
        ),
        sample(
            "Ren Kazehaya",
            "ren_kazehaya.webp",
            "wanderer",
            "tenor",
            (560, 560),
            Inked,
            5,
            Person {
                gear: Gear::Headband,
                hair: Hair::Spiky,
                hair_colour: hex(0x1B1512),
                skin: hex(0xDBA781),
                iris: hex(0x4A2F1C),
                dress: Dress::Collar,
                cloth: hex(0x8C2A22),
                trim: hex(0xC7CCD4),
                eye_tilt: 0.13,
                frown: 0.5,
                smile: 0.15,
                brow_weight: 1.2,
                nose_width: 0.9,
                yaw: 0.24,
                jaw: 0.98,
                ..Person::default()
            },
        ),
        sample(
            "Mother Sabé",
            "mother_sabe.jpg",
            "healer",
            "contralto",
            (800, 1000),
            Render,
            1,
            Person {
                hair: Hair::Afro,
                hair_colour: hex(0x9A9894),
                skin: hex(0x6C4230),
                iris: hex(0x4A2F1C),
                age: 0.75,
                smile: 0.6,
                dress: Dress::Robe,
                cloth: hex(0x8A5A2B),
                trim: hex(0xD9B45A),
                earrings: true,
                lips: 1.3,
                nose_width: 1.2,
                yaw: 0.18,
                eye_open: 0.92,
                ..soft()
            },
        ),
        sample(
            "Bram Ironhand",
            "bram_ironhand.png",
            "smith",
            "bass",
            (560, 560),
            Painted,
            10,
            Person {
                hair: Hair::Bald,
                beard: Beard::Full,
                hair_colour: hex(0x8C3A16),
                skin: hex(0xCD9166),
                iris: hex(0x6B4522),
                dress: Dress::Tunic,
                cloth: hex(0x4A3A2E),
                trim: hex(0x8A5A2B),
                nose_width: 1.25,
                age: 0.4,
                scar: true,
                head_width: 1.06,
                brow_weight: 1.4,
                smile: 0.3,
                yaw: 0.2,
                ..strong()
            },
        ),
        sample(
            "Queen Isaura",
            "queen_isaura.jpg",
            "queen",
            "mezzo-soprano",
            (768, 1024),
            Render,
            5,
            Person {
                gear: Gear::Crown,
                hair: Hair::Long,
                hair_colour: hex(0x1B1512),
                skin: hex(0x8F5838),
                iris: hex(0x6B4522),
                dress: Dress::Collar,
                cloth: hex(0x6B1E2E),
                trim: hex(0xD9B45A),
                lipstick: 0.8,
                lips: 1.25,
                eye_size: 1.06,
                earrings: true,
                smile: 0.2,
                yaw: -0.18,
                pitch: -0.04,
                ..soft()
            },
        ),
        sample(
            "Magister Quill",
            "magister_quill.webp",
            "alchemist",
            "baritone",
            (512, 640),
            Painted,
            3,
            Person {
                gear: Gear::Hat,
                hair: Hair::Long,
                beard: Beard::Full,
                hair_colour: hex(0xB4B2AE),
                skin: hex(0xDEB39B),
                iris: hex(0x3C6EA8),
                dress: Dress::Robe,
                cloth: hex(0x2E3A6B),
                trim: hex(0xD9B45A),
                age: 0.85,
                nose_length: 1.1,
                nose_bridge: 0.8,
                smile: 0.35,
                yaw: -0.2,
                brow_weight: 1.5,
                ..Person::default()
            },
        ),
        sample(
            "Kestrel Oduya",
            "kestrel_oduya.png",
            "racing pilot",
            "alto",
            (640, 640),
            Inked,
            8,
            Person {
                hair: Hair::Mohawk,
                hair_colour: hex(0x1F8A7A),
                skin: hex(0x7E4C31),
                iris: hex(0xA8863A),
                dress: Dress::Collar,
                cloth: hex(0x2B2F3A),
                trim: hex(0xC7CCD4),
                war_paint: Some(hex(0x38B0A8)),
                smile: 0.55,
                jaw: 0.96,
                yaw: -0.26,
                lips: 1.2,
                eye_size: 1.05,
                nose_width: 1.1,
                ..soft()
            },
        ),
        sample(
            "Nadia Volkova",
            "nadia_volkova.jpg",
            "captain",
            "mezzo-soprano",
            (900, 900),
            Render,
            0,
            Person {
                hair: Hair::Bob,
                hair_colour: hex(0x1B1512),
                skin: hex(0xE2B79E),
                iris: hex(0x3C6EA8),
                dress: Dress::Collar,
                cloth: hex(0x2E4A6B),
                trim: hex(0xC7CCD4),
                lipstick: 0.9,
                lips: 1.05,
                cheeks: 1.15,
                frown: 0.25,
                smile: 0.1,
                yaw: 0.3,
                ..soft()
            },
        ),
        sample(
            "Đặng Thu Linh",
            "dang_thu_linh.jpg",
            "cartographer",
            "alto",
            (768, 1024),
            Painted,
            6,
            Person {
                hair: Hair::Bun,
                hair_colour: hex(0x1B1512),
                skin: hex(0xDBA781),
                iris: hex(0x4A2F1C),
                dress: Dress::Robe,
                cloth: hex(0xB09A6A),
                trim: hex(0x8C2F2A),
                eye_tilt: 0.11,
                eye_open: 0.92,
                nose_bridge: -0.5,
                nose_length: 0.92,
                smile: 0.45,
                yaw: 0.16,
                lips: 1.1,
                ..soft()
            },
        ),
        sample(
            "Vexa of the Ember",
            "vexa_of_the_ember.png",
            "daemon broker",
            "contralto",
            (600, 750),
            Render,
            10,
            Person {
                gear: Gear::Horns,
                hair: Hair::Long,
                hair_colour: hex(0x2A1C22),
                skin: hex(0xB0604A),
                iris: hex(0xE0A030),
                dress: Dress::Armour,
                cloth: hex(0x6B2E36),
                trim: hex(0xD9B45A),
                elf: 0.7,
                smile: 0.4,
                frown: 0.3,
                lipstick: 0.6,
                yaw: -0.24,
                eye_tilt: 0.13,
                ..soft()
            },
        ),
        sample(
            "Tomas Reed",
            "tomas_reed.jpg",
            "ferryman",
            "tenor",
            (800, 1000),
            Painted,
            7,
            Person {
                gear: Gear::Hood,
                hair: Hair::Swept,
                beard: Beard::Stubble,
                hair_colour: hex(0x5A3820),
                skin: hex(0xBC7F55),
                iris: hex(0x7A6A2C),
                dress: Dress::Tunic,
                cloth: hex(0x3A4A5A),
                trim: hex(0x7A7266),
                age: 0.3,
                smile: 0.25,
                yaw: 0.26,
                ..strong()
            },
        ),
    ]
}

/// Softly built.
pub(crate) fn soft() -> Person {
    Person {
        jaw: 0.9,
        chin: 0.9,
        brow_ridge: 0.7,
        brow_weight: 0.85,
        nose_length: 0.92,
        nose_width: 0.92,
        eye_size: 1.08,
        neck: 0.88,
        shoulders: 0.9,
        ..Person::default()
    }
}

/// Strongly built.
pub(crate) fn strong() -> Person {
    Person {
        jaw: 1.08,
        chin: 1.1,
        brow_ridge: 1.25,
        brow_weight: 1.2,
        nose_length: 1.04,
        nose_width: 1.1,
        eye_size: 0.98,
        neck: 1.15,
        shoulders: 1.1,
        ..Person::default()
    }
}

pub(crate) fn mood(seed: u64, wall: usize) -> Mood {
    Mood::numbered(&mut Rng::new(seed), wall)
}

pub(crate) fn paint(sample: &Sample, seed: u64, cut_out: bool) -> RgbaImage {
    let who = Person {
        grain: seed as f32 * 7.3,
        ..sample.who.clone()
    };
    Picture {
        frame: Frame::of(&who),
        who: &who,
        mood: &mood(seed, sample.wall),
        width: sample.size.0,
        height: sample.size.1,
        finish: sample.finish,
        cut_out,
        quick: false,
    }
    .paint()
}

/// Writes by the file's extension: PNG keeps what is transparent, JPEG and WebP don't.
pub(crate) fn write(picture: &RgbaImage, path: &Path) -> Result<()> {
    let flat = || DynamicImage::ImageRgba8(picture.clone()).to_rgb8();
    match path.extension().and_then(|e| e.to_str()) {
        Some("jpg") => {
            JpegEncoder::new_with_quality(std::fs::File::create(path)?, 88).encode_image(&flat())?;
        }
        Some("png") if picture.pixels().any(|p| p.0[3] < 255) => picture.save(path)?,
        _ => flat().save(path)?,
    }
    Ok(())
}

/// Writes `cast.csv`, `problems.csv` and their images.
pub(crate) fn write_all(out: &Path) -> Result<()> {
    std::fs::create_dir_all(out.join("cast"))?;
    std::fs::create_dir_all(out.join("problems"))?;
    let cast = cast();
    let mut csv = csv::Writer::from_path(out.join("cast.csv"))?;
    csv.write_record(["name", "image", "role", "voice"])?;
    for (i, sample) in cast.iter().enumerate() {
        let cut_out = sample.file.ends_with(".png") && sample.finish != Finish::Painted;
        write(
            &paint(sample, 1 + i as u64, cut_out),
            &out.join("cast").join(sample.file),
        )?;
        csv.write_record([
            sample.name,
            &format!("cast/{}", sample.file),
            sample.role,
            sample.voice,
        ])?;
    }
    csv.flush()?;
    problems(out, &cast)
}
