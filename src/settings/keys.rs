//! The table of all settings: key, default and meaning.
//!
//! `castline init`, `castline config show`, the sample in `config/` and the check for unknown keys
//! all read this table.

pub use super::key::{Key, Shape};
use super::key::{key, secret};
use Shape::{Flag, List, Number, Text, Url};

/// All settings, in the order of the file.
pub const KEYS: &[Key] = &[
    key(
        "api.provider",
        Text,
        "jarvisclaw",
        "The provider that enrolls: jarvisclaw, blockrun (wallet), blockrun-key, or the path of a profile (….toml).",
    ),
    key(
        "api.base_url",
        Url,
        "",
        "Base URL of the API; the provider profile's if empty.",
    ),
    key(
        "api.key_file",
        Text,
        "",
        "File with the API key. Prefer the CASTLINE_API_KEY variable; there is no flag for it.",
    ),
    key(
        "api.rate",
        Text,
        "1/s",
        "Maximum rate of paid calls, such as \"5/s\", \"3/min\" or \"100/h\". Small accounts have low limits.",
    ),
    key(
        "api.concurrency",
        Number,
        "2",
        "Maximum number of concurrent paid calls.",
    ),
    key(
        "api.timeout",
        Text,
        "2m",
        "Timeout of one paid call. A call that times out is in doubt.",
    ),
    key(
        "api.price_usd",
        Number,
        "0.01",
        "Price of one enrollment, for plans and budgets; replaced by the price in a reply once one is known.",
    ),
    key(
        "api.accept_zero_price",
        Flag,
        "false",
        "Believe a reply that says that a call cost nothing. Otherwise it counts at the expected price, so that no budget is endless.",
    ),
    key(
        "api.max_cost_usd",
        Number,
        "",
        "Maximum cost of one run. Calls in doubt count as spent. Same as --max-cost.",
    ),
    key(
        "api.max_total_cost_usd",
        Number,
        "",
        "Maximum total cost of all runs of one ledger.",
    ),
    key(
        "api.max_account_cost_usd",
        Number,
        "",
        "Maximum total cost of all ledgers of the account in one database (ledger.url).",
    ),
    key(
        "api.max_consecutive_in_doubt",
        Number,
        "5",
        "Stop after this many consecutive paid calls whose outcome is unknown.",
    ),
    key(
        "api.retries",
        Number,
        "5",
        "How often to retry a call that was provably never sent or got a 429, and to resend a wallet's payment.",
    ),
    key(
        "payment.mode",
        Text,
        "",
        "How calls are paid: key (from an account) or wallet (x402); if empty, the first mode the provider accepts.",
    ),
    key(
        "payment.key_file",
        Text,
        "",
        "File with the wallet's private key. Prefer the CASTLINE_WALLET_KEY variable; there is no flag for it.",
    ),
    key(
        "payment.network",
        Text,
        "base",
        "Network on which the wallet pays, always in USDC: base or base-sepolia. Nothing else is signed.",
    ),
    key(
        "payment.payee",
        Text,
        "",
        "The only address, 0x…, that the wallet may pay; if empty, the payee that the API names.",
    ),
    key(
        "payment.max_price_usd",
        Number,
        "0.02",
        "The most that the wallet signs for one call. Quotes above it are refused.",
    ),
    secret(
        "payment.rpc_url",
        "A node of payment.network, https://…: asked whether the payment of a doubt was charged, once it has expired.",
    ),
    key(
        "payment.address",
        Text,
        "",
        "Your wallet's public address, 0x…, whose assets `castline resolve --reconcile` looks up. Not needed in wallet mode.",
    ),
    key("s3.bucket", Text, "", "The bucket for published images."),
    key(
        "s3.prefix",
        Text,
        "castline/",
        "Prefix of object keys. The rest of a key can't be guessed.",
    ),
    key(
        "s3.region",
        Text,
        "",
        "Region of the bucket; the AWS configuration's if empty.",
    ),
    key(
        "s3.endpoint",
        Url,
        "",
        "Endpoint of an S3-compatible service other than Amazon's: https://…",
    ),
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
        "Public base URL of the bucket, such as a CDN; the bucket's own URL if empty.",
    ),
    key(
        "s3.presign_expiry",
        Text,
        "",
        "Publish signed URLs that expire after this time (\"24h\", at most 7 days) instead of public ones.",
    ),
    key(
        "s3.cache_control",
        Text,
        "public, max-age=31536000, immutable",
        "Cache-Control header of published objects.",
    ),
    key("s3.retries", Number, "3", "How often to retry an upload."),
    key(
        "publish.concurrency",
        Number,
        "8",
        "Maximum number of concurrent uploads.",
    ),
    key(
        "publish.probe",
        Flag,
        "true",
        "Fetch each published URL once, without credentials, before paying.",
    ),
    key(
        "publish.allow_private_hosts",
        Flag,
        "false",
        "Allow URLs on private or loopback hosts: only for test servers on this machine.",
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
        "When the cast is a folder, only use images that match one of these globs.",
    ),
    key(
        "cast.exclude",
        List,
        "",
        "When the cast is a folder, skip images that match one of these globs.",
    ),
    key(
        "cast.allow_outside",
        Flag,
        "false",
        "Allow images outside the cast's folder.",
    ),
    key(
        "cast.skip_invalid",
        Flag,
        "false",
        "Skip invalid rows instead of stopping.",
    ),
    key(
        "cast.map",
        List,
        "",
        "Headers of your spreadsheet that stand for castline's columns: [\"name=Character\", \"image=Portrait\"].",
    ),
    key(
        "cast.looks",
        Flag,
        "false",
        "In a folder, take each subfolder for a character and its images for looks: Alice/winter.png is \"Alice, winter\".",
    ),
    key(
        "inspect.jobs",
        Number,
        "0",
        "Images inspected in parallel; 0: one per core.",
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
        "Background colour of transparent images.",
    ),
    key(
        "inspect.max_pixels",
        Number,
        "100000000",
        "Images with more pixels are refused from their header, before they are decoded.",
    ),
    key(
        "inspect.min_score",
        Number,
        "0.08",
        "If the best face scores below this, the image has no face. Higher: fewer reviews, more faces missed.",
    ),
    key(
        "inspect.accept_score",
        Number,
        "0.84",
        "A best face with at least this score is certain. Lower: fewer reviews, more money spent on images without a face.",
    ),
    key(
        "inspect.second_face_review",
        Number,
        "0.25",
        "A second face with at least this score sends an image to review.",
    ),
    key(
        "inspect.second_face_reject",
        Number,
        "0.75",
        "A second face with at least this score makes an image unsuitable.",
    ),
    key(
        "inspect.crop",
        Text,
        "none",
        "none: images are not cropped; portrait: cropped to head and shoulders.",
    ),
    key(
        "inspect.crop_margin",
        Number,
        "1.0",
        "Margin around the face in a portrait crop, in multiples of the face's size (0.3–5).",
    ),
    key(
        "inspect.min_face_px",
        Number,
        "0",
        "Keep a prepared image large enough for its face to have this many pixels, if the source has them.",
    ),
    key(
        "realface.operator",
        Text,
        "",
        "The person who records the consent of real actors; the logged-in user if empty. Same as --operator.",
    ),
    key(
        "realface.redirect_url",
        Url,
        "",
        "URL that an actor's phone is redirected to after the liveness check: https://…",
    ),
    secret(
        "realface.webhook_url",
        "URL that the provider reports liveness checks to: https://…",
    ),
    key(
        "realface.poll_interval",
        Text,
        "3s",
        "How often to poll the status of a liveness check, at most.",
    ),
    key(
        "realface.max_polls_per_hour",
        Number,
        "20",
        "Maximum number of status requests per hour, spread over the checks: providers allow 20 per address.",
    ),
    key(
        "realface.max_checks_per_hour",
        Number,
        "10",
        "Maximum number of liveness checks started per hour, across restarts.",
    ),
    key(
        "realface.max_links_per_actor",
        Number,
        "3",
        "Maximum number of links for one actor, one after another, before the next actor's turn. Each is valid for 120 s.",
    ),
    key(
        "ledger.path",
        Text,
        ".castline/ledger.db",
        "The ledger: what was seen, published, intended and paid. Keep it: it prevents paying twice. Relative to the cast's folder.",
    ),
    key(
        "ledger.url",
        Url,
        "",
        "A PostgreSQL database for the ledger instead of a file: postgres://user@host/database. The password: PGPASSWORD, PGPASSFILE or ledger.password_file.",
    ),
    key(
        "ledger.schema",
        Text,
        "castline",
        "The schema of the ledger in that database. Several ledgers can share a database; the sandbox's schema ends in _sandbox.",
    ),
    key(
        "ledger.password_file",
        Text,
        "",
        "File with the password of that database in its first line.",
    ),
    key(
        "ledger.lease",
        Text,
        "30s",
        "How long a command that is not heard of keeps a ledger in a database. After that another one may take over.",
    ),
    key(
        "ledger.backup",
        Text,
        "",
        "Copy the ledger here at the end of each run. Relative to the cast's folder.",
    ),
    key(
        "receipts.enabled",
        Flag,
        "true",
        "Keep a receipt of each paid call in the bucket, so that nothing is paid twice from another machine or after the ledger is lost.",
    ),
    key(
        "manifest.path",
        Text,
        "manifest.json",
        "Path of the manifest that a run writes. Relative to the cast's folder.",
    ),
    key(
        "manifest.checkpoint_interval",
        Text,
        "5s",
        "How often to write the manifest during a run.",
    ),
    secret(
        "notify.url",
        "POST the summary of each finished run to this https:// URL, as JSON signed with CASTLINE_NOTIFY_SECRET.",
    ),
    key(
        "report.log_file",
        Text,
        "",
        "Append the events of each run to this file, one JSON object per line.",
    ),
    key(
        "report.metrics_file",
        Text,
        "",
        "Write the metrics of each command to this file when it ends, for Prometheus' textfile collector (….prom).",
    ),
];

