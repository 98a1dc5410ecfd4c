//! Sources of values, in rising precedence: defaults, the user's file, the file of the cast, the environment, flags.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::SettingsError;
use super::keys::{self, KEYS, Key, Shape};

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// castline's default.
    Default,
    /// This file.
    File(PathBuf),
    /// This environment variable.
    Environment(String),
    /// This flag of the command line.
    Flag(String),
    /// The API's quote to a wallet.
    Quote,
    /// The API's reply to the last paid call.
    Reply,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => f.write_str(variable),
            Self::Flag(flag) => f.write_str(flag),
            Self::Quote => f.write_str("the API's quote"),
            Self::Reply => f.write_str("the API's last reply"),
        }
    }
}

/// A value as text, and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The text; each item of a list ends with a line feed.
    pub text: String,
    /// Where the value was set.
    pub origin: Origin,
}

/// The values of all settings, as text.
#[derive(Debug, Clone)]
pub struct Layers {
    values: BTreeMap<&'static str, Value>,
}

impl Layers {
    /// All settings at their defaults.
    pub fn defaults() -> Self {
        let default = |key: &Key| Value {
            text: key.default.to_owned(),
            origin: Origin::Default,
        };
        Self {
            values: KEYS.iter().map(|key| (key.name, default(key))).collect(),
        }
    }

