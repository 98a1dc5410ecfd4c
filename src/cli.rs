//! What can be typed. What it means is in `settings` and in each command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Takes a cast of game characters to a manifest of asset ids for AI video.
///
/// It looks at every picture before any money moves, publishes it, enrolls it once, and never pays twice.
#[derive(Debug, Parser)]
#[command(name = "castline", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Try it, without an account and without paying:\n  castline run samples/cast.csv --sandbox\n\n\
    Exit codes: 0 done · 1 internal error · 2 usage or configuration · 3 some characters need a person · \
    5 budget reached · 6 something is in doubt · 7 key or funds refused · 8 plan is stale · \
    11 another run holds the ledger · 130 interrupted"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What holds for every command.
    #[command(flatten)]
    pub common: Common,
}

/// What holds for every command.
#[derive(Debug, Args)]
pub struct Common {
    /// Configuration file; without it, castline.toml beside the cast
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set any setting: --set s3.bucket=my-cast (see `castline init`)
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The ledger, what was seen, published and paid [default: .castline/ledger.db beside the cast]
    #[arg(long, global = true, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Work with stand-ins on this machine: no account, no money, a ledger of its own
    #[arg(long, global = true)]
    pub sandbox: bool,
    /// Events as NDJSON on stdout, and nothing else there
    #[arg(long, global = true)]
    pub json: bool,
    /// Append the events to this file too, as NDJSON with times
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Only errors on stderr
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Tell everything that happens on stderr, a line each; -vv tells of the libraries, too
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// A cast, and how to read it.
#[derive(Debug, Args, Clone)]
pub struct CastArgs {
    /// A CSV (name,image[,kind,approve,note,…]), a folder of character art, or (for run) a plan
    pub cast: PathBuf,
    /// Go on with the good rows when some are bad
    #[arg(long)]
    pub skip_bad_rows: bool,
    /// Allow pictures outside the cast's folder
    #[arg(long)]
    pub allow_outside: bool,
    /// Of a folder, only pictures that match this glob (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// Of a folder, no pictures that match this glob (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Pictures looked at in parallel [default: one per core]
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<usize>,
    /// Enroll this character although its picture is unsure (repeatable)
    #[arg(long, value_name = "NAME")]
    pub approve: Vec<String>,
    /// A file with one name a line: enroll these although their pictures are unsure
    #[arg(long, value_name = "FILE")]
    pub approvals: Option<PathBuf>,
}

/// What decides about paid calls.
#[derive(Debug, Args, Clone)]
pub struct PayArgs {
    /// What this run may cost, in US dollars; what is in doubt counts as spent
    #[arg(long, value_name = "USD")]
    pub max_cost: Option<String>,
    /// Paid calls at most: 5/s, 3/min, 100/h [default: 1/s]
    #[arg(long, value_name = "RATE")]
    pub rate: Option<String>,
    /// Pay again for characters whose picture or kind has changed since they were enrolled
    #[arg(long, value_name = "WHICH", value_parser = ["changed"])]
    pub re_enroll: Option<String>,
}

/// A run that pays.
#[derive(Debug, Args, Clone)]
pub struct RunArgs {
    /// The cast.
    #[command(flatten)]
    pub cast: CastArgs,
    /// Paying.
    #[command(flatten)]
    pub pay: PayArgs,
    /// Pay without asking; needed off a terminal, unless a plan is run
    #[arg(long, short)]
    pub yes: bool,
    /// Where the manifest is written [default: manifest.json beside the cast]
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Write what was done as a page for people, too
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Real actors.
#[derive(Debug, Args, Clone)]
pub struct RealfaceArgs {
    /// The cast.
    #[command(flatten)]
    pub cast: CastArgs,
    /// Paying.
    #[command(flatten)]
    pub pay: PayArgs,
    /// Pay without asking; needed off a terminal
    #[arg(long, short)]
    pub yes: bool,
    /// Only this actor, also when refused before (repeatable)
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// All but this actor (repeatable)
    #[arg(long, value_name = "NAME")]
    pub skip: Vec<String>,
    /// Who records the actors' consent [default: the user who is logged in]
    #[arg(long, value_name = "NAME")]
    pub operator: Option<String>,
    /// Write each code as a PNG into this folder, too, as long as it can be used
    #[arg(long, value_name = "DIR")]
    pub qr_dir: Option<PathBuf>,
    /// Show the codes on a page, too, for a tablet on the set; on this machine only
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    pub page: Option<u16>,
}

/// What can be done with a ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Copy the ledger, whole and consistent, also while a run goes on
    Backup {
        /// The cast, to find its ledger; without it, the working folder's ledger
        cast: Option<PathBuf>,
        /// The copy
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// What can be done with settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting
    Show {
        /// The cast, to find its castline.toml
        cast: Option<PathBuf>,
        /// Tell where each value was said
        #[arg(long)]
        origin: bool,
    },
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at every picture; nothing is uploaded, nothing is paid
    #[command(
        after_help = "Examples:\n  castline check cast.csv\n  castline check art/ --exclude '*_back.png' --json\n  \
        castline check cast.csv --report look.html"
    )]
    Check {
        /// The cast.
        #[command(flatten)]
        cast: CastArgs,
        /// Write what was seen as a page for people, too
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Tell what a run would do and cost; nothing is uploaded, nothing is paid
    #[command(
        after_help = "Examples:\n  castline plan cast.csv\n  castline plan cast.csv --json | jq 'select(.type == \"plan\")'\n  \
        castline plan cast.csv --out plan.json           # to be looked at, then:\n  \
        castline run plan.json"
    )]
    Plan {
        /// The cast.
        #[command(flatten)]
        cast: CastArgs,
        /// Paying.
        #[command(flatten)]
        pay: PayArgs,
        /// Exit with 2 when a run would enroll somebody, with 0 when not; a mistake in what was typed is 2 as well, and
        /// prints no plan
        #[arg(long)]
        detailed_exitcode: bool,
        /// Write the plan to a file: `castline run FILE` then does exactly that, or nothing
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Write it as a page for people, too
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// In wallet mode: ask the API for its price first; nothing is paid
        #[arg(long)]
        quote: bool,
    },
    /// Check, publish and enroll a cast, and write its manifest
    #[command(after_help = "Examples:\n  castline run samples/cast.csv --sandbox\n  \
        castline run cast.csv --max-cost 25 --rate 3/min  # shows the plan, and asks\n  \
        castline run cast.csv --yes --json > run.ndjson\n  castline run plan.json                            # as planned before")]
    Run {
        /// How it runs.
        #[command(flatten)]
        run: RunArgs,
        /// Only tell what would be done and cost: the same as `plan`
        #[arg(long)]
        dry_run: bool,
    },
    /// Try everything that a run needs, and say what would fail; nothing is paid
    ///
    /// Settings, ledger and disk; the API, its key and its clock, by a free question; S3, by a picture of one pixel
    /// that is written, seen as the public sees it, and deleted again.
    #[command(after_help = "Examples:\n  castline doctor cast.csv\n  castline doctor --sandbox")]
    Doctor {
        /// The cast, to find its castline.toml and its ledger
        cast: Option<PathBuf>,
    },
    /// Tell where every character stands
    Status {
        /// The cast, to find its ledger and to know its order; without it, the working folder's ledger
        cast: Option<PathBuf>,
    },
    /// Write the manifest again, from the ledger, in any format
    #[command(
        after_help = "Examples:\n  castline manifest cast.csv --format unreal-csv --out DT_Cast.csv\n  \
        castline manifest --format map"
    )]
    Manifest {
        /// The cast, to find its ledger; without it, the working folder's ledger
        cast: Option<PathBuf>,
        /// json, csv, map, unreal-csv, unreal-json or unity-json
        #[arg(long, default_value = "json")]
        format: String,
        /// Where to write it; without it, stdout
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write a page for people: every picture, where it stands, its asset id and cost
    ///
    /// One HTML file that needs nothing else: it can be mailed, and asks no server for anything.
    #[command(
        after_help = "Examples:\n  castline report cast.csv\n  castline report cast.csv --sandbox --out report.html"
    )]
    Report {
        /// The cast, for its pictures and its ledger; without it, the working folder's ledger, without pictures
        cast: Option<PathBuf>,
        /// Where to write it
        #[arg(long, value_name = "FILE", default_value = "report.html")]
        out: PathBuf,
        /// Allow pictures outside the cast's folder
        #[arg(long)]
        allow_outside: bool,
    },
    /// Look through the unsure pictures on a page of this machine, and approve or reject each
    ///
    /// The page is served on 127.0.0.1 until it is done or Ctrl-C; its address works once. What was decided is kept
    /// at once, for exactly that picture, and the next run goes by it. No run can go on meanwhile.
    #[command(
        after_help = "Examples:\n  castline review cast.csv\n  castline review cast.csv --sandbox --no-open"
    )]
    Review {
        /// The cast.
        #[command(flatten)]
        cast: CastArgs,
        /// Port of the page; 0: any free one
        #[arg(long, value_name = "N", default_value_t = 0)]
        port: u16,
        /// Only print the address
        #[arg(long)]
        no_open: bool,
    },
    /// Send again what failed or was refused, and only that
    Retry(RunArgs),
    /// Lead real actors through their liveness check, one by one, and enroll them
    ///
    /// Each actor scans a code with the phone within 120 s and follows it there; then their photo is enrolled.
    /// Rows need kind=realface and consent=yes. Interrupt it whenever you like: it goes on where it stopped.
    #[command(
        after_help = "Examples:\n  castline realface samples/actors.csv --sandbox\n  \
        castline realface cast.csv --only 'Mia Castellane' --yes\n  castline realface cast.csv --page --qr-dir codes/ --yes"
    )]
    Realface(RealfaceArgs),
    /// Settle what is in doubt
    ///
    /// A paid call with an unknown outcome is never repeated unasked. Look at the provider's own list of
    /// assets first; then say for each name what you found.
    #[command(
        after_help = "Examples:\n  castline resolve cast.csv                         # what is in doubt\n  \
        castline resolve cast.csv --adopt 'Cyber Knight=ta_pt_8f…'\n  castline resolve cast.csv --forget 'Mother Superior'\n  \
        castline resolve cast.csv --reconcile             # where the provider lists assets (BlockRun)"
    )]
    Resolve {
        /// The cast, to find its ledger; without it, the working folder's ledger
        cast: Option<PathBuf>,
        /// It was enrolled, and this is its id (repeatable)
        #[arg(long, value_name = "NAME=ID")]
        adopt: Vec<String>,
        /// It was not enrolled and not charged (repeatable)
        #[arg(long, value_name = "NAME")]
        forget: Vec<String>,
        /// Send it again in the next run, and accept that it may cost twice (repeatable)
        #[arg(long, value_name = "NAME")]
        retry: Vec<String>,
        /// Look it up in the provider's own list of assets, by name and picture, and adopt what is found there
        #[arg(long)]
        reconcile: bool,
    },
    /// Build a lost ledger again from a manifest, so that nothing is paid twice
    Adopt {
        /// The manifest, in its full JSON form
        manifest: PathBuf,
    },
    /// Look after the ledger
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Serve stand-ins for the paid API and for S3 on this machine
    Sandbox(SandboxArgs),
    /// Show the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the man page, or that of one command
    #[command(after_help = "Examples:\n  castline man > castline.1\n  castline man run > castline-run.1")]
    Man {
        /// The command, such as `run` or `ledger backup`
        command: Vec<String>,
    },
    /// Measure the eye on labelled pictures: how often each kind is judged suitable, review, unsuitable
    #[command(after_help = "Examples:\n  castline eval labelled/ --errors\n  \
        castline eval labelled/labels.csv --set inspect.sure=0.7 --json")]
    Eval(EvalArgs),
    /// Write a commented castline.toml
    Init {
        /// The folder, usually the cast's
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Write over a file that is there
        #[arg(long)]
        force: bool,
    },
}

