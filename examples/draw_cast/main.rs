//! Draws characters, so that castline can be tried without anybody's art: heads are shapes in space, and
//! light is followed to them.
//!
//! ```text
//! cargo run --release --example draw_cast -- --samples samples                      # what is in samples/
//! cargo run --release --example draw_cast -- --count 10000 --seed 1 --out DIR      # a cast for load tests
//! ```

mod actors;
mod crowd;
mod hair;
mod head;
mod light;
mod math;
mod person;
mod problems;
mod render;
mod samples;
mod scene;
mod wear;

use std::path::PathBuf;

use clap::Parser;

/// Draws casts of characters.
#[derive(Debug, Parser)]
struct Args {
    /// Draw the sample cast, its problems and the actors into this folder, and nothing else.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "count"])]
    samples: Option<PathBuf>,
    /// How many characters.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// The same seed draws the same cast, on any machine.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many different faces to paint; with more characters, faces come again in other places and lights.
    #[arg(long, default_value_t = 200)]
    faces: usize,
    /// The longer side of an image, in pixels.
    #[arg(long, default_value_t = 640, value_parser = clap::value_parser!(u32).range(64..=8192))]
    size: u32,
    /// The folder to write cast.csv and art/ into.
    #[arg(long, value_name = "DIR", required_unless_present = "samples")]
    out: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(folder) = args.samples {
        samples::write_all(&folder)?;
        return actors::write_all(&folder);
    }
    let Args {
        count,
        seed,
        faces,
        size,
        ..
    } = args;
    let Some(out) = args.out else {
        anyhow::bail!("say where with --out DIR")
    };
    crowd::Crowd {
        count,
        seed,
        faces,
        size,
    }
    .write(&out)
}
