//! A PostgreSQL server, and the schema of a ledger in it: read from an address, the environment that `libpq` knows, and
//! files, as `psql` reads them.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::LedgerError;
use super::database::{Database, Postgres, drive, values};
use crate::net::tls::{extra_roots, install_provider};
use crate::util::user::user_name;

/// A PostgreSQL server, and the schema of a ledger in it.
#[derive(Clone)]
pub struct Server {
    config: Arc<Config>,
    schema: Arc<str>,
    roots: Arc<[CertificateDer<'static>]>,
}

/// What is wrong with sessions that several clients share.
const POOLER: &str =
    "a pooler in transaction mode is in between: connect to the server itself, or in session mode";

/// Why an address can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ServerError(String);

impl Server {
    /// The server at `url`, as in `postgres://user@host:5432/database?sslmode=verify-full`. What the address leaves out comes
    /// from `variable`: `PGHOST`, `PGPORT`, `PGUSER`, `PGDATABASE`, `PGSSLMODE`, `PGSSLROOTCERT`, `PGCONNECT_TIMEOUT`. The
    /// password is the first line of `password_file`, `PGPASSWORD`, or in `PGPASSFILE` (`~/.pgpass`). `ca_pem` has
    /// certificates to trust besides the system's.
    ///
    /// Without a TLS mode, a server on another machine must have a certificate that is trusted.
    ///
    /// # Errors
    /// The address or a file can't be used.
    pub fn new(
        url: &str,
        schema: &str,
        password_file: Option<&Path>,
        ca_pem: Option<&[u8]>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ServerError> {
        let wrong = |problem: String| ServerError(problem);
        let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if schema.is_empty() || schema.len() > 63 || !schema.chars().all(named) {
            return Err(ServerError(format!(
                "ledger.schema {schema:?}: use at most 63 lower-case letters, digits and underscores"
            )));
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(wrong("write it as postgres://user@host:5432/database".to_owned()));
        }
        let variable = |name: &str| variable(name).filter(|text| !text.is_empty());
        let (plain, parameters) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = variable("PGSSLMODE");
        let mut root = variable("PGSSLROOTCERT");
        let mut rest = Vec::new();
        for parameter in parameters.split('&').filter(|text| !text.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", text)) => mode = Some(text.to_owned()),
                Some(("sslrootcert", text)) => root = Some(text.replace("%2F", "/")),
                _ => rest.push(parameter),
            }
        }
        let mut config: Config = format!("{plain}?{}", rest.join("&"))
            .trim_end_matches('?')
            .parse()
            .map_err(|error: tokio_postgres::Error| wrong(said(&error)))?;
        if config.get_password().is_some() {
            return Err(wrong(
                "leave the password out: put it into PGPASSWORD, PGPASSFILE or ledger.password_file"
                    .to_owned(),
            ));
        }
        complete(&mut config, &variable).map_err(wrong)?;
        let is_local = config.get_hosts().iter().all(is_loopback);
        config.ssl_mode(match mode.as_deref() {
            Some("disable") => SslMode::Disable,
            Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            None | Some("prefer" | "allow") if is_local => SslMode::Disable,
            None | Some("prefer" | "allow") => SslMode::Require,
            Some(other) => return Err(wrong(format!("sslmode={other}: use verify-full or disable"))),
        });
        let password =
            match password_file {
                Some(file) => Some(first_line(file).map_err(|error| {
                    ServerError(format!("ledger.password_file {}: {error}", file.display()))
                })?),
                None => variable("PGPASSWORD").or_else(|| from_password_file(&config, &variable)),
            };
        if let Some(password) = password {
            config.password(password);
        }
        let mut roots = Vec::new();
        if let Some(file) = root {
            let pem = std::fs::read(&file).map_err(|error| wrong(format!("sslrootcert {file}: {error}")))?;
            roots.extend(extra_roots(&pem).map_err(|error| wrong(error.to_string()))?);
        }
        if let Some(pem) = ca_pem {
            roots.extend(extra_roots(pem).map_err(|error| wrong(error.to_string()))?);
        }
        Ok(Self {
            config: Arc::new(config),
            schema: schema.into(),
            roots: roots.into(),
        })
    }

    /// Connects, to see whether a ledger could be there.
    ///
    /// # Errors
    /// The server can't be reached, or refuses, or its sessions are not castline's own.
    pub fn reach(&self) -> Result<(), LedgerError> {
        self.connect_to_write().map(drop)
    }

