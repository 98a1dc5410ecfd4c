//! The commands that messages suggest, with the cast and the flags they need.

use std::path::Path;

use crate::cli::Common;
use crate::settings::keys;
use crate::util::shell::quote;

/// The arguments after `castline COMMAND` that select the same cast and ledger: ` cast.csv --sandbox`.
pub(crate) fn same_arguments(common: &Common, cast: Option<&Path>) -> String {
    let mut words: Vec<String> = cast.map(|cast| cast.display().to_string()).into_iter().collect();
    if common.sandbox {
        words.push("--sandbox".to_owned());
    }
    for (flag, file) in [("--config", &common.config), ("--ledger", &common.ledger)] {
        if let Some(file) = file {
            words.extend([flag.to_owned(), file.display().to_string()]);
        }
    }
    for set in common.set.iter().chain(&common.of_cast) {
        words.extend(["--set".to_owned(), shown(set)]);
    }
    words.iter().map(|word| format!(" {}", quote(word))).collect()
}

/// As [`same_arguments`], with the placeholder CAST where no cast was given.
pub(crate) fn same_arguments_or_cast(common: &Common, cast: Option<&Path>) -> String {
    same_arguments(common, cast.or(Some(Path::new("CAST"))))
}

/// `KEY=VALUE` with secrets masked: messages end up in logs.
fn shown(set: &str) -> String {
    match set.split_once('=') {
        Some((name, text)) => match keys::find(name.trim()) {
            Some(key) => format!("{name}={}", key.shown(text)),
            None => set.to_owned(),
        },
        None => set.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn said(typed: &[&str]) -> String {
        let cli = Cli::parse_from([&["castline", "status"], typed].concat());
        same_arguments(&cli.common, Some(Path::new("my cast.csv")))
    }

    #[test]
    fn a_command_is_ready_to_be_pasted() {
        assert_eq!(said(&[]), " 'my cast.csv'");
        assert_eq!(
            said(&["--sandbox", "--ledger", "it's.db", "--set", "api.rate=3/min"]),
            r#" 'my cast.csv' --sandbox --ledger "it's.db" --set 'api.rate=3/min'"#
        );
    }

    #[test]
    fn no_secret_is_in_it() {
        let message = said(&["--set", "notify.url=https://hooks.example/SECRET"]);
        assert_eq!(
            message,
            " 'my cast.csv' --set 'notify.url=https://hooks.example/***'"
        );
    }
}
