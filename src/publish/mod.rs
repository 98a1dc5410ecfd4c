//! Gives a prepared picture a public HTTPS URL on S3.
