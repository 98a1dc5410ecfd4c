//! Drives a headless Chromium over its debugging pipe (the DevTools protocol: JSON, ended by NUL), and hears
//! everything that its pages complain about or ask for.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than any answer takes, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one page.
pub struct Browser {
    process: Child,
    asks: ChildStdin,
    answers: Receiver<Value>,
    session: Option<String>,
    number: u64,
    complaints: Vec<String>,
    requests: Vec<String>,
    _profile: TempDir,
}

/// The headless Chromium on this machine; tells when there is none.
fn chromium() -> Option<PathBuf> {
    let names = [
        "chromium-headless-shell",
        "chromium",
        "chromium-browser",
        "google-chrome",
    ];
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file());
    assert!(
        found.is_some() || std::env::var_os("CI").is_none(),
        "CI needs a headless Chromium on PATH"
    );
    if found.is_none() || cfg!(not(unix)) {
        eprintln!("skipped: the pages are tested in a headless Chromium, and none is on PATH");
    }
    found.filter(|_| cfg!(unix))
}

impl Browser {
    /// Starts one; `None`, said on stderr, where there is none.
    pub fn start() -> Option<Self> {
        let browser = chromium()?;
        let profile = tempfile::tempdir().expect("a folder");
        // The pipe is file descriptors 3 (to the browser) and 4 (from it): the shell puts ours there.
        let mut process = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#])
            .arg(browser)
            .args([
                "--headless",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
            ])
            .args([
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--no-first-run",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        let asks = process.stdin.take().expect("a pipe");
        let mut replies = BufReader::new(process.stdout.take().expect("a pipe"));
        let (heard, answers) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while replies.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                let message = serde_json::from_slice(&std::mem::take(&mut message)).expect("JSON");
                if heard.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            process,
            asks,
            answers,
            session: None,
            number: 0,
            complaints: Vec::new(),
            requests: Vec::new(),
            _profile: profile,
        };
        let targets = browser.call("Target.getTargets", json!({}));
        let page = targets["targetInfos"]
            .as_array()
            .expect("targets")
            .iter()
            .find(|t| t["type"] == "page");
        let id = page.expect("a page")["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": id, "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Asks the browser, and waits for its answer.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut ask = json!({"id": self.number, "method": method, "params": params});
        if let Some(session) = &self.session {
            ask["sessionId"] = json!(session);
        }
        self.asks
            .write_all(format!("{ask}\0").as_bytes())
            .expect("the browser listens");
        loop {
            let mut answer = self.next();
            if answer["id"] == self.number {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
        }
    }

    /// The next answer or event; what pages complain about and ask for is kept.
    fn next(&mut self) -> Value {
        let message = self.answers.recv_timeout(PATIENCE).expect("the browser answers");
        let params = &message["params"];
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(params["exceptionDetails"].to_string()),
            Some("Runtime.consoleAPICalled") => self.complaints.push(params["args"].to_string()),
            Some("Log.entryAdded") => self.complaints.push(params["entry"].to_string()),
            Some("Network.requestWillBeSent") => {
                let url = params["request"]["url"].as_str().unwrap_or_default();
                if !url.starts_with("data:") {
                    self.requests.push(url.to_owned());
                }
            }
            _ => {}
        }
        message
    }

    /// Goes to an address, and waits until the page is loaded.
    pub fn open(&mut self, url: &str) {
        let gone = self.call("Page.navigate", json!({"url": url}));
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        while self.next()["method"] != "Page.loadEventFired" {}
    }

    /// Opens a page's text as a file.
    pub fn open_html(&mut self, html: &str) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("page.html");
        std::fs::write(&file, html).expect("a file");
        self.open(&format!("file://{}", file.display()));
        folder
    }

    /// What an expression, or the promise that it makes, comes to in the page.
    pub fn eval(&mut self, expression: &str) -> Value {
        let ask = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let mut said = self.call("Runtime.evaluate", ask);
        assert!(
            said["exceptionDetails"].is_null(),
            "{expression}: {}",
            said["exceptionDetails"]
        );
        said["result"]["value"].take()
    }

    /// Waits until an expression is true in the page.
    pub fn wait_for(&mut self, expression: &str) {
        self.eval(&format!(
            "new Promise((done, broke) => {{
                const end = performance.now() + 60000;
                const look = () => {{
                    if ({expression}) done(true);
                    else if (performance.now() > end) broke(new Error('never came: ' + {}));
                    else setTimeout(look, 10);
                }};
                look();
            }})",
            json!(expression)
        ));
    }

    /// Presses a key: a letter, or a name such as `ArrowRight`.
    pub fn press(&mut self, key: &str) {
        let mut ask = json!({"type": "keyDown", "key": key});
        if key.chars().count() == 1 {
            ask["text"] = json!(key);
        }
        // What the browser itself does with a key goes by its number.
        match key {
            "Escape" => ask["windowsVirtualKeyCode"] = json!(27),
            "Enter" => {
                ask["windowsVirtualKeyCode"] = json!(13);
                ask["text"] = json!("\r");
            }
            _ => {}
        }
        self.call("Input.dispatchKeyEvent", ask);
        self.call("Input.dispatchKeyEvent", json!({"type": "keyUp", "key": key}));
    }

    /// Types into what has the focus.
    pub fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Clicks the middle of the first element that fits.
    pub fn click(&mut self, selector: &str) {
        let place = self.eval(&format!(
            "(() => {{
                const element = document.querySelector({});
                element.scrollIntoView({{ block: 'center' }});
                const box = element.getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2];
            }})()",
            json!(selector)
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let ask = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", ask);
        }
    }

    /// Everything the pages complained about so far: exceptions, console lines, violations of their policy.
    pub fn complaints(&mut self) -> &[String] {
        self.eval("0"); // what came before this answer is heard
        &self.complaints
    }

    /// Everything the pages asked for so far, but for data in their own addresses.
    pub fn requests(&mut self) -> &[String] {
        self.eval("0");
        &self.requests
    }

    /// Shows the page in a window of so many pixels, light or dark.
    pub fn show(&mut self, width: u32, height: u32, scheme: &str) {
        let window = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", window);
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    /// Writes what is seen into a PNG, where `CASTLINE_SCREENSHOTS` names a folder for it.
    pub fn shoot(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("CASTLINE_SCREENSHOTS") else {
            return;
        };
        let shot = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let png = shot["data"].as_str().expect("an image");
        let png = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, png).expect("base64");
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), png).expect("a file");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
