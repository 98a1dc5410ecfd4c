use super::*;
use crate::cast::Name;
use crate::ledger::{Transition, apply};

const PORTRAIT: Row = Row {
    kind: Kind::Portrait,
    consent: false,
};

fn read(sha256: &str, verdict: Option<Verdict>) -> Image<'_> {
    Image::Read { sha256, verdict }
}

#[test]
fn the_table_has_each_standing_once_and_fits_its_columns() {
    for (at, standing) in Standing::ALL.into_iter().enumerate() {
        assert_eq!(standing as usize, at, "{standing:?}");
        let code = serde_json::to_value(standing).unwrap();
        assert_eq!(code, standing.code(), "one code in events, plans and pages");
        assert!(standing.label().len() <= 15, "{standing}");
        assert!(standing.hint().chars().count() <= 40, "{standing}");
    }
    let labels: std::collections::HashSet<_> = Standing::ALL.map(Standing::label).into();
    assert_eq!(labels.len(), Standing::ALL.len());
}

#[test]
fn a_portrait_is_not_taken_for_a_real_actor_nor_the_other_way_round() {
    let enrolled = |kind| {
        let import = Transition::Import {
            kind,
            source: "ada.png".to_owned(),
            sha256: Some("aa".to_owned()),
            asset_id: "ta_1".to_owned(),
            price: None,
            at: None,
            url: None,
            ids: Default::default(),
            extra: Vec::new(),
        };
        apply(&Name::new("Ada").unwrap(), None, &import).unwrap()
    };
    let re_enroll = Policy {
        re_enroll_changed: true,
        ..Policy::default()
    };
    for (then, now) in [(Kind::Portrait, Kind::RealFace), (Kind::RealFace, Kind::Portrait)] {
        let mut record = enrolled(then);
        let of = |record: &Record, kind, policy| {
            let row = Row { kind, consent: true };
            standing(Some(record), row, Approval::None, read("aa", None), policy)
        };
        assert_eq!(of(&record, then, re_enroll), Some(Standing::Enrolled));
        // Still so once a run has recorded the current row.
        for _ in 0..2 {
            assert_eq!(of(&record, now, Policy::default()), Some(Standing::Changed));
            assert_eq!(
                of(&record, now, re_enroll),
                None,
                "it is inspected, to be paid again"
            );
            let see = Transition::See {
                kind: now,
                source: "ada.png".to_owned(),
                sha256: "aa".to_owned(),
                extra: Vec::new(),
            };
            record = apply(&record.name, Some(&record), &see).unwrap();
        }
    }
}

#[test]
fn what_the_ledger_saw_last_and_the_same_image_read_now_stand_in_one_place() {
    let name = Name::new("Ada").unwrap();
    let see = Transition::See {
        kind: Kind::Portrait,
        source: "ada.png".to_owned(),
        sha256: "aa".to_owned(),
        extra: Vec::new(),
    };
    let judge = |verdict, goes_on| Transition::Judge {
        verdict,
        goes_on,
        code: None,
        message: None,
    };
    let publish = Transition::Publish {
        object_key: "k".to_owned(),
        url: "https://x/k".to_owned(),
    };
    let fail = Transition::Fail {
        code: "upload_failed".to_owned(),
        message: String::new(),
    };
    let intend = Transition::Intend {
        request_digest: String::new(),
        price: crate::util::money::Usd::ZERO,
        budget: crate::ledger::Budget::default(),
        payment: None,
        receipt: None,
    };
    let (code, message) = (String::new(), String::new());
    let refuse = Transition::Refuse {
        code,
        message,
        valid: false,
    };
    let suitable = judge(Verdict::Suitable, true);
    let histories: [(&[&Transition], Approval, Standing); 8] = [
        (
            &[&judge(Verdict::Suitable, false)],
            Approval::None,
            Standing::ToEnroll,
        ),
        (
            &[&judge(Verdict::Review, false)],
            Approval::None,
            Standing::ToReview,
        ),
        (
            &[&judge(Verdict::Review, false)],
            Approval::Approved,
            Standing::ToEnroll,
        ),
        (
            &[&judge(Verdict::Review, false)],
            Approval::Rejected,
            Standing::Rejected,
        ),
        (
            &[&judge(Verdict::Unsuitable, false)],
            Approval::None,
            Standing::Unsuitable,
        ),
        (&[&suitable, &fail], Approval::None, Standing::Failed),
        (&[&suitable, &publish, &intend], Approval::None, Standing::InDoubt),
        (
            &[&suitable, &publish, &intend, &refuse],
            Approval::None,
            Standing::Refused,
        ),
    ];
    for (history, approval, expected) in histories {
        let mut record = apply(&name, None, &see).unwrap();
        for transition in history {
            record = apply(&name, Some(&record), transition).unwrap();
        }
        let now = read("aa", record.verdict);
        for image in [Image::LastSeen, now] {
            let found = standing(Some(&record), PORTRAIT, approval, image, Policy::default());
            assert_eq!(found, Some(expected), "{image:?} of {history:?}");
        }
    }
}
