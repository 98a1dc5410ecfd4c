//! The contents of a ledger after it is closed.

use super::super::database::{Postgres, scans};
use super::*;
use crate::cast::{Kind, NameKey};
use crate::inspect::{Inspection, ReasonCode};
use crate::ledger::test_places::{in_postgres, places};
use crate::ledger::test_steps::enrolling;
use crate::ledger::{Budget, CallState, FoundCall, Reader, ReceiptRef, Resolution, State};
use crate::util::money::Usd;

/// The import of an id and its price from a manifest.
fn import(id: &str, price: Option<Usd>) -> Transition {
    Transition::Import {
        kind: Kind::Portrait,
        source: "a.png".to_owned(),
        sha256: Some("00".to_owned()),
        asset_id: id.to_owned(),
        price,
        at: None,
        url: None,
        ids: Default::default(),
        extra: Vec::new(),
    }
}

#[tokio::test]
async fn what_a_manifest_says_was_paid_counts_as_spent() {
    let folder = tempfile::tempdir().unwrap();
    for place in places(&folder) {
        let ledger = Ledger::open(&place, OpenOptions::new("sandbox", true, "adopt")).unwrap();
        let cent = Usd::from_micros(10_000);
        for (name, price) in [("Ada", Some(cent)), ("Bo", Some(cent)), ("Cy", None)] {
            ledger
                .write(&Name::new(name).unwrap(), [import(&format!("ta_{name}"), price)])
                .await
                .unwrap();
        }
        assert_eq!(ledger.view().spend(None).unwrap().enrolled, cent * 2);
        assert_eq!(
            ledger.view().reply_price().unwrap(),
            None,
            "today's price is not known"
        );
        drop(ledger);

        let ledger = Ledger::open(&place, OpenOptions::new("sandbox", true, "run")).unwrap();
        assert_eq!(
            ledger.spend().unwrap(),
            Spend::default(),
            "nothing was spent by this run"
        );
        let all = totals::spent(&ledger_connection(&place), totals::Total::Ledger).unwrap();
        assert_eq!(all, cent * 2, "it counts over the life of the ledger");
    }
}

/// A call for an image, with a signed payment, and how it ends.
fn call(sha256: &str, price: Usd, end: Transition) -> Vec<Transition> {
    vec![
        Transition::See {
            kind: Kind::Portrait,
            source: "a.png".to_owned(),
            sha256: sha256.to_owned(),
            extra: Vec::new(),
        },
        Transition::Judge {
            verdict: crate::inspect::Verdict::Suitable,
            goes_on: true,
            code: None,
            message: None,
        },
        Transition::Publish {
            object_key: "k".to_owned(),
            url: "https://example.com/k".to_owned(),
        },
        Transition::Intend {
            request_digest: "d".to_owned(),
            price,
            budget: Budget::default(),
            payment: Some("signed".to_owned()),
            receipt: None,
        },
        end,
    ]
}

/// A connection with sums, as the writing one has.
fn ledger_connection(place: &Place) -> Database {
    let database = match place {
        Place::File(path) => Database::Sqlite(Connection::open(path).unwrap()),
        Place::Postgres(server) => Database::Postgres(Postgres::connect(server).unwrap()),
    };
    totals::begin(&database).unwrap();
    database
}

#[tokio::test]
async fn a_ledger_that_was_closed_is_whole_in_its_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = Ledger::open(&path, OpenOptions::new("sandbox", true, "test")).unwrap();
    let see = Transition::See {
        kind: Kind::Portrait,
        source: "a.png".to_owned(),
        sha256: "00".to_owned(),
        extra: Vec::new(),
    };
    ledger.write(&Name::new("Ada").unwrap(), [see]).await.unwrap();
    // Another process reads, as `castline status` does.
    let onlooker = LedgerView::open(&path).unwrap().unwrap();
    drop(ledger);

    let elsewhere = folder.path().join("copied.db");
    std::fs::copy(&path, &elsewhere).unwrap();
    let copied = LedgerView::open(&elsewhere).unwrap().unwrap();
    assert_eq!(copied.all().unwrap(), onlooker.all().unwrap());
    assert_eq!(copied.all().unwrap().len(), 1);
}

