//! Liveness sessions of real actors: who recorded their consent and when, ids and states. Nothing that the camera
//! recorded, and no link to it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::database::{Database, Row, values};
use super::{Ledger, LedgerError, LedgerView, now};
use crate::cast::NameKey;

/// The window in which the API counts new liveness checks ("10 init per hour").
pub const INIT_WINDOW: Duration = Duration::from_secs(3600);

/// The state of a liveness session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// The actor's consent is recorded; no request was made yet.
    Consented,
    /// The API is being asked for a session: it counts, whatever the outcome.
    Asked,
    /// The link was issued.
    Pending,
    /// Passed: the paid call comes next.
    Passed,
    /// The session has expired, or no longer exists at the provider.
    Expired,
    /// Not passed, or the photo shows another person.
    Failed,
    /// The session was used for an enrollment.
    Used,
}

impl SessionState {
    const ALL: [Self; 7] = [
        Self::Consented,
        Self::Asked,
        Self::Pending,
        Self::Passed,
        Self::Expired,
        Self::Failed,
        Self::Used,
    ];

    /// The name of the state in the ledger and for scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consented => "consented",
            Self::Asked => "asked",
            Self::Pending => "pending",
            Self::Passed => "passed",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Used => "used",
        }
    }
}

/// A liveness session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The provider's id; an id of castline's own until there is one.
    pub group_id: String,
    /// The state of the session.
    pub state: SessionState,
    /// When the session was requested, RFC 3339 in UTC.
    pub started_at: String,
    /// When its link expires.
    pub expires_at: String,
    /// The operator who recorded the actor's consent.
    pub operator: String,
    /// When the consent was recorded.
    pub consent_at: String,
}

/// A recorded consent, which is needed to request a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent(String);

impl Ledger {
    /// Records that an actor agreed to be enrolled, as stated by `operator`.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn consent(&self, key: &NameKey, operator: &str) -> Result<Consent, LedgerError> {
        let mut random = [0u8; 16];
        getrandom::fill(&mut random).map_err(|error| LedgerError::Poisoned(error.to_string()))?;
        let id = format!("consent:{}", hex::encode(random));
        let (row, key) = ((id.clone(), now(), operator.to_owned()), key.clone());
        let scope = self.view().scope().clone();
        self.transact(move |database| {
            let (id, now, operator) = &row;
            let key = scope.locate(database, &key)?;
            database.execute(
                "INSERT INTO realface_sessions
                   (group_id, key, state, started_at, expires_at, operator, consent_at)
                 VALUES (?1, ?2, 'consented', ?3, ?3, ?4, ?3)",
                values![id, key.as_str(), now, operator],
            )?;
            Ok(Consent(id.clone()))
        })
        .await
    }

    /// Records that a session is about to be requested: before the request, so that the hourly count survives whatever
    /// happens then. If it `counts`, only where fewer than `most` were requested within [`INIT_WINDOW`], by all ledgers of the
    /// account in the same database; else it returns how long to wait, and records nothing. Returns how many were free.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn reserve_init(
        &self,
        consent: &Consent,
        most: usize,
        counts: bool,
    ) -> Result<Result<usize, Duration>, LedgerError> {
        let id = consent.0.clone();
        self.transact(move |database| {
            if let Database::Postgres(_) = database {
                // One payer after another.
                let lock =
                    "SELECT true FROM (SELECT pg_advisory_xact_lock(hashtext('castline checks ' || payer))
                            FROM ledger WHERE payer IS NOT NULL) locked";
                database.rows(lock, values![], |_| Ok(()))?;
            }
            let ages = ages(&times(database)?, Timestamp::now());
            // Times are truncated to seconds.
            let wait = |oldest: &Duration| INIT_WINDOW.saturating_sub(*oldest) + Duration::from_secs(1);
            let full = ages.get(most.saturating_sub(1)).filter(|_| counts);
            if let Some(wait) = full.map(wait) {
                return Ok(Err(wait));
            }
            mark(database, &id, SessionState::Asked, true)?;
            if let Database::Postgres(_) = database {
                let counts = "INSERT INTO castline_accounts.checks (id, account, started_at)
                              SELECT ?1, payer, ?2 FROM ledger WHERE payer IS NOT NULL
                              ON CONFLICT (id) DO UPDATE SET started_at = excluded.started_at";
                database.execute(counts, values![&id, &now()])?;
            }
            Ok(Ok(most.saturating_sub(ages.len())))
        })
        .await
    }

    /// Records that the API gave no session: it doesn't count.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn release_init(&self, consent: &Consent) -> Result<(), LedgerError> {
        let id = consent.0.clone();
        self.transact(move |database| {
            no_check(database, &id)?;
            mark(database, &id, SessionState::Consented, false)
        })
        .await
    }

    /// Records the API's session and when its link expires. `renewed` says that it is an earlier session with a new link:
    /// it counts as of when it began.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn begin_session(
        &self,
        consent: Consent,
        group_id: &str,
        lives: Duration,
        renewed: bool,
    ) -> Result<(), LedgerError> {
        let lives = SignedDuration::try_from(lives).unwrap_or(SignedDuration::MAX);
        let expires = Timestamp::now().checked_add(lives).unwrap_or(Timestamp::MAX);
        let expires = expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let group_id = group_id.to_owned();
        self.transact(move |database| {
            if renewed {
                no_check(database, &consent.0)?;
                database.execute(
                    "UPDATE realface_sessions SET started_at = coalesce((SELECT started_at FROM realface_sessions
                       WHERE group_id = ?2), started_at) WHERE group_id = ?1",
                    values![&consent.0, &group_id],
                )?;
            }
            // A provider may give an actor the same group again without renewing it: the earlier session still counts.
            let before = format!("before:{}", consent.0);
            database.execute(
                "UPDATE realface_sessions SET state = ?3, group_id = ?2 WHERE group_id = ?1",
                values![&group_id, &before, if renewed { "consented" } else { "expired" }],
            )?;
            database.execute(
                "UPDATE realface_sessions SET state = 'pending', group_id = ?2, expires_at = ?3 WHERE group_id = ?1",
                values![&consent.0, &group_id, &expires],
            )?;
            Ok(())
        })
        .await
    }

    /// Records the state of a session.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn set_session(&self, group_id: &str, state: SessionState) -> Result<(), LedgerError> {
        let group_id = group_id.to_owned();
        self.transact(move |database| mark(database, &group_id, state, false))
            .await
    }
}

