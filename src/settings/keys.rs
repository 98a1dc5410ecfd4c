//! Every setting, said once: its key, its default, and what it means.
//!
//! `castline init`, `castline config show`, the sample in `config/` and the refusal of unknown keys
//! all read this table.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// `section.name`, as in `castline.toml`.
    pub name: &'static str,
    /// The default as it would be written in the file, without quotes; empty when there is none.
    pub default: &'static str,
    /// How the value is written in TOML.
    pub shape: Shape,
    /// What it means, for the commented file.
    pub doc: &'static str,
    /// Whether the value is a secret, as the addresses of chat services are: messages show no more than its host.
    pub secret: bool,
}

/// How a value is written in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `"text"`
    Text,
    /// `"https://…"`, which could hold a password.
    Url,
    /// `3` or `0.01`
    Number,
    /// `true` or `false`
    Flag,
    /// `["a", "b"]`
    List,
}

const fn key(name: &'static str, shape: Shape, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        default,
        shape,
        doc,
        secret: false,
    }
}

const fn secret(name: &'static str, doc: &'static str) -> Key {
    Key {
        secret: true,
        ..key(name, Url, "", doc)
    }
}

use Shape::{Flag, List, Number, Text, Url};

/// All settings, in the order of the file.
pub const KEYS: &[Key] = &[
    key(
        "api.provider",
        Text,
        "jarvisclaw",
        "Who enrolls: jarvisclaw, blockrun, or the path of a profile (….toml).",
    ),
    key(
        "api.base_url",
        Url,
        "",
        "Where characters are enrolled; without it, where the provider's profile says.",
    ),
    key(
        "api.key_file",
        Text,
        "",
        "A file that holds the API key. Better: the variable CASTLINE_API_KEY. Never a flag.",
    ),
    key(
        "api.rate",
        Text,
        "1/s",
        "Paid calls at most, as \"5/s\", \"3/min\" or \"100/h\". Small accounts allow little.",
    ),
    key("api.concurrency", Number, "2", "Paid calls under way at once."),
    key(
        "api.timeout",
        Text,
        "2m",
        "How long one paid call may take. A call that times out is in doubt.",
    ),
    key(
        "api.price_usd",
        Number,
        "0.01",
        "Price of one enrollment, for plans and budgets; a reply's own price counts once it is known.",
    ),
    key(
        "api.max_cost_usd",
        Number,
        "",
        "What one run may cost. What is in doubt counts as spent. Same as --max-cost.",
    ),
    key(
        "api.max_total_cost_usd",
        Number,
        "",
        "What all runs of one ledger may cost together.",
    ),
    key(
        "api.max_consecutive_in_doubt",
        Number,
        "5",
        "Stop after so many paid calls in a row whose outcome is unknown.",
    ),
    key(
        "api.retries",
        Number,
        "5",
        "How often a call that provably never left, or met a 429, is tried again, and a wallet's payment sent again.",
    ),
    key(
        "payment.mode",
        Text,
        "",
        "How calls are paid: key (from an account) or wallet (x402); without it, the first that the provider takes.",
    ),
    key(
        "payment.key_file",
        Text,
        "",
        "A file that holds the wallet's private key. Better: the variable CASTLINE_WALLET_KEY. Never a flag.",
    ),
    key(
        "payment.network",
        Text,
        "base",
        "Where a wallet pays, always in USDC: base or base-sepolia. Nothing else is signed.",
    ),
    key(
        "payment.payee",
        Text,
        "",
        "The one address, 0x…, that a wallet may pay; without it, whomever the API names.",
    ),
    key(
        "payment.max_price_usd",
        Number,
        "0.02",
        "The most that a wallet signs for one call. What a quote asks beyond it is refused.",
    ),
    key(
        "payment.address",
        Text,
        "",
        "Your wallet's public address, 0x…: whose assets `castline resolve --reconcile` looks up. Not needed in wallet mode.",
    ),
    key(
        "s3.bucket",
        Text,
        "",
        "The bucket that holds the published pictures.",
    ),
    key(
        "s3.prefix",
        Text,
        "castline/",
        "What object keys begin with. The rest of a key can't be guessed.",
    ),
    key(
        "s3.region",
        Text,
        "",
        "Region of the bucket; without it the AWS configuration decides.",
    ),
    key("s3.endpoint", Url, "", "Another S3 than Amazon's: https://…"),
    key(
        "s3.force_path_style",
        Flag,
        "false",
        "Address objects as endpoint/bucket/key rather than bucket.endpoint/key.",
    ),
    key(
        "s3.public_base_url",
        Url,
        "",
        "Where the bucket is seen by the public, such as a CDN; without it, the bucket's own address.",
    ),
    key(
        "s3.presign_expiry",
        Text,
        "",
        "Publish signed addresses that expire after this time (\"24h\", at most 7 days) instead of public ones.",
    ),
    key(
        "s3.cache_control",
        Text,
        "public, max-age=31536000, immutable",
        "Cache-Control header of published objects.",
    ),
    key("s3.retries", Number, "3", "How often an upload is tried again."),
    key("publish.concurrency", Number, "8", "Uploads under way at once."),
    key(
        "publish.probe",
        Flag,
        "true",
        "Fetch each published address once, without credentials, before paying.",
    ),
    key(
        "publish.allow_private_hosts",
        Flag,
        "false",
        "Allow addresses on private or loopback hosts: for stand-ins on this machine only.",
    ),
    key(
        "tls.ca_file",
        Text,
        "",
        "A PEM file with an extra root certificate to trust.",
    ),
    key(
        "cast.include",
        List,
        "",
        "Of a folder, only images that match one of these globs.",
    ),
    key(
        "cast.exclude",
        List,
        "",
        "Of a folder, no images that match one of these globs.",
    ),
    key(
        "cast.allow_outside",
        Flag,
        "false",
        "Allow images outside the cast's folder.",
    ),
    key(
        "inspect.jobs",
        Number,
        "0",
        "Images looked at in parallel; 0: one per core.",
    ),
    key(
        "inspect.long_side",
        Number,
        "1024",
        "Longest side of a prepared image, in pixels (300–6000); images are never enlarged.",
    ),
    key(
        "inspect.format",
        Text,
        "jpeg",
        "Format of prepared images: jpeg, png or webp.",
    ),
    key("inspect.quality", Number, "90", "JPEG quality, 1–100."),
    key(
        "inspect.background",
        Text,
        "#808080",
        "What transparent art is laid on.",
    ),
    key(
        "inspect.max_pixels",
        Number,
        "100000000",
        "Larger images are refused from their header, before they are decoded.",
    ),
    key(
        "inspect.min_score",
        Number,
        "0.15",
        "A best face less likely than this: there is none. Higher: fewer cases for review, more faces missed.",
    ),
    key(
        "inspect.accept_score",
        Number,
        "0.85",
        "A best face from this likelihood on is sure. Lower: fewer cases for review, more money spent on none.",
    ),
    key(
        "inspect.second_face_review",
        Number,
        "0.25",
        "A second face from this likelihood on is a case for review.",
    ),
    key(
        "inspect.second_face_reject",
        Number,
        "0.65",
        "A second face from this likelihood on makes an image unsuitable.",
    ),
    key(
        "inspect.crop",
        Text,
        "none",
        "none: images stay whole; portrait: cropped to head and shoulders.",
    ),
    key(
        "inspect.crop_margin",
        Number,
        "1.0",
        "Of a portrait crop: what stays around the face, in sizes of the face (0.3–5).",
    ),
    key(
        "inspect.min_face_px",
        Number,
        "0",
        "A prepared image is kept so large that its face has this many pixels, if the source has them.",
    ),
    key(
        "realface.operator",
        Text,
        "",
        "Who records the consent of real actors; without it, the user who is logged in. Same as --operator.",
    ),
    key(
        "realface.redirect_url",
        Url,
        "",
        "Where an actor's phone goes after the liveness check: https://…",
    ),
    secret(
        "realface.webhook_url",
        "Where the provider reports a liveness check to: https://…",
    ),
    key(
        "realface.poll_interval",
        Text,
        "3s",
        "How often is asked where a liveness check stands.",
    ),
    key(
        "realface.max_checks_per_hour",
        Number,
        "10",
        "Liveness checks that may begin within an hour, across restarts.",
    ),
    key(
        "realface.max_links_per_actor",
        Number,
        "3",
        "Links that an actor gets, one after the other, before the next actor's turn. Each lives 120 s.",
    ),
    key(
        "ledger.path",
        Text,
        ".castline/ledger.db",
        "The ledger: what was seen, published, intended and paid. Keep it: it is what prevents paying twice. Relative to the cast's folder.",
    ),
    key(
        "ledger.backup",
        Text,
        "",
        "Leave a copy of the ledger here at the end of each run. Relative to the cast's folder.",
    ),
    key(
        "manifest.path",
        Text,
        "manifest.json",
        "Where a run writes the manifest. Relative to the cast's folder.",
    ),
    key(
        "manifest.checkpoint_interval",
        Text,
        "5s",
        "How often a run writes the manifest on its way.",
    ),
    secret(
        "notify.url",
        "Tell this https:// address when a run has ended: its summary as JSON, signed under CASTLINE_NOTIFY_SECRET.",
    ),
    key(
        "report.log_file",
        Text,
        "",
        "Append the events of each run to this file, one JSON object a line.",
    ),
];

