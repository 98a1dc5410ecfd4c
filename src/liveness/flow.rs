//! The flow of each actor in turn: consent, image, liveness check, paid call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use url::Url;

use super::operator::{Answer, Operator};
use super::poll_pace::PollPace;
use crate::cast::{Character, NameKey, printable};
use crate::enroll::{InitRequest, Liveness, LivenessSession, Outcome, backoff, is_about_session};
use crate::event::{Event, LivenessState, Stage};
use crate::exit::ExitCode;
use crate::ledger::{Consent, INIT_WINDOW, LedgerError, Reader, SessionState, State};
use crate::pipeline::{Enroll, Inspected, Publish, Published, Shutdown, exit_of};
use crate::plan::Standing;

/// The time for which an actor who has started may finish after the link has expired.
const GRACE: Duration = Duration::from_secs(60);

/// The options of liveness checks.
#[derive(Debug, Clone)]
pub struct LivenessOptions {
    /// The person who records the actors' consent.
    pub operator: String,
    /// The page that a phone opens after the check.
    pub redirect_url: Option<Url>,
    /// The URL to which the provider reports.
    pub webhook_url: Option<Url>,
    /// The least interval between status requests.
    pub poll_interval: Duration,
    /// The maximum number of status requests within an hour.
    pub max_polls_per_hour: usize,
    /// The maximum number of checks started within an hour.
    pub max_checks_per_hour: usize,
    /// The maximum number of successive links for one actor.
    pub max_links_per_actor: u32,
}

/// Guides actors through their liveness check. Publishing and paying use the stages of a run.
pub struct LivenessFlow {
    /// Publishes the images.
    pub publish: Arc<Publish>,
    /// Makes the paid call.
    pub enroll: Arc<Enroll>,
    /// The options of the checks.
    pub options: LivenessOptions,
    /// When the state of a check may be requested.
    pub pace: PollPace,
    /// Confirms that an actor is present; without one, each code is shown at once.
    pub operator: Option<Operator>,
}

/// A check that may still be passed.
struct PendingSession {
    group_id: String,
    /// When polling ends: a state that is requested afterwards is final.
    until: Instant,
    /// The interval between polls.
    interval: Duration,
    in_progress: bool,
    /// How many polls after the end had no answer.
    unanswered: u32,
}

impl PendingSession {
    /// When to poll next, from now.
    fn next(&self) -> Duration {
        self.interval
            .min(self.until.saturating_duration_since(Instant::now()))
    }
}

/// Nothing more is to be done for this actor now: it is done or reported, or the run stops.
struct ActorFinished;

impl LivenessFlow {
    /// Guides all `actors` through, whose images were inspected and may be enrolled. Actors who passed the check in an
    /// earlier run come first: a pass doesn't last long.
    pub async fn run(&self, actors: Vec<Inspected>) {
        let mut actors: Vec<(bool, Inspected)> = actors
            .into_iter()
            .map(|actor| (self.has_passed(&actor.character.name.key()), actor))
            .collect();
        actors.sort_by_key(|(passed, _)| !passed);
        let of = actors.len();
        for (at, (passed, actor)) in actors.into_iter().enumerate() {
            if self.shutdown().is_requested() {
                return;
            }
            // `ActorFinished` means that everything is reported; a stop is requested through `Shutdown`.
            let _ = self.actor(actor, passed, (at + 1, of)).await;
        }
    }

    fn shutdown(&self) -> &Shutdown {
        &self.enroll.shutdown
    }

    fn has_passed(&self, key: &NameKey) -> bool {
        let sessions = self.enroll.ledger.view().sessions(key).unwrap_or_default();
        sessions.iter().any(|s| s.state == SessionState::Passed)
    }