    /// Overrides the values with those of the file at `path`.
    ///
    /// # Errors
    /// The file can't be read, is not TOML, or has an unknown key.
    pub fn file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let wrong = |problem: String| SettingsError::File {
            path: path.to_owned(),
            problem,
        };
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        // Unlike TOML's own messages, without the line itself: it may contain a secret.
        let malformed = |e: toml::de::Error| {
            let before = e.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            wrong(format!("line {line}: {}", e.message()))
        };
        let table: toml::Table = text.parse().map_err(malformed)?;
        for (section, content) in table {
            let toml::Value::Table(content) = content else {
                return Err(unknown(&section, &Origin::File(path.to_owned())));
            };
            for (name, value) in content {
                let name = format!("{section}.{name}");
                // Without the value: it may be a secret.
                let text = plain(&value).ok_or_else(|| {
                    wrong(format!(
                        "{name}: expected a string, number, boolean or list of strings"
                    ))
                })?;
                self.set(&name, text, Origin::File(path.to_owned()))?;
            }
        }
        Ok(())
    }

    /// Overrides the values with those of `CASTLINE_<SECTION>_<KEY>` variables, given as pairs of name and text. Empty
    /// ones count as unset, because CI systems leave them so.
    ///
    /// # Errors
    /// A variable that begins with `CASTLINE_` is unknown, or one that sets a limit is empty: a budget that is misspelt
    /// or whose variable got lost would otherwise be ignored.
    pub fn environment(&mut self, variables: &[(String, String)]) -> Result<(), SettingsError> {
        let ours = variables
            .iter()
            .filter(|(name, _)| name.starts_with(keys::VARIABLES_BEGIN));
        for (name, text) in ours {
            let key = KEYS.iter().find(|key| key.variable() == *name);
            if text.is_empty() && !key.is_some_and(Key::is_limit) {
                continue;
            }
            if let Some(key) = key {
                self.set(key.name, text.clone(), Origin::Environment(name.clone()))?;
            } else if !keys::is_other_variable(name) {
                return Err(SettingsError::Variable {
                    name: name.clone(),
                    nearest: keys::nearest_variable(name),
                });
            }
        }
        Ok(())
    }

    /// Overrides one value.
    ///
    /// # Errors
    /// The key is unknown, or a limit would be empty.
    pub fn set(&mut self, name: &str, text: String, origin: Origin) -> Result<(), SettingsError> {
        let key = keys::find(name).ok_or_else(|| unknown(name, &origin))?;
        let empty = key.is_limit() && text.trim().is_empty();
        self.values.insert(key.name, Value { text, origin });
        match empty {
            true => Err(self.wrong(
                name,
                "a limit is never empty: give it a value, or don't set it at all".to_owned(),
            )),
            false => Ok(()),
        }
    }

    /// The value of a known key.
    ///
    /// # Panics
    /// When `name` is not in [`KEYS`], which is a bug in castline.
    pub fn value(&self, name: &str) -> &Value {
        self.values
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in the table of settings"))
    }

    /// The value, parsed as a `T`; `None` when it is empty.
    ///
    /// # Errors
    /// The text is not a `T`: the error names the key, where it was set, and what is expected.
    pub fn optional<T>(&self, name: &str) -> Result<Option<T>, SettingsError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let value = self.value(name);
        if value.text.is_empty() {
            return Ok(None);
        }
        let parsed = value
            .text
            .parse()
            .map_err(|e: T::Err| self.wrong(name, e.to_string()))?;
        Ok(Some(parsed))
    }

    /// The value, parsed as a `T`, which must be set.
    ///
    /// # Errors
    /// The value is empty or not a `T`.
    pub fn required<T>(&self, name: &str) -> Result<T, SettingsError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.optional(name)?
            .ok_or_else(|| self.wrong(name, "a value is required".to_owned()))
    }

    /// The value as a duration such as `90s`, `2m` or `24h`; `None` when empty.
    ///
    /// # Errors
    /// The text is not a duration, or is negative.
    pub fn duration(&self, name: &str) -> Result<Option<std::time::Duration>, SettingsError> {
        let hint = |e: String| self.wrong(name, format!("{e}; write for example 90s, 2m or 24h"));
        let parsed: Option<jiff::SignedDuration> = match self.value(name).text.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|e: jiff::Error| hint(e.to_string()))?),
        };
        parsed
            .map(std::time::Duration::try_from)
            .transpose()
            .map_err(|e| hint(e.to_string()))
    }

    /// The items of a list setting.
    pub fn list(&self, name: &str) -> Vec<String> {
        let text = &self.value(name).text;
        // As the file writes it, typed after --set.
        if text.trim_start().starts_with('[')
            && let Ok(table) = format!("list = {text}").parse::<toml::Table>()
            && let Some(items) = table["list"].as_array()
        {
            return items
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect();
        }
        // The file and repeated flags end items with a line feed, so that globs may contain commas.
        let separator = if text.contains('\n') { '\n' } else { ',' };
        text.split(separator)
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// An error about the value of a known key, with its secret parts redacted.
    pub fn wrong(&self, name: &str, problem: String) -> SettingsError {
        let Value { text, origin } = self.value(name);
        SettingsError::Value {
            name: name.to_owned(),
            text: keys::find(name).map_or_else(String::new, |key| key.shown(text)),
            origin: origin.clone(),
            problem,
        }
    }
}

/// A TOML value as the text that a flag or variable would have.
fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => Some(value.to_string()),
        toml::Value::Array(items) => items
            .iter()
            .map(|i| i.as_str().map(|s| format!("{s}\n")))
            .collect(),
        _ => None,
    }
}

fn unknown(name: &str, origin: &Origin) -> SettingsError {
    // The same key in another section, else a similar key.
    let last = name.rsplit('.').next().unwrap_or_default();
    let moved = KEYS.iter().find(|k| k.parts().1 == last).map(|k| k.name);
    let nearest = moved.or_else(|| keys::nearest(name));
    SettingsError::Unknown {
        name: name.to_owned(),
        origin: origin.clone(),
        nearest,
    }
}

impl Key {
    /// The value as written in the file, with its secret parts redacted.
    pub fn in_toml(&self, layers: &Layers) -> String {
        match self.shape {
            Shape::List => format!("{:?}", layers.list(self.name)),
            Shape::Text | Shape::Url => format!("{:?}", self.shown(&layers.value(self.name).text)),
            Shape::Number | Shape::Flag => match layers.value(self.name).text.as_str() {
                "" => "\"\"".to_owned(),
                text => text.to_owned(),
            },
        }
    }
}
