//! The command-line tool: parse, hand over, exit. All logic lives in the library.

use clap::Parser;

/// A large cast is many small strings, which this allocator hands out faster than those of the systems
/// (`docs/performance.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    match castline::cli::Cli::try_parse() {
        Ok(cli) => castline::commands::main(cli).into(),
        Err(error) => castline::commands::refused(&error).into(),
    }
}
