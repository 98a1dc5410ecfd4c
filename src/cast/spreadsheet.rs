//! What spreadsheets do to texts: their error values, numbers in place of names, and letters that were decoded wrongly.

/// The characters of Windows-1252 at 0x80–0x9F; U+FFFD where there is none
/// (<https://encoding.spec.whatwg.org/index-windows-1252.txt>).
const HIGH: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž', '\u{fffd}',
    '\u{fffd}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}', 'ž', 'Ÿ',
];

/// What is wrong with a name that a spreadsheet has spoiled, and how to fix it.
pub(super) fn spoiled(name: &str) -> Option<(String, String)> {
    let upper = name.to_uppercase();
    let is_error = upper.starts_with('#')
        && [
            "NAME?", "REF!", "VALUE!", "N/A", "DIV/0!", "NULL!", "NUM!", "SPILL!", "CALC!", "FIELD!",
        ]
        .contains(&upper.trim_start_matches('#'));
    if is_error {
        let hint = "look into the spreadsheet: a formula has failed there".to_owned();
        return Some((format!("{name:?} is a spreadsheet's error value"), hint));
    }
    if upper == "TRUE" || upper == "FALSE" || is_scientific(name) {
        let hint = "format the column as text in the spreadsheet, and type the name again".to_owned();
        return Some((
            format!("{name:?} is what a spreadsheet makes of another text"),
            hint,
        ));
    }
    let guess = decoded_wrongly(name)?;
    let hint = format!("did you mean {guess:?}? Save the file as UTF-8 (in Excel: \"CSV UTF-8\")");
    Some((format!("{name:?} was decoded wrongly"), hint))
}

/// `1.23457E+12`: a long number as a spreadsheet shows it.
fn is_scientific(text: &str) -> bool {
    let Some((digits, exponent)) = text.split_once(['E', 'e']) else {
        return false;
    };
    let number =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b',');
    let exponent = exponent.strip_prefix(['+', '-']).filter(|rest| !rest.is_empty());
    number(digits) && exponent.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
}

/// The text that `ZoÃ«` was before its UTF-8 was taken for Windows-1252; `None` if it is no such text.
fn decoded_wrongly(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let byte = |c: char| match u32::from(c) {
        code @ 0..=0xff => u8::try_from(code).ok(),
        _ => HIGH
            .iter()
            .position(|high| *high == c)
            .and_then(|at| u8::try_from(0x80 + at).ok()),
    };
    let bytes: Vec<u8> = text.chars().map(byte).collect::<Option<_>>()?;
    String::from_utf8(bytes).ok()
}

