use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use castline::sandbox::Sandbox;

use super::{Bench, jpeg};

pub(crate) fn client(sandbox: &Sandbox) -> Client {
    client_with(sandbox, sandbox.secret_key())
}

fn client_with(sandbox: &Sandbox, secret: &str) -> Client {
    let trust = TrustStore::empty().with_pem_certificate(sandbox.ca_pem());
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .tls_context(TlsContext::builder().with_trust_store(trust).build().unwrap())
        .build_https();
    let credentials = Credentials::new(sandbox.access_key(), secret, None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(credentials)
        .region(Region::new(sandbox.region().to_owned()))
        .endpoint_url(sandbox.s3_endpoint())
        .force_path_style(true)
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .http_client(http)
        .build();
    Client::from_conf(config)
}

#[tokio::test]
async fn an_object_keeps_its_bytes_its_type_and_its_cache_control() {
    let bench = Bench::new().await;
    let (s3, bucket) = (client(&bench.sandbox), bench.sandbox.bucket());
    let bytes = jpeg(300, 300);
    s3.put_object()
        .bucket(bucket)
        .key("cast/ä b.jpg")
        .content_type("image/jpeg")
        .cache_control("private, max-age=60")
        .body(bytes.clone().into())
        .send()
        .await
        .unwrap();
    let head = s3
        .head_object()
        .bucket(bucket)
        .key("cast/ä b.jpg")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_type(), Some("image/jpeg"));
    assert_eq!(head.cache_control(), Some("private, max-age=60"));
    assert_eq!(head.content_length(), Some(bytes.len() as i64));
    let url = format!("{}{bucket}/cast/%C3%A4%20b.jpg", bench.sandbox.s3_endpoint());
    let reply = bench.http.get(&url).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["content-type"], "image/jpeg");
    assert_eq!(reply.bytes().await.unwrap(), bytes);
}

#[tokio::test]
async fn of_many_conditional_writers_one_wins_and_the_others_see_412() {
    let bench = Bench::new().await;
    let (s3, bucket) = (client(&bench.sandbox), bench.sandbox.bucket());
    let writers = (0..8).map(|n| {
        let put = s3.put_object().bucket(bucket).key("once.jpg").if_none_match("*");
        put.content_type("image/jpeg").body(vec![n; 1000].into()).send()
    });
    let results = futures_util::future::join_all(writers).await;
    let statuses: Vec<u16> = results
        .iter()
        .map(|result| match result {
            Ok(_) => 200,
            Err(e) => e.raw_response().unwrap().status().as_u16(),
        })
        .collect();
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|s| **s == 412).count(), 7, "{statuses:?}");
}

#[tokio::test]
async fn strangers_may_read_an_object_they_know_of_and_nothing_else() {
    let bench = Bench::new().await;
    let url = bench.picture("secret-key.jpg").await;
    let bucket = bench.sandbox.bucket();
    let at = |path: &str| format!("{}{path}", bench.sandbox.s3_endpoint());
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(status(bench.http.get(&url)).await, 200);
    assert_eq!(status(bench.http.head(&url)).await, 200);
    assert_eq!(
        status(bench.http.get(at(&format!("{bucket}/unknown.jpg")))).await,
        404
    );
    for listing in [
        "",
        bucket,
        &format!("{bucket}/"),
        &format!("{bucket}?list-type=2"),
        &format!("{bucket}?versions"),
    ] {
        assert_eq!(status(bench.http.get(at(listing))).await, 403, "{listing}");
    }
    assert_eq!(
        status(bench.http.put(at(&format!("{bucket}/mine.jpg"))).body("x")).await,
        403
    );
    assert_eq!(status(bench.http.delete(&url)).await, 403);
    assert_eq!(status(bench.http.get(format!("{url}?acl"))).await, 403);
    // What a URL parser leaves alone: the server's own files are one folder up.
    for key in ["x%2F..%2Fsecret-key.jpg", "/etc/hostname", "%2Fetc%2Fhostname"] {
        assert_eq!(
            status(bench.http.get(at(&format!("{bucket}/{key}")))).await,
            403,
            "{key}"
        );
    }
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    let bench = Bench::new().await;
    let s3 = client_with(&bench.sandbox, "wrong");
    let put = s3
        .put_object()
        .bucket(bench.sandbox.bucket())
        .key("a.jpg")
        .body(vec![1].into());
    let error = put.send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 403);
}

#[tokio::test]
async fn a_private_bucket_is_read_through_presigned_urls_only() {
    let bench = Bench::with(|options| options.anonymous_read = false).await;
    let plain = bench.picture("a.jpg").await;
    let presigned = client(&bench.sandbox)
        .get_object()
        .bucket(bench.sandbox.bucket())
        .key("a.jpg")
        .presigned(PresigningConfig::expires_in(Duration::from_secs(60)).unwrap())
        .await
        .unwrap();
    let presigned = presigned.uri();
    let status = async |url: &str| bench.http.get(url).send().await.unwrap().status().as_u16();
    assert_eq!(status(&plain).await, 403);
    assert_eq!(status(presigned).await, 200);
    let (rest, last) = presigned.split_at(presigned.len() - 1);
    let tampered = format!("{rest}{}", if last == "0" { "1" } else { "0" });
    assert_eq!(status(&tampered).await, 403);
    assert_eq!(status(&presigned.replace("a.jpg", "b.jpg")).await, 403);
    // The stand-in for the API fetches it, too, and forgets the signature.
    assert_eq!(bench.enroll("Ada", presigned).await.unwrap().status(), 200);
    assert_eq!(bench.sandbox.charges()[0].image_url, plain);
    assert_eq!(bench.enroll("Ada", &tampered).await.unwrap().status(), 400);
    let log = std::fs::read_to_string(bench._dir.path().join("requests.ndjson")).unwrap();
    assert!(!log.contains("X-Amz-Signature"));
}
