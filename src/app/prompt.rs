//! Questions at the terminal, before anything is paid.

use crate::exit::UsageError;
use crate::util::wrap::wrap;

/// What a command that pays answers where it can't ask.
pub(crate) const NEEDS_YES: &str = "this run would pay, and enrolling can't be undone: see the cost with `castline \
                                    plan`, then run with --yes (or try it with --sandbox, which costs nothing)";

/// A command that pays asks first; without a terminal it needs `--yes`.
pub(crate) fn consent(yes: bool) -> anyhow::Result<()> {
    if yes || (can_ask() && ask_person("Pay for each enrollment? It can't be undone.")) {
        return Ok(());
    }
    Err(UsageError(NEEDS_YES.to_owned()).into())
}

/// Whether somebody is at the terminal.
pub(crate) fn can_ask() -> bool {
    use std::io::IsTerminal;
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks at the terminal; everything but yes is no, and so is what was typed before the question was shown.
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