    /// A connection whose session is castline's own. What is set in a session, such as the schema, would hold for others
    /// behind a pooler in transaction mode, and theirs for castline: its statements would go to another ledger.
    ///
    /// # Errors
    /// The server can't be reached, or refuses, or a second connection gets the session of the first one.
    pub(super) fn connect_to_write(&self) -> Result<Postgres, LedgerError> {
        let connection = Postgres::connect(self)?;
        let mut mark = [0; 8];
        getrandom::fill(&mut mark).map_err(|error| self.unreachable(&error.to_string()))?;
        let mark = hex::encode(mark);
        connection.batch(&format!("SET castline.mark = '{mark}'"))?;
        let other = Database::Postgres(Postgres::connect(self)?);
        let query = "SELECT coalesce(current_setting('castline.mark', true), '')";
        let seen: String = other.transaction(|other| other.one(query, values![], |row| row.get(0)))?;
        if seen == mark {
            return Err(self.unreachable(POOLER));
        }
        Ok(connection)
    }

    /// The schema, as it is written in a statement.
    pub(super) fn quoted_schema(&self) -> String {
        // Its characters are checked.
        format!("\"{}\"", self.schema)
    }

    /// The schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The error of a server that can't be used.
    pub(super) fn unreachable(&self, problem: &str) -> LedgerError {
        LedgerError::Unreachable {
            server: self.to_string(),
            problem: problem.to_owned(),
        }
    }