    /// Handles one actor, from the consent to the asset id.
    async fn actor(
        &self,
        actor: Inspected,
        passed: bool,
        place: (usize, usize),
    ) -> Result<(), ActorFinished> {
        let (character, sha256) = (actor.character.clone(), actor.sha256.clone());
        let key = character.name.key();
        // Recorded before any of the actor's data leaves this machine.
        let consent = match passed {
            // Already recorded with the check that was passed.
            true => None,
            false => Some(self.consent(&key).await?),
        };
        let mut published = self.publish.one(actor).await.ok_or(ActorFinished)?;
        let mut watched = self.earlier(&key)?;
        let mut expired = self.poll_sessions(&published, &mut watched).await?;
        let mut consent = match consent {
            Some(consent) => Some(consent),
            None => Some(self.consent(&key).await?),
        };
        // An operator decides how many links an actor gets.
        let links = match self.operator {
            Some(_) => u32::MAX,
            None => self.options.max_links_per_actor,
        };
        for link in 0..links {
            if link > 0 {
                // The address of the image may be signed, and may have expired.
                published = self.republish(&character, &sha256).await?;
            }
            let consent = match consent.take() {
                Some(consent) => consent,
                None => self.consent(&key).await?,
            };
            self.is_there(&character, place, link).await?;
            let renew = expired.take().filter(|_| self.enroll.client.renews_links());
            let current = self.begin(&character, consent, place, renew).await?;
            let group_id = current.group_id.clone();
            watched.retain(|w| w.group_id != group_id);
            watched.push(current);
            while watched.iter().any(|w| w.group_id == group_id) {
                let next = watched.iter().map(PendingSession::next).min();
                self.pause(next.unwrap_or_default()).await?;
                expired = self.poll_sessions(&published, &mut watched).await?;
            }
        }
        let message = format!(
            "the check was not passed after {links} links; nothing was charged. Run `castline realface{}` again when \
             the actor is available",
            self.enroll.same_arguments
        );
        self.failed(&character, "liveness_not_passed", message);
        Err(ActorFinished)
    }

    /// Asks the operator whether the actor is present.
    async fn is_there(
        &self,
        character: &Character,
        place: (usize, usize),
        link: u32,
    ) -> Result<(), ActorFinished> {
        let Some(operator) = &self.operator else {
            return Ok(());
        };
        let name = printable(character.name.as_str());
        let question = match link {
            0 => format!("{name} ({} of {})", place.0, place.1),
            _ => format!("{name}, next attempt"),
        };
        let answer = tokio::select! {
            () = self.shutdown().requested() => return Err(ActorFinished),
            answer = operator.ask(&question) => answer,
        };
        match answer {
            Answer::Show => Ok(()),
            // Not a failure: the actor is left for later, as after an interruption.
            Answer::Skip => Err(ActorFinished),
        }
    }

    /// Checks of an earlier run that may still be passed. Their links are not stored, so their codes can't be shown
    /// again, but the actor may be taking the check.
    fn earlier(&self, key: &NameKey) -> Result<Vec<PendingSession>, ActorFinished> {
        let sessions = self.enroll.ledger.view().sessions(key);
        let sessions = sessions.map_err(|error| self.broke(&error))?;
        let now = jiff::Timestamp::now();
        let left = |expires_at: &str| {
            let at: jiff::Timestamp = expires_at.parse().ok()?;
            Duration::try_from(at.duration_since(now)).ok()
        };
        let watched = sessions.into_iter().filter_map(|session| {
            let left = match session.state {
                // A pass doesn't expire with its link; the grace period covers network failures.
                SessionState::Passed => Some(GRACE),
                SessionState::Pending => Some(left(&session.expires_at).unwrap_or_default()),
                _ => None,
            }?;
            Some(self.watch(session.group_id, left.min(INIT_WINDOW)))
        });
        Ok(watched.collect())
    }

    fn watch(&self, group_id: String, left: Duration) -> PendingSession {
        let now = Instant::now();
        PendingSession {
            group_id,
            until: now + left,
            interval: self.pace.interval(now, self.options.poll_interval, left),
            in_progress: false,
            unanswered: 0,
        }
    }

