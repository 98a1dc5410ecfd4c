//! The names of a whole cast, and those approved on the command line.

use std::collections::HashSet;

use crate::cast::{Cast, Name, NameKey, printable};
use crate::cli::{CastArgs, SelectArgs};
use crate::exit::UsageError;

/// The names of the whole cast, even where a command processes a part of it: one list of approvals serves all commands.
#[derive(Debug, Clone)]
pub(crate) struct CastNames {
    /// All names.
    pub(super) all: HashSet<NameKey>,
    /// Those approved by `--approve` or `--approvals`.
    pub(super) approved: HashSet<NameKey>,
}

impl CastNames {
    /// The names of `cast`, and the approvals in `args`.
    ///
    /// # Errors
    /// An approved name is not in the cast.
    pub(crate) fn of(cast: &Cast, args: &CastArgs) -> anyhow::Result<Self> {
        let all = names_of(cast);
        let mut approved = HashSet::new();
        for name in approved_names(args)? {
            let key = Name::new(&name)
                .map_err(|e| UsageError(format!("approved name {name:?}: {e}")))?
                .key();
            if !all.contains(&key) {
                return Err(UsageError(format!("the approved name {name:?} is not in the cast")).into());
            }
            approved.insert(key);
        }
        Ok(Self { all, approved })
    }
}

/// All names in a cast, those of invalid rows as well: their characters are not gone.
pub(crate) fn names_of(cast: &Cast) -> HashSet<NameKey> {
    let invalid = cast
        .bad_rows
        .iter()
        .filter_map(|bad| Name::new(bad.name.as_deref()?).ok());
    let names = cast.characters.names().map(|name| name.key());
    names.chain(invalid.map(|name| name.key())).collect()
}

/// Keeps the characters that `--only` and `--skip` choose.
///
/// # Errors
/// A name is not in the cast.
pub(crate) fn select(cast: &mut Cast, select: &SelectArgs) -> Result<(), UsageError> {
    let named = |flag: &str, names: &[String]| -> Result<HashSet<NameKey>, UsageError> {
        let find = |name: &String| {
            let key = Name::new(name)
                .map_err(|e| UsageError(format!("{flag} {name:?}: {e}")))?
                .key();
            if cast.characters.names().any(|name| name.key() == key) {
                return Ok(key);
            }
            let near = cast
                .characters
                .names()
                .map(|name| {
                    (
                        strsim::damerau_levenshtein(name.key().as_str(), key.as_str()),
                        name,
                    )
                })
                .min_by_key(|(slips, _)| *slips)
                .filter(|(slips, _)| *slips <= 2)
                .map_or_else(String::new, |(_, name)| {
                    format!("; did you mean {:?}?", printable(name.as_str()))
                });
            Err(UsageError(format!("{flag} {name:?} is not in the cast{near}")))
        };
        names.iter().map(find).collect()
    };
    let (only, skip) = (named("--only", &select.only)?, named("--skip", &select.skip)?);
    cast.characters.retain(|character| {
        let key = character.name.key();
        (only.is_empty() || only.contains(&key)) && !skip.contains(&key)
    });
    if cast.characters.is_empty() && select.is_part() {
        return Err(UsageError("--only and --skip together leave nobody".to_owned()));
    }
    Ok(())
}

/// The names approved by `--approve` and `--approvals`, as written.
pub(crate) fn approved_names(args: &CastArgs) -> anyhow::Result<Vec<String>> {
    let mut names = args.approve.clone();
    if let Some(file) = &args.approvals {
        let text = std::fs::read_to_string(file)
            .map_err(|e| UsageError(format!("--approvals {} can't be read: {e}", file.display())))?;
        names.extend(
            text.lines()
                .map(str::trim)
                .filter(|l| !l.is_empty() && !l.starts_with('#'))
                .map(str::to_owned),
        );
    }
    Ok(names)
}
