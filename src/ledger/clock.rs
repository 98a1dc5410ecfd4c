//! The time of day, in the ledger's format.

/// The current time, RFC 3339 in UTC.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