/// Writes the state of a session, and that it starts now.
fn mark(database: &Database, id: &str, state: SessionState, starts: bool) -> Result<(), LedgerError> {
    database.execute(
        "UPDATE realface_sessions SET state = ?2, started_at = coalesce(?3, started_at) WHERE group_id = ?1",
        values![id, state.as_str(), starts.then(now).as_deref()],
    )?;
    Ok(())
}

/// A session that was reserved does not count for the account.
fn no_check(database: &Database, id: &str) -> Result<(), LedgerError> {
    if let Database::Postgres(_) = database {
        database.execute("DELETE FROM castline_accounts.checks WHERE id = ?1", values![id])?;
    }
    Ok(())
}

impl LedgerView {
    /// The recorded liveness sessions of a character, the oldest first.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn sessions(&self, key: &NameKey) -> Result<Vec<Session>, LedgerError> {
        let database = self.database();
        let key = self.locate(&database, key)?;
        let query = "SELECT group_id, state, started_at, expires_at, operator, consent_at
             FROM realface_sessions WHERE key = ?1 ORDER BY started_at, rowid";
        database.rows(query, values![key.as_str()], read)
    }

    /// The ages of the sessions that were requested within [`INIT_WINDOW`], the youngest first, by the machine's clock.
    /// Times that a wrong clock put into the future count as now.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn recent_inits(&self) -> Result<Vec<Duration>, LedgerError> {
        let times: Vec<String> = times(&self.database())?;
        Ok(ages(&times, Timestamp::now()))
    }
}

fn times(database: &Database) -> Result<Vec<String>, LedgerError> {
    // An hour has ten inits; the limit leaves room for accounts with other limits.
    let own = "SELECT started_at FROM realface_sessions WHERE state <> 'consented' ORDER BY started_at DESC LIMIT 1000";
    let of_account =
        "SELECT started_at FROM castline_accounts.checks WHERE account = (SELECT payer FROM ledger)
         ORDER BY started_at DESC LIMIT 1000";
    let is_bound = match database {
        Database::Sqlite(_) => false,
        Database::Postgres(_) => {
            let query = "SELECT payer IS NOT NULL FROM ledger";
            database.one(query, values![], |row| row.get(0))?
        }
    };
    let query = if is_bound { of_account } else { own };
    database.rows(query, values![], |row| row.get(0))
}

fn ages(times: &[String], now: Timestamp) -> Vec<Duration> {
    let mut ages: Vec<Duration> = times
        .iter()
        .filter_map(|at| at.parse::<Timestamp>().ok())
        .map(|at| Duration::try_from(now.duration_since(at)).unwrap_or(Duration::ZERO))
        .filter(|age| *age < INIT_WINDOW)
        .collect();
    ages.sort_unstable();
    ages
}

