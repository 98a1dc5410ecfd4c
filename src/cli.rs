//! What can be typed. What it means is in `settings` and in each command.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "brackets of help texts are no links"
)]

mod args;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::args::{CastArgs, EvalArgs, PayArgs, RealfaceArgs, RunArgs, SandboxArgs, SelectArgs};
use crate::app::ending::Ending;
use crate::app::shard::ShardArgument;
use crate::manifest::ManifestFormat;

/// Enroll game characters as AI-video assets and write a manifest of their ids.
///
/// castline inspects every image before any money moves, publishes it to S3, enrolls it once, and never pays for
/// the same character twice.
#[derive(Debug, Parser)]
#[command(name = "castline", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Try it without an account and without paying:\n  castline run samples/cast.csv --sandbox\n\n\
    Exit codes: 0 done · 1 internal error · 2 usage or configuration · 3 some characters need attention · \
    5 budget reached · 6 something is in doubt · 7 key or funds refused · 8 plan is stale · \
    10 there is work (plan --detailed-exitcode) · 11 another run holds the ledger · 75 shard interrupted · 130 interrupted"
)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Configuration file [default: castline.toml beside the cast], over that in your configuration folder
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Override a setting, for example --set s3.bucket=my-cast (see `castline init`)
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Ledger file, the record of what was inspected, published and paid [default: .castline/ledger.db beside the cast]
    #[arg(long, global = true, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Use local mock services: no account, no charges, a separate ledger
    #[arg(long, global = true)]
    pub sandbox: bool,
    /// Print events as NDJSON on stdout, and nothing else there
    #[arg(long, global = true)]
    pub json: bool,
    /// Append events to this file as NDJSON with timestamps
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Write metrics of the command to this file when it ends, for Prometheus' textfile collector
    #[arg(long, global = true, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
    /// Print only errors on stderr
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log every event to stderr; -vv also logs what the libraries do
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// How the cast is read, as settings: for commands that messages suggest.
    #[arg(skip)]
    pub(crate) of_cast: Vec<String>,
    /// What the end of the command needs.
    #[arg(skip)]
    pub(crate) ending: Ending,
}

impl Command {
    /// How the command reads its cast, as settings that every command takes.
    pub(crate) fn reading(&self) -> Vec<String> {
        let of = |cast: &CastArgs| {
            let skip_invalid = cast.skip_invalid.then(|| "cast.skip_invalid=true".to_owned());
            cast.select
                .as_settings()
                .into_iter()
                .chain(skip_invalid)
                .collect()
        };
        match self {
            Self::Check { cast, .. } | Self::Plan { cast, .. } | Self::Review { cast, .. } => of(cast),
            Self::Run { run, .. } | Self::Retry(run) => of(&run.cast),
            Self::Realface(args) => of(&args.cast),
            Self::Status { select, .. } | Self::Report { select, .. } | Self::Manifest { select, .. } => {
                select.as_settings()
            }
            _ => Vec::new(),
        }
    }
}

/// Subcommands of `ledger`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Write a consistent copy of the ledger, even while a run is under way
    Backup {
        /// The cast, to find its ledger [default: the ledger of the current directory]
        cast: Option<PathBuf>,
        /// The copy to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Restore ids and doubts from the receipts in the bucket: after the ledger was lost, or is older than it was
    #[command(after_help = "Examples:\n  castline ledger restore cast.csv")]
    Restore {
        /// The cast
        cast: PathBuf,
    },
    /// Go on with another API key, wallet, or address of the API: carries the receipts over
    #[command(
        after_help = "Examples:\n  castline ledger rebind cast.csv\n  castline ledger rebind cast.csv --new-series"
    )]
    Rebind {
        /// The cast
        cast: PathBuf,
        /// The key is another account's: begin its own receipts, and carry none over
        #[arg(long)]
        new_series: bool,
    },
    /// Take over people's decisions from another ledger, such as the sandbox's; your own stay
    #[command(after_help = "Example:\n  castline ledger decisions cast.csv")]
    Decisions {
        /// The cast
        cast: PathBuf,
        /// The ledger that has them [default: the sandbox's beside yours]
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// Copy a ledger into a PostgreSQL database, or out of one: all of it or nothing, verified row by row
    #[command(
        after_help = "Examples:\n  castline ledger copy --from .castline/ledger.db --to postgres://castline@db/game\n  \
        castline ledger copy --from postgres://castline@db/game --to ledger.db"
    )]
    Copy {
        /// The ledger: a file, or postgres://user@host/database with ledger.schema
        #[arg(long, value_name = "PLACE")]
        from: String,
        /// Where no ledger is yet
        #[arg(long, value_name = "PLACE")]
        to: String,
    },
    /// Import the asset ids of a manifest, to rebuild a lost ledger or update an old one
    Import {
        /// The manifest in its full JSON form
        manifest: PathBuf,
    },
}

