//! Tests of URLs and settings, without a server.

use super::*;

fn settings(change: impl FnOnce(&mut PublishSettings)) -> PublishSettings {
    let mut settings = PublishSettings {
        bucket: "cast".to_owned(),
        prefix: String::new(),
        region: Some("eu-central-1".to_owned()),
        endpoint: None,
        force_path_style: false,
        public_base_url: None,
        presign_expiry: None,
        cache_control: String::new(),
        retries: 0,
        ca_pem: None,
    };
    change(&mut settings);
    settings
}

async fn publisher(change: impl FnOnce(&mut PublishSettings)) -> Result<Publisher, PublishError> {
    let credentials = StaticCredentials::new("AKIACANARY", "canary-secret");
    Publisher::new(settings(change), Some(credentials)).await
}

async fn address(change: impl FnOnce(&mut PublishSettings)) -> PublicUrl {
    publisher(change)
        .await
        .unwrap()
        .address("a b/é+.jpg")
        .await
        .unwrap()
}

#[tokio::test]
async fn objects_are_seen_where_the_settings_say() {
    type Change = fn(&mut PublishSettings);
    let cases: [(Change, &str); 10] = [
        (
            |_| {},
            "https://cast.s3.eu-central-1.amazonaws.com/a%20b/%C3%A9%2B.jpg",
        ),
        (
            |s| s.region = Some("cn-north-1".to_owned()),
            "https://cast.s3.cn-north-1.amazonaws.com.cn/a%20b/%C3%A9%2B.jpg",
        ),
        // Amazon's certificates don't cover buckets with dots.
        (
            |s| s.bucket = "my.cast".to_owned(),
            "https://s3.eu-central-1.amazonaws.com/my.cast/a%20b/%C3%A9%2B.jpg",
        ),
        (
            |s| s.force_path_style = true,
            "https://s3.eu-central-1.amazonaws.com/cast/a%20b/%C3%A9%2B.jpg",
        ),
        (
            |s| s.public_base_url = Some("https://cdn.example/art/".parse().unwrap()),
            "https://cdn.example/art/a%20b/%C3%A9%2B.jpg",
        ),
        (
            |s| s.endpoint = Some("https://s3.example:9000".parse().unwrap()),
            "https://cast.s3.example:9000/a%20b/%C3%A9%2B.jpg",
        ),
        (
            |s| {
                s.endpoint = Some("https://s3.example:9000".parse().unwrap());
                s.force_path_style = true;
                s.region = None;
            },
            "https://s3.example:9000/cast/a%20b/%C3%A9%2B.jpg",
        ),
        // Supabase: a store below a path.
        (
            |s| {
                s.endpoint = Some("https://p.supabase.example/storage/v1/s3".parse().unwrap());
                s.force_path_style = true;
            },
            "https://p.supabase.example/storage/v1/s3/cast/a%20b/%C3%A9%2B.jpg",
        ),
        // R2: its console shows the address of a bucket.
        (
            |s| {
                s.endpoint = Some("https://acc.r2.example/cast".parse().unwrap());
                s.force_path_style = true;
            },
            "https://acc.r2.example/cast/a%20b/%C3%A9%2B.jpg",
        ),
        (
            |s| {
                s.endpoint = Some("https://acc.r2.example/broadcast/".parse().unwrap());
                s.force_path_style = true;
            },
            "https://acc.r2.example/broadcast/cast/a%20b/%C3%A9%2B.jpg",
        ),
    ];
    for (change, expected) in cases {
        let address = address(change).await;
        assert_eq!(address.expose(), expected);
        assert_eq!(address.unsigned(), expected);
    }
}

#[tokio::test]
async fn signed_addresses_show_neither_signature_nor_secret() {
    let address = address(|s| s.presign_expiry = Some(Duration::from_secs(3600))).await;
    assert!(address.expose().contains("X-Amz-Expires=3600") && address.expose().contains("X-Amz-Signature="));
    assert!(!address.expose().contains("canary-secret"));
    assert_eq!(
        address.unsigned(),
        "https://cast.s3.eu-central-1.amazonaws.com/a%20b/%C3%A9%2B.jpg"
    );
}

#[tokio::test]
async fn what_would_fail_for_every_picture_fails_at_once() {
    type Change = fn(&mut PublishSettings);
    let cases: [(Change, &str, &str); 9] = [
        (|s| s.bucket = String::new(), "no_bucket", "s3.bucket"),
        (|s| s.bucket = "my bucket".to_owned(), "no_bucket", "s3.bucket"),
        (|s| s.prefix = "a/../b".to_owned(), "bad_prefix", "s3.prefix"),
        (
            |s| s.presign_expiry = Some(Duration::from_secs(8 * 24 * 3600)),
            "bad_presign_expiry",
            "7 days",
        ),
        (
            |s| s.presign_expiry = Some(Duration::ZERO),
            "bad_presign_expiry",
            "second",
        ),
        (
            |s| s.public_base_url = Some("http://cdn.example".parse().unwrap()),
            "bad_public_base_url",
            "https://",
        ),
        (
            |s| s.public_base_url = Some("https://user:canary@cdn.example".parse().unwrap()),
            "bad_public_base_url",
            "no user",
        ),
        (
            |s| s.endpoint = Some("http://minio.example:9000".parse().unwrap()),
            "not_https",
            "s3.public_base_url",
        ),
        (
            |s| s.ca_pem = Some(b"not PEM".to_vec()),
            "bad_ca_file",
            "tls.ca_file",
        ),
    ];
    for (change, code, hint) in cases {
        let error = publisher(change).await.unwrap_err();
        assert!(error.is_fatal());
        assert_eq!(error.code(), code, "{error}");
        assert!(
            error.to_string().contains(hint) && !error.to_string().contains("canary"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_token_that_makes_the_address_too_long_is_reported() {
    let credentials = Credentials::new("AKIA", "secret", Some("t".repeat(2000)), None, "test");
    let settings = settings(|s| s.presign_expiry = Some(Duration::from_secs(60)));
    let error = Publisher::new(settings, Some(StaticCredentials(credentials)))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "url_too_long");
}
