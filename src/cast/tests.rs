//! Reads casts from disk as a run does.

mod csv_files;

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A folder with these files; a path that ends in `/` is a folder.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

/// A CSV next to images `ana.png`, `art/bo.jpg` and `cy.webp`.
fn csv_dir(csv: impl AsRef<[u8]>) -> TempDir {
    folder(&[
        ("cast.csv", csv.as_ref()),
        ("ana.png", b"-"),
        ("art/bo.jpg", b"-"),
        ("cy.webp", b"-"),
    ])
}

fn read_csv(csv: impl AsRef<[u8]>) -> Result<Cast, CastError> {
    read(&csv_dir(csv).path().join("cast.csv"), &CastOptions::default())
}

fn names(cast: &Cast) -> Vec<String> {
    cast.characters.names().map(String::from).collect()
}

fn nth(cast: &Cast, place: usize) -> Character {
    cast.characters.get(place).unwrap()
}

fn bad_rows(cast: &Cast) -> Vec<String> {
    cast.bad_rows.iter().map(ToString::to_string).collect()
}

/// The only error in `csv`.
fn problem(csv: &str) -> String {
    let cast = read_csv(csv).unwrap();
    assert_eq!(cast.bad_rows.len(), 1, "{:#?}", bad_rows(&cast));
    bad_rows(&cast).remove(0)
}

mod folders {
    use super::*;

    fn read_folder(dir: &Path, options: CastOptions) -> Cast {
        read(dir, &options).unwrap()
    }

    #[test]
    fn copies_come_after_what_they_are_copies_of() {
        let dir = folder(&[
            ("Mira - Copy.png", b"-"),
            ("Mira.png", b"-"),
            ("Copy of Zed.jpg", b"-"),
            ("Zed.png", b"-"),
            ("a/Copy of Ana.png", b"-"),
            ("b/Ana.png", b"-"),
            ("Kit (1).png", b"-"),
        ]);
        let cast = read_folder(dir.path(), CastOptions::default());
        let given: Vec<_> = cast
            .characters
            .iter()
            .map(|c| c.source.given().to_owned())
            .collect();
        assert_eq!(
            given,
            [
                "Kit (1).png",
                "Mira.png",
                "Zed.png",
                "a/Copy of Ana.png",
                "b/Ana.png",
                "Copy of Zed.jpg",
                "Mira - Copy.png"
            ]
        );
    }

    #[test]
    fn a_folder_may_be_a_character_and_its_images_looks() {
        let dir = folder(&[
            ("alice/winter_clothes.png", b"-"),
            ("alice/Alice.png", b"-"),
            ("heroes/Sir Bo/close-up.jpg", b"-"),
            ("cy.webp", b"-"),
        ]);
        let options = CastOptions {
            looks: true,
            ..CastOptions::default()
        };
        let cast = read_folder(dir.path(), options);
        assert_eq!(
            names(&cast),
            ["Alice", "Alice, winter clothes", "Cy", "Sir Bo, close up"]
        );
        let columns: Vec<_> = cast.characters.iter().map(|c| c.extra).collect();
        let looks = columns.iter().map(|extra| Look::of(extra).unwrap());
        assert_eq!(
            looks.map(|l| (l.character, l.look)).collect::<Vec<_>>(),
            [
                ("Alice", ""),
                ("Alice", "winter clothes"),
                ("Cy", ""),
                ("Sir Bo", "close up")
            ]
        );
        assert_eq!(
            names(&read_folder(dir.path(), CastOptions::default())),
            ["Alice", "Winter Clothes", "Cy", "Close Up"],
            "unless it is asked for, a folder is only a folder"
        );
    }

