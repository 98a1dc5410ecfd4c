//! CSVs as people and spreadsheets write them.

use super::*;

#[test]
fn every_column_finds_its_field_in_any_order_and_others_are_carried() {
    let cast = read_csv(
        "voice,image,approve,name,kind,role,note,consent\n\
         low,art/bo.jpg,yes,Bo,realface,\"smith, elder\",scanned,1\n",
    )
    .unwrap();
    let bo = nth(&cast, 0);
    assert_eq!(bo.name.as_str(), "Bo");
    assert_eq!(
        bo.source,
        Source::file("art/bo.jpg", cast.root.join("art/bo.jpg"))
    );
    assert_eq!((bo.kind, bo.approved, bo.consent), (Kind::RealFace, true, true));
    assert_eq!(bo.note.as_deref(), Some("scanned"));
    let extra = [("voice", "low"), ("role", "smith, elder")].map(|(h, v)| (h.to_owned(), v.to_owned()));
    assert_eq!(bo.extra, extra);
    assert_eq!(bo.line, Some(2));
}

#[test]
fn what_spreadsheets_write_is_read() {
    let expected = ["Ana", "Zoë"];
    for csv in [
        "name,image\nAna,ana.png\nZoë,cy.webp\n",
        "\u{FEFF}name,image\r\nAna,ana.png\r\nZoë,cy.webp\r\n",
        "Name ,IMAGE\n\"Ana\",\"ana.png\"\n\"Zoë\",cy.webp",
        "name;image\nAna;ana.png\nZoë;cy.webp\n",
        "name\timage\r\nAna\tana.png\r\nZoë\tcy.webp\r\n",
        "\n\nname,image,\nAna,ana.png,\n,,\n\nZoë, cy.webp ,\n  ,\n",
        "name,image\rAna,ana.png\rZoë,cy.webp\r",
    ] {
        let cast = read_csv(csv).unwrap();
        assert_eq!(
            (names(&cast), bad_rows(&cast)),
            (expected.map(str::to_owned).to_vec(), vec![]),
            "{csv:?}"
        );
    }
}

#[test]
fn lines_are_those_of_the_file_after_blank_lines_crlf_and_fields_of_several_lines() {
    let csv =
        "name,image,note\r\n\r\nAna,ana.png,\"two\r\nlines\"\r\n\r\n\r\nBo,art/bo.jpg,\nCy,none.png,\r\n";
    let cast = read_csv(csv).unwrap();
    assert_eq!(
        cast.characters.iter().map(|c| c.line).collect::<Vec<_>>(),
        [Some(3), Some(7)]
    );
    assert_eq!(cast.bad_rows[0].line, Some(8));
}

#[test]
fn all_that_is_wrong_is_reported_at_once_and_the_good_rows_are_kept() {
    let cast = read_csv(
        "name,image,kind,approve\n\
         Ana,ana.png,,\n\
         ,ana.png,actor,\n\
         Cy,missing.png,,perhaps\n\
         Dee\n\
         Eve,http://cdn.example/eve.png,,\n",
    )
    .unwrap();
    assert_eq!(names(&cast), ["Ana"]);
    let message: Vec<_> = cast.bad_rows.iter().map(|b| (b.line.unwrap(), b.field)).collect();
    let expected = [
        (3, "name"),
        (3, "kind"),
        (4, "image"),
        (4, "approve"),
        (5, "row"),
        (6, "image"),
    ];
    assert_eq!(message, expected);
    assert_eq!(cast.bad_rows[2].name.as_deref(), Some("Cy"));
}

