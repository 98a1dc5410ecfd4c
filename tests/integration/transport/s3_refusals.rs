//! Publishing to an S3 that misbehaves: answers that the real one gives now and then, in a row.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use bytes::Bytes;
use castline::publish::{PublishError, PublishSettings, Publisher, StaticCredentials};

/// One answer: status, S3's error code, and the length that a HEAD tells.
type Answer = (u16, &'static str, usize);

/// A server that gives these answers in a row, and notes what it was asked.
struct Script {
    endpoint: url::Url,
    /// Whether each upload had a checksum header.
    sums: Arc<Mutex<Vec<bool>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    async fn new(answers: &[Answer]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let sums = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&sums);
        let (notes, answers) = (
            Arc::clone(&asked),
            Arc::new(Mutex::new(VecDeque::from(answers.to_vec()))),
        );
        let app = Router::new().fallback(async move |request: Request| {
            let once = request.headers().get("if-none-match").map_or("", |_| " once");
            let has_sum = request
                .headers()
                .keys()
                .any(|name| name.as_str().starts_with("x-amz-checksum"));
            noted.lock().unwrap().push(has_sum);
            notes.lock().unwrap().push(format!("{}{once}", request.method()));
            // The body is read, so that the client can be done with it.
            let _ = axum::body::to_bytes(request.into_body(), 1 << 20).await;
            let next = answers.lock().unwrap().pop_front();
            let (status, code, length) = next.unwrap_or((500, "InternalError", 0));
            let mut reply = Response::builder().status(status);
            if length > 0 {
                reply = reply.header("content-length", length);
                return reply.body(Body::empty()).unwrap();
            }
            let body = match code {
                "" => String::new(),
                code => format!(
                    "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>told</Message></Error>"
                ),
            };
            reply.body(Body::from(body)).unwrap()
        });
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            endpoint,
            sums,
            asked,
        }
    }

    async fn publish(&self) -> Result<(), PublishError> {
        self.publish_each(&["k.jpg"]).await
    }

    /// Publishes under these keys, one after the other.
    async fn publish_each(&self, keys: &[&str]) -> Result<(), PublishError> {
        let settings = PublishSettings {
            bucket: "cast".to_owned(),
            prefix: String::new(),
            region: Some("eu-central-1".to_owned()),
            endpoint: Some(self.endpoint.clone()),
            force_path_style: true,
            public_base_url: Some("https://cdn.example".parse().unwrap()),
            presign_expiry: None,
            cache_control: String::new(),
            retries: 0,
            ca_pem: None,
        };
        let publisher = Publisher::new(settings, Some(StaticCredentials::new("AKIA", "secret"))).await?;
        for key in keys {
            let url = publisher
                .publish(Bytes::from_static(b"12345"), "image/jpeg", key)
                .await?;
            assert_eq!(url.expose(), format!("https://cdn.example/{key}"));
        }
        Ok(())
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn an_upload_that_meets_another_is_tried_again() {
    let script = Script::new(&[
        (409, "ConditionalRequestConflict", 0),
        (412, "PreconditionFailed", 0),
        (200, "", 5),
    ])
    .await;
    script.publish().await.unwrap();
    assert_eq!(script.asked(), ["PUT once", "PUT once", "HEAD"]);

    let endless = Script::new(&[(409, "OperationAborted", 0); 9]).await;
    let error = endless.publish().await.unwrap_err();
    assert_eq!((error.code(), error.is_fatal()), ("conflict", false), "{error}");
    assert_eq!(endless.asked(), ["PUT once"; 4]);
}

#[tokio::test]
async fn what_is_there_is_taken_only_when_it_is_whole() {
    let cut = Script::new(&[(412, "PreconditionFailed", 0), (200, "", 3)]).await;
    let error = cut.publish().await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_fatal()),
        ("other_object_there", false),
        "{error}"
    );

    // Deleted in between: uploaded again.
    let gone = Script::new(&[(412, "PreconditionFailed", 0), (404, "", 0), (200, "", 0)]).await;
    gone.publish().await.unwrap();
    assert_eq!(gone.asked(), ["PUT once", "HEAD", "PUT once"]);

    // Where HEAD is not allowed, the key is trusted: it tells the content, and the probe follows.
    let blind = Script::new(&[(412, "PreconditionFailed", 0), (403, "", 0)]).await;
    blind.publish().await.unwrap();
}

#[tokio::test]
async fn a_store_that_does_not_know_conditions_is_asked_first() {
    let old = Script::new(&[(501, "NotImplemented", 0), (404, "", 0), (200, "", 0)]).await;
    old.publish().await.unwrap();
    assert_eq!(old.asked(), ["PUT once", "HEAD", "PUT"]);

    let there = Script::new(&[(501, "NotImplemented", 0), (200, "", 5)]).await;
    there.publish().await.unwrap();
    assert_eq!(there.asked(), ["PUT once", "HEAD"]);
}

#[tokio::test]
async fn a_store_that_refuses_checksum_headers_gets_none_from_then_on() {
    for refusal in [(400, "InvalidArgument", 0), (400, "InvalidRequest", 0)] {
        let script = Script::new(&[refusal, (200, "", 0), (200, "", 0), (412, "", 0), (200, "", 5)]).await;
        script.publish_each(&["k.jpg", "l.jpg", "m.jpg"]).await.unwrap();
        assert_eq!(
            script.asked(),
            ["PUT once", "PUT once", "PUT once", "PUT once", "HEAD"]
        );
        assert_eq!(*script.sums.lock().unwrap(), [true, false, false, false, false]);
    }
    // What is refused without the header too is a refusal of something else.
    let script = Script::new(&[(400, "InvalidArgument", 0), (400, "InvalidArgument", 0)]).await;
    let error = script.publish().await.unwrap_err();
    assert!(error.to_string().contains("InvalidArgument"), "{error}");
}

#[tokio::test]
async fn bytes_that_were_damaged_on_the_way_do_not_stay() {
    let script = Script::new(&[(400, "BadDigest", 0), (204, "", 0)]).await;
    let error = script.publish().await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_fatal()),
        ("damaged_on_the_way", false),
        "{error}"
    );
    assert_eq!(script.asked(), ["PUT once", "DELETE"]);
}

#[tokio::test]
async fn refusals_that_concern_every_picture_stop_the_run() {
    for (answer, code, hint) in [
        ((301, "PermanentRedirect", 0), "wrong_region", "s3.region"),
        (
            (400, "AuthorizationHeaderMalformed", 0),
            "wrong_region",
            "s3.region",
        ),
        ((403, "AccessDenied", 0), "access_denied", "s3:PutObject"),
        ((403, "", 0), "access_denied", "s3:PutObject"),
        ((403, "RequestTimeTooSkewed", 0), "wrong_clock", "clock"),
        ((400, "ExpiredToken", 0), "expired_credentials", "renew"),
        ((404, "NoSuchBucket", 0), "no_bucket", "s3.bucket"),
    ] {
        let script = Script::new(&[answer]).await;
        let error = script.publish().await.unwrap_err();
        assert_eq!(error.code(), code, "{answer:?}: {error}");
        assert!(
            error.is_fatal() && error.to_string().contains(hint),
            "{answer:?}: {error}"
        );
        assert_eq!(script.asked().len(), 1, "{answer:?}");
    }
    let slow = Script::new(&[(503, "SlowDown", 0)])
        .await
        .publish()
        .await
        .unwrap_err();
    assert!(!slow.is_fatal(), "{slow}");
}
