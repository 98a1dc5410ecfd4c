//! `castline sandbox`: the sandbox on its own, until Ctrl-C.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::{Sandbox, SandboxError, SandboxOptions, start};

/// The shell that the settings are printed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shell {
    /// `export NAME='value'`
    #[default]
    Posix,
    /// `$env:NAME = 'value'`
    PowerShell,
}

/// The options of the stand-alone sandbox.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The options of the sandbox itself.
    pub sandbox: SandboxOptions,
    /// The shell that the settings are printed for.
    pub shell: Shell,
}

/// Starts a sandbox, prints on stdout the variables to export and then the line `# ready`, and serves until Ctrl-C or
/// until this future is dropped.
///
/// The same lines are in `env.sh` (or `env.ps1`) of its folder, and as one JSON object in `sandbox.json`.
pub async fn serve(options: ServeOptions) -> Result<(), SandboxError> {
    let dir = options.sandbox.dir.clone();
    let sandbox = start(options.sandbox).await?;
    let settings = sandbox.settings();
    let lines = export(&settings, options.shell);
    let name = match options.shell {
        Shell::Posix => "env.sh",
        Shell::PowerShell => "env.ps1",
    };
    write_private(&dir.join(name), lines.as_bytes())?;
    let json = serde_json::Map::from_iter(
        settings
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into())),
    );
    write_private(
        &dir.join("sandbox.json"),
        serde_json::Value::Object(json).to_string().as_bytes(),
    )?;
    // Stdout may be closed.
    let _ = print(&format!(
        "{lines}# charges: {}/charges\n# ready\n",
        sandbox.control_url()
    ));
    let _ = tokio::signal::ctrl_c().await;
    sandbox.stop().await;
    Ok(())
}

fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

impl Sandbox {
    /// The environment that points castline, and any AWS client, to this sandbox.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("CASTLINE_API_BASE_URL", self.api_base_url().into()),
            ("CASTLINE_API_KEY", self.api_key().into()),
            ("CASTLINE_S3_ENDPOINT", self.s3_endpoint().into()),
            ("CASTLINE_S3_BUCKET", self.bucket().into()),
            ("CASTLINE_S3_REGION", self.region().into()),
            ("CASTLINE_S3_FORCE_PATH_STYLE", "true".into()),
            ("AWS_ACCESS_KEY_ID", self.access_key().into()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_key().into()),
            (
                "CASTLINE_TLS_CA_FILE",
                self.ca_file().to_string_lossy().into_owned(),
            ),
            ("CASTLINE_PUBLISH_ALLOW_PRIVATE_HOSTS", "true".into()),
        ];
        if self.takes_wallets() {
            settings.push(("CASTLINE_PAYMENT_MODE", "wallet".into()));
            let node = format!("{}/rpc", self.control_url());
            settings.push(("CASTLINE_PAYMENT_RPC_URL", node));
            settings.push(("CASTLINE_WALLET_KEY", self.wallet_key().into()));
        }
        settings
    }
}

fn export(settings: &[(&'static str, String)], shell: Shell) -> String {
    let mut lines = String::new();
    for (name, value) in settings {
        let _ = match shell {
            Shell::Posix => writeln!(lines, "export {name}='{}'", value.replace('\'', r"'\''")),
            Shell::PowerShell => writeln!(lines, "$env:{name} = '{}'", value.replace('\'', "''")),
        };
    }
    lines
}

/// Writes a file readable only by its owner, where the system supports it: it holds the keys of this sandbox.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), SandboxError> {
    let write = || {
        // The file of an earlier start might be readable by others.
        let _ = std::fs::remove_file(path);
        let mut options = std::fs::File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)?.write_all(bytes)
    };
    write().map_err(|source| SandboxError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_one_word_in_either_shell() {
        let settings = [("CASTLINE_TLS_CA_FILE", "/home/o'neil/a b/ca.pem".to_owned())];
        assert_eq!(
            export(&settings, Shell::Posix),
            "export CASTLINE_TLS_CA_FILE='/home/o'\\''neil/a b/ca.pem'\n"
        );
        assert_eq!(
            export(&settings, Shell::PowerShell),
            "$env:CASTLINE_TLS_CA_FILE = '/home/o''neil/a b/ca.pem'\n"
        );
    }
}
