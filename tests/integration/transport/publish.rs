//! Publishing against a real S3 server, over TLS.

use std::time::Duration;

use bytes::Bytes;
use castline::net::public_url::PublicUrl;
use castline::publish::{Fetcher, Publisher, StaticCredentials, object_key};
use castline::sandbox::Faults;

use super::{Bench, jpeg};

fn key(content: u8) -> String {
    object_key("cast", &[1; 32], &[content; 32], "jpg")
}

async fn get(bench: &Bench, url: &PublicUrl) -> reqwest::Response {
    let trust = reqwest::Certificate::from_pem(bench.sandbox.ca_pem()).unwrap();
    let http = reqwest::Client::builder()
        .tls_certs_only([trust])
        .build()
        .unwrap();
    http.get(url.expose()).send().await.unwrap()
}

#[tokio::test]
async fn a_published_picture_is_seen_as_it_was_given() {
    let bench = Bench::new().await;
    let publisher = bench.publisher(|_| {}).await;
    let url = publisher
        .publish(jpeg().into(), "image/jpeg", &key(1))
        .await
        .unwrap();
    bench.fetcher().probe(&url).await.unwrap();
    let seen = get(&bench, &url).await;
    assert_eq!(seen.headers()["content-type"], "image/jpeg");
    assert_eq!(seen.headers()["cache-control"], "public, max-age=60");
    let message: Vec<_> = seen
        .headers()
        .keys()
        .filter(|name| name.as_str().starts_with("x-amz-meta"))
        .collect();
    assert!(message.is_empty(), "no metadata leaves: {message:?}");
    assert_eq!(seen.bytes().await.unwrap(), jpeg());
}

#[tokio::test]
async fn a_second_upload_overwrites_nothing() {
    let bench = Bench::new().await;
    let publisher = bench.publisher(|_| {}).await;
    let first = publisher
        .publish(jpeg().into(), "image/jpeg", &key(1))
        .await
        .unwrap();
    let second = publisher
        .publish(jpeg().into(), "image/jpeg", &key(1))
        .await
        .unwrap();
    assert_eq!(first, second);
    // What is there under a key that tells another content is not taken for it.
    let other = publisher
        .publish(Bytes::from_static(b"other"), "image/jpeg", &key(1))
        .await
        .unwrap_err();
    assert_eq!(
        (other.code(), other.is_fatal()),
        ("other_object_there", false),
        "{other}"
    );
    assert_eq!(get(&bench, &first).await.bytes().await.unwrap(), jpeg());
}

