//! S3 in a folder: `s3s` implements the protocol and checks signatures, `s3s-fs` stores the objects.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::path::S3Path;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use tokio::sync::RwLock;

use super::options::SandboxError;

/// Access control: signed requests may do everything; anonymous ones may at most read an object whose key they know.
struct Access {
    anonymous_read: bool,
    bucket: String,
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let S3Path::Object { bucket, key } = cx.s3_path() else {
            return cx.credentials().map(drop).ok_or_else(|| s3_error!(AccessDenied));
        };
        // A key is a path below the bucket's folder here: it must not lead out of it.
        if !Path::new(&**key)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(s3_error!(AccessDenied));
        }
        let path = Path::new(&**bucket).join(&**key);
        let elsewhere = **bucket != *self.bucket;
        let operation = cx.s3_op().name();
        let (get, read) = (
            operation == "GetObject",
            matches!(operation, "GetObject" | "HeadObject"),
        );
        if let (true, Some(found)) = (get, cx.extensions_mut().get::<Found>()) {
            let _ = found.0.set(path);
        }
        // s3s-fs would create any bucket that is written to.
        if cx.credentials().is_some() && elsewhere {
            return Err(s3_error!(NoSuchBucket));
        }
        if cx.credentials().is_some() || (read && self.anonymous_read) {
            return Ok(());
        }
        Err(s3_error!(AccessDenied))
    }
}

/// Records the bucket and key of an object to read for [`Access`], decoded as the server does.
#[derive(Clone, Default)]
struct Found(Arc<OnceLock<PathBuf>>);

/// Objects up to this size are read at once instead of in the server's chunks of 4 KiB: reading an image twice per
/// character is most of what a sandbox does.
const READ_AT_ONCE: u64 = 16 * 1024 * 1024;

/// The simulated S3. Cheap to clone.
#[derive(Clone)]
pub(super) struct Store {
    service: S3Service,
    dir: Arc<Path>,
    locks: Arc<[RwLock<()>; 64]>,
}

impl Store {
    /// Creates a store that keeps its objects in `dir/bucket`.
    pub(super) fn new(
        dir: &Path,
        bucket: &str,
        access_key: &str,
        secret_key: &str,
        anonymous_read: bool,
    ) -> Result<Self, SandboxError> {
        let folder = dir.join(bucket);
        std::fs::create_dir_all(&folder).map_err(|source| SandboxError::File {
            path: folder.clone(),
            source,
        })?;
        let fs = s3s_fs::FileSystem::new(dir).map_err(|e| SandboxError::S3(format!("{e:?}")))?;
        let mut builder = S3ServiceBuilder::new(fs);
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        builder.set_access(Access {
            anonymous_read,
            bucket: bucket.to_owned(),
        });
        Ok(Self {
            service: builder.build(),
            dir: dir.into(),
            locks: Arc::new(std::array::from_fn(|_| RwLock::new(()))),
        })
    }

    /// Answers a request. A request that has begun is completed even if its client disconnects, like in S3: an object
    /// exists with all its metadata, or not at all.
    pub(super) async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        let store = self.clone();
        let carried_through = tokio::spawn(async move { store.carry_through(request).await });
        let broken = |_| plain(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
        carried_through.await.unwrap_or_else(broken)
    }

    async fn carry_through(&self, mut request: Request<Incoming>) -> Response<Body> {
        // s3s-fs checks whether an object exists, writes it, and only then its content type: serialized here, so that
        // of two conditional writers one wins, and no reader finds an object with half its metadata.
        let mut hash = DefaultHasher::new();
        request.uri().path().hash(&mut hash);
        let lock = &self.locks[hash.finish() as usize % self.locks.len()];
        let reading = matches!(*request.method(), Method::GET | Method::HEAD);
        let (_read, _write);
        if reading {
            _read = lock.read().await;
        } else {
            _write = lock.write().await;
        }
        let found = Found::default();
        request.extensions_mut().insert(found.clone());
        let Ok(reply) = self.service.call(request.map(s3s::Body::from)).await else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
        };
        if reply.status() == StatusCode::OK
            && let Some(bytes) = self.read_at_once(&found).await
        {
            return reply.map(|_| Body::from(bytes));
        }
        reply.map(Body::new)
    }

    /// Reads the object that the server has just agreed to send.
    async fn read_at_once(&self, found: &Found) -> Option<Vec<u8>> {
        let path = self.dir.join(found.0.get()?);
        let small = tokio::fs::metadata(&path)
            .await
            .is_ok_and(|file| file.len() <= READ_AT_ONCE);
        if small {
            tokio::fs::read(&path).await.ok()
        } else {
            None
        }
    }
}

/// S3's reply to too many requests.
pub(super) fn slow_down() -> Response<Body> {
    plain(StatusCode::SERVICE_UNAVAILABLE, "SlowDown")
}

fn plain(status: StatusCode, code: &str) -> Response<Body> {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code></Error>");
    let mut reply = Response::new(Body::from(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(
        "content-type",
        axum::http::HeaderValue::from_static("application/xml"),
    );
    reply
}
