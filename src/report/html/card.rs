//! One character of the contact sheet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use crate::inspect::{Face, Inspection, Thumbnail, Verdict};
use crate::money::Usd;
use crate::plan::Action;

/// Where a character stands, as people filter for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Standing {
    /// Its picture may be enrolled.
    Suitable,
    /// A run would enroll it: this costs.
    ToEnroll,
    /// It has its asset id.
    Enrolled,
    /// Nothing was decided yet, or a run was cut off before the paid call.
    #[default]
    Pending,
    /// A person should look.
    Review,
    /// It has its asset id, but its picture has changed since.
    Changed,
    /// A real actor, who waits for `castline realface`.
    Waiting,
    /// Its picture can't be enrolled.
    Unsuitable,
    /// The API refused it.
    Refused,
    /// A paid call for it has an unknown outcome.
    InDoubt,
}

impl Standing {
    /// All of them, in the order of the filters.
    pub const ALL: [Self; 10] = [
        Self::Suitable,
        Self::ToEnroll,
        Self::Enrolled,
        Self::Pending,
        Self::Review,
        Self::Changed,
        Self::Waiting,
        Self::Unsuitable,
        Self::Refused,
        Self::InDoubt,
    ];

    /// As the page's address names it: `report.html#state=in_doubt`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Suitable => "suitable",
            Self::ToEnroll => "to_enroll",
            Self::Enrolled => "enrolled",
            Self::Pending => "pending",
            Self::Review => "review",
            Self::Changed => "changed",
            Self::Waiting => "waiting",
            Self::Unsuitable => "unsuitable",
            Self::Refused => "refused",
            Self::InDoubt => "in_doubt",
        }
    }

    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Suitable => "Suitable",
            Self::ToEnroll => "To enroll",
            Self::Enrolled => "Enrolled",
            Self::Pending => "Pending",
            Self::Review => "To review",
            Self::Changed => "Picture changed",
            Self::Waiting => "Waits for liveness",
            Self::Unsuitable => "Unsuitable",
            Self::Refused => "Refused",
            Self::InDoubt => "In doubt",
        }
    }

    /// How it is coloured and marked: never by colour alone.
    pub(super) fn tone(self) -> &'static str {
        match self {
            Self::Suitable | Self::Enrolled => "good",
            Self::ToEnroll | Self::Pending => "calm",
            Self::Review | Self::Changed | Self::Waiting => "look",
            Self::Unsuitable | Self::Refused => "bad",
            // Money may have moved: another thing to do than about a picture.
            Self::InDoubt => "doubt",
        }
    }
}

impl From<Verdict> for Standing {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Suitable => Self::Suitable,
            Verdict::Review => Self::Review,
            Verdict::Unsuitable => Self::Unsuitable,
        }
    }
}

impl From<Action> for Standing {
    fn from(action: Action) -> Self {
        match action {
            Action::Enroll => Self::ToEnroll,
            Action::Keep => Self::Enrolled,
            Action::Hold => Self::Changed,
            Action::Review => Self::Review,
            Action::Unsuitable => Self::Unsuitable,
            Action::InDoubt => Self::InDoubt,
            Action::Refused => Self::Refused,
            Action::Waiting => Self::Waiting,
        }
    }
}

impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// One character. Texts must be fit to be shown (`cast::printable`).
#[derive(Debug, Clone, Default, Serialize)]
pub struct Card {
    /// Its name.
    pub name: String,
    /// Its picture, as the cast gives it; never a signed address.
    pub source: String,
    /// Where it stands.
    pub standing: Standing,
    /// What the eye said of its picture, when it looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// A small copy of the picture.
    #[serde(serialize_with = "data_uri", skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<Thumbnail>,
    /// Width and height of the picture in pixels: the space of `faces`; 0 when unreadable.
    pub size: [u32; 2],
    /// The faces, the surest first, each as x, y, width, height and score.
    #[serde(serialize_with = "boxes")]
    pub faces: Vec<Face>,
    /// Why it is not simply fine, with the mend; in sentences.
    pub reasons: Vec<String>,
    /// What the API calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset_id: Option<String>,
    /// What it cost, or will.
    #[serde(serialize_with = "amount", skip_serializing_if = "Option::is_none")]
    pub cost: Option<Usd>,
}

impl Card {
    /// Takes over what was seen in the picture.
    pub fn seen(mut self, inspection: &Inspection) -> Self {
        self.verdict = Some(inspection.verdict);
        self.size = [inspection.width, inspection.height];
        self.faces.clone_from(&inspection.faces);
        self.reasons = inspection
            .reasons
            .iter()
            .map(|r| crate::cast::printable(&r.message))
            .collect();
        self
    }
}

fn data_uri<S: Serializer>(thumbnail: &Option<Thumbnail>, serializer: S) -> Result<S::Ok, S::Error> {
    let jpeg = thumbnail.as_ref().map_or(&[][..], |t| &t.jpeg);
    serializer.collect_str(&format_args!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)))
}

/// Tenths of pixels and hundredths of scores are enough to draw, and make a small file.
fn boxes<S: Serializer>(faces: &[Face], serializer: S) -> Result<S::Ok, S::Error> {
    let rounded = |value: f32, steps: f64| (f64::from(value) * steps).round() / steps;
    serializer.collect_seq(faces.iter().map(|f| {
        [
            rounded(f.x, 10.0),
            rounded(f.y, 10.0),
            rounded(f.width, 10.0),
            rounded(f.height, 10.0),
            rounded(f.score, 100.0),
        ]
    }))
}

fn amount<S: Serializer>(cost: &Option<Usd>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&cost.unwrap_or_default())
}
