//! Opens the review page in the user's browser.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Opens the address in the user's browser through a file that only they can read: other users of the machine can see
/// command lines, and the address works only for its first visitor. Without a browser, the printed address remains.
pub fn open_browser(url: &str) -> Option<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix("castline-review-")
        .suffix(".html")
        .tempfile()
        .ok()?;
    let page = maud::html! {
        (maud::DOCTYPE)
        meta charset="utf-8";
        meta name="referrer" content="no-referrer";
        meta http-equiv="refresh" content=(format!("0;url={url}"));
        title { "castline review" }
        a href=(url) { "Open the review" }
    };
    file.write_all(page.into_string().as_bytes()).ok()?;
    let mut command = opener(file.path());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    std::thread::spawn(move || command.status());
    Some(file)
}

fn opener(file: &Path) -> Command {
    let mut command = Command::new(if cfg!(windows) {
        "explorer"
    } else if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    });
    command.arg(file);
    command
}
