//! Liveness sessions of real actors: init, the phone's part, and the reported status.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::faults::Window;
use super::options::Liveness;

/// The stage of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// The link was issued.
    Pending,
    /// The page behind the link is open.
    InProgress,
    /// The check has passed.
    Completed,
    /// The check has failed.
    Failed,
    /// The link has expired.
    Expired,
}

/// A liveness session.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) name: String,
    pub(super) redirect_url: Option<String>,
    started: Instant,
    stage: Stage,
}

/// All sessions, and the count of `init` calls.
#[derive(Debug)]
pub(super) struct Sessions {
    options: Liveness,
    sessions: HashMap<String, Session>,
    inits: Window,
}

impl Sessions {
    pub(super) fn new(options: Liveness) -> Self {
        Self {
            options,
            sessions: HashMap::new(),
            inits: Window::default(),
        }
    }

    /// Gives a session that is not over a new link; `false` when there is none.
    pub(super) fn renew(&mut self, now: Instant, group_id: &str) -> bool {
        let over = |stage| matches!(stage, Stage::Completed | Stage::Failed);
        if self.get(now, group_id).is_none_or(|(_, stage)| over(stage)) {
            return false;
        }
        let session = self.sessions.get_mut(group_id).expect("as just found");
        (session.started, session.stage) = (now, Stage::Pending);
        true
    }

    /// Begins a session and returns its group id, or how long to wait before one may begin.
    pub(super) fn init(
        &mut self,
        now: Instant,
        name: String,
        redirect_url: Option<String>,
    ) -> Result<String, Duration> {
        self.inits
            .admit(now, self.options.init_limit, self.options.init_window)?;
        let group_id = format!("grp_sandbox_{}", super::random_hex::<8>());
        let session = Session {
            name,
            redirect_url,
            started: now,
            stage: Stage::Pending,
        };
        self.sessions.insert(group_id.clone(), session);
        Ok(group_id)
    }

    pub(super) fn expiry(&self) -> Duration {
        self.options.expiry
    }

    /// A session and its current stage.
    pub(super) fn get(&mut self, now: Instant, group_id: &str) -> Option<(&Session, Stage)> {
        let session = self.sessions.get_mut(group_id)?;
        if matches!(session.stage, Stage::Pending | Stage::InProgress) {
            let age = now.duration_since(session.started);
            let alive = self
                .options
                .complete_after
                .is_some_and(|after| age >= after.min(self.options.expiry));
            if alive {
                session.stage = Stage::Completed;
            } else if age >= self.options.expiry {
                session.stage = Stage::Expired;
            }
        }
        Some((&*session, session.stage))
    }

    /// Advances a session, for a phone or a test. A session that is over remains unchanged, unless `force`d.
    pub(super) fn advance(&mut self, now: Instant, group_id: &str, to: Stage, force: bool) -> Option<Stage> {
        let (_, stage) = self.get(now, group_id)?;
        let session = self.sessions.get_mut(group_id)?;
        if force || matches!(stage, Stage::Pending | Stage::InProgress) {
            session.stage = to;
        }
        Some(session.stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(options: Liveness) -> (Sessions, Instant, String) {
        let (mut sessions, now) = (Sessions::new(options), Instant::now());
        let group = sessions.init(now, "Ada".into(), None).unwrap();
        (sessions, now, group)
    }

    #[test]
    fn a_link_lives_120_seconds_and_a_completed_session_stays() {
        let (mut all, now, group) = sessions(Liveness::default());
        let at = |s: u64| now + Duration::from_secs(s);
        assert_eq!(all.get(at(119), &group).unwrap().1, Stage::Pending);
        let other = all.init(at(1), "Bo".into(), None).unwrap();
        assert_eq!(
            all.advance(at(100), &other, Stage::Completed, false),
            Some(Stage::Completed)
        );
        assert_eq!(all.get(at(120), &group).unwrap().1, Stage::Expired);
        assert_eq!(
            all.advance(at(121), &group, Stage::Completed, false),
            Some(Stage::Expired)
        );
        assert_eq!(all.get(at(9000), &other).unwrap().1, Stage::Completed);
        assert!(all.get(now, "grp_unknown").is_none());
    }

    #[test]
    fn liveness_can_advance_by_time() {
        let after = Some(Duration::from_secs(5));
        let (mut all, now, group) = sessions(Liveness {
            complete_after: after,
            ..Liveness::default()
        });
        assert_eq!(
            all.get(now + Duration::from_secs(4), &group).unwrap().1,
            Stage::Pending
        );
        assert_eq!(
            all.get(now + Duration::from_secs(500), &group).unwrap().1,
            Stage::Completed
        );
    }

    #[test]
    fn ten_inits_an_hour() {
        let (mut all, now, _) = sessions(Liveness::default());
        for _ in 0..9 {
            all.init(now, "Ada".into(), None).unwrap();
        }
        assert_eq!(all.init(now, "Ada".into(), None), Err(Duration::from_secs(3600)));
        assert!(
            all.init(now + Duration::from_secs(3600), "Ada".into(), None)
                .is_ok()
        );
    }
}
