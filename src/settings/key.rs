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
    /// The environment variable that sets this key: `api.base_url` → `CASTLINE_API_BASE_URL`.
    pub fn variable(&self) -> String {
        format!("CASTLINE_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// `text`, a value of this key, redacted for messages and logs: without password, query or other secret parts.
    pub fn shown(&self, text: &str) -> String {
        if text.is_empty() || self.shape != Shape::Url {
            return text.to_owned();
        }
        let (scheme, rest) = match text.find("://") {
            Some(at) => text.split_at(at + 3),
            None => ("", text),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // What can't be parsed reliably is not shown at all, such as a password with a slash in it.
        if path.contains('@') || (self.secret && scheme.is_empty()) {
            return format!("{scheme}***");
        }
        let (user, host) = match authority.rsplit_once('@') {
            Some((_, host)) => ("***@", host),
            None => ("", authority),
        };
        match path.find(['?', '#']) {
            _ if self.secret => format!("{scheme}{user}{host}/***"),
            Some(query) => format!("{scheme}{user}{host}{}?***", &path[..query]),
            None => format!("{scheme}{user}{host}{path}"),
        }
    }

    /// The section of the key, and its name within the section.
    pub fn parts(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').expect("every key has a section")
    }

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
