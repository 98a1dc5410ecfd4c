//! Which characters of a ledger belong to the cast that a command works on: one ledger may hold several casts, and two of
//! them may have a character of the same name.

use std::path::{Component, Path};

use super::database::{Database, values};
use super::{LedgerError, Place};
use crate::cast::NameKey;
use crate::util::fs::resolved;

/// Separates the cast from the name in a key: no name contains a control character.
const SEPARATOR: char = '\u{1f}';

/// The key of a character in the tables: its cast and its case-folded name. Ledgers of an earlier castline have the name
/// alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LedgerKey(String);

impl LedgerKey {
    /// The key of a name in a cast.
    fn new(cast: &str, name: &NameKey) -> Self {
        Self(format!("{cast}{SEPARATOR}{}", name.as_str()))
    }

    /// A key as it is stored.
    pub(super) fn from_stored(key: String) -> Self {
        Self(key)
    }

    /// The key as it is stored.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The cast, if the key has one.
    fn cast(&self) -> Option<&str> {
        self.0.split_once(SEPARATOR).map(|(cast, _)| cast)
    }
}

/// The cast that a command works on, and what it takes over from casts that no longer exist.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// The path of the cast from the ledger's folder, or its name in a database; `None` for a command on the whole ledger.
    cast: Option<String>,
    /// The name of the cast's file or folder.
    name: Option<String>,
    /// Casts whose file or folder no longer exists: they were renamed or removed.
    gone: Vec<String>,
    /// Casts that exist beside this one.
    others: Vec<String>,
}

impl Scope {
    /// The scope of `cast` in the ledger at `place`; without a cast, the whole ledger.
    pub(super) fn new(database: &Database, place: &Place, cast: Option<&Path>) -> Result<Self, LedgerError> {
        let Some(cast) = cast else {
            return Ok(Self::default());
        };
        let file = resolved(cast);
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
        // The folder of a ledger that is a file. In a database, a cast has the same name on every machine, and nobody can
        // tell whether one that isn't here is gone.
        let folder = match place {
            Place::File(ledger) => Some(resolved(ledger).parent().map(Path::to_owned).unwrap_or_default()),
            Place::Postgres(_) => None,
        };
        let cast = match &folder {
            Some(folder) => from_folder(folder, &file),
            None => name.clone().unwrap_or_default(),
        };
        let query = "SELECT DISTINCT cast_path FROM character_fields WHERE cast_path IS NOT NULL";
        let stored: Vec<String> = database.rows(query, values![], |row| row.get(0))?;
        let (others, gone) = stored
            .into_iter()
            .filter(|other| *other != cast)
            .partition(|other| folder.as_ref().is_none_or(|folder| folder.join(other).exists()));
        Ok(Self {
            cast: Some(cast),
            name,
            gone,
            others,
        })
    }

    /// The name of the cast's file or folder; `None` for the whole ledger.
    pub(super) fn cast_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether it is that of one cast.
    pub(super) fn is_of_a_cast(&self) -> bool {
        self.cast.is_some()
    }

    /// The key of a new character.
    pub(super) fn own(&self, name: &NameKey) -> LedgerKey {
        match &self.cast {
            Some(cast) => LedgerKey::new(cast, name),
            None => LedgerKey(name.as_str().to_owned()),
        }
    }

    /// Where the character is stored: in its cast, else in a ledger of an earlier castline, else in a cast that no longer
    /// exists. A command on the whole ledger finds it in any cast.
    ///
    /// # Errors
    /// The ledger can't be read, or several casts have the name and none was given.
    pub(super) fn locate(&self, database: &Database, name: &NameKey) -> Result<LedgerKey, LedgerError> {
        let own = self.own(name);
        let exists = |key: &LedgerKey| {
            let query = "SELECT EXISTS (SELECT 1 FROM characters WHERE key = ?1)";
            database.one(query, values![key.as_str()], |row| row.get::<bool>(0))
        };
        if exists(&own)? {
            return Ok(own);
        }
        if self.cast.is_none() {
            return Ok(in_any_cast(database, name)?.unwrap_or(own));
        }
        let earlier = std::iter::once(LedgerKey(name.as_str().to_owned()));
        let gone = self.gone.iter().map(|cast| LedgerKey::new(cast, name));
        for key in earlier.chain(gone) {
            if exists(&key)? {
                return Ok(key);
            }
        }
        Ok(own)
    }