fn read(row: &Row<'_>) -> Result<Session, LedgerError> {
    let state: String = row.get(1)?;
    // An unknown state can't be used any more.
    let known = SessionState::ALL.into_iter().find(|s| s.as_str() == state);
    Ok(Session {
        group_id: row.get(0)?,
        state: known.unwrap_or(SessionState::Expired),
        started_at: row.get(2)?,
        expires_at: row.get(3)?,
        operator: row.get(4)?,
        consent_at: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::Name;
    use crate::ledger::test_places::{in_postgres, places};
    use crate::ledger::{OpenOptions, Place};

    fn key() -> NameKey {
        Name::new("Mia").unwrap().key()
    }

    fn open(place: &Place) -> Ledger {
        Ledger::open(place, OpenOptions::new("sandbox", true, "test")).unwrap()
    }

    #[tokio::test]
    async fn what_was_asked_for_counts_also_when_castline_dies_before_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        for place in places(&folder) {
            let ledger = open(&place);
            let consent = ledger.consent(&key(), "Ora").await.unwrap();
            assert!(
                ledger.view().recent_inits().unwrap().is_empty(),
                "a consent is not a session"
            );
            assert_eq!(ledger.reserve_init(&consent, 10, true).await.unwrap(), Ok(10));
            drop(ledger);
            let ledger = open(&place);
            assert_eq!(ledger.view().recent_inits().unwrap().len(), 1);
            ledger.release_init(&consent).await.unwrap();
            assert!(ledger.view().recent_inits().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_session_keeps_its_states_and_whose_consent_it_has() {
        let folder = tempfile::tempdir().unwrap();
        for place in places(&folder) {
            let ledger = open(&place);
            for round in 1..=2 {
                let consent = ledger.consent(&key(), "Ora").await.unwrap();
                assert_eq!(
                    ledger.reserve_init(&consent, 10, true).await.unwrap(),
                    Ok(11 - round)
                );
                let lives = Duration::from_secs(120);
                // The second time the provider gives the same group: both count.
                ledger
                    .begin_session(consent, "grp_1", lives, false)
                    .await
                    .unwrap();
                ledger.set_session("grp_1", SessionState::Passed).await.unwrap();
                let all = ledger.view().sessions(&key()).unwrap();
                let last = all.iter().find(|s| s.group_id == "grp_1").unwrap();
                assert_eq!(
                    (last.state, last.operator.as_str()),
                    (SessionState::Passed, "Ora")
                );
                assert!(last.expires_at > last.started_at && last.consent_at <= last.started_at);
                assert_eq!(ledger.view().recent_inits().unwrap().len(), round);
            }
        }
    }

    /// Ledgers of one account share its hourly checks, where they are in one database.
    #[tokio::test]
    async fn checks_count_for_the_account() {
        let folder = tempfile::tempdir().unwrap();
        for place in places(&folder) {
            let ledger = open(&place);
            ledger.bind_payer("an account of this test").await.unwrap();
            let consents = [
                ledger.consent(&key(), "Ora").await.unwrap(),
                ledger.consent(&key(), "Ora").await.unwrap(),
            ];
            assert_eq!(ledger.reserve_init(&consents[0], 1, true).await.unwrap(), Ok(1));
            let wait = ledger.reserve_init(&consents[1], 1, true).await.unwrap();
            assert!(wait.unwrap_err() > Duration::from_secs(3500));
            ledger.release_init(&consents[0]).await.unwrap();
            assert_eq!(ledger.reserve_init(&consents[1], 1, true).await.unwrap(), Ok(1));
        }
        let Some((first, second)) = in_postgres().zip(in_postgres()) else {
            return;
        };
        let (first, second) = (open(&first), open(&second));
        for ledger in [&first, &second] {
            ledger.bind_payer("another account of this test").await.unwrap();
        }
        let consent = first.consent(&key(), "Ora").await.unwrap();
        first.reserve_init(&consent, 1, true).await.unwrap().unwrap();
        assert_eq!(second.view().recent_inits().unwrap().len(), 1);
        let consent = second.consent(&key(), "Ora").await.unwrap();
        assert!(second.reserve_init(&consent, 1, true).await.unwrap().is_err());
    }

    #[test]
    fn only_the_last_hour_counts_and_a_clock_that_went_back_counts_as_now() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let times = [
            "2026-03-01T12:30:00Z",
            "2026-03-01T11:00:01Z",
            "2026-03-01T11:00:00Z",
            "x",
        ];
        let ages = ages(&times.map(str::to_owned), now);
        assert_eq!(ages, [Duration::ZERO, Duration::from_secs(3599)]);
    }
}
