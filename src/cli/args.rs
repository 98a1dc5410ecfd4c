//! The options that several commands share, and those of commands with many.

use std::path::PathBuf;

use clap::Args;

use crate::enroll::Rate;
use crate::sandbox::Dialect;
use crate::util::money::Usd;

/// The cast, and how to read it.
#[derive(Debug, Args, Clone)]
pub struct CastArgs {
    /// A CSV (name,image[,kind,approve,note,…]), a folder of character art, one image, - for a CSV on stdin, or (for run) a
    /// saved plan
    pub cast: PathBuf,
    /// Skip invalid rows instead of stopping
    #[arg(long)]
    pub skip_invalid: bool,
    /// Which of its characters.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Number of images inspected in parallel [default: one per core]
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<usize>,
    /// Approve this character's image although it needs review (repeatable)
    #[arg(long, value_name = "NAME")]
    pub approve: Vec<String>,
    /// File of approved characters, one name per line
    #[arg(long, value_name = "FILE")]
    pub approvals: Option<PathBuf>,
}

/// Which characters of a cast: the same options on every command that reads one.
#[derive(Debug, Args, Clone, Default)]
pub struct SelectArgs {
    /// Only this character (repeatable)
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Every character except this one (repeatable)
    #[arg(long, value_name = "NAME")]
    pub skip: Vec<String>,
    /// When the cast is a folder, include only images that match this glob (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// When the cast is a folder, leave out images that match this glob (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Allow images outside the cast's folder
    #[arg(long)]
    pub allow_outside: bool,
    /// In a CSV, take this header for one of castline's columns: --map image=Portrait (repeatable)
    #[arg(long, value_name = "COLUMN=HEADER")]
    pub map: Vec<String>,
}

impl SelectArgs {
    /// Whether characters are chosen by name.
    pub(crate) fn is_part(&self) -> bool {
        !self.only.is_empty() || !self.skip.is_empty()
    }

    /// How the cast is read, as settings that every command takes.
    pub(crate) fn as_settings(&self) -> Vec<String> {
        let list = |key: &str, items: &[String]| {
            // Items that contain commas can't be written so; then the flag must be typed again.
            let joined = items.join(",");
            (!items.is_empty() && joined.matches(',').count() + 1 == items.len())
                .then(|| format!("{key}={joined}"))
        };
        let outside = self.allow_outside.then(|| "cast.allow_outside=true".to_owned());
        [
            list("cast.map", &self.map),
            list("cast.include", &self.include),
            list("cast.exclude", &self.exclude),
            outside,
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Options that decide about paid calls.
#[derive(Debug, Args, Clone)]
pub struct PayArgs {
    /// Budget of this run in US dollars; what is in doubt counts as spent
    #[arg(long, value_name = "USD", value_parser = usd)]
    pub max_cost: Option<Usd>,
    /// Maximum rate of paid calls, for example 5/s, 3/min or 100/h [default: 1/s]
    #[arg(long, value_name = "RATE")]
    pub rate: Option<Rate>,
    /// Pay again for enrolled characters whose image or kind has changed since
    #[arg(long)]
    pub re_enroll_changed: bool,
}

/// An amount as people type it: `25`, `$0.05`.
fn usd(text: &str) -> Result<Usd, String> {
    let plain = text.trim();
    let plain = plain.strip_prefix('$').unwrap_or(plain);
    plain
        .parse()
        .map_err(|e: crate::util::money::ParseUsdError| e.to_string())
}

/// Options of `run` and `retry`.
#[derive(Debug, Args, Clone)]
pub struct RunArgs {
    /// The cast.
    #[command(flatten)]
    pub cast: CastArgs,
    /// Paying.
    #[command(flatten)]
    pub pay: PayArgs,
    /// Pay without asking; required when there is no terminal, unless a saved plan is run
    #[arg(long, short)]
    pub yes: bool,
    /// Manifest to write [default: manifest.json beside the cast]
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Also write an HTML report
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Options of `realface`.
#[derive(Debug, Args, Clone)]
pub struct RealfaceArgs {
    /// The cast.
    #[command(flatten)]
    pub cast: CastArgs,
    /// Paying.
    #[command(flatten)]
    pub pay: PayArgs,
    /// Pay without asking; required when there is no terminal
    #[arg(long, short)]
    pub yes: bool,
    /// Who records the actors' consent [default: the logged-in user]
    #[arg(long, value_name = "NAME")]
    pub operator: Option<String>,
    /// Where to write the manifest [default: manifest.json beside the cast]
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Also write an HTML report
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Also write each QR code as a PNG into this folder while it is valid
    #[arg(long, value_name = "DIR")]
    pub qr_dir: Option<PathBuf>,
    /// Also serve the QR codes on a local page, for a tablet on set
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    pub serve: Option<u16>,
}

/// A percentage, 0–100, with or without its sign.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>();
    match number {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("a percentage such as 0.5 is expected".to_owned()),
    }
}

/// Options of `eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// A CSV with the columns path,faces[,style][,note], or a folder with a labels.csv; faces is 0, 1, or 2 for several
    pub labels: PathBuf,
    /// List every image whose verdict differs from its label
    #[arg(long)]
    pub errors: bool,
    /// Also apply the API's limits on size and aspect ratio
    #[arg(long)]
    pub check_size: bool,
    /// Propose thresholds that accept at most PERCENT of the images without exactly one face
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub suggest: Option<f64>,
}

/// Options of `sandbox`.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// Port of the API; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    pub api_port: u16,
    /// Port of S3; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    pub s3_port: u16,
    /// Folder for objects, certificate and charges [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Dialect of the API
    #[arg(long, value_enum, default_value_t)]
    pub dialect: Dialect,
    /// Price of one enrollment in US dollars
    #[arg(long, value_name = "USD", default_value = "0.01", value_parser = usd)]
    pub price: Usd,
    /// Print the environment for PowerShell
    #[arg(long)]
    pub powershell: bool,
    /// Take payments from wallets (x402) instead of an API key
    #[arg(long)]
    pub wallet: bool,
    /// Inject a fault at this rate in percent, for example 500-charged=10 (repeatable)
    #[arg(long, value_name = "KIND=PERCENT")]
    pub fault: Vec<String>,
    /// TOML or JSON file of faults
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
}
