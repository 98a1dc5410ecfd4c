//! Commands in messages, ready to be pasted into a shell.

/// A word as a POSIX shell takes it. NUL, which no argument can hold, is left out.
pub(crate) fn quote(word: &str) -> String {
    let word = word.replace('\0', "");
    shlex::try_quote(&word).map_or_else(|_| word.clone(), |quoted| quoted.into_owned())
}