    /// The keys that the name would have in the other casts that exist.
    pub(super) fn elsewhere(&self, name: &NameKey) -> impl Iterator<Item = LedgerKey> {
        self.others.iter().map(|cast| LedgerKey::new(cast, name))
    }

    /// Whether a stored character belongs to the scope.
    pub(super) fn includes(&self, key: &LedgerKey) -> bool {
        match (&self.cast, key.cast()) {
            (Some(ours), Some(its)) => ours == its || !self.others.iter().any(|other| other == its),
            _ => true,
        }
    }
}

/// The key of a name in whatever cast has it.
fn in_any_cast(database: &Database, name: &NameKey) -> Result<Option<LedgerKey>, LedgerError> {
    let query = "SELECT key FROM character_fields WHERE name_in_cast = ?1 ORDER BY seq LIMIT 2";
    let mut keys = database.rows(query, values![name.as_str()], |row| Ok(LedgerKey(row.get(0)?)))?;
    if keys.len() < 2 {
        return Ok(keys.pop());
    }
    let casts: Vec<&str> = keys.iter().map(|key| key.cast().unwrap_or_default()).collect();
    Err(LedgerError::Ambiguous {
        name: name.as_str().to_owned(),
        casts: casts.join(" and "),
    })
}

/// Moves a character to another key, in all tables, over what that key has.
pub(super) fn rename(database: &Database, from: &LedgerKey, to: &LedgerKey) -> Result<(), LedgerError> {
    let both = values![from.as_str(), to.as_str()];
    database.execute("DELETE FROM characters WHERE key = ?1", values![to.as_str()])?;
    database.execute(
        "DELETE FROM decisions WHERE key = ?2
         AND source_sha256 IN (SELECT source_sha256 FROM decisions WHERE key = ?1)",
        both,
    )?;
    for table in [
        "characters",
        "attempts",
        "history",
        "decisions",
        "realface_sessions",
    ] {
        database.execute(&format!("UPDATE {table} SET key = ?2 WHERE key = ?1"), both)?;
    }
    Ok(())
}

/// `path` from `folder`, with `/`: the same when both are moved or copied together, on every system.
fn from_folder(folder: &Path, path: &Path) -> String {
    let (mut from, mut to) = (folder.components().peekable(), path.components().peekable());
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    let up = from.map(|_| "..".to_owned());
    let down = to.map(|part| match part {
        // On another drive.
        Component::Prefix(_) | Component::RootDir => part
            .as_os_str()
            .to_string_lossy()
            .trim_end_matches(['/', '\\'])
            .to_owned(),
        part => part.as_os_str().to_string_lossy().into_owned(),
    });
    let path: Vec<String> = up.chain(down).collect();
    path.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::Name;

    fn key(name: &str) -> NameKey {
        Name::new(name).unwrap().key()
    }

    #[test]
    fn a_path_from_a_folder_stays_the_same_when_both_are_moved() {
        for (folder, path, expected) in [
            ("/srv/game/.castline", "/srv/game/cast.csv", "../cast.csv"),
            ("/srv/game/art/.castline", "/srv/game/art", ".."),
            ("/srv/ledgers", "/srv/game/cast.csv", "../game/cast.csv"),
            ("/srv", "/srv/cast.csv", "cast.csv"),
        ] {
            assert_eq!(from_folder(Path::new(folder), Path::new(path)), expected);
        }
    }

    #[test]
    fn a_scope_includes_its_cast_and_those_that_are_gone() {
        let scope = Scope {
            cast: Some("../a.csv".to_owned()),
            name: Some("a.csv".to_owned()),
            gone: vec!["../old.csv".to_owned()],
            others: vec!["../b.csv".to_owned()],
        };
        let stored = |cast: &str| LedgerKey::new(cast, &key("Guard"));
        assert!(scope.includes(&scope.own(&key("Guard"))));
        assert!(scope.includes(&stored("../old.csv")));
        assert!(!scope.includes(&stored("../b.csv")));
        assert!(
            scope.includes(&LedgerKey("guard".to_owned())),
            "of an earlier castline"
        );
        assert!(Scope::default().includes(&stored("../b.csv")));
        let elsewhere: Vec<_> = scope.elsewhere(&key("Guard")).collect();
        assert_eq!(elsewhere, [stored("../b.csv")]);
    }
}
