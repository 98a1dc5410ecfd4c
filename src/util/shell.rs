//! Quotes commands in messages, so that they can be pasted into a shell.

/// Quotes a word for a POSIX shell. NUL, which no argument can contain, is dropped.
pub(crate) fn quote(word: &str) -> String {
    let word = word.replace('\0', "");
    shlex::try_quote(&word).map_or_else(|_| word.clone(), |quoted| quoted.into_owned())
}