    /// Polls each check in `watched` once; enrolls with the first that is passed, and drops those that are over. Returns
    /// the last one whose link expired.
    async fn poll_sessions(
        &self,
        published: &Published,
        watched: &mut Vec<PendingSession>,
    ) -> Result<Option<String>, ActorFinished> {
        let character = &published.character;
        let (mut at, mut expired) = (0, None);
        while at < watched.len() {
            let session = &mut watched[at];
            let group_id = session.group_id.clone();
            loop {
                let wait = self.pace.ask(Instant::now());
                if wait.is_zero() {
                    break;
                }
                self.wait(wait, "polls_per_hour").await?;
            }
            // Only a state that was requested after the end says that the check was not passed in time: the last poll
            // may be late, or have no answer.
            let is_last = Instant::now() >= watched[at].until;
            let state = match self.enroll.client.realface_status(&group_id).await {
                Ok(Liveness::Passed) => {
                    self.record_liveness(character, &group_id, LivenessState::Passed, SessionState::Passed)
                        .await?;
                    match self.pay(published, &group_id).await?.as_str() {
                        // The status says passed, the paid call says not yet: poll again.
                        "liveness_incomplete" => Liveness::Pending,
                        _ => Liveness::Expired,
                    }
                }
                Ok(state) => state,
                Err(Outcome::Retry { code, message, after }) => {
                    let session = &mut watched[at];
                    session.unanswered += u32::from(is_last);
                    let again = session.unanswered;
                    if again > self.enroll.retries {
                        // Not expired: the next run asks for it once more.
                        let message =
                            format!("whether the check was passed is unknown: {message}; run again");
                        self.failed(character, &code, message);
                        return Err(ActorFinished);
                    }
                    match after {
                        Some(after) => self.wait(after, "rate_limited").await?,
                        None if again > 0 => self.pause(backoff(again)).await?,
                        None => {}
                    }
                    at += 1;
                    continue;
                }
                Err(Outcome::Refused { code, .. }) if is_about_session(&code) => Liveness::Expired,
                Err(outcome) => return Err(self.ended(character, &outcome)),
            };
            let session = &mut watched[at];
            let over = match state {
                Liveness::InProgress if !session.in_progress => {
                    session.in_progress = true;
                    session.until += GRACE;
                    self.record_liveness(
                        character,
                        &group_id,
                        LivenessState::InProgress,
                        SessionState::Pending,
                    )
                    .await?;
                    None
                }
                Liveness::Failed => Some((LivenessState::Failed, SessionState::Failed)),
                Liveness::Expired => Some((LivenessState::Expired, SessionState::Expired)),
                _ if is_last => Some((LivenessState::Expired, SessionState::Expired)),
                _ => None,
            };
            match over {
                Some((shown, written)) => {
                    watched.remove(at);
                    expired = (written == SessionState::Expired).then(|| group_id.clone());
                    self.record_liveness(character, &group_id, shown, written).await?;
                }
                None => at += 1,
            }
        }
        Ok(expired)
    }

    /// Makes the paid call. Returns only with an error code about the session; nothing was charged then.
    async fn pay(&self, published: &Published, group_id: &str) -> Result<String, ActorFinished> {
        let character = published.character.clone();
        let key = character.name.key();
        let paid = Published {
            receipt_number: None,
            character,
            url: published.url.clone(),
            object_key: published.object_key.clone(),
            group_id: Some(group_id.to_owned()),
        };
        self.enroll.one(paid).await;
        let record = self.enroll.ledger.get(&key).map_err(|e| self.broke(&e))?;
        let (state, code) = record.map_or((State::Seen, None), |r| (r.state, r.code));
        match state {
            State::Enrolled => self.write(group_id, SessionState::Used).await?,
            State::Refused => self.write(group_id, SessionState::Failed).await?,
            State::Published if !self.shutdown().is_requested() => {
                if let Some(code) = code.filter(|code| is_about_session(code)) {
                    return Ok(code);
                }
            }
            // In doubt, or stopped before the call was sent: the check stays passed until that is settled.
            _ => {}
        }
        Err(ActorFinished)
    }

