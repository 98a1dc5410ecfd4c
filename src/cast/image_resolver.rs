//! Resolves the image that a row names: a file in the cast's folder, or a URL.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization;
use url::Url;

use super::Source;

/// Resolves images within the folder of a cast.
#[derive(Debug)]
pub(super) struct ImageResolver {
    root: PathBuf,
    /// `root` with links resolved, for comparison.
    real_root: PathBuf,
    allow_outside: bool,
    /// Whether the images of a folder may be read: a cast has many images in few folders.
    folders: RefCell<HashMap<PathBuf, bool>>,
}

/// What is wrong with the image that a row names, and how to fix it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ImagePathError {
    pub(super) problem: String,
    pub(super) hint: String,
}

fn path_error<T>(problem: impl Into<String>, hint: impl Into<String>) -> Result<T, ImagePathError> {
    Err(ImagePathError {
        problem: problem.into(),
        hint: hint.into(),
    })
}

/// With the quotation marks and hyphens of a keyboard in place of a printer's.
fn as_typed(text: &str) -> String {
    let typed = |c| match c {
        '‘' | '’' | '‚' | '′' => '\'',
        '“' | '”' | '„' | '″' => '"',
        '‐' | '‑' | '–' | '—' | '−' => '-',
        '\u{a0}' | '\u{202f}' => ' ',
        c => c,
    };
    text.chars().map(typed).collect()
}

impl ImageResolver {
    pub(super) fn new(root: &Path, allow_outside: bool) -> std::io::Result<Self> {
        Ok(Self {
            root: root.to_owned(),
            real_root: root.canonicalize()?,
            allow_outside,
            folders: RefCell::default(),
        })
    }

    /// The image that `given` names.
    pub(super) fn find(&self, given: &str) -> Result<Source, ImagePathError> {
        let given = given.trim();
        if given.is_empty() {
            return path_error("no image is named", "add the path of one, relative to the CSV");
        }
        if given.contains('\0') {
            return path_error("the path contains a NUL character", "type the path again");
        }
        match scheme(given) {
            Some(scheme) => web(given, &scheme),
            None => self.file(given),
        }
    }

