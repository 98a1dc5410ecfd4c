//! Enforces the rate: calls are released one at a time, evenly spaced, and all wait when the API says so.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter as Governor};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::rate::Rate;
use super::rolling_window::RollingWindow;

/// How much longer than the rate's window its calls take, in percent. The network shifts them by some milliseconds against
/// one another; at the exact rate that would occasionally put one too many into a window of the server.
const SLOWER: u32 = 1;
/// How late a call may leave without the next ones leaving later too: a timer wakes up to two milliseconds late.
const TIMER: Duration = Duration::from_millis(4);

/// How far apart calls leave.
///
/// A call is due at `interval` after the one before was due, and may leave `tolerance` earlier: one that is late within
/// that does not shift the schedule. Of a window's calls and one more, the first and the last are at least
/// `calls × interval − tolerance` apart, which is the window and a hundredth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spacing {
    /// The time between two calls.
    pub interval: Duration,
    /// How much earlier than due a call may leave.
    pub tolerance: Duration,
}

impl Spacing {
    /// The spacing of calls at `rate`.
    pub fn of(rate: Rate) -> Self {
        let wanted = TIMER.min(rate.interval() / 4);
        let window = rate.window() * (100 + SLOWER) / 100 + wanted;
        let interval = window / rate.calls();
        // The limiter counts in cells of the tolerance, a whole number of which is an interval.
        let tolerance = interval / Self::cells(interval, wanted).get();
        Self { interval, tolerance }
    }

    fn cells(interval: Duration, cell: Duration) -> NonZeroU32 {
        let cells = interval.as_nanos().div_ceil(cell.as_nanos().max(1));
        NonZeroU32::new(u32::try_from(cells).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN)
    }
}

/// The pace that a payer shares with the others of its account. Its methods may wait for a file or a server.
pub trait SharedPace: Send + Sync {
    /// Takes the next turn if it is due, or returns how long to wait before asking again. Where the pace can't be kept, a
    /// call goes: the process's own limiter holds.
    ///
    /// # Errors
    /// How long to wait.
    fn try_go(&self) -> Result<(), Duration>;

    /// Records a call that has had its turn and is sent now, or returns how long it must wait: no window of the rate has
    /// more calls than the rate, whichever payers send them. Where that can't be kept, a call goes.
    ///
    /// # Errors
    /// How long to wait.
    fn try_send(&self) -> Result<(), Duration>;

    /// Lets no call of the account leave for `length`.
    fn pause(&self, length: Duration);
}

/// Releases paid calls in order of arrival, at a limited rate and with a limited number in flight.
pub struct RateLimiter {
    gate: Gate<SinceStart>,
    in_flight: Arc<Semaphore>,
    /// Only one call waits at the gate, in order of arrival: tokio's mutex is fair.
    line: Mutex<()>,
    /// What the other runs of the account do.
    shared: Option<Arc<dyn SharedPace>>,
    /// When calls were sent, which is some time after their turn.
    sent: Mutex<RollingWindow>,
    start: Instant,
}

/// Permission to make a call. Keep it until the call has ended: dropping it frees its slot.
#[derive(Debug)]
#[must_use = "the slot of the call is freed when this is dropped"]
pub struct Permit {
    _place: OwnedSemaphorePermit,
}

impl RateLimiter {
    /// At most `rate`, with at most `in_flight` calls (1 if 0 is given) in flight.
    pub fn new(rate: Rate, in_flight: usize) -> Self {
        let start = Instant::now();
        Self {
            gate: Gate::new(rate, SinceStart(start)),
            in_flight: Arc::new(Semaphore::new(in_flight.clamp(1, Semaphore::MAX_PERMITS))),
            line: Mutex::new(()),
            shared: None,
            sent: Mutex::new(RollingWindow::new(rate)),
            start,
        }
    }

    /// Shares the rate with the other runs of the account, earlier ones included.
    #[must_use]
    pub fn sharing(mut self, pace: Option<Arc<dyn SharedPace>>) -> Self {
        self.shared = pace;
        self
    }

    /// Waits for a turn: a free slot, the end of every pause, and the rate. Dropping the future gives up the place in
    /// the queue and consumes nothing.
    pub async fn acquire(&self) -> Permit {
        let place = Arc::clone(&self.in_flight).acquire_owned().await;
        self.turn().await;
        Permit {
            _place: place.expect("this semaphore is never closed"),
        }
    }

    /// Waits for the turn of a further request of a call that has its slot: the end of every pause, and the rate.
    pub async fn turn(&self) {
        let _first_in_line = self.line.lock().await;
        while let Err(wait) = self.gate.try_go() {
            tokio::time::sleep(wait).await;
        }
        self.wait_for_others(|shared| shared.try_go()).await;
    }