#[tokio::test]
async fn of_two_who_upload_the_same_at_once_both_succeed() {
    let bench = Bench::new().await;
    let publisher = bench.publisher(|_| {}).await;
    let key = key(1);
    let uploads = (0..8).map(|_| publisher.publish(jpeg().into(), "image/jpeg", &key));
    for url in futures_util::future::join_all(uploads).await {
        bench.fetcher().probe(&url.unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn presigned_addresses_open_a_closed_bucket_and_expire() {
    let bench = Bench::with(|options| options.anonymous_read = false).await;
    let open = bench.publisher(|_| {}).await;
    let url = open.publish(jpeg().into(), "image/jpeg", &key(1)).await.unwrap();
    let closed = bench.fetcher().probe(&url).await.unwrap_err();
    assert_eq!((closed.code(), closed.is_fatal()), ("access_denied", true));
    assert!(closed.to_string().contains("s3.presign_expiry"), "{closed}");

    let presigning = bench
        .publisher(|s| s.presign_expiry = Some(Duration::from_secs(600)))
        .await;
    let url = presigning
        .publish(jpeg().into(), "image/jpeg", &key(1))
        .await
        .unwrap();
    bench.fetcher().probe(&url).await.unwrap();

    let tampered = url.expose().replace("X-Amz-Expires=600", "X-Amz-Expires=700");
    let refused = bench
        .fetcher()
        .probe(&PublicUrl::new(tampered.parse().unwrap()))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "access_denied");
    assert!(!refused.to_string().contains("X-Amz"), "{refused}");
}

#[tokio::test]
async fn a_deleted_object_is_gone_and_may_be_deleted_again() {
    let bench = Bench::new().await;
    let publisher = bench.publisher(|_| {}).await;
    let url = publisher
        .publish(jpeg().into(), "image/jpeg", &key(1))
        .await
        .unwrap();
    publisher.delete(&key(1)).await.unwrap();
    publisher.delete(&key(1)).await.unwrap();
    let gone = bench.fetcher().probe(&url).await.unwrap_err();
    assert_eq!((gone.code(), gone.is_fatal()), ("http_status", false), "{gone}");
}

#[tokio::test]
async fn passing_troubles_of_s3_are_waited_out() {
    let bench = Bench::new().await;
    let publisher = bench.publisher(|s| s.retries = 6).await;
    let s3_percent = 40.0;
    bench
        .sandbox
        .set_faults(Faults {
            s3_percent,
            ..Faults::default()
        })
        .unwrap();
    publisher
        .publish(jpeg().into(), "image/jpeg", &key(1))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_a_run_needs_of_s3_can_be_tried() {
    let bench = Bench::new().await;
    let publisher = bench.publisher(|_| {}).await;
    let check = publisher.check_access(&bench.fetcher()).await;
    assert!(check.write.is_ok() && check.read.unwrap().is_ok() && check.delete.unwrap().is_ok());
    assert_eq!(bench.s3_requests("DELETE"), 1);

    let bench = Bench::with(|options| options.anonymous_read = false).await;
    let publisher = bench.publisher(|_| {}).await;
    let check = publisher.check_access(&bench.fetcher()).await;
    assert!(check.write.is_ok() && check.read.unwrap().is_err() && check.delete.unwrap().is_ok());
}

#[tokio::test]
async fn wrong_settings_are_told_by_what_mends_them() {
    let bench = Bench::new().await;
    let publish = async |publisher: Publisher| {
        publisher
            .publish(jpeg().into(), "image/jpeg", &key(1))
            .await
            .unwrap_err()
    };
    let credentials = StaticCredentials::new(bench.sandbox.access_key(), "canary-wrong-secret");
    let wrong = publish(Publisher::new(bench.settings(), Some(credentials)).await.unwrap()).await;
    assert_eq!(wrong.code(), "bad_credentials", "{wrong}");
    assert!(wrong.is_fatal() && !wrong.to_string().contains("canary"));

    let nobody = bench.publisher(|s| {
        s.endpoint = Some("https://localhost:1".parse().unwrap());
        s.retries = 0;
    });
    let nobody = publish(nobody.await).await;
    assert_eq!(nobody.code(), "s3_unreachable", "{nobody}");
    assert!(nobody.is_fatal());

    let untrusted = bench.publisher(|s| {
        s.ca_pem = None;
        s.retries = 0;
    });
    let untrusted = publish(untrusted.await).await;
    assert_eq!(untrusted.code(), "s3_unreachable", "{untrusted}");
    assert!(untrusted.to_string().contains("tls.ca_file"), "{untrusted}");
}

#[tokio::test]
async fn what_is_no_picture_is_found_before_it_is_paid_for() {
    let bench = Bench::new().await;
    let publisher = bench.publisher(|_| {}).await;
    for (content, kind, bytes) in [
        (1, "text/html", jpeg()),
        (2, "image/jpeg", b"<html>an error page</html>".to_vec()),
        (3, "image/jpeg", b"short".to_vec()),
        (4, "image/jpeg", Vec::new()),
    ] {
        let url = publisher
            .publish(bytes.into(), kind, &key(content))
            .await
            .unwrap();
        let error = bench.fetcher().probe(&url).await.unwrap_err();
        assert_eq!(
            (error.code(), error.is_fatal()),
            ("not_a_picture", false),
            "{error}"
        );
    }
}

#[tokio::test]
async fn private_hosts_are_not_asked_unless_allowed() {
    let bench = Bench::new().await;
    let publisher = bench.publisher(|_| {}).await;
    let url = publisher
        .publish(jpeg().into(), "image/jpeg", &key(1))
        .await
        .unwrap();
    let before = bench.s3_requests("GET");
    let strict = Fetcher::new(false, Some(bench.sandbox.ca_pem())).unwrap();
    let error = strict.probe(&url).await.unwrap_err();
    assert_eq!((error.code(), error.is_fatal()), ("not_public", true), "{error}");
    let error = strict.fetch(&url.expose().parse().unwrap()).await.unwrap_err();
    assert_eq!(error.code(), "not_public", "{error}");
    assert_eq!(bench.s3_requests("GET"), before, "nobody was asked");
}

#[tokio::test]
async fn a_picture_that_a_cast_names_is_fetched_whole() {
    let bench = Bench::new().await;
    let publisher = bench.publisher(|_| {}).await;
    let url = publisher
        .publish(jpeg().into(), "image/jpeg", &key(1))
        .await
        .unwrap();
    let fetcher = bench.fetcher();
    assert_eq!(
        fetcher.fetch(&url.expose().parse().unwrap()).await.unwrap(),
        jpeg()
    );

    let page = publisher
        .publish(Bytes::from_static(b"<html>"), "text/html", &key(2))
        .await
        .unwrap();
    let error = fetcher.fetch(&page.expose().parse().unwrap()).await.unwrap_err();
    assert_eq!(error.code(), "not_a_picture", "{error}");

    let missing = url.expose().replace(".jpg", ".none?signature=canary");
    let error = fetcher.fetch(&missing.parse().unwrap()).await.unwrap_err();
    assert_eq!(error.code(), "http_status", "{error}");
    assert!(!format!("{error} {error:?}").contains("canary"));

    let plain = url.expose().replace("https://", "http://");
    assert_eq!(
        fetcher.fetch(&plain.parse().unwrap()).await.unwrap_err().code(),
        "not_public"
    );
}