#[test]
fn each_mistake_names_its_line_its_field_and_its_fix() {
    for (row, message) in [
        (
            "Ana,",
            "line 2, image: no image is named — add the path of one, relative to the CSV",
        ),
        (
            "Ana,art",
            "line 2, image: \"art\" is a folder — name one image in it, or pass the folder as the cast",
        ),
        (
            "Ana,anna.png",
            "line 2, image: there is no \"anna.png\" — did you mean \"ana.png\"?",
        ),
        (
            "Ana,art/bo.png",
            "line 2, image: there is no \"art/bo.png\" — did you mean \"art/bo.jpg\"?",
        ),
        (
            "Ana,s3://bucket/ana.png",
            "line 2, image: images can't be fetched from s3: URLs — name a file next to the CSV, or an https:// URL",
        ),
        (
            "Ana,http://a.example/ana.png",
            "line 2, image: the URL begins with http:// — use https://: images are only fetched over an encrypted connection",
        ),
        (
            "Ana,https://me:pw@a.example/ana.png",
            "line 2, image: the URL contains a user name or a password — use a URL that needs none",
        ),
        (
            "A\u{202E}na,ana.png",
            "line 2, name: the name contains U+202E, an invisible mark that changes the text direction — retype the name by hand; such characters are often pasted along with text",
        ),
        (
            "Ana,ana.png,x,y",
            "line 2, row: 4 fields, but the header has 2 — quote fields that contain commas, and write empty fields as ,,",
        ),
    ] {
        assert_eq!(problem(&format!("name,image\n{row}\n")), message);
    }
    let long = "x".repeat(65);
    assert_eq!(
        problem(&format!("name,image\n{long},ana.png\n")),
        "line 2, name: the name has 65 characters, but the API accepts at most 64 — shorten it to 64 characters"
    );
}

#[test]
fn rows_of_one_name_are_all_held_back_and_name_each_other() {
    let cast = read_csv("name,image\nAna,ana.png\nBo,art/bo.jpg\nANA,cy.webp\nana ,missing.png\n").unwrap();
    assert_eq!(names(&cast), ["Bo"]);
    let message = bad_rows(&cast);
    assert!(
        message[0].starts_with("line 2, name: \"Ana\" is also the name on line 4"),
        "{message:#?}"
    );
    assert!(
        message[1].starts_with("line 4, name: \"ANA\" is also the name on line 2"),
        "{message:#?}"
    );
    assert!(
        message[2].starts_with("line 5, image: there is no"),
        "{message:#?}"
    );
    assert!(
        message[3].starts_with("line 5, name: \"ana\" is also the name on line 2"),
        "{message:#?}"
    );
    assert_eq!(message.len(), 4);
}

#[test]
fn a_header_that_lacks_a_column_names_the_nearest() {
    for (header, message) in [
        (
            "name,picture",
            "line 1: there is no column \"image\", only \"name\", \"picture\" — rename column \"picture\" to \"image\", or pass --map 'image=picture'",
        ),
        (
            "Nmae,image",
            "line 1: there is no column \"name\", only \"Nmae\", \"image\" — rename column \"Nmae\" to \"name\", or pass --map 'name=Nmae'",
        ),
        (
            "Ana,ana.png",
            "line 1: there is no column \"name\", only \"Ana\", \"ana.png\" — start the file with a header line such as: name,image",
        ),
        (
            "name,image,Image",
            "line 1: columns 2 and 3 are both called \"Image\" — rename one of them",
        ),
        (
            "name,image,role,role",
            "line 1: columns 3 and 4 are both called \"role\" — rename one of them",
        ),
    ] {
        let error = read_csv(format!("{header}\nAna,ana.png\n"))
            .unwrap_err()
            .to_string();
        assert!(error.ends_with(message), "{error}");
    }
}

