use super::*;
use crate::enroll::payment::wallet::tests::payment;

/// The step of a payment that is valid from 1,000 − 600 to 1,060.
fn at(outcome: Outcome, doubt: bool, now: u64) -> Step {
    step(outcome, &payment(1_000), doubt, now)
}

fn in_doubt(code: &str) -> Outcome {
    Outcome::InDoubt {
        code: code.to_owned(),
        message: "m".to_owned(),
    }
}

fn retry(code: &str) -> Outcome {
    Outcome::Retry {
        code: code.to_owned(),
        message: "m".to_owned(),
        after: Some(Duration::from_secs(3)),
    }
}

fn stop(kind: StopKind, code: &str) -> Outcome {
    Outcome::Stop {
        kind,
        code: code.to_owned(),
        message: "m".to_owned(),
    }
}

fn refused() -> Outcome {
    Outcome::Refused {
        code: "invalid_image_url".to_owned(),
        message: "m".to_owned(),
    }
}

fn resend(after: Option<u64>, doubt: bool, code: &str) -> Step {
    Step::Resend {
        after: after.map(Duration::from_secs),
        doubt,
        code: code.to_owned(),
        message: "m".to_owned(),
    }
}

#[test]
fn after_a_lost_reply_the_same_payment_is_sent_until_it_expires() {
    for code in ["reply_lost", "timeout", "reply_cut", "http_500", "chain_timeout"] {
        assert_eq!(at(in_doubt(code), false, 1_000), resend(None, true, code));
        assert_eq!(at(in_doubt(code), true, 1_049), resend(None, true, code));
        // The last ten seconds are reserved for the settlement.
        assert_eq!(at(in_doubt(code), true, 1_050), Step::Settled(in_doubt(code)));
    }
}

#[test]
fn a_payment_that_was_claimed_is_in_doubt_at_once() {
    for code in ["PAYMENT_REPLAY", "payment_replay", "nonce_conflict"] {
        for doubt in [false, true] {
            assert_eq!(at(in_doubt(code), doubt, 1_000), Step::Settled(in_doubt(code)));
        }
    }
}

#[test]
fn a_fresh_payment_is_signed_only_if_no_answer_left_doubt() {
    assert_eq!(at(retry("rate_limited"), false, 1_100), Step::SignFresh);
    let expired = || stop(StopKind::Payment, "payment_expired");
    assert_eq!(at(expired(), false, 1_100), Step::SignFresh);
    // The gateway's clock is fast: by ours, the payment may still be accepted.
    assert_eq!(
        at(expired(), false, 1_000),
        resend(None, false, "payment_expired")
    );
    // A payment that has expired may have been settled by the send whose reply was lost.
    assert_eq!(
        at(expired(), true, 1_100),
        Step::Settled(in_doubt("payment_expired"))
    );
    assert_eq!(
        at(retry("rate_limited"), true, 1_100),
        Step::Settled(in_doubt("rate_limited"))
    );
}

#[test]
fn a_refusal_is_believed_only_if_no_earlier_answer_left_doubt() {
    assert_eq!(at(refused(), false, 1_000), Step::Settled(refused()));
    assert_eq!(
        at(refused(), true, 1_000),
        Step::Settled(in_doubt("invalid_image_url"))
    );
    let funds = || stop(StopKind::Funds, "PAYMENT_UNFUNDED");
    assert_eq!(at(funds(), false, 1_000), Step::Settled(funds()));
    assert_eq!(
        at(funds(), true, 1_000),
        Step::Settled(in_doubt("PAYMENT_UNFUNDED"))
    );
}

#[test]
fn a_429_keeps_the_payment_and_the_doubt() {
    for doubt in [false, true] {
        assert_eq!(
            at(retry("rate_limited"), doubt, 1_000),
            resend(Some(3), doubt, "rate_limited")
        );
    }
}

#[test]
fn a_session_that_must_be_renewed_ends_the_call() {
    let incomplete = || retry("liveness_incomplete");
    assert_eq!(at(incomplete(), false, 1_000), Step::Settled(incomplete()));
    assert_eq!(
        at(incomplete(), true, 1_000),
        resend(Some(3), true, "liveness_incomplete")
    );
}

#[test]
fn an_id_is_taken_whatever_came_before() {
    let enrolled = || Outcome::Enrolled {
        asset_id: "ta_1".to_owned(),
        ids: Default::default(),
        price: None,
        settlement: None,
    };
    assert_eq!(at(enrolled(), true, 9_999), Step::Settled(enrolled()));
}

/// Whatever the answers, in whatever order: once an answer has left doubt, no fresh payment is ever signed, and
/// only an id ends the doubt.
#[test]
fn no_series_of_answers_leads_from_doubt_to_a_second_payment() {
    let answers = || {
        [
            in_doubt("reply_lost"),
            in_doubt("PAYMENT_REPLAY"),
            retry("rate_limited"),
            retry("liveness_incomplete"),
            stop(StopKind::Payment, "payment_expired"),
            stop(StopKind::Key, "unauthorized"),
            refused(),
        ]
    };
    for outcome in answers() {
        for now in [0, 1_000, 1_049, 1_050, 1_060, 5_000] {
            match at(outcome.clone(), true, now) {
                Step::Resend { doubt, .. } => assert!(doubt, "{outcome:?} at {now}"),
                Step::Settled(Outcome::InDoubt { .. }) => {}
                other => panic!("{outcome:?} at {now}: {other:?}"),
            }
        }
    }
}

/// Whatever the answers: no fresh payment is signed while the last one may be sent, and so be charged.
#[test]
fn no_answer_leads_to_a_second_payment_while_the_first_is_valid() {
    let answers = [
        in_doubt("reply_lost"),
        in_doubt("PAYMENT_REPLAY"),
        retry("rate_limited"),
        retry("liveness_incomplete"),
        stop(StopKind::Payment, "payment_expired"),
        stop(StopKind::Funds, "PAYMENT_UNFUNDED"),
        refused(),
    ];
    for outcome in answers {
        for (doubt, now) in [(false, 0), (false, 1_000), (false, 1_049), (true, 1_000)] {
            assert_ne!(
                at(outcome.clone(), doubt, now),
                Step::SignFresh,
                "{outcome:?} at {now}"
            );
        }
    }
    let payment = payment(1_000);
    assert!(
        !payment.has_expired(1_060) && payment.has_expired(1_070),
        "clocks differ"
    );
}
