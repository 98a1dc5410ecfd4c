//! Reads a cast from a folder: one character per image, named after its file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use walkdir::{DirEntry, WalkDir};

use super::copy_name;
use super::image_resolver::ImageResolver;
use super::{
    Cast, CastError, CastOptions, Character, Characters, Kind, Look, Name, RowError, Source, unique,
};
use crate::util::text::{pluralize, printable};

/// File extensions that are taken for images, in lower case.
pub const PICTURE_EXTENSIONS: [&str; 12] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "tga", "bmp", "tif", "tiff", "gif", "qoi",
];

/// Folders of systems, storage boxes and synchronization, in lower case: what is in them was thrown away, or is a copy.
const SYSTEM_FOLDERS: [&str; 12] = [
    "__macosx",
    "@eadir",
    "@tmp",
    "@recycle",
    "@recently-snapshot",
    "@synoresource",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "recycler",
    "system volume information",
    "lost+found",
];

/// How many files that were left out are named.
const MOST_NAMED: usize = 5;

/// Reads the cast in the folder at `root`.
pub(super) fn read(root: &Path, options: &CastOptions) -> Result<Cast, CastError> {
    let unreadable = |error| CastError::Unreadable {
        path: root.to_owned(),
        error,
    };
    let resolver = ImageResolver::new(root, options.allow_outside).map_err(unreadable)?;
    let (include, exclude) = (globs(&options.include)?, globs(&options.exclude)?);
    let Found {
        files,
        mut bad_rows,
        left_out,
    } = find(root, &resolver);
    let wanted = |relative: &&String| {
        (options.include.is_empty() || include.is_match(relative)) && !exclude.is_match(relative)
    };
    let mut characters = Characters::new(root);
    for relative in files.iter().filter(wanted) {
        let (name, extra) = match options.looks {
            true => look_of(relative),
            false => (name_of(relative), Vec::new()),
        };
        match Name::new(&name) {
            Ok(name) => characters.push(&portrait(
                name,
                Source::file(relative, root.join(relative)),
                extra,
            )),
            Err(error) => bad_rows.push(bad("name", format!("{relative:?}: {error}"), "rename the file")),
        }
    }
    unique::reject_duplicates(&mut characters, &[], &mut bad_rows);
    report_left_out(&left_out);
    if characters.is_empty() && bad_rows.is_empty() {
        let hint = if files.is_empty() {
            format!("images are files that end in {}", PICTURE_EXTENSIONS.join(", "))
        } else {
            format!("include and exclude leave none of the {} found", files.len())
        };
        return Err(CastError::Empty {
            path: root.to_owned(),
            what: "no images in this folder",
            hint,
        });
    }
    Ok(Cast {
        path: root.to_owned(),
        root: root.to_owned(),
        characters,
        bad_rows,
    })
}

/// The cast of one image.
pub(super) fn read_one(path: &Path) -> Result<Cast, CastError> {
    let file = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let root = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut cast = Cast {
        path: path.to_owned(),
        characters: Characters::new(&root),
        root,
        bad_rows: Vec::new(),
    };
    match Name::new(&name_of(&file)) {
        Ok(name) => cast
            .characters
            .push(&portrait(name, Source::file(file, path), Vec::new())),
        Err(error) => cast
            .bad_rows
            .push(bad("name", format!("{file:?}: {error}"), "rename the file")),
    }
    Ok(cast)
}

/// A character of a folder.
fn portrait(name: Name, source: Source, extra: Vec<(String, String)>) -> Character {
    Character {
        name,
        source,
        kind: Kind::Portrait,
        approved: false,
        overrides: false,
        consent: false,
        note: None,
        extra,
        line: None,
    }
}

fn bad(field: &'static str, problem: String, hint: &str) -> RowError {
    RowError {
        line: None,
        field,
        name: None,
        problem,
        hint: hint.to_owned(),
    }
}

/// What is in a folder.
struct Found {
    /// All images, relative to the folder with `/` between folders, sorted; copies last.
    files: Vec<String>,
    /// Errors for what can't be read.
    bad_rows: Vec<RowError>,
    /// Files that are left out: no images that castline reads, and not its own.
    left_out: Vec<String>,
}

fn find(root: &Path, resolver: &ImageResolver) -> Found {
    let (mut files, mut bad_rows, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    let relative = |path: &Path| slashed(path.strip_prefix(root).unwrap_or(path));
    let mut walk = WalkDir::new(root).follow_links(true).into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            // A link to a parent folder: its target is walked already.
            Err(error) if error.loop_ancestor().is_some() => continue,
            Err(error) => {
                let path = error.path().map_or_else(PathBuf::new, Path::to_owned);
                let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
                let why = error
                    .io_error()
                    .map_or_else(|| error.to_string(), ToString::to_string);
                bad_rows.push(bad(
                    "image",
                    format!("{shown:?} can't be read: {why}"),
                    "check its permissions and links",
                ));
                continue;
            }
        };
        let is_folder = entry.file_type().is_dir();
        if entry.depth() == 0 {
            continue;
        }
        if is_hidden(&entry) {
            if is_folder {
                walk.skip_current_dir();
            }
            continue;
        }
        if !is_folder && !is_picture(entry.path()) {
            let name = entry.file_name().to_string_lossy().to_lowercase();
            if !NOT_ART.iter().any(|ending| name.ends_with(ending)) {
                left_out.extend(relative(entry.path()));
            }
            continue;
        }
        // Reading a pipe or a device would never end.
        if !is_folder && !entry.file_type().is_file() {
            tracing::warn!("{} is not a regular file; left out", entry.path().display());
            continue;
        }
        if entry.path_is_symlink() && !resolver.holds(entry.path()) {
            if is_folder {
                walk.skip_current_dir();
            }
            let shown = entry
                .path()
                .strip_prefix(root)
                .unwrap_or(entry.path())
                .display()
                .to_string();
            let problem = format!("the link {shown:?} leads out of the cast's folder");
            bad_rows.push(bad(
                "image",
                problem,
                "copy its target into the folder, or allow this with --allow-outside",
            ));
        } else if is_folder {
            // A linked folder inside the cast is walked at its real place, so that each image is found once.
            if entry.path_is_symlink() && resolver.is_inside(entry.path()) {
                walk.skip_current_dir();
            }
        } else {
            match relative(entry.path()) {
                Some(relative) => files.push(relative),
                None => {
                    let shown = entry.path().display().to_string();
                    bad_rows.push(bad(
                        "name",
                        format!("the file name {shown:?} is not Unicode"),
                        "rename the file",
                    ));
                }
            }
        }
    }
    files.sort();
    copies_last(&mut files);
    left_out.sort();
    Found {
        files,
        bad_rows,
        left_out,
    }
}