/// Prefix of all castline environment variables.
pub const VARIABLES_BEGIN: &str = "CASTLINE_";
/// Variables that hold secrets and are not settings.
pub const SECRET_VARIABLES: [&str; 3] = [
    "CASTLINE_API_KEY",
    "CASTLINE_WALLET_KEY",
    "CASTLINE_NOTIFY_SECRET",
];
/// The variable that sets what is logged on stderr.
const LOG_VARIABLE: &str = "CASTLINE_LOG";
/// Variables of castline's own tests, which the binary under test inherits; a name that ends with `_` is a prefix.
const TEST_VARIABLES: [&str; 4] = [
    "CASTLINE_TEST_",
    "CASTLINE_FIRE",
    "CASTLINE_SOAK_MINUTES",
    "CASTLINE_SCREENSHOTS",
];

/// Whether `name` is a variable that castline or its tests use, although it is not a setting.
pub fn is_other_variable(name: &str) -> bool {
    let of_tests = |known: &str| name == known || (known.ends_with('_') && name.starts_with(known));
    SECRET_VARIABLES.contains(&name) || name == LOG_VARIABLE || TEST_VARIABLES.into_iter().any(of_tests)
}

/// The known variable most similar to `name`, if any is close.
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

/// The setting called `name`.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.name == name)
}

/// The known key most similar to `name`, if any is close.
pub fn nearest(name: &str) -> Option<&'static str> {
    KEYS.iter()
        .map(|k| (strsim::jaro_winkler(name, k.name), k.name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// A commented `castline.toml` with every key at its default.
pub fn commented_file() -> String {
    let mut text = String::from(
        "# castline.toml — every setting with its default. Uncomment a line to change it.\n\
         # Flags override the environment (CASTLINE_<SECTION>_<KEY>), which overrides this file,\n\
         # which overrides ~/.config/castline/castline.toml.\n\
         # Don't put secrets here: set CASTLINE_API_KEY, CASTLINE_WALLET_KEY,\n\
         # and the AWS variables or profile.\n",
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
