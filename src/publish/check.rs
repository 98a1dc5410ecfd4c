//! Checks the S3 access that a run needs, with an image of one pixel.

use bytes::Bytes;

use super::error::PublishError;
use super::fetch::Fetcher;
use super::probe::ProbeError;
use super::s3::Publisher;

/// A PNG of one pixel.
const PIXEL: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\r\
    IDATx\xdac8\xb1e\xc1\x7f\0\x07\x80\x03\x1c\xb2]s\xf4\0\0\0\0IEND\xaeB`\x82";

/// The results of the three operations that a run needs. Each is tried only if the write succeeded.
#[derive(Debug)]
pub struct AccessCheck {
    /// Writing an object.
    pub write: Result<(), PublishError>,
    /// Reading it anonymously; `None` when nothing was written.
    pub read: Option<Result<(), ProbeError>>,
    /// Deleting it; `None` when nothing was written. A run needs this only when objects are temporary.
    pub delete: Option<Result<(), PublishError>>,
}

impl Publisher {
    /// Writes an image of one pixel below the prefix, reads it anonymously with `fetcher`, and deletes it.
    pub async fn check_access(&self, fetcher: &Fetcher) -> AccessCheck {
        let key = self.random_key("castline-check", "png");
        match self.publish(Bytes::from_static(PIXEL), "image/png", &key).await {
            Err(error) => AccessCheck {
                write: Err(error),
                read: None,
                delete: None,
            },
            Ok(url) => {
                let read = match fetcher.probe(&url).await {
                    Ok(_) => self.check_unwritten(fetcher).await,
                    Err(error) => Err(error),
                };
                AccessCheck {
                    write: Ok(()),
                    read: Some(read),
                    delete: Some(self.delete(&key).await),
                }
            }
        }
    }

    /// Checks that an address where nothing was written serves no image.
    ///
    /// # Errors
    /// It serves one.
    pub async fn check_unwritten(&self, fetcher: &Fetcher) -> Result<(), ProbeError> {
        match self.address(&self.random_key("castline-unwritten", "jpg")).await {
            Ok(url) => fetcher.check_unwritten(&url).await,
            // The first image that was written shows what is wrong with addresses.
            Err(_) => Ok(()),
        }
    }

    /// A key below the prefix that nobody has written to.
    fn random_key(&self, what: &str, extension: &str) -> String {
        let mut code = [0; 16];
        getrandom::fill(&mut code).expect("the operating system provides randomness");
        let folder = match self.settings.prefix.trim_matches('/') {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        format!("{folder}{what}-{}.{extension}", hex::encode(code))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_pixel_is_a_picture() {
        let pixel = image::load_from_memory(super::PIXEL).unwrap();
        assert_eq!((pixel.width(), pixel.height()), (1, 1));
    }
}
