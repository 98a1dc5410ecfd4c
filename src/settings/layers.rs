//! Where values come from: defaults, the file, the environment, flags — in rising precedence.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::SettingsError;
use super::keys::{self, KEYS, Key, Shape};

/// Where a value was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: castline's default.
    Default,
    /// In that file.
    File(PathBuf),
    /// In that environment variable.
    Environment(String),
    /// On the command line.
    Flag(String),
    /// In the API's quote to a wallet.
    Quote,
    /// In the API's reply to the last paid call.
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

/// A value as text, and where it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The text; items of a list each end with a line feed.
    pub text: String,
    /// Where it was said.
    pub origin: Origin,
}

/// Every setting's value, as text.
#[derive(Debug, Clone)]
pub struct Layers {
    values: BTreeMap<&'static str, Value>,
}

impl Layers {
    /// The defaults.
    pub fn defaults() -> Self {
        let default = |key: &Key| Value {
            text: key.default.to_owned(),
            origin: Origin::Default,
        };
        Self {
            values: KEYS.iter().map(|key| (key.name, default(key))).collect(),
        }
    }

    /// Lays the file at `path` over what is there.
    ///
    /// # Errors
    /// The file can't be read, is not TOML, or has a key that castline doesn't know.
    pub fn file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let wrong = |problem: String| SettingsError::File {
            path: path.to_owned(),
            problem,
        };
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        // Without the line itself, as TOML's own messages have it: it may hold a secret.
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
                let text = plain(&value)
                    .ok_or_else(|| wrong(format!("{name}: no text, number, true/false or list of texts")))?;
                self.set(&name, text, Origin::File(path.to_owned()))?;
            }
        }
        Ok(())
    }

    /// Lays `CASTLINE_<SECTION>_<KEY>` variables over what is there: pairs of a name and its text. Empty ones count
    /// as unset, as CI systems leave them.
    ///
    /// # Errors
    /// One that begins with `CASTLINE_` is not known: a misspelt budget would be none.
    pub fn environment(&mut self, variables: &[(String, String)]) -> Result<(), SettingsError> {
        let ours = variables
            .iter()
            .filter(|(name, text)| name.starts_with(keys::VARIABLES_BEGIN) && !text.is_empty());
        for (name, text) in ours {
            let key = KEYS.iter().find(|key| key.variable() == *name);
            if let Some(key) = key {
                let value = Value {
                    text: text.clone(),
                    origin: Origin::Environment(name.clone()),
                };
                self.values.insert(key.name, value);
            } else if !keys::is_other_variable(name) {
                return Err(SettingsError::Variable {
                    name: name.clone(),
                    nearest: keys::nearest_variable(name),
                });
            }
        }
        Ok(())
    }

    /// Lays one value over what is there.
    ///
    /// # Errors
    /// castline doesn't know the key.
    pub fn set(&mut self, name: &str, text: String, origin: Origin) -> Result<(), SettingsError> {
        let key = keys::find(name).ok_or_else(|| unknown(name, &origin))?;
        self.values.insert(key.name, Value { text, origin });
        Ok(())
    }

    /// The value of a known key.
    ///
    /// # Panics
    /// When `name` is not in [`KEYS`]: a mistake in castline itself.
    pub fn value(&self, name: &str) -> &Value {
        self.values
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in the table of settings"))
    }

    /// The value, read as a `T`; `None` when it is empty.
    ///
    /// # Errors
    /// The text is no `T`: the error names the key, where it was said, and what is expected.
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

    /// The value, read as a `T`, which must be there.
    ///
    /// # Errors
    /// The value is empty or no `T`.
    pub fn required<T>(&self, name: &str) -> Result<T, SettingsError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.optional(name)?
            .ok_or_else(|| self.wrong(name, "a value is needed".to_owned()))
    }

    /// A duration such as `90s`, `2m` or `24h`; `None` when empty.
    ///
    /// # Errors
    /// The text is no duration, or a negative one.
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

    /// The items of a list.
    pub fn list(&self, name: &str) -> Vec<String> {
        let text = &self.value(name).text;
        // The file and repeated flags end items with a line feed, so that globs may hold commas.
        let separator = if text.contains('\n') { '\n' } else { ',' };
        text.split(separator)
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// An error about the value of a known key. What is secret in it is not shown.
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

/// A TOML value as the text that a flag or variable would give.
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
    // A key that stands in the wrong section, else one that looks like it.
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
    /// The value as it would be written in the file, but for what is secret in it.
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
