//! A CDN before the bucket, as far as a configured fault wants one: what it makes of anonymous reads.

use std::io::Cursor;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use image::{ImageFormat, RgbImage};

use super::faults::PublicReads;

/// What happens to the reply to one request.
pub(super) struct Cdn(PublicReads, IsBot);

/// Whether a request's user agent calls itself a bot.
type IsBot = bool;

impl Cdn {
    /// A CDN serves anonymous reads alone.
    pub(super) fn before<B>(request: &Request<B>, reads: PublicReads) -> Self {
        let signed = request.headers().contains_key("authorization")
            || request
                .uri()
                .query()
                .is_some_and(|query| query.contains("X-Amz-Signature"));
        let anonymous = !signed && matches!(*request.method(), Method::GET | Method::HEAD);
        let agent = request.headers().get("user-agent");
        let is_bot = agent.is_some_and(|agent| agent.as_bytes().ends_with(b"bot"));
        Self(if anonymous { reads } else { PublicReads::AsStored }, is_bot)
    }

    pub(super) async fn pass(self, reply: Response<Body>) -> Response<Body> {
        let found = reply.status() == StatusCode::OK;
        match self.0 {
            PublicReads::Placeholder => picture(&placeholder()),
            PublicReads::RefusesBots if self.1 => refusal(StatusCode::FORBIDDEN),
            PublicReads::BadRequest => refusal(StatusCode::BAD_REQUEST),
            PublicReads::PlaceholderForObjects if found => picture(&placeholder()),
            PublicReads::Recompressed if found => {
                let bytes = axum::body::to_bytes(reply.into_body(), usize::MAX)
                    .await
                    .unwrap_or_default();
                match image::load_from_memory(&bytes) {
                    Ok(stored) => picture(&stored.to_rgb8()),
                    Err(_) => Response::new(Body::from(bytes)),
                }
            }
            _ => reply,
        }
    }
}

fn refusal(status: StatusCode) -> Response<Body> {
    let mut reply = Response::new(Body::from("refused"));
    *reply.status_mut() = status;
    reply
}

/// A grey picture that the API would accept.
fn placeholder() -> RgbImage {
    RgbImage::from_pixel(640, 640, image::Rgb([180, 180, 180]))
}

fn picture(pixels: &RgbImage) -> Response<Body> {
    let mut jpeg = Cursor::new(Vec::new());
    pixels
        .write_to(&mut jpeg, ImageFormat::Jpeg)
        .expect("a JPEG in memory can be written");
    let mut reply = Response::new(Body::from(jpeg.into_inner()));
    let kind = HeaderValue::from_static("image/jpeg");
    reply.headers_mut().insert("content-type", kind);
    reply
}