    fn file(&self, given: &str) -> Result<Source, ImagePathError> {
        let there = |path: PathBuf| Some((path.symlink_metadata().ok()?, path));
        let found = there(self.root.join(given)).or_else(|| self.respelled(given).find_map(there));
        let Some((meta, path)) = found else {
            let slashed = given.replace('\\', "/");
            if !self.allow_outside && leaves(&slashed) {
                return self.outside(given);
            }
            let hint = match self.nearest(&slashed) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!(
                    "create it, or correct the path (relative to {})",
                    self.root.display()
                ),
            };
            return path_error(format!("there is no {given:?}"), hint);
        };
        if !self.holds_found(&path, &meta) {
            return self.outside(given);
        }
        let meta = match meta.is_symlink() {
            true => std::fs::metadata(&path),
            false => Ok(meta),
        };
        match meta {
            Ok(meta) if meta.is_file() => Ok(Source::file(given, path)),
            Ok(meta) if meta.is_dir() => path_error(
                format!("{given:?} is a folder"),
                "name one image in it, or pass the folder as the cast",
            ),
            Ok(_) => path_error(format!("{given:?} is not a regular file"), "name an image"),
            Err(error) => path_error(
                format!("{given:?} can't be read: {error}"),
                "check the file and its links",
            ),
        }
    }

    /// The paths of an image that isn't where it is said to be: a backslash separates folders on some systems and may be
    /// part of a name on others; some systems compose accents where others decompose them; spreadsheets set quotation
    /// marks and dashes as printers do; and what was copied from a browser is percent-encoded.
    fn respelled(&self, given: &str) -> impl Iterator<Item = PathBuf> {
        let slashed = given.replace('\\', "/");
        let decoded = percent_decode_str(&slashed).decode_utf8_lossy().into_owned();
        [slashed.clone(), as_typed(&slashed), decoded]
            .into_iter()
            .flat_map(|s| [s.clone(), s.nfc().collect(), s.nfd().collect()])
            .filter(|s| !s.contains('\0'))
            .map(|s| self.root.join(s))
    }

    /// As [`ImageResolver::holds`], for what is there: what is no link is inside if its folder is.
    fn holds_found(&self, path: &Path, meta: &Metadata) -> bool {
        let folder = path
            .parent()
            .filter(|_| path.file_name().is_some() && !meta.is_symlink());
        let Some(folder) = folder else {
            return self.holds(path);
        };
        if let Some(holds) = self.folders.borrow().get(folder) {
            return *holds;
        }
        let holds = self.holds(folder);
        self.folders.borrow_mut().insert(folder.to_owned(), holds);
        holds
    }

    /// Whether the target of `path`, after `..` and links, may be read. A broken link may: it fails later with a
    /// better message.
    pub(super) fn holds(&self, path: &Path) -> bool {
        self.allow_outside
            || path
                .canonicalize()
                .map_or(true, |real| real.starts_with(&self.real_root))
    }

    /// Whether the target of `path` is inside the folder.
    pub(super) fn is_inside(&self, path: &Path) -> bool {
        path.canonicalize()
            .is_ok_and(|real| real.starts_with(&self.real_root))
    }

    fn outside<T>(&self, given: &str) -> Result<T, ImagePathError> {
        // `.` would not help the reader.
        let folder = match self.root == Path::new(".") {
            true => &self.real_root,
            false => &self.root,
        };
        path_error(
            format!("{given:?} is outside the cast's folder {}", folder.display()),
            "move it into the folder, or allow this with --allow-outside",
        )
    }

    /// A file in the same folder with a similar name: other case, other extension, a typing error.
    fn nearest(&self, slashed: &str) -> Option<String> {
        let (folder, wanted) = slashed
            .rsplit_once('/')
            .map_or(("", slashed), |(folder, name)| (folder, name));
        let here = self.root.join(folder);
        if !self.holds(&here) {
            return None;
        }
        let stem = |name: &str| {
            name.rsplit_once('.')
                .map_or(name, |(stem, _)| stem)
                .to_lowercase()
        };
        let names = std::fs::read_dir(here)
            .ok()?
            .filter_map(|e| e.ok()?.file_name().into_string().ok());
        let near = |name: &String| {
            if stem(name) == stem(wanted) {
                return Some(0);
            }
            let slips = strsim::damerau_levenshtein(&name.to_lowercase(), &wanted.to_lowercase());
            (slips <= 2 && slips * 3 < wanted.chars().count()).then_some(slips)
        };
        let (_, name) = names.filter_map(|name| Some((near(&name)?, name))).min()?;
        Some(if folder.is_empty() {
            name
        } else {
            format!("{folder}/{name}")
        })
    }
}

/// Whether a path that does not exist would lead out of its folder.
fn leaves(path: &str) -> bool {
    let mut depth = 0i32;
    Path::new(path).components().any(|component| {
        match component {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return true,
        }
        depth < 0
    })
}

/// The scheme of a URL, in lower case: `https` of `https://…`. A drive letter is not a scheme.
fn scheme(given: &str) -> Option<String> {
    let (scheme, rest) = given.split_once(':')?;
    let is_scheme = scheme.len() > 1
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    (is_scheme && (rest.starts_with("//") || scheme.eq_ignore_ascii_case("data")))
        .then(|| scheme.to_ascii_lowercase())
}

fn web(given: &str, scheme: &str) -> Result<Source, ImagePathError> {
    match scheme {
        "https" => {}
        "http" => {
            return path_error(
                "the URL begins with http://",
                "use https://: images are only fetched over an encrypted connection",
            );
        }
        _ => {
            let hint = "name a file next to the CSV, or an https:// URL";
            return path_error(format!("images can't be fetched from {scheme}: URLs"), hint);
        }
    }
    // The error does not quote the URL, which may contain a password or a signature.
    let Ok(url) = Url::parse(given) else {
        return path_error("the URL is invalid", "copy it again from the browser");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return path_error(
            "the URL contains a user name or a password",
            "use a URL that needs none",
        );
    }
    Ok(Source::url(given, url))
}
