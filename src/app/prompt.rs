//! Questions at the terminal, before anything is paid.

use crate::exit::UsageError;
use crate::util::wrap::wrap;

/// The error of a command that pays when it can't ask.
pub(crate) const NEEDS_YES: &str = "this run would pay, and enrolling can't be undone: check the cost with `castline \
                                    plan`, then run with --yes (or try it with --sandbox, which costs nothing)";

/// Asks before a command pays; without a terminal, `--yes` is required.
pub(crate) fn consent(yes: bool) -> anyhow::Result<()> {
    if yes || (can_ask() && ask_person("Pay for each enrollment? It can't be undone.")) {
        return Ok(());
    }
    Err(UsageError(NEEDS_YES.to_owned()).into())
}

/// Whether stdin and stderr are a terminal.
pub(crate) fn can_ask() -> bool {
    use std::io::IsTerminal;
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks at the terminal. Any answer but yes means no; input typed before the question was shown is discarded.
pub(crate) fn ask_person(question: &str) -> bool {
    #[cfg(unix)]
    if rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush).is_err() {
        return false;
    }
    let question = wrap(&console::Term::stderr(), &format!("{question} [y/N]"), "");
    eprint!("{question} ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}