    #[test]
    fn names_come_from_files_at_any_depth_in_the_order_of_their_paths() {
        let dir = folder(&[
            ("z/cyber_knight.png", b"-"),
            ("b.WEBP", b"-"),
            ("a/old-king.tiff", b"-"),
            ("a/Jean-Luc_Picard.jpeg", b"-"),
            ("a/readme.txt", b"-"),
            (".hidden.png", b"-"),
            (".castline/thumb.png", b"-"),
            ("__MACOSX/z/cyber_knight.png", b"-"),
        ]);
        let cast = read_folder(dir.path(), CastOptions::default());
        assert_eq!(names(&cast), ["Jean-Luc Picard", "Old King", "B", "Cyber Knight"]);
        let given: Vec<_> = cast
            .characters
            .iter()
            .map(|c| c.source.given().to_owned())
            .collect();
        assert_eq!(
            given,
            [
                "a/Jean-Luc_Picard.jpeg",
                "a/old-king.tiff",
                "b.WEBP",
                "z/cyber_knight.png"
            ]
        );
        assert!(cast.bad_rows.is_empty());
    }

    #[test]
    fn files_that_would_share_a_name_are_held_back_and_name_each_other() {
        let dir = folder(&[
            ("cyber_knight.png", b"-"),
            ("x/Cyber-Knight.png", b"-"),
            ("x/CYBER KNIGHT.jpg", b"-"),
            ("ana.png", b"-"),
        ]);
        let cast = read_folder(dir.path(), CastOptions::default());
        assert_eq!(names(&cast), ["Ana", "Cyber-Knight"]);
        assert_eq!(
            bad_rows(&cast),
            [
                "name: \"cyber_knight.png\" and \"x/CYBER KNIGHT.jpg\" would both be called \"Cyber Knight\" — rename one, skip one with --exclude, or name them in a CSV",
                "name: \"x/CYBER KNIGHT.jpg\" and \"cyber_knight.png\" would both be called \"CYBER KNIGHT\" — rename one, skip one with --exclude, or name them in a CSV",
            ]
        );
    }

    #[test]
    fn patterns_choose_as_gitignore_does() {
        let dir = folder(&[
            ("ana.png", b"-"),
            ("heroes/bo.PNG", b"-"),
            ("heroes/drafts/cy.png", b"-"),
            ("drafts/dee.jpg", b"-"),
        ]);
        let chosen = |include: &[&str], exclude: &[&str]| {
            let owned = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect();
            let options = CastOptions {
                include: owned(include),
                exclude: owned(exclude),
                ..Default::default()
            };
            names(&read_folder(dir.path(), options)).join(" ")
        };
        assert_eq!(chosen(&[], &[]), "Ana Dee Bo Cy");
        assert_eq!(chosen(&["*.png"], &[]), "Ana Bo Cy");
        assert_eq!(chosen(&[], &["drafts/"]), "Ana Bo");
        assert_eq!(chosen(&["heroes/*"], &[]), "Bo Cy");
        assert_eq!(chosen(&["heroes/*.png"], &["cy.*"]), "Bo");
        assert_eq!(chosen(&["./heroes"], &["heroes/drafts"]), "Bo");
    }

