//! The problems of `samples/`: what can be wrong with an image.

use std::path::Path;

use anyhow::Result;
use image::{RgbaImage, imageops};

use crate::light::Mood;
use crate::math::{V, hex, noise, smoothstep};
use crate::person::{Finish, Gear, Person};
use crate::render::{Frame, Picture};
use crate::samples::{Sample, mood, write};

/// What can be wrong with an image: its file, who it shows, the reason that castline gives.
pub(crate) fn problems(out: &Path, cast: &[Sample]) -> Result<()> {
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
    imageops::replace(&mut far, &plain(10, (72, 90)), 570, 440);
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
