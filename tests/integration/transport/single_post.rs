//! No layer below the client sends a paid call twice, wherever the connection ends; and only what was never
//! sent is told so.

use std::time::Duration;

use castline::enroll::{ApiKey, ApiSettings, Client, EnrollRequest, Outcome};
use castline::net::public_url::PublicUrl;
use futures_util::future::join_all;

use super::server::{How, Server, Until};

const ENROLLED: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 23\r\n\r\n\
                        {\"asset_id\":\"ta_pt_01\"}";

fn client(base_url: url::Url, ca_pem: &[u8]) -> Client {
    Client::new(ApiSettings {
        base_url,
        key: Some(ApiKey::new("sk-canary-key-0123456789").unwrap()),
        provider: castline::enroll::Provider::default(),
        timeout: Duration::from_secs(20),
        ca_pem: Some(ca_pem.to_vec()),
    })
    .unwrap()
}

fn ada() -> EnrollRequest {
    let url = "https://bucket.example/key.jpg?X-Amz-Signature=canary-signature";
    EnrollRequest {
        name: "Ada".to_owned(),
        image_url: PublicUrl::new(url.parse().unwrap()),
    }
}

async fn enroll(server: &Server) -> Outcome {
    client(server.url(), &server.ca_pem).enroll_portrait(&ada()).await
}

#[tokio::test]
async fn wherever_a_connection_ends_the_call_was_sent_once() {
    for how in [How::Close, How::Reset] {
        for until in Until::ALL {
            let server = Server::start(until, how, ENROLLED).await;
            let outcome = enroll(&server).await;
            let (connections, requests) = server.counts().await;
            assert_eq!(connections, 1, "{until:?} {how:?}: {outcome:?}");
            assert!(requests <= 1, "{until:?} {how:?}: {requests} requests");
            let expected = match until {
                Until::Accepted => matches!(&outcome, Outcome::Retry { code, .. } if code == "unreachable"),
                Until::Reply => {
                    matches!(&outcome, Outcome::Enrolled { asset_id, .. } if asset_id == "ta_pt_01")
                }
                _ => matches!(outcome, Outcome::InDoubt { .. }),
            };
            assert!(expected, "{until:?} {how:?}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn each_call_has_a_connection_of_its_own() {
    // The server offers to keep the connection; the second call does not take it, so that it can't find it
    // closed and be sent again.
    let server = Server::start(Until::Reply, How::Close, ENROLLED).await;
    let client = client(server.url(), &server.ca_pem);
    for calls in 1..=3 {
        let outcome = client.enroll_portrait(&ada()).await;
        assert!(matches!(outcome, Outcome::Enrolled { .. }), "{outcome:?}");
        assert_eq!(server.counts().await, (calls, calls));
    }
}

#[tokio::test]
async fn calls_at_the_same_time_are_sent_once_each() {
    let server = Server::start(Until::Request, How::Reset, ENROLLED).await;
    let (client, ada) = (client(server.url(), &server.ca_pem), ada());
    let outcomes = join_all((0..20).map(|_| client.enroll_portrait(&ada))).await;
    assert!(
        outcomes.iter().all(|o| matches!(o, Outcome::InDoubt { .. })),
        "{outcomes:?}"
    );
    assert_eq!(server.counts().await, (20, 20));
}

#[tokio::test]
async fn no_reply_makes_the_client_send_again() {
    let here = "location: /v1/portrait/enroll\r\n";
    for (status, headers) in [
        ("301 Moved Permanently", here),
        ("302 Found", here),
        ("303 See Other", here),
        ("307 Temporary Redirect", here),
        ("308 Permanent Redirect", here),
        ("401 Unauthorized", "www-authenticate: Basic realm=\"x\"\r\n"),
        ("408 Request Timeout", ""),
        ("421 Misdirected Request", ""),
        ("425 Too Early", ""),
        ("429 Too Many Requests", "retry-after: 0\r\n"),
        ("503 Service Unavailable", "retry-after: 0\r\n"),
    ] {
        for connection in ["", "connection: close\r\n"] {
            let reply = format!("HTTP/1.1 {status}\r\n{headers}{connection}content-length: 0\r\n\r\n");
            let server = Server::start(Until::Reply, How::Close, &reply).await;
            let outcome = enroll(&server).await;
            assert_eq!(server.counts().await, (1, 1), "{status}: {outcome:?}");
            assert!(
                !matches!(outcome, Outcome::Enrolled { .. }),
                "{status}: {outcome:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_was_never_sent_may_be_sent_again() {
    let server = Server::start(Until::Reply, How::Close, ENROLLED).await;
    let unused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("https://localhost:{}", listener.local_addr().unwrap().port())
    };
    let stranger = Server::start(Until::Reply, How::Close, ENROLLED).await;
    for (case, url, ca_pem) in [
        ("connection refused", unused.parse().unwrap(), &server.ca_pem),
        (
            "no such host",
            "https://castline.invalid".parse().unwrap(),
            &server.ca_pem,
        ),
        ("a certificate of somebody else", server.url(), &stranger.ca_pem),
    ] {
        let outcome = client(url, ca_pem).enroll_portrait(&ada()).await;
        let Outcome::Retry { code, message, after } = outcome else {
            panic!("{case}: {outcome:?}");
        };
        assert_eq!((&*code, after), ("unreachable", None), "{case}: {message}");
        assert!(
            !message.is_empty() && !message.contains("canary"),
            "{case}: {message}"
        );
    }
    assert_eq!(server.counts().await.1, 0, "nothing reached the server");
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_in_doubt() {
    let server = Server::start(Until::Never, How::Close, ENROLLED).await;
    let settings = ApiSettings {
        base_url: server.url(),
        key: Some(ApiKey::new("sk-canary-key-0123456789").unwrap()),
        provider: castline::enroll::Provider::default(),
        timeout: Duration::from_secs(1),
        ca_pem: Some(server.ca_pem.clone()),
    };
    let client = Client::new(settings).unwrap();
    let began = std::time::Instant::now();
    let outcome = client.enroll_portrait(&ada()).await;
    // The limit holds for the whole call: the 20 s of connecting are within it.
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(
        matches!(&outcome, Outcome::InDoubt { code, .. } if code == "timeout"),
        "{outcome:?}"
    );
    assert_eq!(server.counts().await, (1, 1));
}

#[tokio::test]
async fn a_reply_without_end_is_cut_off_and_in_doubt() {
    let body = "x".repeat(3 << 20);
    let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let server = Server::start(Until::Reply, How::Close, &reply).await;
    let outcome = enroll(&server).await;
    assert!(
        matches!(&outcome, Outcome::InDoubt { code, .. } if code == "reply_cut"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn what_a_reply_repeats_of_key_and_signature_is_not_told() {
    let body = r#"{"error":{"code":"invalid_image_url","message":"Bearer sk-canary-key-0123456789 asked for https://bucket.example/key.jpg?X-Amz-Signature=canary-signature, or X-Amz-Signature=canary-signature"}}"#;
    let reply = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let server = Server::start(Until::Reply, How::Close, &reply).await;
    let outcome = enroll(&server).await;
    let shown = format!("{outcome:?} {:?}", ada());
    assert!(matches!(outcome, Outcome::Refused { .. }), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
}
