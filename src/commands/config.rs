//! `castline config show`, completions and the man page.

use clap::CommandFactory;
use serde_json::{Value, json};

use crate::app::settings::load;
use crate::app::stdout::{print, println};
use crate::cli::{Cli, Common, ConfigCommand};
use crate::exit::{ExitCode, UsageError};
use crate::settings::keys::{KEYS, SECRET_VARIABLES};

/// Prints every setting, as it would appear in the file.
pub(super) fn config(common: &Common, command: ConfigCommand) -> anyhow::Result<ExitCode> {
    let ConfigCommand::Show { cast, origin } = command;
    let settings = load(common, cast.as_deref(), Vec::new())?;
    if common.json {
        let all: serde_json::Map<String, Value> = (KEYS.iter())
            .map(|key| {
                // As it would appear in the file: secrets are masked there.
                let shown = format!("value = {}", key.in_toml(&settings.layers));
                let shown: toml::Table = shown.parse().expect("what castline writes is TOML");
                let origin = settings.layers.value(key.name).origin.to_string();
                (
                    key.name.to_owned(),
                    json!({ "value": shown["value"], "origin": origin }),
                )
            })
            .collect();
        println(&serde_json::to_string_pretty(&all).expect("settings are plain data"))?;
        return Ok(ExitCode::Done);
    }
    let mut section = "";
    for key in KEYS {
        let (its_section, name) = key.parts();
        if its_section != section {
            println(&format!("[{its_section}]"))?;
            section = its_section;
        }
        let value = key.in_toml(&settings.layers);
        let from = match origin {
            true => format!("  # {}", settings.layers.value(key.name).origin),
            false => String::new(),
        };
        println(&format!("{name} = {value}{from}"))?;
    }
    for secret in SECRET_VARIABLES {
        let set = std::env::var_os(secret).is_some_and(|text| !text.is_empty());
        println(&format!("# {secret} is {}", if set { "***" } else { "not set" }))?;
    }
    Ok(ExitCode::Done)
}

/// Prints completions for a shell.
pub(super) fn completions(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    // Rendered into memory first: `generate` panics when a write fails.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "castline", &mut script);
    print(&script)?;
    Ok(ExitCode::Done)
}

/// Prints the man page of the tool, or of the command whose path is `command`.
pub(super) fn man(command: &[String]) -> anyhow::Result<ExitCode> {
    let mut page = Cli::command();
    page.build();
    for word in command {
        let found = page.find_subcommand(word).cloned();
        page = found.ok_or_else(|| UsageError(format!("there is no command `{}`", command.join(" "))))?;
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    print(&text)?;
    Ok(ExitCode::Done)
}