    #[test]
    fn a_folder_without_pictures_and_a_pattern_without_sense_are_errors() {
        let dir = folder(&[("readme.txt", b"-")]);
        let error = read(dir.path(), &CastOptions::default()).unwrap_err().to_string();
        assert!(error.contains("no images in this folder"), "{error}");
        fs::write(dir.path().join("ana.png"), "-").unwrap();
        let options = CastOptions {
            include: vec!["*.webp".to_owned()],
            ..Default::default()
        };
        let error = read(dir.path(), &options).unwrap_err().to_string();
        assert!(error.contains("leave none of the 1"), "{error}");
        let options = CastOptions {
            exclude: vec!["a[".to_owned()],
            ..Default::default()
        };
        let error = read(dir.path(), &options).unwrap_err().to_string();
        assert!(error.starts_with("\"a[\" is not a valid file pattern"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_neither_loop_nor_lead_out_nor_count_twice() {
        use std::os::unix::fs::symlink;
        let dir = folder(&[("in/a/ana.png", b"-"), ("out/bo.png", b"-")]);
        let root = dir.path().join("in");
        symlink(&root, root.join("a/loop")).unwrap();
        symlink(root.join("a"), root.join("again")).unwrap();
        symlink(dir.path().join("out"), root.join("way_out")).unwrap();
        symlink(dir.path().join("out/bo.png"), root.join("cy.png")).unwrap();
        let cast = read_folder(&root, CastOptions::default());
        assert_eq!(names(&cast), ["Ana"]);
        let message = bad_rows(&cast);
        assert_eq!(message.len(), 2, "{message:#?}");
        assert!(
            message[0].starts_with("image: the link \"cy.png\" leads out"),
            "{message:#?}"
        );
        let allowed = CastOptions {
            allow_outside: true,
            ..Default::default()
        };
        assert_eq!(names(&read_folder(&root, allowed)), ["Ana", "Cy", "Bo"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_name_that_is_not_unicode_is_reported() {
        use std::os::unix::ffi::OsStrExt;
        let dir = folder(&[("ana.png", b"-")]);
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"zo\xEB.png")), "-").unwrap();
        let cast = read_folder(dir.path(), CastOptions::default());
        assert_eq!(names(&cast), ["Ana"]);
        assert!(
            bad_rows(&cast)[0].contains("is not Unicode"),
            "{:?}",
            bad_rows(&cast)
        );
    }
}

#[test]
fn the_fix_of_a_row_speaks_of_the_cast_s_own_separator() {
    let dir = folder(&[("cast.csv", b"name;image\nAna;ana.png;x;y\n"), ("ana.png", b"-")]);
    let message = bad_rows(&read(&dir.path().join("cast.csv"), &CastOptions::default()).unwrap());
    assert!(
        message[0].ends_with("quote fields that contain semicolons, and write empty fields as ;;"),
        "{message:?}"
    );
}

#[test]
fn characters_and_looks_stand_for_names() {
    let cast = read_csv(
        "character,look,image,role\nAna,,ana.png,scout\nAna,winter,art/bo.jpg,scout\n,winter,cy.webp,\n",
    )
    .unwrap();
    assert_eq!(names(&cast), ["Ana", "Ana, winter"]);
    let extra = |pairs: [(&str, &str); 3]| pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
    assert_eq!(
        nth(&cast, 1).extra,
        extra([("character", "Ana"), ("look", "winter"), ("role", "scout")])
    );
    let [bad] = &bad_rows(&cast)[..] else {
        panic!("one bad row")
    };
    assert!(
        bad.contains("line 4") && bad.contains("the name is empty"),
        "{bad}"
    );

    // A name of its own is kept, and a character alone is a name.
    let own = read_csv("name,Character,Look,image\nAna W,Ana,winter,ana.png\n").unwrap();
    assert_eq!(names(&own), ["Ana W"]);
    assert_eq!(Look::of(&nth(&own, 0).extra).unwrap().look, "winter");
    let alone = read_csv("character,image\nAna,ana.png\n").unwrap();
    assert_eq!(
        (names(&alone), Look::of(&nth(&alone, 0).extra)),
        (vec!["Ana".to_owned()], None)
    );
    // Beside a name and without looks it is a column as any other.
    let other = read_csv("name,character,image\nAna,NPC,ana.png\n").unwrap();
    assert_eq!(nth(&other, 0).extra, [("character".to_owned(), "NPC".to_owned())]);
}

#[test]
fn headers_of_a_spreadsheet_stand_for_columns() {
    let dir = csv_dir("Character;Portrait;Voice\nAna;ana.png;alto\n");
    let columns = ["name=character", "image=PORTRAIT"].map(|text| column_mapping(text).unwrap());
    let options = CastOptions {
        columns: columns.to_vec(),
        ..CastOptions::default()
    };
    let cast = read(&dir.path().join("cast.csv"), &options).unwrap();
    assert_eq!(names(&cast), ["Ana"]);
    assert_eq!(nth(&cast, 0).extra, [("Voice".to_owned(), "alto".to_owned())]);
    let plain = read_csv("name,Portrait\nAna,ana.png\n").unwrap_err().to_string();
    assert!(plain.contains("--map 'image=Portrait'"), "{plain}");
    for wrong in ["Portrait", "picture=Portrait", "image="] {
        assert!(
            column_mapping(wrong).unwrap_err().contains("image=Portrait"),
            "{wrong}"
        );
    }
}
