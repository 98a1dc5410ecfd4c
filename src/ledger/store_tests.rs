//! What a ledger leaves behind.

use super::*;
use crate::cast::Kind;

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
    // Somebody else looks on, as `castline status` does.
    let onlooker = LedgerView::open(&path).unwrap().unwrap();
    drop(ledger);

    let elsewhere = folder.path().join("copied.db");
    std::fs::copy(&path, &elsewhere).unwrap();
    let copied = LedgerView::open(&elsewhere).unwrap().unwrap();
    assert_eq!(copied.all().unwrap(), onlooker.all().unwrap());
    assert_eq!(copied.all().unwrap().len(), 1);
}
