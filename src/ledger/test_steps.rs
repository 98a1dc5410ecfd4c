//! What the tests of several modules write to a ledger.

use super::{Budget, Transition};
use crate::cast::{Kind, Name};
use crate::inspect::Verdict;
use crate::util::money::Usd;

/// The transitions that enroll a character with these extra columns, with the id `ta_NAME`.
pub(crate) fn enrolling(name: &Name, extra: &[(String, String)]) -> [Transition; 5] {
    let price = Usd::from_micros(10_000);
    [
        Transition::See {
            kind: Kind::Portrait,
            source: "a.png".to_owned(),
            sha256: "aa".to_owned(),
            extra: extra.to_vec(),
        },
        Transition::Judge {
            verdict: Verdict::Suitable,
            goes_on: true,
            code: None,
            message: None,
        },
        Transition::Publish {
            object_key: "k".to_owned(),
            url: "https://x/k".to_owned(),
        },
        Transition::Intend {
            request_digest: String::new(),
            price,
            budget: Budget::default(),
            payment: None,
            receipt: None,
        },
        Transition::Enrolled {
            asset_id: format!("ta_{}", name.as_str()),
            price,
            priced: true,
            settlement: None,
            ids: Default::default(),
            at: String::new(),
        },
    ]
}
