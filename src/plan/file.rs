//! A saved plan: what was shown to the user, so that a run can do exactly that and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Standing;
use crate::cast::{Kind, Name, NameKey};
use crate::util::money::Usd;
use crate::util::shell::quote;

/// The version of the format.
const SCHEMA: u32 = 1;
/// The number of differences that a message lists.
const MAX_SHOWN: usize = 10;

/// A plan: what to do with each character of a cast, at which price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// The version of the format: 1.
    pub castline_plan: u32,
    /// When the plan was made, RFC 3339.
    pub made_at: String,
    /// The path of the cast: relative to the plan's folder, or absolute.
    pub cast: PathBuf,
    /// Whether the plan is for the sandbox.
    pub sandbox: bool,
    /// The provider whose API is paid.
    pub provider: String,
    /// The price of one enrollment.
    pub price_usd: Usd,
    /// The cost of all enrollments.
    pub cost_usd: Usd,
    /// The most that a run of the plan may pay, if a budget was set.
    pub budget_usd: Option<Usd>,
    /// Whether changed images are paid for again.
    pub re_enroll_changed: bool,
    /// The text of the settings that decide where images are published, who is paid, and how images are inspected.
    pub settings: BTreeMap<String, String>,
    /// How the cast was read.
    pub read: ReadOptions,
    /// What to do with each character, in the order of the cast.
    pub characters: Vec<Planned>,
}

/// The flags with which a cast was read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadOptions {
    /// `--skip-invalid`
    pub skip_invalid: bool,
    /// `--allow-outside`
    pub allow_outside: bool,
    /// `--include`
    pub include: Vec<String>,
    /// `--exclude`
    pub exclude: Vec<String>,
    /// `--only`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// `--skip`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
    /// `--map`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub map: Vec<String>,
    /// `--approve` and `--approvals`
    pub approve: Vec<String>,
}

/// What to do with one character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// Its name.
    pub name: Name,
    /// How it is enrolled.
    pub kind: Kind,
    /// SHA-256 of its image, in hex; empty when it can't be read.
    pub sha256: String,
    /// Its standing: a run enrolls characters for which [`Standing::is_paid_next`] is true, and skips the others.
    pub standing: Standing,
}

/// A plan can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file can't be read or written.
    #[error("the plan {path}: {error}")]
    Io {
        /// The path of the plan.
        path: String,
        /// The cause.
        error: std::io::Error,
    },
    /// The file is not a plan.
    #[error("{path} is not a castline plan ({problem}); make one with `castline plan CAST --out plan.json`")]
    Malformed {
        /// The path of the file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// Something has changed since the plan was made; lists the changes.
    #[error("the plan is stale, and nothing was done: {}. Make a new one with `{again}`", .moved.join("; "))]
    Stale {
        /// What has changed.
        moved: Vec<String>,
        /// The command that makes a new plan.
        again: String,
    },
    /// An earlier run completed part or all of the plan.
    #[error(
        "{done} of the {planned} that this plan enrolls are already enrolled; nothing was done{}",
        rest(.planned, .done, .again)
    )]
    Begun {
        /// The number of characters that the plan enrolls.
        planned: usize,
        /// The number of them that are enrolled.
        done: usize,
        /// The command that makes a new plan.
        again: String,
    },
}

/// What to do about the characters of a plan that are not enrolled yet.
fn rest(planned: &usize, done: &usize, again: &str) -> String {
    match done < planned {
        true => format!(". For the rest, make a new plan with `{again}`"),
        false => ", and nothing is left to do".to_owned(),
    }
}

impl PlanFile {
    /// A plan without characters.
    pub fn new(cast: &Path, sandbox: bool, provider: &str, price_usd: Usd) -> Self {
        Self {
            castline_plan: SCHEMA,
            made_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            cast: cast.to_owned(),
            sandbox,
            provider: provider.to_owned(),
            price_usd,
            cost_usd: Usd::ZERO,
            budget_usd: None,
            re_enroll_changed: false,
            settings: BTreeMap::new(),
            read: ReadOptions::default(),
            characters: Vec::new(),
        }
    }