    /// Asks the pace that is shared, if any, until it lets the call go.
    async fn wait_for_others(&self, ask: fn(&dyn SharedPace) -> Result<(), Duration>) {
        let Some(shared) = &self.shared else { return };
        loop {
            let shared = Arc::clone(shared);
            // A panic there must not stop the calls: this process's own limiter holds.
            match tokio::task::spawn_blocking(move || ask(&*shared)).await {
                Ok(Err(wait)) => tokio::time::sleep(wait).await,
                Ok(Ok(())) | Err(_) => return,
            }
        }
    }

    /// Waits until a call that has had its turn may be sent: no wait, unless others were held up between their turn
    /// and this point, and leave together now.
    pub async fn send(&self) {
        let mut sent = self.sent.lock().await;
        while let Err(wait) = sent.try_send(self.start.elapsed()) {
            tokio::time::sleep(wait).await;
        }
        // One after the other: the others count it at the moment when it leaves.
        self.wait_for_others(|shared| shared.try_send()).await;
    }

    /// Releases no call for `length`, by the monotonic clock. Of several pauses the one that ends last applies.
    pub fn pause(&self, length: Duration) {
        self.gate.pause(length);
        if let Some(shared) = self.shared.clone() {
            tokio::task::spawn_blocking(move || shared.pause(length));
        }
    }

    /// The rest of a pause; zero if there is none.
    pub fn paused_for(&self) -> Duration {
        self.gate.paused_for()
    }
}

/// The rate and the pause together, without any waiting: both are checked at the moment when a call leaves, so that
/// no pause is missed, and none is followed by a burst.
#[derive(Debug)]
struct Gate<C: Clock<Instant = Nanos>> {
    limiter: Governor<NotKeyed, InMemoryState, C, NoOpMiddleware<Nanos>>,
    /// How many cells of the limiter a call takes.
    cells: NonZeroU32,
    clock: C,
    /// The end of the pause, in nanoseconds of the clock.
    paused_until: AtomicU64,
}

impl<C: Clock<Instant = Nanos> + Clone> Gate<C> {
    fn new(rate: Rate, clock: C) -> Self {
        let Spacing { interval, tolerance } = Spacing::of(rate);
        let cells = u32::try_from(interval.as_nanos() / tolerance.as_nanos().max(1)).unwrap_or(u32::MAX);
        let cells = NonZeroU32::new(cells).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(interval / cells.get())
            .expect("an interval is longer than zero")
            // One call, and a cell for the tolerance: more would let calls leave at once.
            .allow_burst(cells.saturating_add(1));
        Self {
            cells,
            limiter: Governor::direct_with_clock(quota, clock.clone()),
            clock,
            paused_until: AtomicU64::new(0),
        }
    }

    /// Takes the next turn if it is due, or returns how long to wait before asking again.
    fn try_go(&self) -> Result<(), Duration> {
        let paused = self.paused_for();
        if !paused.is_zero() {
            return Err(paused);
        }
        let checked = self.limiter.check_n(self.cells);
        checked
            .expect("a call fits into the burst")
            .map_err(|not_yet| not_yet.wait_time_from(self.clock.now()))
    }

    fn pause(&self, length: Duration) {
        let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let until = self.clock.now().as_u64().saturating_add(length);
        self.paused_until.fetch_max(until, Ordering::AcqRel);
    }

    fn paused_for(&self) -> Duration {
        let until = self.paused_until.load(Ordering::Acquire);
        Duration::from_nanos(until.saturating_sub(self.clock.now().as_u64()))
    }
}

/// The monotonic time since the start: setting the machine's clock changes nothing.
#[derive(Debug, Clone)]
struct SinceStart(Instant);

