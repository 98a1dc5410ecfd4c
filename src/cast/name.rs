//! Names of characters: which are valid, and when two are the same.

use std::fmt;

use caseless::Caseless;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::util::text::{DisallowedChar, disallowed, is_joiner_or_selector};

/// Maximum length of a name that the API accepts, in Unicode scalar values after NFC.
pub const MAX_NAME_CHARS: usize = 64;

/// The name of a character as it is enrolled: NFC, trimmed, every run of white space folded to one
/// space, 1–64 characters, none of them invisible.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

/// The form of a name that must be unique in a cast and in a ledger: full Unicode case folding (canonical
/// caseless matching, Unicode 3.13 D145), without invisible joiners and variation selectors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameKey(Box<str>);

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing but white space.
    #[error("the name is empty")]
    Empty,
    /// More than [`MAX_NAME_CHARS`].
    #[error("the name has {chars} characters, but the API accepts at most {MAX_NAME_CHARS}")]
    TooLong {
        /// The length of the name.
        chars: usize,
    },
    /// A character that is invisible or changes how others are displayed.
    #[error("the name contains U+{:04X}, {disallowed}", *.character as u32)]
    DisallowedChar {
        /// The first such character.
        character: char,
        /// Why it is not allowed in a name.
        disallowed: DisallowedChar,
    },
}

impl NameError {
    /// What to do about the error.
    pub fn hint(&self) -> String {
        match self {
            Self::Empty => "give the character a name".to_owned(),
            Self::TooLong { .. } => format!("shorten it to {MAX_NAME_CHARS} characters"),
            Self::DisallowedChar {
                disallowed: DisallowedChar::Replacement,
                ..
            } => "the text was saved in the wrong encoding: save it again as UTF-8 and restore the letter"
                .to_owned(),
            Self::DisallowedChar { .. } => {
                "retype the name by hand; such characters are often pasted along with text".to_owned()
            }
        }
    }
}

impl Name {
    /// Normalizes `text` as a name.
    ///
    /// # Errors
    /// The text is empty, too long, or contains a disallowed character.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let mut name = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if !name.is_ascii() {
            name = name.nfc().collect();
        }
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some((character, disallowed)) = name.chars().find_map(|c| Some((c, disallowed(c)?))) {
            return Err(NameError::DisallowedChar {
                character,
                disallowed,
            });
        }
        match name.chars().count() {
            1..=MAX_NAME_CHARS => Ok(Self(name.into())),
            chars => Err(NameError::TooLong { chars }),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key, which must be unique.
    pub fn key(&self) -> NameKey {
        // The same, but faster.
        if self.0.is_ascii() {
            return NameKey(self.0.to_ascii_lowercase().into());
        }
        NameKey(self.folded().into())
    }

    fn folded(&self) -> String {
        let seen = self.0.chars().filter(|c| !is_joiner_or_selector(*c));
        seen.nfd().default_case_fold().nfc().collect()
    }
}

impl NameKey {
    /// The key as text, as the ledger stores it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key as read from a ledger.
    pub fn from_stored(key: String) -> Self {
        Self(key.into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn white_space_is_folded_and_accents_are_composed() {
        for (typed, meant) in [
            ("  Ana  ", "Ana"),
            ("Ana\t  of\u{A0}the\u{3000}Hill\r\n", "Ana of the Hill"),
            ("Zoe\u{308}", "Zoë"),
            ("\u{212B}sa", "Åsa"),
        ] {
            assert_eq!(name(typed).as_str(), meant);
        }
    }

    #[test]
    fn names_that_differ_by_case_composition_or_white_space_are_the_same() {
        for (a, b) in [
            ("Cyber Knight", "CYBER  knight"),
            ("Straße", "STRASSE"),
            ("Zoë", "ZOE\u{308}"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("Ana", "A\u{200D}na"),
            ("☺", "☺\u{FE0F}"),
        ] {
            assert_eq!(name(a).key(), name(b).key(), "{a} and {b}");
        }
        for (a, b) in [("Ana", "Anna"), ("Zoe", "Zoë"), ("Knight 1", "Knight1")] {
            assert_ne!(name(a).key(), name(b).key(), "{a} and {b}");
        }
    }

    #[test]
    fn what_is_empty_or_too_long_is_refused() {
        assert_eq!(Name::new(" \u{3000}\t"), Err(NameError::Empty));
        assert!(Name::new(&"é".repeat(64)).is_ok());
        assert_eq!(Name::new(&"é".repeat(65)), Err(NameError::TooLong { chars: 65 }));
        // 128 code points, but 64 characters once composed.
        assert!(Name::new(&"e\u{301}".repeat(64)).is_ok());
    }

    #[test]
    fn what_cannot_be_seen_is_refused_with_its_code_point() {
        for text in [
            "A\u{1B}[31m",
            "A\0",
            "A\u{202E}na",
            "A\u{200B}na",
            "\u{FEFF}Ana",
            "A\u{FFFD}na",
            "\u{3164}",
        ] {
            let error = Name::new(text).unwrap_err();
            assert!(
                matches!(error, NameError::DisallowedChar { .. }),
                "{text:?}: {error}"
            );
            assert!(error.to_string().contains("U+"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn normalizing_twice_changes_nothing(text in "\\PC{0,70}|[a-zé \u{301}\u{308}ßİΣ\u{3000}]{0,70}") {
            if let Ok(name) = Name::new(&text) {
                prop_assert_eq!(Name::new(name.as_str()), Ok(name.clone()));
                prop_assert!((1..=MAX_NAME_CHARS).contains(&name.as_str().chars().count()));
                prop_assert_eq!(name.as_str().trim(), name.as_str());
            }
        }

        #[test]
        fn a_key_does_not_depend_on_case_or_composition(text in "[a-zA-Zéßẞ\u{1F80}-\u{1FFF}\u{301}İıΣς ]{1,30}") {
            let Ok(name) = Name::new(&text) else { return Ok(()) };
            let decomposed: String = name.as_str().nfd().collect();
            let spaced = format!(" {} ", name.as_str().replace(' ', " \t "));
            for same in [decomposed, spaced] {
                if let Ok(same) = Name::new(&same) {
                    prop_assert_eq!(same.key(), name.key());
                }
            }
            // A key is its own key, so stored keys keep comparing equal.
            if let Ok(of_key) = Name::new(name.key().as_str()) {
                prop_assert_eq!(of_key.key(), name.key());
            }
        }

        #[test]
        fn the_short_way_of_an_ascii_name_gives_the_same_key(text in "[ -~]{1,64}") {
            let Ok(name) = Name::new(&text) else { return Ok(()) };
            let key = name.key();
            prop_assert_eq!(key.as_str(), name.folded());
        }

        #[test]
        fn upper_and_lower_case_share_a_key(text in "[a-zA-Zà-öø-ÿα-ωа-я0-9 ]{1,60}") {
            let Ok(name) = Name::new(&text) else { return Ok(()) };
            if let Ok(upper) = Name::new(&text.to_uppercase()) {
                prop_assert_eq!(upper.key(), name.key());
            }
        }
    }
}