/// Subcommands of `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting
    Show {
        /// The cast, to find its castline.toml
        cast: Option<PathBuf>,
        /// Also print where each value comes from
        #[arg(long)]
        origin: bool,
    },
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Inspect every image; nothing is uploaded, nothing is paid
    #[command(
        after_help = "Examples:\n  castline check cast.csv\n  castline check art/ --exclude '*_back.png' --json\n  \
        castline check cast.csv --report check.html --fixes fixes.csv\n  castline check portrait.png"
    )]
    Check {
        /// The cast.
        #[command(flatten)]
        cast: CastArgs,
        /// Also write an HTML report
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// Also write what has to be fixed as a table: file, name, reason, what to do; opens in Excel
        #[arg(long, value_name = "FILE")]
        fixes: Option<PathBuf>,
        /// Inspect part I of N into a ledger that machines share, without a key; auto for what the engine tells
        #[arg(long, value_name = "I/N", conflicts_with_all = ["report", "fixes"])]
        shard: Option<ShardArgument>,
    },
    /// Show what a run would do and cost; nothing is uploaded, nothing is paid
    #[command(
        after_help = "Examples:\n  castline plan cast.csv\n  castline plan cast.csv --json | jq 'select(.type == \"plan\")'\n  \
        castline plan cast.csv --out plan.json           # save it for review, then:\n  \
        castline run plan.json"
    )]
    Plan {
        /// The cast.
        #[command(flatten)]
        cast: CastArgs,
        /// Paying.
        #[command(flatten)]
        pay: PayArgs,
        /// Exit with 10 if a run would enroll anyone, with 0 if not
        #[arg(long)]
        detailed_exitcode: bool,
        /// Save the plan: `castline run FILE` then does exactly that, or nothing
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Also write an HTML report
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// In wallet mode: ask the API for its current price first; nothing is paid
        #[arg(long)]
        quote: bool,
    },
    /// Inspect, publish and enroll a cast, and write its manifest
    #[command(after_help = "Examples:\n  castline run samples/cast.csv --sandbox\n  \
        castline run cast.csv --max-cost 25 --rate 3/min  # shows the plan and asks\n  \
        castline run cast.csv --yes --json > run.ndjson\n  castline run plan.json                            # a saved plan")]
    Run {
        /// How it runs.
        #[command(flatten)]
        run: RunArgs,
        /// Only show what would be done and cost, like `plan`
        #[arg(long)]
        dry_run: bool,
    },
    /// Test everything that a run needs and report what would fail; nothing is paid
    ///
    /// Checks settings, ledger and disk; the API, its key and its clock, with a free request; and S3, with an image
    /// of one pixel that is written, fetched from its public address, and deleted.
    #[command(after_help = "Examples:\n  castline doctor cast.csv\n  castline doctor --sandbox")]
    Doctor {
        /// The cast, to find its castline.toml and its ledger
        cast: Option<PathBuf>,
    },
    /// Show the standing of every character
    Status {
        /// The cast, to find its ledger and order [default: the ledger of the current directory]
        cast: Option<PathBuf>,
        /// Which of its characters.
        #[command(flatten)]
        select: SelectArgs,
    },
    /// Show what was done and paid, run by run; or all calls, ids and prices of one character
    #[command(
        after_help = "Examples:\n  castline history cast.csv\n  castline history cast.csv 'Cyber Knight'"
    )]
    History {
        /// The cast, to find its ledger [default: the ledger of the current directory]
        cast: Option<PathBuf>,
        /// The character
        name: Option<String>,
    },
    /// Write the manifest from the ledger, in any format
    #[command(
        after_help = "Examples:\n  castline manifest cast.csv --format unreal-csv --out DT_Cast.csv\n  \
        castline manifest --format map"
    )]
    Manifest {
        /// The cast, to find its ledger [default: the ledger of the current directory]
        cast: Option<PathBuf>,
        /// Format of the manifest
        #[arg(long, value_enum, default_value_t)]
        format: ManifestFormat,
        /// Which of its characters.
        #[command(flatten)]
        select: SelectArgs,
        /// In tables for engines: also characters that are archived or no longer in the cast
        #[arg(long)]
        include_removed: bool,
        /// File to write [default: stdout]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write an HTML report: every image with its standing, asset id and cost
    ///
    /// The report is one self-contained file: it can be mailed, and requests nothing from any server.
    #[command(
        after_help = "Examples:\n  castline report cast.csv\n  castline report cast.csv --sandbox --out report.html"
    )]
    Report {
        /// The cast, for its images and its ledger [default: the ledger of the current directory, without images]
        cast: Option<PathBuf>,
        /// File to write
        #[arg(long, value_name = "FILE", default_value = "report.html")]
        out: PathBuf,
        /// Which of its characters.
        #[command(flatten)]
        select: SelectArgs,
    },
    /// Approve or reject the images that need review, on a local page
    ///
    /// The page is served on 127.0.0.1 until you choose Done or press Ctrl-C; its address works once. Each decision
    /// is saved immediately, for exactly that image, and applies to the next run. No run can start meanwhile.
    #[command(
        after_help = "Examples:\n  castline review cast.csv\n  castline review cast.csv --sandbox --no-open"
    )]
    Review {
        /// The cast.
        #[command(flatten)]
        cast: CastArgs,
        /// Also show what was decided before, to change it, and what was judged unsuitable, to override the verdict
        #[arg(long)]
        all: bool,
        /// Port of the page; 0 picks a free one
        #[arg(long, value_name = "N", default_value_t = 0)]
        port: u16,
        /// Print the address without opening a browser
        #[arg(long)]
        no_open: bool,
    },
    /// Run only the characters that failed or were refused
    Retry(RunArgs),
    /// Move an asset id, with its history, to a character's new name
    ///
    /// Rename the character in the cast as well: the next run then finds it enrolled, and pays nothing.
    #[command(after_help = "Example:\n  castline rename cast.csv 'Cyber Knight' 'Sir Cyber'")]
    Rename {
        /// The cast
        cast: PathBuf,
        /// The name until now
        old: String,
        /// The new name
        new: String,
    },
    /// Leave a character out of the tables for game engines; its id stays in the ledger and the manifest
    #[command(after_help = "Example:\n  castline archive cast.csv 'Cyber Knight'")]
    Archive {
        /// The cast
        cast: PathBuf,
        /// The character
        name: String,
        /// Take it in again
        #[arg(long)]
        undo: bool,
    },
    /// Take real actors through their liveness check, one at a time, and enroll them
    ///
    /// Each actor scans a QR code within 120 seconds and completes the check on the phone; then the photo is
    /// enrolled. Rows need kind=realface and consent=yes. You can interrupt at any time and resume later.
    #[command(
        after_help = "Examples:\n  castline realface samples/actors.csv --sandbox\n  \
        castline realface cast.csv --only 'Mia Castellane' --yes\n  castline realface cast.csv --serve --qr-dir codes/ --yes"
    )]
    Realface(RealfaceArgs),
    /// Settle characters that are in doubt
    ///
    /// A paid call whose outcome is unknown is never repeated automatically. Check the provider's own list of assets,
    /// then say for each character what you found.
    #[command(
        after_help = "Examples:\n  castline resolve cast.csv                         # list what is in doubt\n  \
        castline resolve cast.csv --adopt 'Cyber Knight=ta_pt_8f…'\n  castline resolve cast.csv --forget 'Mother Superior'\n  \
        castline resolve cast.csv --reconcile             # where the provider lists assets (BlockRun)"
    )]
    Resolve {
        /// The cast, to find its ledger [default: the ledger of the current directory]
        cast: Option<PathBuf>,
        /// It was enrolled under this id (repeatable)
        #[arg(long, value_name = "NAME=ID")]
        adopt: Vec<String>,
        /// It was neither enrolled nor charged (repeatable)
        #[arg(long, value_name = "NAME")]
        forget: Vec<String>,
        /// Send it again in the next run, accepting a possible second charge (repeatable)
        #[arg(long, value_name = "NAME")]
        retry: Vec<String>,
        /// Match names and images against the provider's list of assets, and adopt exact matches
        #[arg(long)]
        reconcile: bool,
    },
    /// Back up the ledger, or rebuild it
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Serve mock services for the paid API and S3 on this machine
    Sandbox(SandboxArgs),
    /// Show the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the man page of castline or of one command
    #[command(after_help = "Examples:\n  castline man > castline.1\n  castline man run > castline-run.1")]
    Man {
        /// The command, such as `run` or `ledger backup`
        command: Vec<String>,
    },
    /// Evaluate face detection on labelled images
    #[command(after_help = "Examples:\n  castline eval labelled/ --errors\n  \
        castline eval labelled/labels.csv --set inspect.accept_score=0.7 --json\n  \
        castline eval labelled/ --suggest 0.5")]
    Eval(EvalArgs),
    /// Trust the castline.toml beside a cast, as it is now
    ///
    /// A castline.toml that is found beside a cast may have been sent with it. Until it is trusted, it can lower limits and
    /// set what is harmless, but not decide where keys go, what is paid, or which files are used elsewhere.
    #[command(after_help = "Example:\n  castline trust cast.csv")]
    Trust {
        /// The cast, its folder, or the castline.toml itself
        cast: PathBuf,
    },
    /// Write a commented castline.toml
    Init {
        /// Folder to write into, usually the cast's
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Overwrite an existing file
        #[arg(long)]
        force: bool,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The table in `docs/commands.md`: options × commands.
    #[test]
    fn the_page_about_commands_says_which_option_works_where() {
        let page = include_str!("../docs/commands.md");
        let rows: Vec<Vec<&str>> = page
            .lines()
            .filter(|line| line.starts_with("| "))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        let cli = Cli::command();
        let commands: Vec<_> = rows[0][1..]
            .iter()
            .map(|name| cli.find_subcommand(name.trim_matches('`')).expect("a command"))
            .collect();
        let common = [
            "config",
            "set",
            "ledger",
            "sandbox",
            "json",
            "log-file",
            "metrics-file",
            "quiet",
            "verbose",
        ];
        let mut in_table = Vec::new();
        for row in &rows[1..] {
            let option = row[0].trim_matches('`').trim_start_matches("--");
            in_table.push(option);
            for (cell, command) in row[1..].iter().zip(&commands) {
                let has = command.get_arguments().any(|arg| arg.get_long() == Some(option));
                assert_eq!(*cell == "✓", has, "--{option} of {}", command.get_name());
            }
        }
        for command in &commands {
            for option in command.get_arguments().filter_map(|arg| arg.get_long()) {
                let known = in_table.contains(&option) || common.contains(&option) || option == "help";
                assert!(known, "--{option} of {} is not in the table", command.get_name());
            }
        }
    }
}
