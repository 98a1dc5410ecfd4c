//! S3 in a folder: `s3s` speaks the protocol and checks signatures, `s3s-fs` keeps the objects.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

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

/// Signed requests may do everything; anonymous ones may read an object whose key they know, if that.
struct Access {
    anonymous_read: bool,
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let S3Path::Object { key, .. } = cx.s3_path() else {
            return cx.credentials().map(drop).ok_or_else(|| s3_error!(AccessDenied));
        };
        // The folder holds the server's own notes too.
        if key.split(['/', '\\']).any(|part| part == "..") {
            return Err(s3_error!(AccessDenied));
        }
        let read = matches!(cx.s3_op().name(), "GetObject" | "HeadObject");
        if cx.credentials().is_some() || (read && self.anonymous_read) {
            return Ok(());
        }
        Err(s3_error!(AccessDenied))
    }
}

/// The S3 stand-in. Cheap to clone.
#[derive(Clone)]
pub(super) struct Store {
    service: S3Service,
    locks: Arc<[RwLock<()>; 64]>,
}

impl Store {
    /// Keeps its objects in `dir/bucket`.
    pub(super) fn new(
        dir: &Path,
        bucket: &str,
        access_key: &str,
        secret_key: &str,
        anonymous_read: bool,
    ) -> Result<Self, SandboxError> {
        let folder = dir.join(bucket);
        std::fs::create_dir_all(&folder).map_err(|source| SandboxError::File { path: folder, source })?;
        let fs = s3s_fs::FileSystem::new(dir).map_err(|e| SandboxError::S3(format!("{e:?}")))?;
        let mut builder = S3ServiceBuilder::new(fs);
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        builder.set_access(Access { anonymous_read });
        Ok(Self {
            service: builder.build(),
            locks: Arc::new(std::array::from_fn(|_| RwLock::new(()))),
        })
    }

    pub(super) async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        // s3s-fs looks whether an object is there, writes it, and only then its content type: taken together
        // here, so that of two conditional writers one wins, and no reader finds an object half described.
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
        match self.service.call(request.map(s3s::Body::from)).await {
            Ok(reply) => reply.map(Body::new),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        }
    }
}

/// What S3 says when it is asked too much.
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
