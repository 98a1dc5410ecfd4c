//! The guarantees, checked against random sequences of everything that can happen to a character.

use crate::ledger::{Budget, FoundCall, ReceiptRef};
use proptest::prelude::*;

use super::*;

/// An independent account of one character, as a bookkeeper would keep it: calls, ids, doubts.
#[derive(Debug, Default)]
struct Account {
    /// Whether a call was sent and its outcome is unknown.
    open: bool,
    /// Calls that may have been charged without a person's consent to pay again.
    unconsented: u32,
    ids: Vec<String>,
    seen: Option<String>,
    enrolled: Option<String>,
    attempted: Option<String>,
    /// The image of the last doubt that a person had repeated.
    retried: Option<Option<String>>,
    /// The image whose file was read when its stamp was taken.
    stamped: Option<String>,
    /// Whether a person entered the last id.
    adopted: bool,
}

fn name() -> Name {
    Name::new("Cyber Knight").unwrap()
}

fn any_transition() -> impl Strategy<Value = Transition> {
    let sha = prop_oneof![Just("aa"), Just("bb")];
    let id = prop_oneof![Just("ta_1"), Just("ta_2"), Just("ta_3")];
    let why = || ("code".to_owned(), "message".to_owned());
    let see = sha.clone().prop_map(|sha256| Transition::See {
        kind: Kind::Portrait,
        source: "a.png".to_owned(),
        sha256: sha256.to_owned(),
        extra: Vec::new(),
    });
    let stamp = Just(Transition::Stamp(serde_json::from_str("\"1:2\"").unwrap()));
    let verdict = prop_oneof![
        Just(Verdict::Suitable),
        Just(Verdict::Review),
        Just(Verdict::Unsuitable)
    ];
    let judge = (verdict, any::<bool>()).prop_map(|(verdict, goes_on)| Transition::Judge {
        verdict,
        goes_on: goes_on && verdict != Verdict::Unsuitable,
        code: None,
        message: None,
    });
    let publish = Just(Transition::Publish {
        object_key: "k".to_owned(),
        url: "https://x/k".to_owned(),
    });
    let intend = Just(Transition::Intend {
        request_digest: String::new(),
        price: Usd::from_micros(10_000),
        budget: Budget::default(),
        payment: None,
        receipt: None,
    });
    let enrolled = id.clone().prop_map(|id| Transition::Enrolled {
        asset_id: id.to_owned(),
        price: Usd::from_micros(10_000),
        priced: true,
        settlement: None,
        ids: Default::default(),
        at: String::new(),
    });
    let refuse = (Just(why()), any::<bool>()).prop_map(|((code, message), valid)| Transition::Refuse {
        code,
        message,
        valid,
    });
    let release = Just(why()).prop_map(|(code, message)| Transition::Release { code, message });
    let set_aside = Just(why()).prop_map(|(code, message)| Transition::SetAside { code, message });
    let fail = Just(why()).prop_map(|(code, message)| Transition::Fail { code, message });
    let doubt = Just(why()).prop_map(|(code, message)| Transition::Doubt { code, message });
    let late = prop_oneof![enrolled.clone(), refuse.clone(), release.clone()]
        .prop_map(|outcome| Transition::Late(Box::new(outcome)));
    let resolve = prop_oneof![
        Just(Resolution::Retry),
        Just(Resolution::Unused),
        Just(Resolution::Charged { transaction: None }),
        any::<bool>().prop_map(|valid| Resolution::Forget { valid }),
        id.clone().prop_map(|id| Resolution::Adopt {
            asset_id: id.to_owned(),
            at: String::new()
        }),
    ]
    .prop_map(Transition::Resolve);
    let import = (id, sha).prop_map(|(id, sha)| Transition::Import {
        kind: Kind::Portrait,
        source: "a.png".to_owned(),
        sha256: Some(sha.to_owned()),
        asset_id: id.to_owned(),
        price: None,
        at: None,
        url: None,
        ids: Default::default(),
        extra: Vec::new(),
    });
    let found =
        (any::<bool>(), prop_oneof![Just("aa"), Just("bb")], 0..4u32).prop_map(|(has_id, sha, number)| {
            Transition::Found {
                call: Box::new(FoundCall {
                    receipt: Some(ReceiptRef {
                        number,
                        call: format!("call{number}"),
                    }),
                    kind: Kind::Portrait,
                    source: "a.png".to_owned(),
                    source_sha256: sha.to_owned(),
                    price: Usd::from_micros(10_000),
                    at: String::new(),
                    asset_id: has_id.then(|| format!("ta_found{number}")),
                    url: None,
                    ids: Default::default(),
                    extra: Vec::new(),
                    signature: None,
                }),
                at: String::new(),
            }
        });
    // Events of a run are more frequent than those of people, so that sequences get far.
    prop_oneof![
        4 => see, 2 => stamp, 6 => judge, 8 => publish, 8 => intend, 4 => enrolled, 2 => refuse, 3 => release,
        1 => set_aside, 3 => doubt,
        2 => resolve, 1 => late, 1 => import, 1 => fail, 1 => found
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_sequence_breaks_a_promise(transitions in prop::collection::vec(any_transition(), 1..60)) {
        let mut record: Option<Record> = None;
        let mut account = Account::default();
        for transition in &transitions {
            let Ok(next) = apply(&name(), record.as_ref(), transition) else { continue };
            match transition {
                Transition::See { sha256, .. } => account.seen = Some(sha256.clone()),
                Transition::Stamp(_) => account.stamped.clone_from(&account.seen),
                Transition::Intend { .. } => {
                    prop_assert!(!account.open, "a second call while the first is open");
                    prop_assert_eq!(account.unconsented, 0, "a call after a doubt that was not settled");
                    prop_assert!(
                        account.ids.is_empty() || account.seen != account.enrolled,
                        "paying again for an image that is enrolled"
                    );
                    account.open = true;
                    account.attempted = account.seen.clone();
                }
                Transition::Enrolled { asset_id, .. } => {
                    prop_assert!(account.open, "an id without a call");
                    account.open = false;
                    account.ids.push(asset_id.clone());
                    account.enrolled = account.attempted.clone();
                    account.adopted = false;
                }
                Transition::Refuse { .. } | Transition::Release { .. } | Transition::SetAside { .. } => {
                    account.open = false;
                }
                Transition::Doubt { .. } => {
                    account.open = false;
                    account.unconsented += 1;
                }
                Transition::Late(outcome) => {
                    prop_assert_eq!(account.unconsented, 1, "a late reply to no call");
                    account.unconsented = 0;
                    if let Transition::Enrolled { asset_id, .. } = &**outcome {
                        account.ids.push(asset_id.clone());
                        account.enrolled = account.attempted.clone();
                        account.adopted = false;
                    }
                }
                Transition::Resolve(how) if account.unconsented == 1 => {
                    account.unconsented = 0;
                    match how {
                        Resolution::Adopt { asset_id, .. } => {
                            account.ids.push(asset_id.clone());
                            account.enrolled = account.attempted.clone();
                            account.adopted = true;
                        }
                        Resolution::Retry => account.retried = Some(account.attempted.clone()),
                        Resolution::Forget { .. } | Resolution::Unused => {}
                        Resolution::Charged { .. } => account.unconsented = 1,
                    }
                }
                // A call that was repeated is settled after all, or an id that a person entered is corrected.
                Transition::Resolve(how) => match (how, account.retried.take()) {
                    (Resolution::Adopt { asset_id, .. }, Some(attempted)) => {
                        if account.ids.is_empty() {
                            account.ids.push(asset_id.clone());
                            account.enrolled = attempted;
                            account.adopted = true;
                        }
                    }
                    (Resolution::Forget { .. }, Some(_)) => {}
                    (Resolution::Adopt { asset_id, .. }, None) => {
                        prop_assert!(account.adopted, "an id of the API is replaced by a person");
                        account.ids.push(asset_id.clone());
                    }
                    _ => prop_assert!(false, "settling a character that is not in doubt"),
                },
                Transition::Import { asset_id, sha256, .. } => {
                    prop_assert!(account.ids.is_empty() && account.unconsented == 0 && !account.open);
                    account.ids.push(asset_id.clone());
                    account.seen.clone_from(sha256);
                    account.enrolled.clone_from(sha256);
                }
                Transition::Found { call, .. } => {
                    prop_assert!(!account.open, "a call is under way");
                    let sha256 = Some(call.source_sha256.clone());
                    account.seen = account.seen.or_else(|| sha256.clone());
                    match &call.asset_id {
                        Some(asset_id) => {
                            prop_assert!(account.unconsented == 0 || account.attempted == sha256);
                            account.unconsented = 0;
                            account.ids.push(asset_id.clone());
                            account.enrolled = sha256;
                            account.adopted = false;
                        }
                        None => {
                            prop_assert_eq!(account.unconsented, 0, "a doubt hides another one");
                            account.unconsented = 1;
                            account.attempted = sha256;
                        }
                    }
                }
                Transition::Judge { .. } | Transition::Publish { .. } | Transition::Fail { .. } => {}
            }
            prop_assert_eq!(next.asset_id.as_ref(), account.ids.last(), "the last id is kept");
            prop_assert_eq!(next.state == State::Intent, account.open);
            if next.source_stamp.is_some() {
                prop_assert_eq!(&next.source_sha256, &account.stamped, "a stamp of another image");
            }
            prop_assert_eq!(next.state == State::InDoubt, account.unconsented > 0);
            record = Some(next);
        }
    }
}

#[test]
fn nothing_but_a_person_moves_a_doubt() {
    let mut record = None;
    for transition in [
        Transition::See {
            kind: Kind::Portrait,
            source: "a.png".into(),
            sha256: "aa".into(),
            extra: vec![],
        },
        Transition::Judge {
            verdict: Verdict::Suitable,
            goes_on: true,
            code: None,
            message: None,
        },
        Transition::Publish {
            object_key: "k".into(),
            url: "https://x/k".into(),
        },
        Transition::Intend {
            request_digest: String::new(),
            price: Usd::from_micros(10_000),
            budget: Budget::default(),
            payment: None,
            receipt: None,
        },
        Transition::Doubt {
            code: "timeout".into(),
            message: "no reply".into(),
        },
    ] {
        record = Some(apply(&name(), record.as_ref(), &transition).unwrap());
    }
    let doubt = record.unwrap();
    let publish = Transition::Publish {
        object_key: "k".into(),
        url: "https://x/k".into(),
    };
    assert!(apply(&name(), Some(&doubt), &publish).is_err());
    let adopt = Transition::Resolve(Resolution::Adopt {
        asset_id: "ta_9".into(),
        at: String::new(),
    });
    let adopted = apply(&name(), Some(&doubt), &adopt).unwrap();
    assert_eq!(
        (adopted.state, adopted.asset_id.as_deref()),
        (State::Enrolled, Some("ta_9"))
    );
    assert_eq!(
        adopted.enrolled_sha256.as_deref(),
        Some("aa"),
        "it is the image of the call in doubt"
    );
    assert_eq!(adopted.price, Some(Usd::from_micros(10_000)), "and its price");
}

#[test]
fn why_something_failed_stays_until_it_is_tried_again() {
    let see = Transition::See {
        kind: Kind::Portrait,
        source: "a.png".into(),
        sha256: "aa".into(),
        extra: vec![],
    };
    let judge = Transition::Judge {
        verdict: Verdict::Suitable,
        goes_on: true,
        code: None,
        message: None,
    };
    let fail = Transition::Fail {
        code: "s3_denied".into(),
        message: "no".into(),
    };
    let publish = Transition::Publish {
        object_key: "k".into(),
        url: "https://x/k".into(),
    };
    let intend = Transition::Intend {
        request_digest: String::new(),
        price: Usd::ZERO,
        budget: Budget::default(),
        payment: None,
        receipt: None,
    };
    let enrolled = Transition::Enrolled {
        asset_id: "ta_1".into(),
        price: Usd::ZERO,
        priced: true,
        settlement: None,
        ids: Default::default(),
        at: String::new(),
    };
    let mut record = None;
    for (transition, failed) in [
        (&see, false),
        (&judge, false),
        (&fail, true),
        // Another run ends before it reaches its call.
        (&see, true),
        (&judge, true),
        (&publish, true),
        (&intend, true),
        (&enrolled, false),
    ] {
        let next = apply(&name(), record.as_ref(), transition).unwrap();
        assert_eq!(next.has_failed(), failed, "{transition:?}");
        record = Some(next);
    }
}

#[test]
fn how_somebody_was_enrolled_is_known_from_an_older_ledger_too() {
    let import = Transition::Import {
        kind: Kind::Portrait,
        source: "a.png".into(),
        sha256: Some("aa".into()),
        asset_id: "ta_1".into(),
        price: None,
        at: None,
        url: None,
        ids: Default::default(),
        extra: vec![],
    };
    let older = Record {
        enrolled_kind: None,
        ..apply(&name(), None, &import).unwrap()
    };
    let see = Transition::See {
        kind: Kind::RealFace,
        source: "a.png".into(),
        sha256: "aa".into(),
        extra: vec![],
    };
    let seen = apply(&name(), Some(&older), &see).unwrap();
    assert!(seen.is_enrolled_as(Kind::Portrait, "aa"));
    assert!(!seen.is_enrolled_as(Kind::RealFace, "aa"));
}
