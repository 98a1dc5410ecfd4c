//! Image files that were not written since they were read are not read again; those that were, are.

use std::time::Duration;

use crate::support::{Castline, sample_cast};

#[test]
fn an_image_that_was_written_is_noticed_whatever_its_size_and_time() {
    let cast = sample_cast();
    // What was written only just now has no stamp.
    std::thread::sleep(Duration::from_millis(3200));
    Castline::on(&cast).run(&["run", "--sandbox"]);
    let ledger = cast.folder.path().join(".castline/sandbox.db");
    let ledger = rusqlite::Connection::open(ledger).expect("a ledger");
    let stamped: u32 = ledger
        .query_row(
            "SELECT count(*) FROM characters WHERE state = 'enrolled' AND record LIKE '%\"source_stamp\"%'",
            [],
            |row| row.get(0),
        )
        .expect("a count");
    let standing = |wanted: &str| {
        let plan = Castline::on(&cast).run(&["plan", "--sandbox", "--json"]);
        let events = plan.events("planned");
        let of = |e: &&serde_json::Value| e["standing"] == wanted;
        events.iter().filter(of).count()
    };
    let enrolled = standing("enrolled");
    assert!(enrolled > 1);
    assert_eq!(stamped as usize, enrolled);

    let path = cast.folder.path().join("cast/queen_isaura.jpg");
    let before = std::fs::metadata(&path).expect("a file");
    let mut bytes = std::fs::read(&path).expect("an image");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("another image");
    let file = std::fs::File::options()
        .write(true)
        .open(&path)
        .expect("the file");
    file.set_modified(before.modified().expect("a time"))
        .expect("the time of before");
    assert_eq!(standing("changed"), 1);
    assert_eq!(standing("enrolled"), enrolled - 1);
}
