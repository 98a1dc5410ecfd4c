//! The cast and the problems of `samples/`: each image set by hand.

use std::path::Path;

use anyhow::Result;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, RgbaImage, imageops};

use crate::light::Mood;
use crate::math::{Rng, V, hex, noise, smoothstep};
use crate::person::{Beard, Dress, Finish, Gear, Hair, Person};
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

fn mood(seed: u64, wall: usize) -> Mood {
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

/// What can be wrong with an image: its file, who it shows, the reason that castline gives.
fn problems(out: &Path, cast: &[Sample]) -> Result<()> {
    let mut csv = csv::Writer::from_path(out.join("problems.csv"))?;
    csv.write_record(["name", "image", "expected"])?;
    let folder = out.join("problems");
    let mut row = |name: &str, file: &str, expected: &str| {
        csv.write_record([name, &format!("problems/{file}"), expected])
    };
    let with = |i: usize, size: (u32, u32), frame: Option<Frame>, change: &dyn Fn(&mut Person, &mut Mood)| {
        let mut who = cast[i].who.clone();
        let mut mood = mood(40 + i as u64, cast[i].wall);
        change(&mut who, &mut mood);
        let frame = frame.unwrap_or(Frame::of(&who));
        let (width, height) = size;
        Picture {
            who: &who,
            mood: &mood,
            frame,
            width,
            height,
            finish: Finish::Render,
            cut_out: false,
            quick: false,
        }
        .paint()
    };
    let plain = |i: usize, size: (u32, u32)| with(i, size, None, &|_, _| ());

    let twin = plain(9, (560, 700));
    write(&twin, &folder.join("original.jpg"))?;
    row("The original", "original.jpg", "")?;
    let smaller = imageops::resize(&twin, 480, 600, imageops::FilterType::CatmullRom);
    write(&smaller, &folder.join("duplicate.jpg"))?;
    row("Her double", "duplicate.jpg", "duplicate_of:The original")?;

    let mut pair = RgbaImage::new(840, 560);
    imageops::replace(&mut pair, &plain(0, (420, 560)), 0, 0);
    imageops::replace(
        &mut pair,
        &with(5, (420, 560), None, &|_, mood| {
            *mood = self::mood(40, cast[0].wall)
        }),
        420,
        0,
    );
    write(&pair, &folder.join("two_faces.png"))?;
    row("Two of them", "two_faces.png", "several_faces")?;

    write(&hills(640, 640), &folder.join("no_face.png"))?;
    row("The Hollow Hills", "no_face.png", "no_face")?;
    // A miniature in the middle of a landscape.
    let mut far = hills(800, 800);
    imageops::replace(&mut far, &plain(10, (100, 125)), 560, 420);
    write(&far, &folder.join("face_too_small.png"))?;
    row("Far away", "face_too_small.png", "face_too_small")?;
    write(
        &with(
            4,
            (600, 600),
            Some(Frame {
                x: 1.05,
                y: 0.0,
                height: 2.4,
            }),
            &|who, _| who.gear = Gear::None,
        ),
        &folder.join("cut_off.jpg"),
    )?;
    row("Half gone", "cut_off.jpg", "face_cut_off")?;
    write(
        &with(1, (560, 700), None, &|who, _| who.gear = Gear::Visor),
        &folder.join("covered.jpg"),
    )?;
    row("Behind the visor", "covered.jpg", "")?;

    write(&plain(2, (210, 280)), &folder.join("too_small.png"))?;
    row("A thumbnail", "too_small.png", "too_small")?;
    write(&plain(7, (1080, 400)), &folder.join("wrong_ratio.png"))?;
    row("A banner", "wrong_ratio.png", "bad_ratio")?;
    write(
        &imageops::blur(&plain(10, (600, 750)), 14.0),
        &folder.join("blurry.jpg"),
    )?;
    row("Out of focus", "blurry.jpg", "blurry")?;
    write(
        &with(3, (600, 750), None, &|_, mood| mood.exposure = 0.012),
        &folder.join("dark.png"),
    )?;
    row("By night", "dark.png", "too_dark")?;
    write(
        &with(9, (600, 750), None, &|_, mood| mood.exposure = 14.0),
        &folder.join("bright.jpg"),
    )?;
    row("In the flash", "bright.jpg", "too_bright")?;

    std::fs::write(
        folder.join("not_a_picture.png"),
        "This file says .png, but it is a note to the artist.\n",
    )?;
    row("A note", "not_a_picture.png", "unreadable")?;
    let whole = folder.join("truncated.png");
    write(&plain(8, (400, 500)), &whole)?;
    let bytes = std::fs::read(&whole)?;
    std::fs::write(&whole, &bytes[..bytes.len() / 2])?;
    row("Half a download", "truncated.png", "truncated")?;
    Ok(csv.flush()?)
}

/// Hills in the evening: no face anywhere.
fn hills(width: u32, height: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |px, py| {
        let (x, y) = (px as f32 / width as f32, py as f32 / height as f32);
        let sun = ((x - 0.68).powi(2) + (y - 0.40).powi(2)).sqrt();
        let mut c = hex(0x3A4E7A).mix(hex(0xF0B078), smoothstep(0.0, 0.62, y));
        c = c
            .mix(hex(0xFFE8B8), smoothstep(0.45, 0.05, sun) * 0.5)
            .mix(hex(0xFFF6E0), smoothstep(0.062, 0.058, sun));
        for (i, (base, tone)) in [
            (0.52, 0x8A7A9C),
            (0.62, 0x5F5A80),
            (0.73, 0x3A3F60),
            (0.85, 0x1E2440),
        ]
        .into_iter()
        .enumerate()
        {
            let k = i as f32;
            let ridge = base
                - 0.16 * noise(V(x * (2.5 + k), k * 9.0, 0.0))
                - 0.05 * noise(V(x * 11.0, k * 5.0, 3.0))
                - 0.012 * noise(V(x * 70.0, k, 1.0));
            let mist = smoothstep(0.0, 0.22, y - ridge) * 0.25;
            c = c.mix(
                hex(tone).mix(hex(0xE8B890), mist),
                smoothstep(-0.002, 0.002, y - ridge),
            );
        }
        let srgb = |v: f32| {
            ((if v <= 0.0031 {
                12.92 * v
            } else {
                1.055 * v.powf(1.0 / 2.4) - 0.055
            }) * 255.0) as u8
        };
        image::Rgba([srgb(c.0), srgb(c.1), srgb(c.2), 255])
    })
}