    /// Connects; the server's warnings are added to `notices`.
    pub(super) async fn connect(&self, notices: &Arc<Mutex<Vec<String>>>) -> Result<Client, String> {
        let notices = Arc::clone(notices);
        let failed = |error: tokio_postgres::Error| said(&error);
        if self.config.get_ssl_mode() == SslMode::Disable {
            let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
            tokio::spawn(drive(connection, notices));
            return Ok(client);
        }
        install_provider();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(self.roots.iter().cloned());
        let tls = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connected = self.config.connect(MakeRustlsConnect::new(tls)).await;
        let (client, connection) = connected.map_err(failed)?;
        tokio::spawn(drive(connection, notices));
        Ok(client)
    }
}

/// The words of an error, with their cause.
pub(super) fn said(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return match *error.code() {
            // Only another client of the same session can have made such a statement, or dropped it.
            SqlState::DUPLICATE_PSTATEMENT | SqlState::INVALID_SQL_STATEMENT_NAME => {
                format!("{} ({POOLER})", error.message())
            }
            _ => error.message().to_owned(),
        };
    }
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// The server, its database and the schema, without secrets.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate().map(|(at, host)| {
            let name = match host {
                Host::Tcp(name) => name.clone(),
                #[cfg(unix)]
                Host::Unix(folder) => folder.display().to_string(),
            };
            match ports.get(at).or(ports.first()) {
                Some(port) if *port != 5432 => format!("{name}:{port}"),
                _ => name,
            }
        });
        let hosts: Vec<String> = hosts.collect();
        let database = self.config.get_dbname().unwrap_or_default();
        write!(
            f,
            "postgres://{}/{database}, schema {}",
            hosts.join(","),
            self.schema
        )
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Fills in what the address leaves out.
fn complete(config: &mut Config, variable: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    if config.get_hosts().is_empty() {
        let hosts = variable("PGHOST").unwrap_or_else(|| "localhost".to_owned());
        for host in hosts.split(',') {
            config.host(host);
        }
    }
    if let Some(port) = variable("PGPORT").filter(|_| config.get_ports().is_empty()) {
        config.port(port.parse().map_err(|_| format!("PGPORT {port:?} is no port"))?);
    }
    if config.get_user().is_none() {
        let user = variable("PGUSER").or_else(user_name);
        config.user(user.ok_or("it names no user: write postgres://user@host/database")?);
    }
    if config.get_dbname().is_none() {
        let user = config.get_user().unwrap_or_default().to_owned();
        config.dbname(variable("PGDATABASE").unwrap_or(user));
    }
    if config.get_connect_timeout().is_none() {
        let seconds = variable("PGCONNECT_TIMEOUT").and_then(|text| text.parse().ok());
        config.connect_timeout(Duration::from_secs(seconds.unwrap_or(10)));
    }
    // A connection that a firewall forgot, or a machine that is gone, is found out while others can still wait.
    config.keepalives_idle(Duration::from_secs(15));
    config.tcp_user_timeout(Duration::from_secs(30));
    Ok(())
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn first_line(file: &Path) -> std::io::Result<String> {
    let text = std::fs::read_to_string(file)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// The password in `PGPASSFILE`, or in `~/.pgpass`: lines of `host:port:database:user:password`, of which each of the first
/// four may be `*` (PostgreSQL's documentation, "The Password File").
fn from_password_file(config: &Config, variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let file = variable("PGPASSFILE").or_else(|| Some(format!("{}/.pgpass", variable("HOME")?)))?;
    let text = std::fs::read_to_string(file).ok()?;
    let host = match config.get_hosts().first()? {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(_) => "localhost".to_owned(),
    };
    let port = config.get_ports().first().unwrap_or(&5432).to_string();
    let ours = [&host, &port, config.get_dbname()?, config.get_user()?];
    text.lines().find_map(|line| {
        let fields = fields(line);
        let [their @ .., password] = fields.as_slice() else {
            return None;
        };
        let same = their.len() == 4
            && their
                .iter()
                .zip(ours)
                .all(|(their, our)| their == "*" || their == our);
        same.then(|| password.clone())
    })
}

/// The fields of a line, at most five; a backslash keeps a colon or a backslash in its field.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut().expect("one at least").extend(characters.next()),
            other => fields.last_mut().expect("one at least").push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str, environment: &[(&str, &str)]) -> Result<Server, ServerError> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        Server::new(url, "castline", None, None, &variable)
    }

    #[test]
    fn an_address_is_completed_by_the_environment_and_shown_without_secrets() {
        let environment = [("PGUSER", "ada"), ("PGPASSWORD", "hush"), ("PGDATABASE", "game")];
        let found = server("postgres://db.example", &environment).unwrap();
        assert_eq!(found.to_string(), "postgres://db.example/game, schema castline");
        assert_eq!(found.config.get_password(), Some(&b"hush"[..]));
        assert!(!format!("{found:?}").contains("hush"));
        let found = server(
            "postgres://bo@a:1,b:2/x?target_session_attrs=read-write",
            &environment,
        )
        .unwrap();
        assert_eq!(found.to_string(), "postgres://a:1,b:2/x, schema castline");
        assert_eq!(found.config.get_user(), Some("bo"));
    }

    #[test]
    fn another_machine_must_prove_who_it_is() {
        for (url, mode) in [
            ("postgres://u@db.example/x", SslMode::Require),
            ("postgres://u@db.example/x?sslmode=prefer", SslMode::Require),
            ("postgres://u@db.example/x?sslmode=verify-full", SslMode::Require),
            ("postgres://u@db.example/x?sslmode=disable", SslMode::Disable),
            ("postgres://u@127.0.0.1/x", SslMode::Disable),
            ("postgres://u@localhost/x?sslmode=require", SslMode::Require),
            ("postgres://u@localhost,db.example/x", SslMode::Require),
        ] {
            let found = server(url, &[]).unwrap();
            assert_eq!(found.config.get_ssl_mode(), mode, "{url}");
        }
    }

    #[test]
    fn what_can_not_be_used_is_named() {
        for (url, part) in [
            ("mysql://x", "postgres://user@host"),
            ("postgres://u:secret@h/x", "leave the password out"),
            ("postgres://u@h/x?sslmode=perhaps", "sslmode=perhaps"),
            ("postgres://u@h/x?nothing=1", "nothing"),
        ] {
            let error = server(url, &[]).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("secret"), "{error}");
        }
        assert!(Server::new("postgres://u@h/x", "Cast\"line", None, None, &|_| None).is_err());
    }

    #[test]
    fn a_password_file_is_read_as_psql_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        std::fs::write(&file, "other:*:*:*:no\nh:*:game:ada:a\\:b\\\\c:d\n*:*:*:*:last\n").unwrap();
        let file = file.to_str().unwrap();
        let password = |url: &str| {
            let found = server(url, &[("PGPASSFILE", file)]).unwrap();
            String::from_utf8(found.config.get_password().unwrap().to_vec()).unwrap()
        };
        assert_eq!(password("postgres://ada@h/game"), "a:b\\c:d");
        assert_eq!(password("postgres://bo@h/game"), "last");
    }
}