#[tokio::test]
async fn a_payment_that_was_turned_away_counts_until_nobody_can_charge_it() {
    let folder = tempfile::tempdir().unwrap();
    for place in places(&folder) {
        let name = Name::new("Ada").unwrap();
        let cent = Usd::from_micros(10_000);
        let open = |expired: fn(&str) -> bool| {
            let options =
                OpenOptions::new("sandbox", true, "run").with_resumable_payments(|_| false, expired);
            Ledger::open(&place, options).unwrap()
        };
        let ledger = open(|_| false);
        let refused = Transition::Refuse {
            code: "invalid_image".to_owned(),
            message: "no face".to_owned(),
            valid: true,
        };
        ledger.write(&name, call("00", cent, refused)).await.unwrap();
        assert_eq!(ledger.view().spend(None).unwrap().total(), cent);
        assert_eq!(
            ledger.view().set_aside(&name.key()).unwrap().as_deref(),
            Some("signed")
        );
        drop(ledger);
        assert_eq!(open(|_| false).view().spend(None).unwrap().total(), cent);
        let ledger = open(|payment| payment == "signed");
        assert_eq!(ledger.view().spend(None).unwrap(), Spend::default());
        assert_eq!(ledger.view().set_aside(&name.key()).unwrap(), None);
        assert_eq!(ledger.get(&name.key()).unwrap().unwrap().state, State::Refused);
    }
}

/// A doubt that was taken over from another cast's call has no call of its own: settling it leaves the calls that the
/// character has made as they are.
#[tokio::test]
async fn settling_the_doubt_of_another_cast_rewrites_no_call_that_was_paid() {
    let folder = tempfile::tempdir().unwrap();
    for place in places(&folder) {
        let cent = Usd::from_micros(10_000);
        let ledger = Ledger::open(&place, OpenOptions::new("sandbox", true, "run")).unwrap();
        let settlements = [
            ("Ada", Resolution::Forget { valid: false }),
            ("Bo", Resolution::Unused),
            ("Cy", Resolution::Retry),
            ("Di", Resolution::Charged { transaction: None }),
            (
                "Ed",
                Resolution::Adopt {
                    asset_id: "ta_other".to_owned(),
                    at: now(),
                },
            ),
        ];
        for (name, resolution) in settlements {
            let paid = Transition::Enrolled {
                asset_id: format!("ta_{name}"),
                price: cent,
                priced: true,
                settlement: None,
                ids: Default::default(),
                at: now(),
            };
            let doubt = Transition::Found {
                call: Box::new(FoundCall {
                    receipt: None,
                    kind: Kind::Portrait,
                    source: "b.png".to_owned(),
                    source_sha256: "01".to_owned(),
                    price: cent,
                    at: now(),
                    asset_id: None,
                    url: None,
                    ids: Default::default(),
                    extra: Vec::new(),
                    signature: None,
                }),
                at: now(),
            };
            let steps = [
                call("00", cent, paid),
                vec![doubt, Transition::Resolve(resolution)],
            ]
            .concat();
            ledger.write(&Name::new(name).unwrap(), steps).await.unwrap();
        }
        let spent = Spend {
            enrolled: cent * 5,
            in_doubt: Usd::ZERO,
        };
        assert_eq!(ledger.view().spend(None).unwrap(), spent);
        assert_eq!(ledger.view().reply_price().unwrap(), Some(cent));
        let kept: i64 = ledger_connection(&place)
            .one(
                "SELECT count(*) FROM attempts WHERE outcome = 'enrolled' AND code = 'priced' AND asset_id LIKE 'ta_%'
                 AND asset_id <> 'ta_other'",
                values![],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(kept, 5);
    }
}

#[test]
fn a_ledger_whose_creation_was_interrupted_is_none_yet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    std::fs::write(&path, "").unwrap();
    assert!(LedgerView::open(&path).unwrap().is_none());
    let ledger = Ledger::open(&path, OpenOptions::new("sandbox", true, "run")).unwrap();
    assert!(ledger.is_empty().unwrap());
    assert!(LedgerView::open(&path).unwrap().is_some());
}

