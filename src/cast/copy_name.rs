//! Names that systems, browsers and synchronization give to copies of a file: "Mira - Copy", "Mira (1)", "Copy of Mira".

/// What Windows writes after a hyphen, and macOS after a space, in the languages they are sold in.
const COPY: &[&str] = &[
    "copy",
    "kopie",
    "kopia",
    "kopi",
    "copie",
    "copia",
    "cópia",
    "kopya",
    "kopio",
    "másolat",
    "копия",
    "копія",
    "αντίγραφο",
    "コピー",
    "复制",
    "副本",
    "拷贝",
    "複製",
    "복사본",
    "สำเนา",
];
/// The same before the name.
const COPY_OF: &[&str] = &[
    "copy of ",
    "kopie von ",
    "kopie van ",
    "copie de ",
    "copia de ",
    "copia di ",
    "cópia de ",
    "kopia ",
    "kopi av ",
    "kopi af ",
    "копия ",
];
/// What synchronization writes in brackets.
const CONFLICT: &[&str] = &[
    "conflict",
    "konflikt",
    "conflit",
    "conflicto",
    "conflitto",
    "конфликт",
];

/// What a file's name without its ending would be, if it were that of a copy: one step back at a time, nearest first.
/// All in lower case.
pub(super) fn originals(stem: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut stem = stem.to_lowercase();
    // "Mira - Copy (2)" is a copy of "Mira - Copy" and of "Mira".
    while let Some(shorter) = original(&stem) {
        found.push(shorter.clone());
        stem = shorter;
    }
    found
}

fn original(stem: &str) -> Option<String> {
    let cut = in_brackets(stem)
        .or_else(|| after_hyphen(stem))
        .or_else(|| copy_word(stem))
        .or_else(|| COPY_OF.iter().find_map(|words| stem.strip_prefix(words)))?
        .trim();
    (!cut.is_empty()).then(|| cut.to_owned())
}

/// "mira (1)", "mira (conflicted copy 2026-01-02)".
fn in_brackets(stem: &str) -> Option<&str> {
    let (rest, inside) = stem.strip_suffix(')')?.rsplit_once('(')?;
    let is_copy =
        is_number(inside) || COPY.contains(&inside) || CONFLICT.iter().any(|word| inside.contains(word));
    is_copy.then_some(rest)
}

/// "mira-1", "mira - copy".
fn after_hyphen(stem: &str) -> Option<&str> {
    let (rest, last) = stem.rsplit_once('-')?;
    let last = last.trim();
    (is_number(last) || COPY.contains(&last)).then_some(rest)
}

/// "mira copy", "mira copy 2", "miraのコピー", "mira的副本".
fn copy_word(stem: &str) -> Option<&str> {
    let stem = match stem.rsplit_once(' ') {
        Some((rest, number)) if is_number(number) => rest,
        _ => stem,
    };
    COPY.iter().find_map(|word| {
        let rest = stem.strip_suffix(word)?;
        // Words of these scripts stand without a space.
        match word.is_ascii() || !rest.ends_with(['の', '的']) {
            true => rest.ends_with(' ').then_some(rest),
            false => rest.strip_suffix(['の', '的']),
        }
    })
}

fn is_number(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_windows_macos_browsers_and_synchronization_give() {
        for (copy, expected) in [
            ("Mira - Copy", "mira"),
            ("Mira - Copy (2)", "mira"),
            ("Mira - Kopie", "mira"),
            ("Mira - Copia", "mira"),
            ("Mira - Копия", "mira"),
            ("Mira - コピー", "mira"),
            ("Mira - 副本 (3)", "mira"),
            ("Mira - 복사본", "mira"),
            ("Mira (1)", "mira"),
            ("Mira(1)", "mira"),
            ("Mira-1", "mira"),
            ("Mira copy", "mira"),
            ("Mira copy 2", "mira"),
            ("Mira Kopie 3", "mira"),
            ("Miraのコピー", "mira"),
            ("Mira的副本", "mira"),
            ("Copy of Mira", "mira"),
            ("Kopie von Mira", "mira"),
            ("Copia de Mira", "mira"),
            ("Mira (Anna's conflicted copy 2026-01-02)", "mira"),
            ("Mira (Konflikt 2026-01-02)", "mira"),
        ] {
            assert_eq!(
                originals(copy).last().map(String::as_str),
                Some(expected),
                "{copy}"
            );
        }
    }

    #[test]
    fn other_names_are_nobodys_copies() {
        for name in [
            "Mira",
            "Photocopy",
            "Agent 47",
            "R2-D2",
            "(1)",
            "-1",
            "Copy of ",
            "Mira (winter)",
            "K-2000",
        ] {
            assert_eq!(originals(name), Vec::<String>::new(), "{name}");
        }
    }
}
