//! Results on stdout. A closed stdout ends the command without an error.

use std::io::Write;

/// The reader of stdout has closed it: the command ends without an error.
#[derive(Debug, thiserror::Error)]
#[error("stdout is closed")]
pub(crate) struct StdoutClosed;

/// Prints a line on stdout.
///
/// # Errors
/// [`StdoutClosed`] when the reader has closed it, or an I/O error.
pub(crate) fn println(line: &str) -> anyhow::Result<()> {
    print(format!("{line}\n").as_bytes())
}

/// Prints many lines on stdout, some thousands at a time.
#[derive(Debug, Default)]
pub(crate) struct Lines(String);

impl Lines {
    /// Adds a line. Errors as in `println`.
    pub(crate) fn add(&mut self, line: &str) -> anyhow::Result<()> {
        self.0.push_str(line);
        self.0.push('\n');
        match self.0.len() > 1 << 16 {
            true => self.print(),
            false => Ok(()),
        }
    }

    /// Prints what was added. Errors as in `println`.
    pub(crate) fn print(&mut self) -> anyhow::Result<()> {
        print(std::mem::take(&mut self.0).as_bytes())
    }
}

/// Writes bytes to stdout and flushes it. Errors as in `println`.
pub(crate) fn print(bytes: &[u8]) -> anyhow::Result<()> {
    print_with(|stdout| stdout.write_all(bytes))
}

/// Writes to stdout what `write` writes, and flushes it. Errors as in `println`.
pub(crate) fn print_with(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(StdoutClosed.into()),
        other => Ok(other?),
    }
}