/// What is measured.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// A CSV with the columns path,faces[,style][,note], or a folder with a labels.csv; faces is 0, 1, or 2 for several
    pub labels: PathBuf,
    /// Tell every picture that was judged otherwise than labelled
    #[arg(long)]
    pub errors: bool,
    /// Hold pictures to the API's sizes and proportions too, not only to their faces
    #[arg(long)]
    pub all_limits: bool,
}

/// How the stand-ins behave.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// Port of the API; 0: any free one
    #[arg(long, default_value_t = 0)]
    pub api_port: u16,
    /// Port of S3; 0: any free one
    #[arg(long, default_value_t = 0)]
    pub s3_port: u16,
    /// Folder for objects, certificate and charges; without it, a temporary one
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The API's dialect: 2025 or 2026
    #[arg(long, default_value = "2026")]
    pub dialect: String,
    /// What an enrollment costs, in US dollars
    #[arg(long, default_value = "0.01")]
    pub price: String,
    /// Print what to export for PowerShell
    #[arg(long)]
    pub powershell: bool,
    /// Be paid from wallets (x402) instead of by key
    #[arg(long)]
    pub wallet: bool,
    /// A fault and how often it comes, in per cent: 500-charged=10 (repeatable)
    #[arg(long, value_name = "KIND=PERCENT")]
    pub fault: Vec<String>,
    /// A TOML or JSON file of faults
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
}