    /// Reads a plan. Its cast path is resolved against the plan's folder.
    ///
    /// # Errors
    /// The file can't be read, or is not a plan.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let shown = path.display().to_string();
        let text = std::fs::read(path).map_err(|error| PlanError::Io {
            path: shown.clone(),
            error,
        })?;
        let malformed = |problem: String| PlanError::Malformed {
            path: shown.clone(),
            problem,
        };
        let mut plan: Self = serde_json::from_slice(&text).map_err(|e| malformed(e.to_string()))?;
        if plan.castline_plan != SCHEMA {
            return Err(malformed(format!("unknown version {}", plan.castline_plan)));
        }
        plan.cast = folder(path).join(&plan.cast);
        Ok(plan)
    }

    /// Writes the plan. The path of a cast below the plan's folder is relative, so that both can move together.
    ///
    /// # Errors
    /// The file can't be written, or a path can't be resolved.
    pub fn write(&self, path: &Path) -> Result<(), PlanError> {
        let io = |error| PlanError::Io {
            path: path.display().to_string(),
            error,
        };
        let folder = folder(path).canonicalize().map_err(io)?;
        let cast = self.cast.canonicalize().map_err(io)?;
        let named = Self {
            cast: cast.strip_prefix(&folder).unwrap_or(&cast).to_owned(),
            ..self.clone()
        };
        let mut text = serde_json::to_vec_pretty(&named).expect("a plan is plain data");
        text.push(b'\n');
        crate::util::fs::write_atomic(path, &text).map_err(io)
    }

    /// Checks that nothing has changed. `now` is the plan as it would be made now.
    ///
    /// # Errors
    /// [`PlanError::Begun`] if the only changes are those made by a run of this plan; otherwise [`PlanError::Stale`]
    /// with the changes.
    pub fn still_holds(&self, now: &Self) -> Result<(), PlanError> {
        let mut moved = Vec::new();
        let mut done = 0;
        if self.provider != now.provider || self.sandbox != now.sandbox {
            moved.push(format!(
                "it was made for {}, this run is for {}",
                self.provider, now.provider
            ));
        }
        if self.price_usd != now.price_usd {
            let quoted = self
                .settings
                .get("payment.mode")
                .is_some_and(|mode| mode == "wallet");
            let hint = if quoted { " (plan --quote requests it)" } else { "" };
            moved.push(format!(
                "the price was {}, it is {} now{hint}",
                self.price_usd, now.price_usd
            ));
        }
        moved.extend(self.settings_moved(now));
        let today: HashMap<NameKey, &Planned> = now.characters.iter().map(|c| (c.name.key(), c)).collect();
        for then in &self.characters {
            let name = crate::cast::printable(then.name.as_str());
            match today.get(&then.name.key()) {
                None => moved.push(format!("{name} is no longer in the cast")),
                Some(now) if !now.standing.is_same_for_a_run(then.standing) => {
                    let enrolled = then.standing.is_paid_next() && now.standing == Standing::Enrolled;
                    done += usize::from(enrolled && now.sha256 == then.sha256);
                    moved.push(format!(
                        "{name}: planned \"{}\", now \"{}\"",
                        then.standing, now.standing
                    ));
                }
                Some(now) if now.sha256 != then.sha256 => {
                    moved.push(format!("the image of {name} has changed"))
                }
                Some(now) if now.kind != then.kind => moved.push(format!("the kind of {name} has changed")),
                Some(_) => {}
            }
        }
        let then: HashMap<NameKey, &Planned> = self.characters.iter().map(|c| (c.name.key(), c)).collect();
        for now in now
            .characters
            .iter()
            .filter(|c| !then.contains_key(&c.name.key()))
        {
            moved.push(format!(
                "{} is new in the cast",
                crate::cast::printable(now.name.as_str())
            ));
        }
        if moved.is_empty() {
            return Ok(());
        }
        if moved.len() == done {
            let to_enroll = self.characters.iter().filter(|c| c.standing.is_paid_next());
            return Err(PlanError::Begun {
                planned: to_enroll.count(),
                done,
                again: self.again(),
            });
        }
        let more = moved.len().saturating_sub(MAX_SHOWN);
        moved.truncate(MAX_SHOWN);
        if more > 0 {
            moved.push(format!("and {more} more"));
        }
        let again = self.again();
        Err(PlanError::Stale { moved, again })
    }

    /// The command that makes such a plan.
    fn again(&self) -> String {
        let cast = quote(&self.cast.display().to_string());
        let sandbox = if self.sandbox { " --sandbox" } else { "" };
        format!("castline plan {cast}{sandbox} --out plan.json")
    }

    fn settings_moved(&self, now: &Self) -> Vec<String> {
        let text = |plan: &Self, key: &str| plan.settings.get(key).cloned().unwrap_or_default();
        let keys: BTreeSet<&String> = self.settings.keys().chain(now.settings.keys()).collect();
        keys.into_iter()
            .map(|key| (key, text(self, key), text(now, key)))
            .filter(|(_, then, now)| then != now)
            .map(|(key, then, now)| format!("{key} was {then:?}, it is {now:?} now"))
            .collect()
    }

    /// What a run of this plan may do.
    pub fn agreed(&self) -> Agreed {
        let of = |c: &Planned| (c.name.key(), (c.standing, c.sha256.clone()));
        Agreed(self.characters.iter().map(of).collect())
    }
}

