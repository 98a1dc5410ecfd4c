use std::path::PathBuf;

use super::*;
use crate::cast::{Characters, Kind, Name, NameKey};
use crate::inspect::{ImageSignature, InspectSettings, Verdict};
use crate::ledger::{FoundCall, LedgerError, Transition};

/// A ledger that panics on one name, as a decoder might on an image, and has no other characters.
struct Broken;

impl Reader for Broken {
    fn get(&self, key: &NameKey) -> Result<Option<Record>, LedgerError> {
        assert!(key.as_str() != "broken", "a bug");
        Ok(None)
    }

    fn cached_inspection(&self, _: &str, _: &str) -> Result<Option<Inspection>, LedgerError> {
        Ok(None)
    }

    fn signature(&self, _: &str) -> Result<Option<ImageSignature>, LedgerError> {
        Ok(None)
    }

    fn paid_signatures(&self) -> Result<Vec<(String, ImageSignature)>, LedgerError> {
        Ok(Vec::new())
    }

    fn paid_pictures(&self) -> Result<Vec<(String, String)>, LedgerError> {
        Ok(Vec::new())
    }

    fn paid_unseen(&self) -> Result<Vec<Name>, LedgerError> {
        Ok(Vec::new())
    }

    fn paid_before(&self, _: &NameKey, _: Kind, _: &str) -> Result<Option<FoundCall>, LedgerError> {
        Ok(None)
    }

    fn approval(&self, _: &NameKey, _: &str) -> Result<Approval, LedgerError> {
        Ok(Approval::None)
    }
}

fn look() -> Arc<InspectStage> {
    Arc::new(InspectStage {
        inspector: Arc::new(Inspector::new(InspectSettings::default())),
        ledger: Some(Arc::new(Broken)),
        fetcher: Fetcher::new(false, None).unwrap(),
        approved: std::collections::HashSet::new(),
        cast: std::collections::HashSet::new(),
        same_arguments: String::new(),
        policy: Policy::default(),
        prepare: false,
        thumbnails: None,
        pool: rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap(),
        jobs: 1,
        memory: MemoryBudget::new(1 << 30),
        cache: InspectionCache::default(),
    })
}

fn character(name: &str, path: PathBuf) -> Character {
    Character {
        name: Name::new(name).unwrap(),
        source: Source::file("face.jpg", path),
        kind: Kind::Portrait,
        approved: false,
        overrides: false,
        consent: false,
        note: None,
        extra: Vec::new(),
        line: None,
    }
}

fn queen() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/samples/cast/queen_isaura.jpg").into()
}

#[tokio::test]
async fn a_picture_over_which_castline_breaks_ends_no_run() {
    let cast = ["Ada", "Broken", "Cay"].map(|name| character(name, queen()));
    let looked: Vec<_> = look().all(cast).collect().await;
    let verdicts: Vec<_> = looked
        .iter()
        .map(|looked| looked.as_ref().unwrap().evidence.inspection().unwrap())
        .map(|inspection| {
            (
                inspection.verdict,
                inspection.reasons.first().map(|r| r.message.clone()),
            )
        })
        .collect();
    assert_eq!(verdicts[0], (Verdict::Suitable, None));
    assert_eq!(verdicts[2], (Verdict::Suitable, None));
    let (verdict, text) = &verdicts[1];
    assert_eq!(*verdict, Verdict::Unsuitable);
    assert!(
        text.as_ref().unwrap().contains("internal error on this image"),
        "{text:?}"
    );
}

#[tokio::test]
async fn what_will_be_enrolled_is_prepared_and_nothing_else() {
    let two_faces = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/problems/two_faces.png");
    let refused = character("Refused", two_faces.into());
    let overridden = Character {
        overrides: true,
        ..character("Overridden", two_faces.into())
    };
    let twins = ["Ada", "Twin"].map(|name| character(name, queen()));
    for (cast, expected) in [
        ([refused.clone(), overridden.clone()], [false, true]),
        ([overridden, refused], [true, false]),
        (twins, [true, false]),
    ] {
        let stage = InspectStage {
            prepare: true,
            ..Arc::into_inner(look()).unwrap()
        };
        let seen: Vec<_> = Arc::new(stage).all(cast.to_vec()).collect().await;
        let prepared = seen.iter().map(|seen| match &seen.as_ref().unwrap().evidence {
            Evidence::Fresh { prepared, .. } => prepared.is_some(),
            other => panic!("{other:?}"),
        });
        assert_eq!(prepared.collect::<Vec<_>>(), expected, "{cast:?}");
    }
}

