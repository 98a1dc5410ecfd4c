//! One setting of the table of all settings.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// `section.name`, as in `castline.toml`.
    pub name: &'static str,
    /// The default as written in the file, without quotes; empty when there is none.
    pub default: &'static str,
    /// How the value is written in TOML.
    pub shape: Shape,
    /// What the setting means, for the commented file.
    pub doc: &'static str,
    /// Whether the value is a secret, such as a chat webhook URL: messages show only its host.
    pub secret: bool,
}

/// How a value is written in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `"text"`
    Text,
    /// `"https://…"`, which may contain a password.
    Url,
    /// `3` or `0.01`
    Number,
    /// `true` or `false`
    Flag,
    /// `["a", "b"]`
    List,
}

impl Key {
    /// Whether it limits what may be spent or how fast: a value that is set but empty is a mistake then, never "no limit".
    pub(super) fn is_limit(&self) -> bool {
        self.name.contains(".max_") || self.name == "api.rate"
    }
}

pub(super) const fn key(name: &'static str, shape: Shape, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        default,
        shape,
        doc,
        secret: false,
    }
}

pub(super) const fn secret(name: &'static str, doc: &'static str) -> Key {
    Key {
        secret: true,
        ..key(name, Shape::Url, "", doc)
    }
}