/// A call whose outcome came after another process had taken the ledger over settles its own doubt, and nothing else.
#[tokio::test]
async fn what_came_late_settles_its_own_doubt() {
    let Some(place) = in_postgres() else { return };
    let open = || {
        let options = OpenOptions::new("sandbox", true, "run").with_lease(Duration::from_secs(1));
        Ledger::open(&place, options)
    };
    let cent = Usd::from_micros(10_000);
    let first = open().unwrap();
    let name = |name: &str| Name::new(name).unwrap();
    let see = |at: usize| call("00", cent, Transition::interrupted())[at].clone();
    for who in ["Ada", "Bo", "Cy"] {
        let intend: Vec<Transition> = (0..4).map(see).collect();
        first.write(&name(who), intend).await.unwrap();
    }
    assert!(matches!(open(), Err(LedgerError::Locked { .. })), "it is held");
    // Nothing is heard of it any more.
    let silence = "UPDATE workers SET seen_at = seen_at - interval '1 minute'";
    let others = ledger_connection(&place);
    others.execute(silence, values![]).unwrap();
    let second = open().unwrap();
    assert_eq!(second.recovered(), 3);
    assert!(matches!(
        first.write(&name("Di"), [see(0)]).await,
        Err(LedgerError::Fenced)
    ));
    assert!(first.put_signatures(Vec::new()).await.is_err());

    let id = |id: &str| Transition::Enrolled {
        asset_id: id.to_owned(),
        price: cent,
        priced: true,
        settlement: None,
        ids: Default::default(),
        at: now(),
    };
    let record = first.write(&name("Ada"), [id("ta_1")]).await.unwrap();
    assert_eq!(
        (record.state, record.asset_id.as_deref()),
        (State::Enrolled, Some("ta_1"))
    );
    assert_eq!(first.enrolled(), 1);
    // A second reply to the same call is none.
    assert!(first.write(&name("Ada"), [id("ta_2")]).await.is_err());
    let refused = Transition::Refuse {
        code: "invalid_image".to_owned(),
        message: "no face".to_owned(),
        valid: false,
    };
    assert_eq!(
        first.write(&name("Bo"), [refused]).await.unwrap().state,
        State::Seen
    );
    // A person was quicker.
    let retry = Transition::Resolve(Resolution::Retry);
    second.write(&name("Cy"), [retry]).await.unwrap();
    assert!(matches!(
        first.write(&name("Cy"), [id("ta_3")]).await,
        Err(LedgerError::Fenced)
    ));
    let spent = second.view().spend(None).unwrap();
    assert_eq!((spent.enrolled, spent.in_doubt), (cent, cent));
    drop((first, second));
    open().unwrap();
}

/// What is done for each character of a run takes as long in a large ledger as in a small one.
#[tokio::test]
async fn nothing_done_for_a_character_reads_the_rows_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::File(folder.path().join("ledger.db"));
    let ledger = Ledger::open(&place, OpenOptions::new("sandbox", true, "run")).unwrap();
    let others = 40;
    for number in 0..others {
        enroll_with_receipt(&ledger, &Name::new(&format!("Hero {number}")).unwrap()).await;
    }
    let scanned = || ledger.transact(|_| Ok(scans::take()));
    scanned().await.unwrap();

    let (view, ada) = (ledger.view(), Name::new("Ada").unwrap());
    enroll_with_receipt(&ledger, &ada).await;
    ledger
        .put_inspection(
            "aa",
            "print",
            &Inspection::unreadable(ReasonCode::Unreadable, String::new()),
        )
        .await
        .unwrap();
    assert_eq!(scanned().await.unwrap(), 0, "the transitions of a character");

    type Read = fn(&LedgerView, &NameKey);
    let reads: [(&str, Read); 10] = [
        ("get", |view, key| assert!(view.get(key).unwrap().is_some())),
        ("approval", |view, key| {
            assert_eq!(view.approval(key, "aa").unwrap(), Approval::None)
        }),
        ("paid_before", |view, key| {
            assert!(view.paid_before(key, Kind::Portrait, "aa").unwrap().is_some());
        }),
        ("cached_inspection", |view, _| {
            assert!(view.cached_inspection("aa", "print").unwrap().is_some())
        }),
        ("signature", |view, _| {
            assert_eq!(view.signature("aa").unwrap(), None)
        }),
        ("unwritten_receipts", |view, key| {
            assert_eq!(view.unwritten_receipts(Some(key)).unwrap(), [])
        }),
        ("last_attempt", |view, key| {
            assert!(view.last_attempt(key).unwrap().is_some())
        }),
        ("set_aside", |view, key| {
            assert_eq!(view.set_aside(key).unwrap(), None)
        }),
        ("last_call", |view, key| {
            assert!(view.last_call(key).unwrap().is_some())
        }),
        ("call_state", |view, _| {
            assert_eq!(view.call_state("call of Ada").unwrap(), Some(CallState::Enrolled));
        }),
    ];
    scans::take();
    for (name, read) in reads {
        read(view, &ada.key());
        assert_eq!(scans::take(), 0, "{name} reads the rows of others");
    }
    view.all().unwrap();
    assert!(scans::take() > 0, "what reads all of them is counted");
}

async fn enroll_with_receipt(ledger: &Ledger, name: &Name) {
    let call = format!("call of {}", name.as_str());
    let transitions = enrolling(name, &[]).map(|transition| match transition {
        Transition::Intend {
            request_digest,
            price,
            budget,
            payment,
            ..
        } => Transition::Intend {
            receipt: Some(ReceiptRef {
                number: 1,
                call: call.clone(),
            }),
            request_digest,
            price,
            budget,
            payment,
        },
        other => other,
    });
    ledger.write(name, transitions).await.unwrap();
    ledger.receipt_written(&call, CallState::Enrolled).await.unwrap();
}