/// The agreed characters: a run stops before it pays for anything else.
#[derive(Debug, Clone)]
pub struct Agreed(HashMap<NameKey, (Standing, String)>);

impl Agreed {
    /// Whether the character was agreed on with that standing and image SHA-256 in hex.
    pub fn covers(&self, name: &Name, standing: Standing, sha256: &str) -> bool {
        self.0
            .get(&name.key())
            .is_some_and(|(agreed, image)| agreed.is_same_for_a_run(standing) && image == sha256)
    }
}

fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(characters: &[(&str, Standing, &str)]) -> PlanFile {
        let mut plan = PlanFile::new(
            Path::new("cast.csv"),
            false,
            "https://api.example",
            Usd::from_micros(10_000),
        );
        plan.characters = characters
            .iter()
            .map(|(name, standing, sha256)| Planned {
                name: Name::new(name).unwrap(),
                kind: Kind::Portrait,
                sha256: (*sha256).to_owned(),
                standing: *standing,
            })
            .collect();
        plan
    }

    #[test]
    fn a_plan_reads_back_as_it_was_written_and_finds_its_cast() {
        let folder = tempfile::tempdir().unwrap();
        let cast = folder.path().join("cast.csv");
        std::fs::write(&cast, "").unwrap();
        let mut plan = plan(&[
            ("Ada", Standing::ToEnroll, "aa"),
            ("Bo", Standing::Enrolled, "bb"),
        ]);
        plan.cast.clone_from(&cast);
        let path = folder.path().join("plan.json");
        plan.write(&path).unwrap();
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .contains("\"cast\": \"cast.csv\"")
        );
        assert_eq!(PlanFile::read(&path).unwrap(), plan);
        plan.still_holds(&plan).unwrap();
    }

    #[test]
    fn whatever_moves_makes_a_plan_stale_and_is_reported() {
        let then = plan(&[
            ("Ada", Standing::ToEnroll, "aa"),
            ("Bo", Standing::Enrolled, "bb"),
        ]);
        let dearer = PlanFile {
            price_usd: Usd::from_micros(11_000),
            ..then.clone()
        };
        let elsewhere = PlanFile {
            settings: BTreeMap::from([("s3.bucket".to_owned(), "other".to_owned())]),
            ..then.clone()
        };
        for (now, part) in [
            (
                plan(&[
                    ("Ada", Standing::Enrolled, "aa"),
                    ("Bo", Standing::Enrolled, "bb"),
                ]),
                "1 of the 1 that this plan enrolls are already enrolled; nothing was done, and nothing is left to do",
            ),
            (
                plan(&[
                    ("Ada", Standing::ToReview, "aa"),
                    ("Bo", Standing::Enrolled, "bb"),
                ]),
                "Ada: planned \"to enroll\", now \"to review\"",
            ),
            (
                plan(&[
                    ("Ada", Standing::ToEnroll, "ab"),
                    ("Bo", Standing::Enrolled, "bb"),
                ]),
                "the image of Ada",
            ),
            (
                plan(&[("Ada", Standing::ToEnroll, "aa")]),
                "Bo is no longer in the cast",
            ),
            (
                plan(&[
                    ("Ada", Standing::ToEnroll, "aa"),
                    ("Bo", Standing::Enrolled, "bb"),
                    ("Cy", Standing::ToEnroll, "cc"),
                ]),
                "Cy is new",
            ),
            (dearer, "the price was $0.01, it is $0.011 now"),
            (elsewhere, "s3.bucket was \"\", it is \"other\" now"),
        ] {
            let message = then.still_holds(&now).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_failure_that_cost_nothing_makes_no_plan_stale() {
        let then = plan(&[("Ada", Standing::ToEnroll, "aa")]);
        let now = plan(&[("Ada", Standing::Failed, "aa")]);
        then.still_holds(&now).unwrap();
        assert!(
            then.agreed()
                .covers(&Name::new("Ada").unwrap(), Standing::Failed, "aa")
        );
    }

    #[test]
    fn only_what_was_agreed_on_is_covered() {
        let agreed = plan(&[("Ada", Standing::ToEnroll, "aa")]).agreed();
        let name = |text: &str| Name::new(text).unwrap();
        assert!(agreed.covers(&name("ada"), Standing::ToEnroll, "aa"));
        assert!(!agreed.covers(&name("Ada"), Standing::ToEnroll, "ab"));
        assert!(!agreed.covers(&name("Ada"), Standing::Enrolled, "aa"));
        assert!(!agreed.covers(&name("Bo"), Standing::ToEnroll, "aa"));
    }

    #[test]
    fn another_json_file_is_no_plan() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        std::fs::write(&path, "{\"characters\":[]}").unwrap();
        let message = PlanFile::read(&path).unwrap_err().to_string();
        assert!(message.contains("is not a castline plan"), "{message}");
    }
}