impl Clock for SinceStart {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        // 2⁶⁴ nanoseconds are 584 years.
        Nanos::new(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    /// Passes the gate as often as `steps` say, waiting as it says, and records when each call left.
    fn departures(rate: Rate, steps: &[(u64, u64)]) -> Vec<(Duration, Option<Duration>)> {
        let clock = FakeRelativeClock::default();
        let gate = Gate::new(rate, clock.clone());
        let now = || Duration::from_nanos(clock.now().as_u64());
        let mut left = Vec::new();
        for &(idle_ms, pause_ms) in steps {
            clock.advance(Duration::from_millis(idle_ms));
            while let Err(wait) = gate.try_go() {
                assert!(!wait.is_zero(), "waiting for nothing would spin");
                clock.advance(wait);
            }
            // Every call may return a 429.
            let pause = (pause_ms > 0).then(|| Duration::from_millis(pause_ms));
            left.push((now(), pause));
            if let Some(pause) = pause {
                gate.pause(pause);
            }
        }
        left
    }

    proptest! {
        #[test]
        fn no_window_ever_sees_more_calls_than_the_rate(
            rate in prop::sample::select(vec!["1/s", "5/s", "20/s", "3/min", "90/min", "100/h"]),
            steps in prop::collection::vec(
                (prop_oneof![3 => Just(0u64), 1 => 0..200_000u64], prop_oneof![4 => Just(0u64), 1 => 1..90_000u64]),
                1..150,
            ),
        ) {
            let rate: Rate = rate.parse().unwrap();
            let left = departures(rate, &steps);
            let (calls, window) = (rate.calls() as usize, rate.window());
            for first in 0..left.len().saturating_sub(calls) {
                let (from, to) = (left[first].0, left[first + calls].0);
                prop_assert!(to - from >= window, "{} calls within {:?}", calls + 1, to - from);
            }
            // Nor does any call leave during a pause.
            for (at, &(start, pause)) in left.iter().enumerate() {
                if let (Some(pause), Some(next)) = (pause, left.get(at + 1)) {
                    prop_assert!(next.0 >= start + pause);
                }
            }
        }
    }

    #[test]
    fn calls_are_evenly_spaced_from_the_first_on() {
        let left = departures(rate("5/s"), &[(0, 0); 11]);
        assert_eq!(left[0].0, Duration::ZERO);
        let gaps: Vec<_> = left.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        let Spacing { interval, tolerance } = Spacing::of(rate("5/s"));
        let near = |one: Duration, other: Duration| one.abs_diff(other) < Duration::from_micros(1);
        assert!(near(gaps[0], interval - tolerance), "{gaps:?}");
        assert!(gaps[1..].iter().all(|gap| near(*gap, interval)), "{gaps:?}");
        assert!(near(interval, Duration::from_micros(202_800)), "{interval:?}");
    }

    #[test]
    fn a_timer_that_wakes_late_costs_next_to_nothing() {
        for text in ["20/s", "100/s", "3/min"] {
            let rate = rate(text);
            let clock = FakeRelativeClock::default();
            let gate = Gate::new(rate, clock.clone());
            let late = Duration::from_millis(2);
            let calls = rate.calls() * 60;
            for _ in 0..calls {
                while let Err(wait) = gate.try_go() {
                    clock.advance(wait + late);
                }
            }
            let took = Duration::from_nanos(clock.now().as_u64()).as_secs_f64();
            let used = f64::from(calls - 1) * rate.interval().as_secs_f64() / took;
            assert!(used > 0.98, "{text}: {used}");
        }
    }

    #[test]
    fn of_several_pauses_the_last_to_end_holds() {
        let clock = FakeRelativeClock::default();
        let gate = Gate::new(rate("5/s"), clock.clone());
        gate.pause(Duration::from_secs(60));
        gate.pause(Duration::from_secs(5));
        assert_eq!(gate.try_go(), Err(Duration::from_secs(60)));
        clock.advance(Duration::from_secs(60));
        assert_eq!(gate.try_go(), Ok(()));
        gate.pause(Duration::MAX);
        assert!(gate.try_go().is_err(), "an endless pause does not wrap around");
    }

    #[tokio::test]
    async fn calls_that_were_held_up_after_their_turn_are_not_sent_together() {
        let pace = RateLimiter::new(rate("20/s"), 50);
        let start = Instant::now();
        let mut sent = Vec::new();
        for _ in 0..21 {
            pace.send().await;
            sent.push(start.elapsed());
        }
        assert!(
            sent[19] < Duration::from_millis(900),
            "the first 20 wait for nothing: {sent:?}"
        );
        assert!(sent[20] >= Duration::from_millis(1015), "{sent:?}");
    }

    #[tokio::test]
    async fn calls_go_in_the_order_in_which_they_came() {
        let pace = RateLimiter::new(rate("1000/s"), 3);
        let order = std::sync::Mutex::new(Vec::new());
        let (pace, noted) = (&pace, &order);
        let calls = (0..20).map(|call| async move {
            let _turn = pace.acquire().await;
            noted.lock().unwrap().push(call);
        });
        futures_util::future::join_all(calls).await;
        assert_eq!(order.into_inner().unwrap(), (0..20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn no_more_calls_are_under_way_than_allowed() {
        let pace = RateLimiter::new(rate("1000/s"), 2);
        let turns = [pace.acquire().await, pace.acquire().await];
        let mut third = Box::pin(pace.acquire());
        assert!((&mut third).now_or_never().is_none(), "both places are taken");
        drop(turns);
        let _turn = third.await;
    }
}
