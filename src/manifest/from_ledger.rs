//! The manifest as a view of the ledger.

use std::collections::{HashMap, HashSet};

use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use super::{Looks, Manifest, ManifestEntry};
use crate::cast::{Look, NameKey};
use crate::inspect::ImageSignature;
use crate::ledger::{LedgerError, LedgerView, Record, Signatures};
use crate::net::hosts::is_stand_in;
use crate::util::money::Usd;

/// Every character of a view that has an asset id, in the order of the ledger, with the looks of a character together.
/// They are read as they are written: of a large cast, few are in memory.
pub struct Stored<'a> {
    view: &'a LedgerView,
    /// The names that are in the cast, if that is known.
    cast: Option<&'a HashSet<NameKey>>,
    /// The looks that stand apart from the first of their character.
    apart: HashSet<i64>,
    /// Those looks, by the look that they follow.
    following: HashMap<i64, Vec<i64>>,
    /// Their numbers in the ledger, ascending.
    numbers: Vec<i64>,
}

/// The manifest: every character of the view that has an asset id. `cast` has the names that are in the cast, if that is
/// known.
pub fn from_ledger(view: &LedgerView, cast: Option<&HashSet<NameKey>>) -> Result<Manifest, LedgerError> {
    let stored = stored(view, cast)?;
    let mut characters = Vec::with_capacity(stored.characters.count());
    stored.characters.each(std::convert::identity, |entry| {
        characters.push(entry);
        Ok::<_, LedgerError>(())
    })?;
    Ok(stored.with(characters))
}

/// As [`from_ledger`], for writing: the characters are read then.
pub fn stored<'a>(
    view: &'a LedgerView,
    cast: Option<&'a HashSet<NameKey>>,
) -> Result<Manifest<Stored<'a>>, LedgerError> {
    let (mut looks, mut cost_usd) = (Looks::default(), Usd::ZERO);
    let mut characters = Stored {
        view,
        cast,
        apart: HashSet::new(),
        following: HashMap::new(),
        numbers: Vec::new(),
    };
    // The last look of a character that follows its first one.
    let mut ends: HashMap<NameKey, i64> = HashMap::new();
    let mut before = None;
    view.each(Signatures::Skip, std::convert::identity, |number, record, _| {
        let Some(asset_id) = &record.asset_id else {
            return Ok(());
        };
        characters.numbers.push(number);
        cost_usd = cost_usd + record.price.unwrap_or(Usd::ZERO);
        looks.add(&record.extra, asset_id);
        let character = Look::of(&record.extra).and_then(|look| look.character_key());
        if let Some(character) = &character {
            let end = ends.entry(character.clone()).or_insert(number);
            if before == Some((*end, character.clone())) {
                *end = number;
            } else if *end != number {
                characters.apart.insert(number);
                characters.following.entry(*end).or_default().push(number);
            }
        }
        before = character.map(|character| (number, character));
        Ok::<_, LedgerError>(())
    })?;
    Ok(Manifest {
        cast: view.cast_name().map(str::to_owned),
        stand_in: is_stand_in(view.provider()),
        cost_usd,
        looks: looks.by_character,
        ..Manifest::with_characters(view.provider(), view.is_sandbox(), view.last_run()?, characters)
    })
}

