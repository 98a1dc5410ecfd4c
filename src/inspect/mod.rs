//! Looks at a picture: bytes in, verdict and prepared bytes out.
