//! Fuzzes classifying replies to a paid call: the first byte chooses the status, the rest is the body. It must never
//! panic; only a success may enroll, and an asset id is never invented.
#![no_main]

use castline::enroll::payment::Challenge;
use castline::enroll::{CallResult, Outcome, Provider, Reply, classify};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

const STATUS: [u16; 14] = [200, 201, 307, 400, 401, 402, 403, 404, 422, 425, 429, 500, 502, 503];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, body)) = bytes.split_first() else {
        return;
    };
    let status = StatusCode::from_u16(STATUS[usize::from(*first) % STATUS.len()]).expect("a status");
    let reply = Reply {
        status,
        headers: HeaderMap::new(),
        body: body.to_vec(),
        cut: None,
    };
    if status == StatusCode::PAYMENT_REQUIRED {
        let _ = Challenge::read(&reply);
    }
    let text = String::from_utf8_lossy(body).into_owned();
    for provider in [Provider::jarvisclaw(), Provider::blockrun()] {
        if let Outcome::Enrolled { asset_id, .. } = classify(&CallResult::Reply(reply.clone()), &provider) {
            assert!(status.is_success() && asset_id.starts_with("ta_"));
            // JSON may escape any of its letters.
            assert!(text.contains(&asset_id) || text.contains("\\u"));
        }
    }
});
