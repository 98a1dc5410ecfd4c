//! The HTTPS client of the API. A paid call is exactly one request: no redirects, no retries, and a connection
//! of its own, so that no layer below can send it twice.

use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::redirect::Policy;
use url::Url;

use super::key::ApiKey;
use super::outcome::Outcome;
use super::provider::Provider;
use super::transport::{CallResult, MAX_REPLY, Reply, reason};

/// How long the connection and its handshake may take, and at most half of the call's own limit. Nothing has been sent
/// until then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// The address of the API, and how to call it.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// The base URL that the paths of calls are appended to: `https://api.jarvisclaw.ai/v1/marketplace`.
    pub base_url: Url,
    /// The API key; calls carry none when `None`.
    pub key: Option<ApiKey>,
    /// The provider's profile.
    pub provider: Provider,
    /// The time limit of a call, connecting included. A call that was sent is in doubt then, so this should be generous.
    pub timeout: Duration,
    /// An extra root certificate in PEM.
    pub ca_pem: Option<Vec<u8>>,
}

/// The client can't be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address of the API is not one that a key may be sent to.
    #[error("api.base_url {0}")]
    Address(&'static str),
    /// The extra root certificate is not a certificate.
    #[error("tls.ca_file: {0}")]
    Certificate(#[from] crate::net::tls::CertificateError),
    /// The machine's TLS is unusable.
    #[error("the HTTPS client can't be set up: {0}")]
    Setup(String),
}

/// The API client.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base_url: Url,
    key: Option<ApiKey>,
    pub(super) provider: Provider,
}

impl Client {
    /// Creates a client with these settings.
    ///
    /// # Errors
    /// The address is not plain `https://…`, or the extra root certificate is not a certificate.
    pub fn new(settings: ApiSettings) -> Result<Self, ClientError> {
        Self::with_connect_timeout(settings, CONNECT_TIMEOUT)
    }

    /// Creates a client with a limit on connecting other than 20 s.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_connect_timeout(settings: ApiSettings, connect: Duration) -> Result<Self, ClientError> {
        let base_url = checked(settings.base_url)?;
        // The limit of the whole call must not run out while connecting, or one that was never sent would look lost.
        let connect = connect.min(settings.timeout / 2);
        let http = crate::net::tls::http(settings.ca_pem.as_deref())?
            .https_only(true)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            // Without a pool there is no idle connection that the server may have closed: only on such a connection
            // does the layer below resend a request. HTTP/1.1, since HTTP/2 may refuse and repeat streams.
            .pool_max_idle_per_host(0)
            .http1_only()
            .connect_timeout(connect)
            .timeout(settings.timeout)
            .build()
            .map_err(|error| ClientError::Setup(reason(&error)))?;
        Ok(Self {
            http,
            base_url,
            key: settings.key,
            provider: settings.provider,
        })
    }

    /// Whether the provider renews the link of a liveness check that has expired.
    pub fn renews_links(&self) -> bool {
        self.provider.renews_links
    }

    pub(super) fn base_url(&self) -> &Url {
        &self.base_url
    }

    pub(super) fn post(&self, path: &str, body: &serde_json::Value) -> RequestBuilder {
        self.keyed(self.http.post(self.at(path))).json(body)
    }

    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.at(path);
        url.query_pairs_mut().extend_pairs(query);
        self.get_at(url)
    }

    pub(super) fn get_at(&self, url: Url) -> RequestBuilder {
        self.keyed(self.http.get(url))
    }

    fn keyed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Some(key) => request.bearer_auth(key.expose()),
            None => request,
        }
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}/{path}", self.base_url.path().trim_end_matches('/')));
        url
    }

    /// An outcome without the key and `secret`, should the reply have repeated them.
    pub(super) fn without_secrets(&self, outcome: Outcome, secret: &str) -> Outcome {
        let key = self.key.as_ref().map_or("", ApiKey::expose);
        outcome.without(key).without(secret)
    }

    /// Sends a request once, and masks the key and `secret` where the reply repeats them.
    pub(super) async fn once(&self, request: RequestBuilder, secret: &str) -> CallResult {
        self.once_up_to(MAX_REPLY, request, secret).await
    }

    /// [`once`](Self::once), for replies of up to `longest` bytes.
    pub(super) async fn once_up_to(
        &self,
        longest: usize,
        request: RequestBuilder,
        secret: &str,
    ) -> CallResult {
        match request.send().await {
            Ok(response) => {
                let mut reply = Reply::read(response, longest).await;
                let key = self.key.as_ref().map_or("", ApiKey::expose);
                for secret in [key, secret] {
                    forget(&mut reply.body, secret);
                }
                CallResult::Reply(reply)
            }
            Err(error) => CallResult::failed(&error),
        }
    }
}

