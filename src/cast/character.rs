//! One character of a cast: its name, its image, and its other columns.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use super::Name;

/// How a character is enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Drawn or generated: the image alone is enrolled.
    #[default]
    Portrait,
    /// A real person, who proves with a liveness check that the face is their own.
    RealFace,
}

impl Kind {
    /// `portrait` or `realface`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Portrait => "portrait",
            Self::RealFace => "realface",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not a kind of character.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a kind of character: use portrait or realface")]
pub struct ParseKindError(String);

impl std::str::FromStr for Kind {
    type Err = ParseKindError;

    /// Parses a kind, ignoring case; `real_face`, `real-face` and `real face` also mean `realface`.
    fn from_str(text: &str) -> Result<Self, ParseKindError> {
        let letters: String = text
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '_'))
            .flat_map(char::to_lowercase)
            .collect();
        match letters.as_str() {
            "portrait" => Ok(Self::Portrait),
            "realface" => Ok(Self::RealFace),
            _ => Err(ParseKindError(text.to_owned())),
        }
    }
}

/// Where a character's image is.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// A file on this machine.
    File {
        /// The path as written in the cast.
        given: String,
        /// The path of the file.
        path: PathBuf,
    },
    /// An image on the web.
    Url {
        /// The URL as written in the cast, without its query, which may be a signature.
        given: String,
        /// The whole URL, including a signature: for the request only. Boxed, because most casts are files.
        url: Box<Url>,
    },
}

impl Source {
    /// A file on this machine.
    pub fn file(given: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self::File {
            given: given.into(),
            path: path.into(),
        }
    }

    /// An image on the web, and its URL as written in the cast.
    pub fn url(given: &str, url: Url) -> Self {
        // Whatever its keys are called: a query may be a signature, or a token of whoever shared the link.
        let given = given.split(['?', '#']).next().unwrap_or(given);
        Self::Url {
            given: given.to_owned(),
            url: Box::new(url),
        }
    }

    /// The path or URL as written in the cast, for messages, ledger and manifest. Never a signature.
    pub fn given(&self) -> &str {
        match self {
            Self::File { given, .. } | Self::Url { given, .. } => given,
        }
    }
}

/// `Debug` keeps signatures out of logs.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { given, path } => f
                .debug_struct("File")
                .field("given", given)
                .field("path", path)
                .finish(),
            Self::Url { given, .. } => f
                .debug_struct("Url")
                .field("given", given)
                .finish_non_exhaustive(),
        }
    }
}

/// One row of a CSV, or one image of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Character {
    /// The name that it is enrolled under.
    pub name: Name,
    /// Its image.
    pub source: Source,
    /// How it is enrolled.
    pub kind: Kind,
    /// Whether a person approves the image if the inspection asks for review (`approve` = yes).
    pub approved: bool,
    /// Whether an image that was judged unsuitable is to be enrolled all the same.
    pub overrides: bool,
    /// Whether a real person agreed to be enrolled (`consent` = yes).
    pub consent: bool,
    /// The `note` column.
    pub note: Option<String>,
    /// All other columns with their headers, in the order of the file; carried to the manifest.
    pub extra: Vec<(String, String)>,
    /// The line of the CSV on which its row begins, counted from 1.
    pub line: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_people_write_them() {
        for text in ["realface", "RealFace", "real_face", "REAL FACE", "real-face"] {
            assert_eq!(text.parse(), Ok(Kind::RealFace), "{text}");
        }
        assert_eq!("Portrait".parse(), Ok(Kind::Portrait));
        assert!("actor".parse::<Kind>().is_err());
    }

    #[test]
    fn a_signature_is_neither_shown_nor_logged_but_still_requested() {
        let signed = "https://cdn.example/a.png?X-Amz-Date=1&X-Amz-Signature=c0ffee";
        let source = Source::url(signed, signed.parse().unwrap());
        assert_eq!(source.given(), "https://cdn.example/a.png");
        assert!(!format!("{source:?}").contains("c0ffee"));
        assert!(matches!(&source, Source::Url { url, .. } if url.as_str() == signed));
    }

    #[test]
    fn no_query_is_shown_whatever_its_keys_are_called() {
        for query in ["?access=c0ffee", "?c0ffee", "#c0ffee", "?size=2048&hmac=c0ffee"] {
            let given = format!("https://CDN.example/a{query}");
            let source = Source::url(&given, given.parse().unwrap());
            assert_eq!(source.given(), "https://CDN.example/a");
            assert!(!format!("{source:?}").contains("c0ffee"));
        }
    }
}