/// Whether a raw row of a CSV has a stray quotation mark: text straight after the closing quote of a field, or a quoted
/// field that runs over lines which are all rows by themselves.
pub(super) fn has_stray_quote(raw: &str, delimiter: u8, is_row: impl Fn(&str) -> bool) -> bool {
    let (mut quoted, mut field_begins) = (false, true);
    let mut bytes = raw.trim_end_matches(['\r', '\n']).bytes().peekable();
    while let Some(byte) = bytes.next() {
        match (quoted, byte) {
            (true, b'"') if bytes.peek() == Some(&b'"') => _ = bytes.next(),
            (true, b'"') => {
                quoted = false;
                match bytes.peek() {
                    None | Some(b'\r' | b'\n') => {}
                    Some(next) if *next == delimiter => {}
                    Some(_) => return true,
                }
            }
            (true, _) => {}
            (false, b'"') if field_begins => quoted = true,
            (false, _) => {}
        }
        field_begins = !quoted && byte == delimiter;
    }
    let lines: Vec<&str> = raw.trim_end_matches(['\r', '\n']).lines().collect();
    lines.len() > 2 && lines[1..lines.len() - 1].iter().all(|line| is_row(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_has_spoiled_is_recognized() {
        for (name, part) in [
            ("#NAME?", "error value"),
            ("#REF!", "error value"),
            ("#N/A", "error value"),
            ("TRUE", "another text"),
            ("1.23457E+12", "another text"),
            ("ZoÃ«", "\"Zoë\""),
            ("DÄ\u{83}ng", "decoded wrongly"),
            ("Mireille dâ€™Or", "d’Or"),
        ] {
            let (problem, hint) = spoiled(name).unwrap_or_else(|| panic!("{name}"));
            assert!(
                problem.contains(part) || hint.contains(part),
                "{name}: {problem} — {hint}"
            );
        }
    }

    #[test]
    fn real_names_are_left_alone() {
        for name in [
            "Zoë",
            "Đặng Thu",
            "#7",
            "Agent 47",
            "E-12",
            "2B",
            "Æon Flux",
            "Élodie",
            "Ångström",
            "True North",
            "Ø",
        ] {
            assert_eq!(spoiled(name), None, "{name}");
        }
    }

    fn has_stray_quote(raw: &str) -> bool {
        super::has_stray_quote(raw, b',', |line| line.contains(".jpg"))
    }

    #[test]
    fn a_stray_quote_is_told_from_a_note_of_several_lines() {
        for stray in [
            "Al,a.jpg,\"calm\nBo,b.jpg,6\" tall\n",
            "Al,a.jpg,\"calm\" and kind\n",
            "Al,a.jpg,\"calm\nBo,b.jpg,brave\nCy,c.jpg,shy\nDee,d.jpg,\"\n",
        ] {
            assert!(has_stray_quote(stray), "{stray}");
        }
        for fine in [
            "Al,a.jpg,\"calm,\nkind, and\nbrave\"\n",
            "Al,a.jpg,\"says \"\"hi\"\"\"\r\n",
            "Al,a.jpg,6\" tall\n",
            "\"Al\",\"a.jpg\",\"one\n\nthree\"\n",
        ] {
            assert!(!has_stray_quote(fine), "{fine}");
        }
    }

    /// The names of a cast with this text, and its bad rows.
    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        for image in ["a.jpg", "b.jpg", "c.jpg"] {
            std::fs::write(folder.path().join(image), "x").unwrap();
        }
        let csv = folder.path().join("cast.csv");
        std::fs::write(&csv, text).unwrap();
        let cast = crate::cast::read(&csv, &crate::cast::CastOptions::default()).unwrap();
        let names = cast.characters.iter().map(|c| c.name.as_str().to_owned());
        (
            names.collect(),
            cast.bad_rows.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn what_spreadsheets_write_is_read() {
        for text in [
            "sep=;\r\nname;image\r\nAl;a.jpg\r\nBo;b.jpg\r\n",
            "The cast of our game,,\nname,image,role\nAl,a.jpg,hero\nBo,b.jpg\n",
            "name;image;role;note\nAl;a.jpg\nBo;b.jpg;villain\n",
            "\u{feff}name\timage\nAl\ta.jpg\nBo\tb.jpg\n",
        ] {
            assert_eq!(
                read(text),
                (vec!["Al".to_owned(), "Bo".to_owned()], Vec::new()),
                "{text}"
            );
        }
    }

    #[test]
    fn two_stray_quotes_swallow_nobody_in_silence() {
        let (names, bad) = read("name,image,note\nAl,a.jpg,\"calm\nBo,b.jpg,6\" tall\nCy,c.jpg,shy\n");
        assert_eq!(names, ["Cy"]);
        assert_eq!(bad.len(), 1);
        assert!(
            bad[0].starts_with("line 2, row:") && bad[0].contains("line 3"),
            "{}",
            bad[0]
        );
        let (names, bad) = read("name,image,note\nAl,a.jpg,\"calm,\nand kind\"\nBo,b.jpg,\"a \"\"b\"\"\"\n");
        assert_eq!((names.len(), bad.len()), (2, 0), "{bad:?}");
    }

    #[test]
    fn a_spoiled_name_is_a_bad_row_with_the_guess() {
        let (names, bad) = read("name,image\nZoÃ«,a.jpg\n#NAME?,b.jpg\nCy,c.jpg\n");
        assert_eq!(names, ["Cy"]);
        assert!(bad[0].contains("did you mean \"Zoë\"?"), "{bad:?}");
        assert!(
            bad[1].contains("line 3") && bad[1].contains("error value"),
            "{bad:?}"
        );
    }
}
