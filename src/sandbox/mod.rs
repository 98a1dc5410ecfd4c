//! Stand-ins for the paid API and for S3, over real HTTPS on this machine.
