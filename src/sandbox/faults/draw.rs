//! Decides which call gets which fault.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::{
    ChainAnswers, FaultKind, Faults, FaultsError, ProviderFetches, PublicReads, RateLimit, RetryAfter,
    RetryAfterForm,
};

/// The faults in effect, and what has been drawn from them.
pub(in super::super) struct FaultBox(Mutex<Inner>);

struct Inner {
    faults: Faults,
    script: VecDeque<FaultKind>,
    /// The number of calls so far by name.
    calls: HashMap<String, u32>,
    connections: u64,
    arrivals: u64,
    objects: u64,
    free: u64,
    turns: usize,
    window: Window,
    statuses: Window,
}

impl FaultBox {
    pub(in super::super) fn new(faults: Faults) -> Result<Self, FaultsError> {
        faults.check()?;
        let script = faults.script.clone().into();
        Ok(Self(Mutex::new(Inner {
            faults,
            script,
            calls: HashMap::new(),
            connections: 0,
            arrivals: 0,
            objects: 0,
            free: 0,
            turns: 0,
            window: Window::default(),
            statuses: Window::default(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the faults, and restarts the script and the counts.
    pub(in super::super) fn replace(&self, faults: Faults) -> Result<(), FaultsError> {
        *self.lock() = Self::new(faults)?
            .0
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(())
    }

    pub(in super::super) fn current(&self) -> Faults {
        self.lock().faults.clone()
    }

    pub(in super::super) fn latency(&self) -> Duration {
        Duration::from_millis(self.lock().faults.latency_ms)
    }

    pub(in super::super) fn stall(&self) -> Duration {
        Duration::try_from_secs_f64(self.lock().faults.stall_s).unwrap_or(Duration::MAX)
    }

    /// Whether to reset the next connection.
    pub(in super::super) fn refuse(&self) -> bool {
        let mut inner = self.lock();
        inner.connections += 1;
        let percent = inner
            .faults
            .percent
            .get(&FaultKind::Refuse)
            .copied()
            .unwrap_or_default();
        draw(inner.faults.seed, "connection", inner.connections) < percent
    }

    /// Whether to answer an S3 request with 503.
    pub(in super::super) fn s3(&self) -> bool {
        let mut inner = self.lock();
        inner.objects += 1;
        draw(inner.faults.seed, "object", inner.objects) < inner.faults.s3_percent
    }

    /// How the node of the chain answers.
    pub(in super::super) fn chain(&self) -> ChainAnswers {
        self.lock().faults.chain
    }

    /// Whether the listing leaves out names and images.
    pub(in super::super) fn bare_listing(&self) -> bool {
        self.lock().faults.bare_listing
    }

    /// What becomes of anonymous reads of objects.
    pub(in super::super) fn public_reads(&self) -> PublicReads {
        self.lock().faults.public_reads
    }

    /// How the provider fetches an image.
    pub(in super::super) fn provider_fetches(&self) -> ProviderFetches {
        self.lock().faults.provider_fetches
    }

    /// Whether to answer a free call with 503.
    pub(in super::super) fn free(&self) -> bool {
        let mut inner = self.lock();
        inner.free += 1;
        draw(inner.faults.seed, "free", inner.free) < inner.faults.free_percent
    }

    /// Whether to reset a paid call before its body is read: its name is unknown yet.
    pub(in super::super) fn before_read(&self) -> bool {
        let mut inner = self.lock();
        inner.arrivals += 1;
        if inner.script.front() == Some(&FaultKind::ResetBeforeRead) {
            inner.script.pop_front();
            return true;
        }
        let percent = inner
            .faults
            .percent
            .get(&FaultKind::ResetBeforeRead)
            .copied()
            .unwrap_or_default();
        draw(inner.faults.seed, "arrival", inner.arrivals) < percent
    }

    /// The fault of a paid call whose body was read.
    pub(in super::super) fn of_call(&self, name: &str, charges: u64) -> FaultKind {
        let mut inner = self.lock();
        let call = inner.calls.entry(name.to_owned()).or_default();
        *call += 1;
        let call = u64::from(*call);
        if let Some(kind) = inner.script.pop_front() {
            return kind;
        }
        if let Some(stop) = inner.faults.stop_after.filter(|stop| charges >= stop.charges) {
            return stop.kind;
        }
        if let Some((_, kind)) = inner
            .faults
            .names
            .iter()
            .find(|(part, _)| name.contains(part.as_str()))
        {
            return *kind;
        }
        let mut at = draw(inner.faults.seed, name, call);
        for (kind, percent) in &inner.faults.percent {
            if matches!(kind, FaultKind::Refuse | FaultKind::ResetBeforeRead) {
                continue;
            }
            if at < *percent {
                return *kind;
            }
            at -= percent;
        }
        FaultKind::None
    }

    /// Counts a paid call against the server's own limit, or returns how long to wait.
    pub(in super::super) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let inner = &mut *self.lock();
        let Some(RateLimit { count, window_s }) = inner.faults.rate else {
            return Ok(());
        };
        inner.window.admit(
            now,
            count,
            Duration::try_from_secs_f64(window_s).unwrap_or(Duration::MAX),
        )
    }

    /// Counts a status call against the server's own limit, or returns how long to wait.
    pub(in super::super) fn status(&self) -> Result<(), Duration> {
        let inner = &mut *self.lock();
        let Some(RateLimit { count, window_s }) = inner.faults.status_rate else {
            return Ok(());
        };
        let window = Duration::try_from_secs_f64(window_s).unwrap_or(Duration::MAX);
        inner.statuses.admit(Instant::now(), count, window)
    }

    /// How this 429 states the wait.
    pub(in super::super) fn retry_after(&self) -> RetryAfter {
        use RetryAfterForm::*;
        let mut inner = self.lock();
        let mut retry = inner.faults.retry_after;
        if retry.form == Rotate {
            let forms = [
                HeaderSeconds,
                HeaderDate,
                BodySnake,
                BodyCamel,
                BodySeconds,
                Absent,
                Nonsense,
            ];
            retry.form = forms[inner.turns % forms.len()];
            inner.turns += 1;
        }
        retry
    }
}

/// A number in [0, 100) that depends only on the arguments.
fn draw(seed: u64, what: &str, nth: u64) -> f64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(nth.to_le_bytes());
    hash.update(what.as_bytes());
    let digest = hash.finalize();
    let bits = u64::from_le_bytes(digest[..8].try_into().expect("8 of 32 bytes")) >> 11;
    bits as f64 / (1u64 << 53) as f64 * 100.0
}

/// The calls of a sliding window.
#[derive(Debug, Default)]
pub(in super::super) struct Window(VecDeque<Instant>);

impl Window {
    /// Counts a call unless there are already `count` within `window`; else returns how long until the next may arrive.
    pub(in super::super) fn admit(
        &mut self,
        now: Instant,
        count: usize,
        window: Duration,
    ) -> Result<(), Duration> {
        while self.0.front().is_some_and(|at| now.duration_since(*at) >= window) {
            self.0.pop_front();
        }
        if self.0.len() < count {
            self.0.push_back(now);
            return Ok(());
        }
        Err(self
            .0
            .front()
            .map_or(window, |at| window.saturating_sub(now.duration_since(*at))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(kind: FaultKind, percent: f64) -> Faults {
        Faults {
            seed: 11,
            percent: [(kind, percent)].into(),
            ..Faults::default()
        }
    }

    fn kinds(faults: &FaultBox) -> Vec<FaultKind> {
        (0..1000)
            .map(|n| faults.of_call(&format!("Knight {n}"), 0))
            .collect()
    }

    #[test]
    fn per_cents_are_met_and_the_ends_are_exact() {
        let share = |percent_| {
            let faults = FaultBox::new(percent(FaultKind::Http502, percent_)).unwrap();
            kinds(&faults)
                .iter()
                .filter(|kind| **kind == FaultKind::Http502)
                .count()
        };
        assert_eq!(share(0.0), 0);
        assert!((70..130).contains(&share(10.0)), "{}", share(10.0));
        assert_eq!(share(100.0), 1000);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_in_any_order() {
        let of = |names: &mut dyn Iterator<Item = usize>| {
            let faults = FaultBox::new(percent(FaultKind::Truncated, 50.0)).unwrap();
            let mut drawn: Vec<_> = names
                .map(|n| (n, faults.of_call(&format!("Elf {n}"), 0)))
                .collect();
            drawn.sort();
            drawn
        };
        assert_eq!(of(&mut (0..100)), of(&mut (0..100).rev()));
    }

    #[test]
    fn a_script_comes_first_then_the_stop_then_names() {
        let faults = FaultBox::new(Faults {
            script: vec![FaultKind::Http500, FaultKind::None],
            names: [("Doomed".to_owned(), FaultKind::ImageRejected)].into(),
            stop_after: Some(super::super::StopAfter {
                charges: 5,
                kind: FaultKind::Quota,
            }),
            ..Faults::default()
        })
        .unwrap();
        assert_eq!(faults.of_call("Doomed", 9), FaultKind::Http500);
        assert_eq!(faults.of_call("Doomed", 9), FaultKind::None);
        assert_eq!(faults.of_call("Doomed", 4), FaultKind::ImageRejected);
        assert_eq!(faults.of_call("Doomed", 5), FaultKind::Quota);
        assert_eq!(faults.of_call("Ada", 4), FaultKind::None);
    }

    #[test]
    fn a_window_admits_its_count_and_tells_the_wait() {
        let (mut window, start) = (Window::default(), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        let minute = Duration::from_secs(60);
        assert_eq!(window.admit(at(0), 2, minute), Ok(()));
        assert_eq!(window.admit(at(10), 2, minute), Ok(()));
        assert_eq!(window.admit(at(20), 2, minute), Err(Duration::from_secs(40)));
        assert_eq!(window.admit(at(60), 2, minute), Ok(()));
        assert_eq!(window.admit(at(61), 2, minute), Err(Duration::from_secs(9)));
    }
}
