//! The command-line tool: parse, hand over, exit. All logic lives in the library.

use clap::Parser;

fn main() -> std::process::ExitCode {
    match castline::cli::Cli::try_parse() {
        Ok(cli) => castline::commands::main(cli).into(),
        Err(error) => castline::commands::refused(&error).into(),
    }
}
