//! The actors of `samples/`: people of their own, so that they can be tried beside the cast, in one ledger.

use std::path::Path;

use anyhow::Result;

use crate::math::hex;
use crate::person::{Beard, Dress, Finish, Hair, Person};
use crate::samples::{Sample, paint, soft, strong, write};

fn actors() -> [Sample; 3] {
    let sample = |name, file, role, size, wall, who| Sample {
        name,
        file,
        role,
        voice: "",
        size,
        finish: Finish::Render,
        wall,
        who,
    };
    [
        sample(
            "Mia Castellane",
            "mia_castellane.jpg",
            "captain",
            (900, 1125),
            4,
            Person {
                hair: Hair::Swept,
                hair_colour: hex(0x6B4326),
                skin: hex(0xD9A27E),
                iris: hex(0x4A2F1C),
                dress: Dress::Tunic,
                cloth: hex(0x5A2E46),
                trim: hex(0xC7A24B),
                earrings: true,
                freckles: 0.4,
                lips: 1.15,
                cheeks: 1.05,
                mouth_width: 1.06,
                smile: 0.5,
                yaw: -0.14,
                ..soft()
            },
        ),
        sample(
            "Imre Halloran",
            "imre_halloran.jpg",
            "ferryman",
            (800, 1000),
            3,
            Person {
                hair: Hair::Cropped,
                beard: Beard::Full,
                hair_colour: hex(0x8A8178),
                skin: hex(0xE6BEA2),
                iris: hex(0x5E7F8C),
                dress: Dress::Collar,
                cloth: hex(0x3A4A38),
                trim: hex(0x9A8F7A),
                age: 0.6,
                nose_bridge: 0.5,
                head_width: 1.05,
                smile: 0.15,
                yaw: 0.18,
                ..strong()
            },
        ),
        sample(
            "Salome Adeyemi",
            "salome_adeyemi.jpg",
            "racing pilot",
            (900, 900),
            5,
            Person {
                hair: Hair::Afro,
                hair_colour: hex(0x17110E),
                skin: hex(0x5E3A26),
                iris: hex(0x3A2417),
                dress: Dress::Collar,
                cloth: hex(0xA8462E),
                trim: hex(0xE0D6C2),
                lips: 1.25,
                nose_width: 1.15,
                eye_size: 1.04,
                eye_tilt: 0.06,
                smile: 0.35,
                yaw: 0.1,
                ..soft()
            },
        ),
    ]
}

/// Writes `actors.csv` and its images.
pub(crate) fn write_all(out: &Path) -> Result<()> {
    std::fs::create_dir_all(out.join("actors"))?;
    let mut csv = csv::Writer::from_path(out.join("actors.csv"))?;
    csv.write_record(["name", "image", "kind", "consent", "role"])?;
    for (i, actor) in actors().iter().enumerate() {
        let file = format!("actors/{}", actor.file);
        write(&paint(actor, 71 + i as u64, false), &out.join(&file))?;
        csv.write_record([actor.name, &file, "realface", "yes", actor.role])?;
    }
    Ok(csv.flush()?)
}
