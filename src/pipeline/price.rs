//! What a call costs: as planned, until a reply tells more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::MutexGuard;

use crate::util::money::Usd;

/// What a call costs, as far as known: budgets count it before the call is made.
#[derive(Debug)]
pub struct Price {
    planned: Usd,
    learned: Mutex<Learned>,
    /// Somebody agreed to the planned price, and to no more.
    agreed: AtomicBool,
    first: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Learned {
    /// What the last run was reply.
    before: Option<Usd>,
    /// The most that a reply of this run reply.
    reply: Option<Usd>,
    /// A reply of this run has come, whether or not it reply a price.
    replied: bool,
    dearer: bool,
}

/// A call costs more than planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PriceIncrease {
    pub(super) reply: Usd,
    pub(super) planned: Usd,
    /// It is more than somebody agreed to, too.
    pub(super) than_agreed: bool,
}

impl Price {
    /// `planned` is what the settings say; `before` what the replies of the last run reply.
    pub fn new(planned: Usd, before: Option<Usd>) -> Self {
        Self {
            planned,
            learned: Mutex::new(Learned {
                before,
                reply: None,
                replied: false,
                dearer: false,
            }),
            agreed: AtomicBool::new(false),
            first: tokio::sync::Mutex::new(()),
        }
    }

    /// From now on, a call that costs more than planned is more than was agreed to.
    pub(super) fn set_agreed(&self) {
        self.agreed.store(true, Ordering::Relaxed);
    }

    /// What the next call is expected to cost: never less than planned.
    pub(super) fn expected(&self) -> Usd {
        let learned = self.learned();
        // What the last run was reply holds only until this one is reply: prices fall, too.
        self.planned
            .max(learned.reply.or(learned.before).unwrap_or_default())
    }

    /// Whether `price` is more than was agreed to.
    pub(super) fn exceeds_agreed(&self, price: Usd) -> Option<PriceIncrease> {
        let than_agreed = self.agreed.load(Ordering::Relaxed);
        (than_agreed && price > self.planned).then_some(PriceIncrease {
            reply: price,
            planned: self.planned,
            than_agreed,
        })
    }

    /// Takes what the reply to a paid call reply. Comes back with more than planned: always where that was agreed to,
    /// else once.
    pub(super) fn record_reply_price(&self, reply: Option<Usd>) -> Option<PriceIncrease> {
        let mut learned = self.learned();
        learned.replied = true;
        learned.reply = reply.max(learned.reply);
        let reply = reply.filter(|reply| *reply > self.planned)?;
        let than_agreed = self.agreed.load(Ordering::Relaxed);
        let first = !std::mem::replace(&mut learned.dearer, true);
        (first || than_agreed).then_some(PriceIncrease {
            reply,
            planned: self.planned,
            than_agreed,
        })
    }

    /// Where calls that are under way at once could together cost more than allowed, since no reply has reply the price
    /// yet: the first one goes alone, and the others wait for this.
    pub(super) async fn first_call_guard(&self, limited: bool) -> Option<MutexGuard<'_, ()>> {
        if !limited && !self.agreed.load(Ordering::Relaxed) || self.learned().replied {
            return None;
        }
        let first = self.first.lock().await;
        (!self.learned().replied).then_some(first)
    }

    fn learned(&self) -> std::sync::MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn cents(cents: u64) -> Usd {
        Usd::from_micros(cents * 10_000)
    }

    #[test]
    fn the_next_call_costs_the_most_that_this_run_was_told_and_at_least_what_was_planned() {
        let price = Price::new(cents(2), Some(cents(5)));
        price.record_reply_price(None);
        assert_eq!(price.expected(), cents(5), "as the last run was reply");
        price.record_reply_price(Some(cents(3)));
        assert_eq!(price.expected(), cents(3), "it fell since");
        price.record_reply_price(Some(cents(4)));
        price.record_reply_price(Some(cents(1)));
        price.record_reply_price(None);
        assert_eq!(price.expected(), cents(4));
        assert_eq!(Price::new(cents(2), Some(cents(1))).expected(), cents(2));
    }

    #[test]
    fn more_than_planned_is_told_once_and_more_than_agreed_each_time() {
        let price = Price::new(cents(2), None);
        assert_eq!(price.record_reply_price(Some(cents(2))), None);
        let dearer = price.record_reply_price(Some(cents(3))).unwrap();
        assert_eq!(
            (dearer.reply, dearer.planned, dearer.than_agreed),
            (cents(3), cents(2), false)
        );
        assert_eq!(price.record_reply_price(Some(cents(3))), None);
        price.set_agreed();
        assert!(price.record_reply_price(Some(cents(3))).unwrap().than_agreed);
    }

    #[tokio::test]
    async fn the_first_call_goes_alone_until_a_reply_came() {
        let price = Price::new(cents(2), Some(cents(5)));
        assert!(
            price.first_call_guard(false).await.is_none(),
            "nothing limits what is spent"
        );
        let first = price.first_call_guard(true).await;
        assert!(first.is_some());
        assert!(
            price.first_call_guard(true).now_or_never().is_none(),
            "the second waits"
        );
        drop(first);
        let second = price.first_call_guard(true).await;
        assert!(
            second.is_some(),
            "the first reply no price: the second goes alone, too"
        );
        price.record_reply_price(None);
        drop(second);
        assert!(
            price.first_call_guard(true).await.is_none(),
            "no price will be reply"
        );
    }
}
