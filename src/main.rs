//! The command-line tool: parse, hand over, exit. All logic lives in the library.

use clap::Parser;

fn main() -> std::process::ExitCode {
    castline::commands::main(castline::cli::Cli::parse()).into()
}