#[tokio::test]
async fn only_the_picture_that_was_looked_at_is_prepared_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("face.jpg");
    std::fs::copy(queen(), &path).unwrap();
    let sha256 = sha256_hex(&std::fs::read(&path).unwrap());
    let (look, ada) = (look(), character("Ada", path.clone()));
    assert!(look.prepare_for_reupload(&ada, &sha256).await.is_ok());
    // Another suitable image, which was not inspected.
    let mut picture = image::open(&path).unwrap().to_rgb8();
    picture.put_pixel(0, 0, image::Rgb([1, 2, 3]));
    picture.save(&path).unwrap();
    let (code, message) = look.prepare_for_reupload(&ada, &sha256).await.unwrap_err();
    assert_eq!(code, "changed");
    assert!(
        message.contains("has changed since it was inspected"),
        "{message}"
    );
    // One that shows no face, and was overridden.
    image::RgbImage::from_pixel(400, 400, image::Rgb([90, 120, 60]))
        .save(&path)
        .unwrap();
    let sha256 = sha256_hex(&std::fs::read(&path).unwrap());
    assert!(look.prepare_for_reupload(&ada, &sha256).await.is_ok());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        look.prepare_for_reupload(&ada, &sha256).await.unwrap_err().0,
        "unreadable"
    );
}

#[tokio::test]
async fn a_picture_under_many_names_is_looked_at_once_and_prepared_for_whom_it_may_be_enrolled() {
    let approved = Name::new("Cay").unwrap().key();
    let mut look = Arc::into_inner(look()).unwrap();
    (look.prepare, look.ledger) = (true, None);
    look.approved.insert(approved);
    let look = Arc::new(look);
    let mut cast = Characters::new(std::path::Path::new("."));
    for name in ["Ada", "Bo", "Cay"] {
        cast.push(&character(name, queen()));
    }
    let sha256 = sha256_hex(&std::fs::read(queen()).unwrap());
    // A cached inspection is reused: this image is not inspected again.
    let mark = |inspection: &mut Inspection| inspection.width = 4321;
    look.cache.inspections.get(&sha256, || {
        let mut seen = look.inspector.inspect(&std::fs::read(queen()).unwrap());
        mark(&mut seen);
        seen
    });
    let mut twins = crate::pipeline::Duplicates::of(&look, &cast).await.unwrap();
    let looked: Vec<_> = Arc::clone(&look).all(cast).collect().await;
    let message: Vec<_> = looked
        .into_iter()
        .map(|looked| {
            let mut looked = looked.unwrap();
            twins.judge(&mut looked).unwrap();
            (
                looked.standing,
                looked.evidence.prepared().is_some(),
                looked.evidence.inspection().unwrap().width,
            )
        })
        .collect();
    let expected = [
        (Standing::ToEnroll, true, 4321),
        (Standing::ToReview, false, 4321),
        (Standing::ToEnroll, true, 4321),
    ];
    assert_eq!(message, expected);
}

#[tokio::test]
async fn an_enrolled_characters_image_is_read_again_when_its_file_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let options = crate::ledger::OpenOptions::new("https://api.example", false, "run");
    let ledger = crate::ledger::Ledger::open(&folder.path().join("ledger.db"), options).unwrap();
    let ada = character("Ada", queen());
    let stamp = FileStamp::of_file(&queen()).expect("an old file");
    let (kind, source) = (ada.kind, ada.source.given().to_owned());
    let import = Transition::Import {
        kind,
        source,
        // Not the SHA-256 of the file: it shows whether that is read.
        sha256: Some("aa".to_owned()),
        asset_id: "ta_1".to_owned(),
        price: None,
        at: None,
        url: None,
        ids: Default::default(),
        extra: Vec::new(),
    };
    let another: FileStamp = serde_json::from_str("\"1:2\"").unwrap();
    for (stamp, standing, is_read) in [
        (stamp, Standing::Enrolled, false),
        (another, Standing::Changed, true),
    ] {
        let transitions = match ledger.view().get(&ada.name.key()).unwrap() {
            None => vec![import.clone(), Transition::Stamp(stamp)],
            Some(_) => vec![Transition::Stamp(stamp)],
        };
        ledger.write(&ada.name, transitions).await.unwrap();
        let mut look = Arc::into_inner(look()).unwrap();
        look.ledger = Some(Arc::new(ledger.clone()));
        let mut seen: Vec<_> = Arc::new(look).all(vec![ada.clone()]).collect().await;
        let seen = seen.pop().unwrap().unwrap();
        assert_eq!((seen.standing, seen.sha256 != "aa"), (standing, is_read));
        assert_eq!(seen.stamp.is_some(), is_read, "to be written to the ledger");
    }
}
