//! Results on stdout. A reader that goes away ends the command in peace.

/// Whoever read stdout has enough: the command ends in peace.
#[derive(Debug, thiserror::Error)]
#[error("stdout is closed")]
pub(crate) struct StdoutClosed;

/// A line on stdout; a reader that went away ends the command in peace.
pub(crate) fn println(line: &str) -> anyhow::Result<()> {
    print(format!("{line}\n").as_bytes())
}

/// The same for what is written at once.
pub(crate) fn print(bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    let mut stdout = std::io::stdout();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(StdoutClosed.into()),
        other => Ok(other?),
    }
}