impl Stored<'_> {
    /// The number of characters.
    pub fn count(&self) -> usize {
        self.numbers.len()
    }

    /// Reads each of them; `failed` makes an error of the ledger one of `read`'s.
    fn each<E>(
        &self,
        failed: impl Fn(LedgerError) -> E + Copy,
        mut read: impl FnMut(ManifestEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        self.view
            .each(Signatures::Read, failed, |number, record, signature| {
                // What was enrolled since is in no total.
                let is_new = self.numbers.binary_search(&number).is_err();
                if is_new || self.apart.contains(&number) {
                    return Ok(());
                }
                if let Some(entry) = self.entry(record, signature) {
                    read(entry)?;
                }
                for number in self.following.get(&number).into_iter().flatten() {
                    let found = self.view.of_number(*number).map_err(failed)?;
                    if let Some(entry) = found.and_then(|(record, signature)| self.entry(record, signature)) {
                        read(entry)?;
                    }
                }
                Ok(())
            })
    }

    fn entry(&self, record: Record, signature: Option<ImageSignature>) -> Option<ManifestEntry> {
        Some(ManifestEntry {
            asset_id: record.asset_id?,
            kind: record.enrolled_kind.unwrap_or(record.kind),
            source: record.source,
            signature,
            source_sha256: record.enrolled_sha256,
            group_id: record.ids.group_id,
            request_id: record.ids.request_id,
            published_url: record.url,
            price_usd: record.price,
            enrolled_at: record.enrolled_at,
            removed: record.archived || self.cast.is_some_and(|cast| !cast.contains(&record.name.key())),
            settlement: record.settlement,
            extra: record.extra,
            name: record.name.as_str().to_owned(),
        })
    }
}

impl Serialize for Stored<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(None)?;
        self.each(S::Error::custom, |entry| list.serialize_element(&entry))?;
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cast::{Name, together};
    use crate::ledger::test_steps::enrolling;
    use crate::ledger::{Ledger, OpenOptions};

    fn ledger(folder: &tempfile::TempDir) -> Ledger {
        let options = OpenOptions::new("sandbox", true, "test");
        Ledger::open(folder.path().join("ledger.db").as_path(), options).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// What is written as it is read is what a list would be: looks stand together, at the first of their character.
        #[test]
        fn what_is_written_as_it_is_read_is_the_same_as_a_list(
            who in prop::collection::vec(prop_oneof!["[abc]", "-"], 0..14),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let ledger = ledger(&folder);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut expected = Vec::new();
            for (number, who) in who.iter().enumerate() {
                let name = Name::new(&format!("Hero {number}")).unwrap();
                let columns = [("character", who.clone()), ("look", number.to_string())];
                let columns = columns.map(|(column, text)| (column.to_owned(), text));
                let extra = if who == "-" { &[][..] } else { &columns[..] };
                runtime.block_on(ledger.write(&name, enrolling(&name, extra))).unwrap();
                expected.push((name.as_str().to_owned(), extra.to_vec()));
            }
            together(&mut expected, |(_, extra)| Look::of(extra)?.character_key());
            let streamed = stored(ledger.view(), None).unwrap();
            let mut bytes = Vec::new();
            crate::manifest::write_json(&mut bytes, &streamed).unwrap();
            let written: Manifest = serde_json::from_slice(&bytes).unwrap();
            let names: Vec<_> = written.characters.iter().map(|c| (c.name.clone(), c.extra.clone())).collect();
            prop_assert_eq!(names, expected);
            prop_assert_eq!(streamed.characters.count(), who.len());
            // Totals and looks are those of a list.
            let of_list = Manifest::new("sandbox", true, written.run, written.characters.clone());
            prop_assert_eq!(&written.looks, &of_list.looks);
            prop_assert_eq!(written.cost_usd, of_list.cost_usd);
            prop_assert_eq!(from_ledger(ledger.view(), None).unwrap().characters, written.characters);
        }
    }

    #[tokio::test]
    async fn who_is_enrolled_while_it_is_written_is_in_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(&folder);
        let (ada, bo) = (Name::new("Ada").unwrap(), Name::new("Bo").unwrap());
        ledger.write(&ada, enrolling(&ada, &[])).await.unwrap();
        let counted = stored(ledger.view(), None).unwrap();
        ledger.write(&bo, enrolling(&bo, &[])).await.unwrap();
        let written: Manifest = serde_json::from_value(serde_json::to_value(&counted).unwrap()).unwrap();
        assert_eq!(
            written.characters.len(),
            1,
            "as its total says: {}",
            written.cost_usd
        );
        assert_eq!(written.cost_usd, Usd::from_micros(10_000));
        assert_eq!(from_ledger(ledger.view(), None).unwrap().characters.len(), 2);
    }
}