/// Puts copies behind all others, where the file that they are named after is there too: of two files with the same
/// picture the first one is enrolled, and the other is for review.
fn copies_last(files: &mut [String]) {
    let without_ending = |file: &str| {
        let dot = file.rfind('.').unwrap_or(file.len());
        let slash = file.rfind('/').map_or(0, |slash| slash + 1);
        (
            file[..slash].to_lowercase(),
            file[slash..dot.max(slash)].to_lowercase(),
        )
    };
    let all: HashSet<_> = files.iter().map(|file| without_ending(file)).collect();
    files.sort_by_cached_key(|file| {
        let (folder, stem) = without_ending(file);
        let mut originals = copy_name::originals(&stem).into_iter();
        originals.any(|original| all.contains(&(folder.clone(), original)))
    });
}

/// Endings of files that are castline's own, the system's or a game engine's, and of tables: nobody takes them for art.
const NOT_ART: [&str; 9] = [
    "castline.toml",
    "manifest.json",
    ".html",
    ".ndjson",
    "plan.json",
    "desktop.ini",
    "thumbs.db",
    ".csv",
    ".meta",
];

/// Counts and names the files that a folder cast leaves out.
fn report_left_out(left_out: &[String]) {
    let named: Vec<String> = left_out
        .iter()
        .take(MOST_NAMED)
        .map(|name| printable(name))
        .collect();
    match left_out.len() {
        0 => {}
        count => tracing::warn!(
            "left out: {}, no images that castline reads: {}{}",
            pluralize(count, "file"),
            named.join(", "),
            if count > MOST_NAMED { ", …" } else { "" }
        ),
    }
}

/// `path` with `/` between folders on every system; `None` when a component is not Unicode.
fn slashed(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.components().map(|c| c.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}

/// Whether an entry belongs to the system or to castline itself.
fn is_hidden(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy().to_lowercase();
    name.starts_with('.') || SYSTEM_FOLDERS.contains(&name.as_str())
}

/// Whether a file is named as an image.
pub(super) fn is_picture(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|e| PICTURE_EXTENSIONS.contains(&e.as_str()))
}

/// Patterns as in `.gitignore`: one without `/` matches files and folders of that name anywhere, one with `/`
/// is relative to the cast's folder; a folder matches everything in it. Case is ignored.
fn globs(patterns: &[String]) -> Result<GlobSet, CastError> {
    let wrong = |pattern: &str, error: globset::Error| CastError::Glob {
        pattern: pattern.to_owned(),
        problem: error.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let path = pattern.trim().replace('\\', "/");
        let path = path.strip_prefix("./").unwrap_or(&path).trim_end_matches('/');
        let anywhere = if path.contains('/') { "" } else { "**/" };
        let path = path.trim_start_matches('/');
        for pattern_of in [format!("{anywhere}{path}"), format!("{anywhere}{path}/**")] {
            let glob = GlobBuilder::new(&pattern_of)
                .literal_separator(true)
                .case_insensitive(true)
                .build();
            set.add(glob.map_err(|e| wrong(pattern, e))?);
        }
    }
    set.build().map_err(|e| wrong(&patterns.join(" "), e))
}

/// The name and the columns of a look: `alice/winter.png` is the look `winter` of `Alice`, and `alice/alice.png` her plain
/// look, as is any image that is in no folder.
fn look_of(relative: &str) -> (String, Vec<(String, String)>) {
    let (folder, file) = relative.rsplit_once('/').unwrap_or(("", relative));
    let plain = name_of(file);
    let character = match folder.rsplit('/').next() {
        None | Some("") => plain.clone(),
        // Not a file: what follows a dot in its name is no extension.
        Some(folder) => name_of(&format!("{folder}.")),
    };
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let look = match plain.to_lowercase() == character.to_lowercase() {
        true => String::new(),
        false => stem.replace(['_', '-'], " "),
    };
    let look = Look {
        character: &character,
        look: look.trim(),
    };
    (look.name(), look.columns())
}

/// The name of the character in a file: `art/cyber_knight.png` is `Cyber Knight`. A file name with spaces or capitals
/// (`Jean-Luc.png`) is kept, except that underscores become spaces.
fn name_of(relative: &str) -> String {
    let file = relative.rsplit('/').next().unwrap_or(relative);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    if stem.chars().any(|c| c.is_uppercase() || c.is_whitespace()) {
        return stem.replace('_', " ");
    }
    let words = stem
        .split(['_', '-'])
        .filter(|word| !word.is_empty())
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        });
    words.collect::<Vec<String>>().join(" ")
}