/// What the names of all variables of castline begin with.
pub const VARIABLES_BEGIN: &str = "CASTLINE_";
/// Variables that hold secrets, and are no settings.
pub const SECRET_VARIABLES: [&str; 3] = [
    "CASTLINE_API_KEY",
    "CASTLINE_WALLET_KEY",
    "CASTLINE_NOTIFY_SECRET",
];
/// What is logged on stderr.
const LOG_VARIABLE: &str = "CASTLINE_LOG";
/// Variables of castline's own tests, which the binary under test inherits; one that ends with `_` is a beginning.
const TEST_VARIABLES: [&str; 4] = [
    "CASTLINE_TEST_",
    "CASTLINE_FIRE",
    "CASTLINE_SOAK_MINUTES",
    "CASTLINE_SCREENSHOTS",
];

/// Whether castline or its tests know that variable, although it is no setting.
pub fn is_other_variable(name: &str) -> bool {
    let of_tests = |known: &str| name == known || (known.ends_with('_') && name.starts_with(known));
    SECRET_VARIABLES.contains(&name) || name == LOG_VARIABLE || TEST_VARIABLES.into_iter().any(of_tests)
}

/// The variable that looks most like `name`, if any does.
pub fn nearest_variable(name: &str) -> Option<String> {
    let start = |name: &str| name.trim_start_matches(VARIABLES_BEGIN).to_owned();
    let wanted = start(name);
    KEYS.iter()
        .map(Key::variable)
        .chain(SECRET_VARIABLES.map(str::to_owned))
        .chain([LOG_VARIABLE.to_owned()])
        .map(|known| (strsim::jaro_winkler(&wanted, &start(&known)), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// The setting of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.name == name)
}

/// The known key that looks most like `name`, if any does.
pub fn nearest(name: &str) -> Option<&'static str> {
    KEYS.iter()
        .map(|k| (strsim::jaro_winkler(name, k.name), k.name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

impl Key {
    /// The environment variable that sets it: `api.base_url` → `CASTLINE_API_BASE_URL`.
    pub fn variable(&self) -> String {
        format!("CASTLINE_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// A value of it as messages and logs may show it: without password, query, or what else is secret.
    pub fn shown(&self, text: &str) -> String {
        if text.is_empty() || self.shape != Url {
            return text.to_owned();
        }
        let (scheme, rest) = match text.find("://") {
            Some(at) => text.split_at(at + 3),
            None => ("", text),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // What can't be told apart is not shown at all, such as a password with a slash in it.
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

    /// The section and the name within it.
    pub fn parts(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').expect("every key has a section")
    }
}

/// A commented `castline.toml` with every key at its default.
pub fn commented_file() -> String {
    let mut text = String::from(
        "# castline.toml — every setting, at its default. Uncomment what you change.\n\
         # Flags win over the environment (CASTLINE_<SECTION>_<KEY>), the environment over this file.\n\
         # Secrets don't belong here: CASTLINE_API_KEY, CASTLINE_WALLET_KEY\n\
         # and the AWS variables or profile hold them.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (its_section, name) = key.parts();
        if its_section != section {
            text.push_str(&format!("\n[{its_section}]\n"));
            section = its_section;
        }
        let value = match key.shape {
            Text | Url => format!("{:?}", key.default),
            List => "[]".to_owned(),
            Number | Flag => key.default.to_owned(),
        };
        text.push_str(&format!("# {}\n#{name} = {value}\n", key.doc));
    }
    text
}
