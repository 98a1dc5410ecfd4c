//! Characters with several looks: each look is an asset of its own, with a name of its own.

use std::collections::HashMap;

use super::{Name, NameKey};

/// The columns that tell which character a look belongs to, and which look it is.
pub const LOOK_COLUMNS: [&str; 2] = ["character", "look"];

/// A look of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look<'a> {
    /// The character: `Alice`.
    pub character: &'a str,
    /// The look: `winter`; empty for the plain one.
    pub look: &'a str,
}

impl<'a> Look<'a> {
    /// The look that these columns tell of; `None` unless there are both of [`LOOK_COLUMNS`], and a character is named.
    pub fn of(extra: &'a [(String, String)]) -> Option<Self> {
        let [character, look] = LOOK_COLUMNS.map(|column| {
            let found = extra.iter().find(|(name, _)| name == column);
            found.map(|(_, value)| value.trim())
        });
        let (character, look) = (character?, look?);
        (!character.is_empty()).then_some(Self { character, look })
    }

    /// The name of the asset: `Alice, winter`, or `Alice` for the plain look. Engines get `Alice_winter`.
    pub fn name(&self) -> String {
        match (self.character, self.look) {
            (character, "") => character.to_owned(),
            (character, look) => format!("{character}, {look}"),
        }
    }

    /// The columns that tell of this look.
    pub(super) fn columns(&self) -> Vec<(String, String)> {
        let values = [self.character, self.look];
        let pairs = LOOK_COLUMNS.iter().zip(values);
        pairs
            .map(|(column, value)| ((*column).to_owned(), value.to_owned()))
            .collect()
    }

    /// The key of the character: equal for all spellings of its name.
    pub fn character_key(&self) -> Option<NameKey> {
        Name::new(self.character).ok().map(|name| name.key())
    }
}

/// Brings the looks of each character together, at the position of its first one; `character_of` names an item's character.
pub fn together<T>(items: &mut [T], character_of: impl Fn(&T) -> Option<NameKey>) {
    let mut first: HashMap<NameKey, usize> = HashMap::new();
    let mut places = items
        .iter()
        .enumerate()
        .map(|(at, item)| match character_of(item) {
            Some(character) => *first.entry(character).or_insert(at),
            None => at,
        });
    let places: Vec<usize> = places.by_ref().collect();
    if places.is_sorted() {
        return;
    }
    let mut at = 0;
    // Called once for each item, in order.
    items.sort_by_cached_key(|_| {
        at += 1;
        places[at - 1]
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_together_where_the_first_one_stands() {
        let mut items = ["Ada/a", "Bo", "Cy/x", "Ada/b", "Dee", "Cy/y", "ada/c"];
        together(&mut items, |item| {
            let (character, _) = item.split_once('/')?;
            Name::new(character).ok().map(|name| name.key())
        });
        assert_eq!(items, ["Ada/a", "Ada/b", "ada/c", "Bo", "Cy/x", "Cy/y", "Dee"]);
    }

    #[test]
    fn a_look_needs_both_columns_and_a_character() {
        let extra = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect()
        };
        let winter = extra(&[("role", "x"), ("character", "Alice"), ("look", "winter")]);
        assert_eq!(Look::of(&winter).unwrap().name(), "Alice, winter");
        let plain = extra(&[("character", "Alice"), ("look", "")]);
        assert_eq!(Look::of(&plain).unwrap().name(), "Alice");
        assert_eq!(Look::of(&extra(&[("character", "npc")])), None);
        assert_eq!(Look::of(&extra(&[("character", " "), ("look", "x")])), None);
    }
}