    /// Requests a new link, within the hourly limit, and shows it. `renew` is an earlier check of the actor whose link has
    /// expired: a new link for it does not count.
    async fn begin(
        &self,
        character: &Character,
        consent: Consent,
        (number, of): (usize, usize),
        renew: Option<String>,
    ) -> Result<PendingSession, ActorFinished> {
        let ledger = &self.enroll.ledger;
        let mut request = InitRequest {
            name: character.name.as_str().to_owned(),
            redirect_url: self.options.redirect_url.clone(),
            webhook_url: self.options.webhook_url.clone(),
            group_id: renew.clone(),
        };
        let mut failures = 0;
        let (session, left): (LivenessSession, usize) = loop {
            if self.shutdown().is_requested() {
                return Err(ActorFinished);
            }
            // A renewal counts already.
            let (most, counts) = (self.options.max_checks_per_hour, request.group_id.is_none());
            let reserved = ledger.reserve_init(&consent, most, counts).await;
            let left = match reserved.map_err(|e| self.broke(&e))? {
                Ok(left) => left,
                Err(wait) => {
                    self.wait(wait, "checks_per_hour").await?;
                    continue;
                }
            };
            let outcome = match self.enroll.client.realface_init(&request).await {
                Ok(session) => break (session, left),
                Err(outcome) => outcome,
            };
            ledger.release_init(&consent).await.map_err(|e| self.broke(&e))?;
            failures += 1;
            match outcome {
                Outcome::Retry {
                    after: Some(after), ..
                } => self.wait(after, "rate_limited").await?,
                Outcome::Retry { .. } if failures <= self.enroll.retries => {
                    self.pause(backoff(failures)).await?;
                }
                // The provider does not know the check any more, or does not renew.
                Outcome::Refused { .. } if request.group_id.take().is_some() => {}
                outcome => return Err(self.ended(character, &outcome)),
            }
        };
        let watched = self.watch(session.group_id.clone(), session.expires_in);
        let renewed = renew.as_ref() == Some(&session.group_id);
        let begun = ledger
            .begin_session(consent, &session.group_id, session.expires_in, renewed)
            .await;
        begun.map_err(|e| self.broke(&e))?;
        self.enroll.reporters.emit(Event::LivenessLink {
            name: character.name.as_str().to_owned(),
            number,
            of,
            group_id: session.group_id.clone(),
            link: session.link.to_string(),
            expires_in: session.expires_in.as_secs_f64(),
            left_this_hour: left.saturating_sub(usize::from(!renewed)),
        });
        Ok(watched)
    }

    async fn consent(&self, key: &NameKey) -> Result<Consent, ActorFinished> {
        let consent = self.enroll.ledger.consent(key, &self.options.operator).await;
        consent.map_err(|error| self.broke(&error))
    }

    async fn republish(&self, character: &Character, sha256: &str) -> Result<Published, ActorFinished> {
        let record = self.enroll.ledger.get(&character.name.key());
        let key = record.map_err(|e| self.broke(&e))?.and_then(|r| r.object_key);
        let republished = self.publish.republish(character.clone(), sha256, key).await;
        republished.ok_or(ActorFinished)
    }

    async fn write(&self, group_id: &str, state: SessionState) -> Result<(), ActorFinished> {
        let written = self.enroll.ledger.set_session(group_id, state).await;
        written.map_err(|error| self.broke(&error))
    }

    /// Writes the state of a check to the ledger, and reports it.
    async fn record_liveness(
        &self,
        character: &Character,
        group_id: &str,
        shown: LivenessState,
        written: SessionState,
    ) -> Result<(), ActorFinished> {
        self.write(group_id, written).await?;
        self.enroll.reporters.emit(Event::Liveness {
            name: character.name.as_str().to_owned(),
            group_id: group_id.to_owned(),
            state: shown,
        });
        Ok(())
    }

    /// Waits for a longer time, and reports it.
    async fn wait(&self, length: Duration, reason: &str) -> Result<(), ActorFinished> {
        self.enroll.reporters.emit(Event::Paused {
            seconds: length.as_secs_f64(),
            reason: reason.to_owned(),
        });
        self.pause(length).await
    }

    async fn pause(&self, length: Duration) -> Result<(), ActorFinished> {
        tokio::select! {
            () = self.shutdown().requested() => Err(ActorFinished),
            () = tokio::time::sleep(length) => Ok(()),
        }
    }

    /// Handles a free call whose outcome ends the flow for this actor, or for all.
    fn ended(&self, character: &Character, outcome: &Outcome) -> ActorFinished {
        let (code, message) = outcome.code_and_message().unwrap_or_default();
        match outcome {
            Outcome::Stop { kind, .. } => {
                let text = format!("{code}: {message}; {}", kind.hint());
                self.shutdown().request(exit_of(*kind), kind.reason(), text);
            }
            _ => self.failed(character, code, message.to_owned()),
        }
        ActorFinished
    }

    fn failed(&self, character: &Character, code: &str, message: String) {
        self.enroll.reporters.emit(Event::Failed {
            name: character.name.as_str().to_owned(),
            stage: Stage::Liveness,
            standing: Standing::AwaitingLiveness,
            code: code.to_owned(),
            message,
        });
    }

    fn broke(&self, error: &LedgerError) -> ActorFinished {
        let message = format!("{error}; nothing more is paid");
        self.shutdown()
            .request(ExitCode::Internal, "ledger_not_writable", message);
        ActorFinished
    }
}
