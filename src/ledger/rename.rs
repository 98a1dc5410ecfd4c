//! Moves a character, with all that it has, to another name.

use super::database::values;
use super::scope::{self, LedgerKey};
use super::{Ledger, LedgerError, Record, State, records};
use crate::cast::Name;

/// Why a character can't be renamed. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRenamed {
    /// The ledger has no character of that name.
    Unknown,
    /// A call for it has no outcome yet.
    InDoubt,
    /// The new name belongs to a character that was paid for, or perhaps was.
    Taken,
}

impl Ledger {
    /// Moves a character to another name, with its id, its calls, its decisions and its history. Its receipts are due to be
    /// written under the new name, so that other machines find them there.
    ///
    /// # Errors
    /// The ledger can't be read or written.
    pub async fn rename(&self, from: &Name, to: &Name) -> Result<Result<(), NotRenamed>, LedgerError> {
        let (from, to) = (from.clone(), to.clone());
        let (scope, place) = (self.view().scope().clone(), self.place().clone());
        self.transact(move |database| {
            let old = scope.locate(database, &from.key())?;
            let Some(record) = records::get(database, &place, &old)? else {
                return Ok(Err(NotRenamed::Unknown));
            };
            if matches!(record.state, State::Intent | State::InDoubt) {
                return Ok(Err(NotRenamed::InDoubt));
            }
            let new = scope.own(&to.key());
            if new != old {
                let query = "SELECT id FROM attempts WHERE key = ?1 LIMIT 1";
                let attempted = database.first(query, values![new.as_str()], |row| row.get::<i64>(0))?;
                let there = records::get(database, &place, &new)?;
                if attempted.is_some() || there.is_some_and(|there| there.asset_id.is_some()) {
                    return Ok(Err(NotRenamed::Taken));
                }
                scope::rename(database, &old, &new)?;
            }
            let record = Record {
                name: to.clone(),
                ..record
            };
            super::step::put(database, &new, &record)?;
            let new: &LedgerKey = &new;
            // Receipts are filed by name and image, and counted from 1 on.
            database.execute(
                "UPDATE attempts SET receipt_written = NULL, receipt_number = (
                    SELECT count(*) FROM attempts earlier
                    WHERE earlier.key = attempts.key AND earlier.receipt_call IS NOT NULL
                      AND earlier.source_sha256 IS NOT DISTINCT FROM attempts.source_sha256
                      AND earlier.kind IS NOT DISTINCT FROM attempts.kind
                      AND earlier.id <= attempts.id)
                 WHERE key = ?1 AND receipt_call IS NOT NULL",
                values![new.as_str()],
            )?;
            Ok(Ok(()))
        })
        .await
    }

    /// Marks a character as archived, or takes the mark away; `false` when the ledger has no character of that name.
    ///
    /// # Errors
    /// The ledger can't be read or written.
    pub async fn archive(&self, name: &Name, archived: bool) -> Result<bool, LedgerError> {
        let name = name.clone();
        let (scope, place) = (self.view().scope().clone(), self.place().clone());
        self.transact(move |database| {
            let key = scope.locate(database, &name.key())?;
            let Some(record) = records::get(database, &place, &key)? else {
                return Ok(false);
            };
            super::step::put(database, &key, &Record { archived, ..record })?;
            Ok(true)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_places::places;
    use super::super::{OpenOptions, Reader, Transition};
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn import(id: &str) -> Transition {
        Transition::Import {
            kind: crate::cast::Kind::Portrait,
            source: "a.png".to_owned(),
            sha256: Some("aa".to_owned()),
            asset_id: id.to_owned(),
            price: Some(crate::util::money::Usd::from_micros(10_000)),
            at: None,
            url: None,
            ids: Default::default(),
            extra: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_character_keeps_all_it_has_under_its_new_name() {
        let folder = tempfile::tempdir().unwrap();
        for place in places(&folder) {
            let ledger =
                Ledger::open(&place, OpenOptions::new("https://api.example", false, "test")).unwrap();
            let (ada, bo, cy) = (name("Ada"), name("Bo"), name("Ada of the Lake"));
            ledger.write(&ada, [import("ta_1")]).await.unwrap();
            ledger.write(&bo, [import("ta_2")]).await.unwrap();
            ledger
                .set_decision(&ada.key(), "aa", super::super::Approval::Approved, "Ora")
                .await
                .unwrap();
            let spent = ledger.view().spend(None).unwrap();

            assert_eq!(
                ledger.rename(&name("Nobody"), &cy).await.unwrap(),
                Err(NotRenamed::Unknown)
            );
            assert_eq!(ledger.rename(&ada, &bo).await.unwrap(), Err(NotRenamed::Taken));
            assert_eq!(ledger.rename(&ada, &cy).await.unwrap(), Ok(()));
            let record = ledger.get(&cy.key()).unwrap().unwrap();
            assert_eq!(
                (record.asset_id.as_deref(), record.name.as_str()),
                (Some("ta_1"), "Ada of the Lake")
            );
            assert!(ledger.get(&ada.key()).unwrap().is_none());
            assert_eq!(
                ledger.view().spend(None).unwrap(),
                spent,
                "what was paid stays counted"
            );
            assert_eq!(ledger.view().asset_ids().unwrap()["ta_1"], cy);
            assert_eq!(
                ledger.view().approval(&cy.key(), "aa").unwrap(),
                super::super::Approval::Approved
            );
            // Another spelling of the same name is no other character.
            let spelled = name("ADA of the lake");
            assert_eq!(ledger.rename(&cy, &spelled).await.unwrap(), Ok(()));
            assert_eq!(ledger.get(&cy.key()).unwrap().unwrap().name, spelled);

            assert!(ledger.archive(&cy, true).await.unwrap() && !ledger.archive(&ada, true).await.unwrap());
            assert!(ledger.get(&cy.key()).unwrap().unwrap().archived);
        }
    }
}