/// Checks that a key may be sent to an address.
fn checked(base_url: Url) -> Result<Url, ClientError> {
    if base_url.scheme() != "https" {
        return Err(ClientError::Address("must begin with https://"));
    }
    if !base_url.username().is_empty() || base_url.password().is_some() {
        return Err(ClientError::Address(
            "must not contain a user or a password: keys come from CASTLINE_API_KEY",
        ));
    }
    if base_url.query().is_some() || base_url.fragment().is_some() {
        return Err(ClientError::Address(
            "must not have a query (?…) or a fragment (#…)",
        ));
    }
    Ok(base_url)
}

/// Overwrites `secret` in `text`. Short values are not secret and could occur anywhere.
fn forget(text: &mut Vec<u8>, secret: &str) {
    let secret = secret.as_bytes();
    if secret.len() < 8 {
        return;
    }
    let mut from = 0;
    while let Some(at) = text[from..].windows(secret.len()).position(|part| part == secret) {
        text.splice(from + at..from + at + secret.len(), *b"***");
        from += at + 3;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(base_url: &str, ca_pem: Option<Vec<u8>>) -> Result<Client, ClientError> {
        Client::new(ApiSettings {
            base_url: base_url.parse().unwrap(),
            key: Some(ApiKey::new("sk-canary-0123").unwrap()),
            provider: Provider::default(),
            timeout: Duration::from_secs(5),
            ca_pem,
        })
    }

    #[test]
    fn a_key_is_only_sent_to_plain_https_addresses() {
        for address in [
            "http://api.example/v1",
            "https://user:secret@api.example/v1",
            "https://api.example/v1?key=1",
            "https://api.example/v1#top",
        ] {
            let error = client(address, None).unwrap_err();
            assert!(matches!(error, ClientError::Address(_)), "{address}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        for address in ["https://api.example/v1", "https://api.example/v1/"] {
            let at = client(address, None).unwrap().at("portrait/enroll");
            assert_eq!(at.as_str(), "https://api.example/v1/portrait/enroll");
        }
    }

    #[test]
    fn a_client_never_shows_its_key() {
        let client = client("https://api.example", None).unwrap();
        assert!(!format!("{client:?} {client:#?}").contains("canary"));
    }

    #[tokio::test]
    async fn a_connection_that_is_never_made_was_never_sent_however_short_the_time() {
        // Accepts, but never completes the handshake.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = ApiSettings {
            base_url: format!("https://localhost:{}", silent.local_addr().unwrap().port())
                .parse()
                .unwrap(),
            key: Some(ApiKey::new("sk-canary-0123").unwrap()),
            provider: Provider::default(),
            timeout: Duration::from_millis(100),
            ca_pem: None,
        };
        let client = Client::with_connect_timeout(settings, Duration::from_millis(200)).unwrap();
        let answer = client
            .once(client.post("portrait/enroll", &serde_json::json!({})), "")
            .await;
        assert!(matches!(answer, CallResult::NotSent { .. }), "{answer:?}");
    }

    #[test]
    fn a_root_certificate_that_is_none_is_reported() {
        let wrong = client("https://api.example", Some(b"not PEM".to_vec()));
        assert!(matches!(wrong, Err(ClientError::Certificate(_))));
    }

    #[test]
    fn what_a_reply_repeats_of_a_secret_is_forgotten() {
        let mut text = b"sk-canary-0123 and sk-canary-0123".to_vec();
        forget(&mut text, "sk-canary-0123");
        assert_eq!(text, b"*** and ***");
        forget(&mut text, "");
        assert_eq!(text, b"*** and ***");
    }
}