#[test]
fn other_encodings_and_other_files_are_distinguished() {
    let latin: &[u8] = b"name,image\nAna,ana.png\nZo\xEB,cy.webp\n";
    let error = read_csv(latin).unwrap_err().to_string();
    assert!(
        error.contains("line 3 is not UTF-8 (in Windows-1252 it would read \"Zoë\")"),
        "{error}"
    );
    for (bytes, message) in [
        (&b"\xFF\xFEn\0a\0m\0e\0"[..], "is text in UTF-16"),
        (b"PK\x03\x04rest", "is a spreadsheet or an archive"),
        (b"\x89PNG\r\n\x1a\n", "is an image"),
        (b"name\0,image", "is not text"),
        (b"", "the file is empty"),
        (b"name,image\n", "no rows below the header"),
    ] {
        let error = read_csv(bytes).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let error = read(Path::new("nowhere/cast.csv"), &CastOptions::default()).unwrap_err();
    assert!(matches!(error, CastError::NotFound(_)));
}

#[test]
fn a_quotation_mark_that_is_never_closed_does_not_swallow_the_cast_in_silence() {
    let message = problem("name,image\nAna,ana.png\n\"Bo,art/bo.jpg\nCy,cy.webp\n");
    assert!(
        message.starts_with("line 3, row: a quotation mark is opened and never closed"),
        "{message}"
    );
}

#[test]
fn a_value_in_a_column_without_header_is_not_lost_in_silence() {
    let message = problem("name,image,\nAna,ana.png,hero\n");
    assert!(
        message.starts_with("line 2, row: column 3 contains \"hero\" but has no header"),
        "{message}"
    );
}

#[test]
fn backslashes_and_the_other_systems_accents_find_the_file() {
    let dir = folder(&[
        (
            "cast.csv",
            "name,image\nBo,art\\bo.jpg\nZoë,zoe\u{308}.png\nKai,kaï.png\n".as_bytes(),
        ),
        ("art/bo.jpg", b"-"),
        ("zoë.png", b"-"),
        ("kai\u{308}.png", b"-"),
    ]);
    let cast = read(&dir.path().join("cast.csv"), &CastOptions::default()).unwrap();
    assert_eq!(
        (names(&cast), bad_rows(&cast)),
        (["Bo", "Zoë", "Kai"].map(str::to_owned).to_vec(), vec![])
    );
    assert_eq!(nth(&cast, 0).source.given(), "art\\bo.jpg");
}

#[test]
fn what_lies_outside_is_refused_unless_allowed() {
    let dir = folder(&[("in/cast.csv", b""), ("in/ana.png", b"-"), ("out/ana.png", b"-")]);
    let absolute = dir.path().join("out/ana.png").display().to_string();
    for image in [
        "../out/ana.png",
        "x/../../out/ana.png",
        "../nothing.png",
        &absolute,
    ] {
        let csv = dir.path().join("in/cast.csv");
        fs::write(&csv, format!("name,image\nAna,{image}\n")).unwrap();
        let cast = read(&csv, &CastOptions::default()).unwrap();
        let message = bad_rows(&cast).join("\n");
        assert!(
            message.contains("is outside the cast's folder"),
            "{image}: {message}"
        );
        let allowed = CastOptions {
            allow_outside: true,
            ..Default::default()
        };
        let cast = read(&csv, &allowed).unwrap();
        let there = !image.starts_with('x') && !image.contains("nothing");
        assert_eq!(
            cast.characters.len(),
            usize::from(there),
            "{image}: {:?}",
            bad_rows(&cast)
        );
    }
    fs::write(
        dir.path().join("in/cast.csv"),
        "name,image\nAna,../in/./ana.png\n",
    )
    .unwrap();
    let cast = read(&dir.path().join("in/cast.csv"), &CastOptions::default()).unwrap();
    assert_eq!(names(&cast), ["Ana"], "through `..` and back in");
}

#[cfg(unix)]
#[test]
fn a_path_is_found_as_spreadsheets_and_browsers_spell_it() {
    let csv = "name,image\nA,art/Ana’s–face.png\nB,art\\Bo%20K.png\nC,art/ANA’S–face.png\nD,art/100%.png\n";
    let dir = folder(&[
        ("cast.csv", csv.as_bytes()),
        ("art/Ana's-face.png", b"-"),
        ("art/Bo K.png", b"-"),
        ("art/100%.png", b"-"),
    ]);
    let cast = read(&dir.path().join("cast.csv"), &CastOptions::default()).unwrap();
    assert_eq!(names(&cast), ["A", "B", "D"], "{:?}", bad_rows(&cast));
    assert!(
        bad_rows(&cast)[0].contains("did you mean \"art/Ana's-face.png\""),
        "{:?}",
        bad_rows(&cast)
    );
}

#[cfg(unix)]
#[test]
fn images_of_a_linked_folder_are_inside_where_the_folder_is() {
    let dir = folder(&[
        (
            "in/cast.csv",
            b"name,image\nAna,near/ana.png\nBo,far/bo.png\nCy,far/cy.png\nDee,near/../../bo.png\nEve,near/eve.png\n",
        ),
        ("in/art/ana.png", b"-"),
        ("in/art/eve.png", b"-"),
        ("out/bo.png", b"-"),
        ("out/cy.png", b"-"),
        ("bo.png", b"-"),
    ]);
    let root = dir.path().join("in");
    std::os::unix::fs::symlink("art", root.join("near")).unwrap();
    std::os::unix::fs::symlink("../out", root.join("far")).unwrap();
    let cast = read(&root.join("cast.csv"), &CastOptions::default()).unwrap();
    // `near/../../bo.png` is beside the folder, as the system reads it.
    assert_eq!(names(&cast), ["Ana", "Eve"]);
    let message = bad_rows(&cast);
    assert_eq!(message.len(), 3, "{message:#?}");
    assert!(
        message.iter().all(|m| m.contains("is outside the cast's folder")),
        "{message:#?}"
    );
    let allowed = CastOptions {
        allow_outside: true,
        ..CastOptions::default()
    };
    assert_eq!(
        read(&root.join("cast.csv"), &allowed).unwrap().characters.len(),
        5
    );
}

#[cfg(unix)]
#[test]
fn links_are_followed_inside_the_folder_only() {
    let dir = folder(&[
        (
            "in/cast.csv",
            b"name,image\nAna,in.png\nBo,out.png\nCy,broken.png\n",
        ),
        ("in/ana.png", b"-"),
        ("bo.png", b"-"),
    ]);
    let root = dir.path().join("in");
    std::os::unix::fs::symlink("ana.png", root.join("in.png")).unwrap();
    std::os::unix::fs::symlink("../bo.png", root.join("out.png")).unwrap();
    std::os::unix::fs::symlink("nowhere.png", root.join("broken.png")).unwrap();
    let cast = read(&root.join("cast.csv"), &CastOptions::default()).unwrap();
    assert_eq!(names(&cast), ["Ana"]);
    let message = bad_rows(&cast);
    assert!(message[0].contains("\"out.png\" is outside"), "{message:#?}");
    assert!(
        message[1].contains("\"broken.png\" can't be read"),
        "{message:#?}"
    );
}

fn cell() -> impl Strategy<Value = String> {
    "[ -~éß\"',;\\r\\n\\t]{0,12}"
}

proptest! {
    #[test]
    fn what_a_csv_writer_wrote_is_read_back(
        rows in prop::collection::vec((cell(), cell()), 1..20),
        crlf: bool,
        bom: bool,
    ) {
        let mut writer = ::csv::WriterBuilder::new()
            .terminator(if crlf { ::csv::Terminator::CRLF } else { ::csv::Terminator::Any(b'\n') })
            .from_writer(if bom { "\u{FEFF}".into() } else { Vec::new() });
        writer.write_record(["name", "role", "image", "voice, pitch"]).unwrap();
        for (i, (role, voice)) in rows.iter().enumerate() {
            writer.write_record([&format!("N{i}"), role, "ana.png", voice]).unwrap();
        }
        let csv = writer.into_inner().unwrap();
        let cast = read_csv(&csv).unwrap();
        prop_assert_eq!(bad_rows(&cast), Vec::<String>::new());
        let read: Vec<_> = cast.characters.iter().map(|c| c.extra).collect();
        let written: Vec<_> = rows
            .into_iter()
            .map(|(role, voice)| vec![("role".to_owned(), role), ("voice, pitch".to_owned(), voice)])
            .collect();
        prop_assert_eq!(read, written);
        for c in cast.characters.iter() {
            let line = csv.split(|b| *b == b'\n').nth(c.line.unwrap() as usize - 1).unwrap_or_default();
            if !crlf && !rows_hold_cr(&cast) {
                prop_assert!(line.starts_with(c.name.as_str().as_bytes()), "{:?}", c.line);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), head: bool) {
        let mut csv = if head { b"name,image\n".to_vec() } else { Vec::new() };
        csv.extend(bytes);
        if let Ok(cast) = read_csv(&csv) {
            let keys: std::collections::HashSet<_> = cast.characters.names().map(|name| name.key()).collect();
            prop_assert_eq!(keys.len(), cast.characters.len());
        }
    }
}

fn rows_hold_cr(cast: &Cast) -> bool {
    cast.characters
        .iter()
        .any(|c| c.extra.iter().any(|(_, v)| v.contains('\r')))
}
