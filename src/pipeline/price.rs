//! The price of a call: as planned, until a reply reports a different one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::MutexGuard;

use crate::util::money::Usd;

/// The price of a call, as far as known: budgets count it before the call is made.
#[derive(Debug)]
pub struct Price {
    planned: Usd,
    learned: Mutex<Learned>,
    /// Whether a call may cost nothing.
    accept_zero: bool,
    /// The user agreed to the planned price, and no more.
    agreed: AtomicBool,
    first: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Learned {
    /// The price reported to the last run.
    before: Option<Usd>,
    /// The highest price reported in this run.
    reply: Option<Usd>,
    /// A reply has arrived in this run, with or without a price.
    replied: bool,
    dearer: bool,
}

/// A call costs more than planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PriceIncrease {
    pub(super) reply: Usd,
    pub(super) planned: Usd,
    /// It is also more than the user agreed to.
    pub(super) than_agreed: bool,
}

impl Price {
    /// `planned` is the price in the settings; `before` that in the replies of the last run.
    pub fn new(planned: Usd, before: Option<Usd>) -> Self {
        Self {
            planned,
            learned: Mutex::new(Learned {
                before,
                reply: None,
                replied: false,
                dearer: false,
            }),
            accept_zero: false,
            agreed: AtomicBool::new(false),
            first: tokio::sync::Mutex::new(()),
        }
    }

    /// Believes replies that say that a call cost nothing, if `accept` is set.
    #[must_use]
    pub fn accept_zero(mut self, accept: bool) -> Self {
        self.accept_zero = accept;
        self
    }

    /// The price in a reply, unless it counts as missing: zero may be the truth, but makes every budget endless.
    pub(super) fn credible(&self, reply: Option<Usd>) -> Option<Usd> {
        reply.filter(|price| self.accept_zero || *price > Usd::ZERO)
    }

    /// Marks the planned price as agreed: from now on, a higher one exceeds the agreement.
    pub fn set_agreed(&self) {
        self.agreed.store(true, Ordering::Relaxed);
    }

    /// The expected price of the next call: never less than planned.
    pub(super) fn expected(&self) -> Usd {
        let learned = self.learned();
        // The last run's price holds only until this run receives one: prices also fall.
        self.planned
            .max(learned.reply.or(learned.before).unwrap_or_default())
    }

    /// The increase if `price` is more than was agreed to.
    pub(super) fn exceeds_agreed(&self, price: Usd) -> Option<PriceIncrease> {
        let than_agreed = self.agreed.load(Ordering::Relaxed);
        (than_agreed && price > self.planned).then_some(PriceIncrease {
            reply: price,
            planned: self.planned,
            than_agreed,
        })
    }

    /// Records the price in the reply to a paid call. Returns an increase over the planned price: every time if a price
    /// was agreed to, otherwise once.
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

    /// Where concurrent calls could together cost more than allowed, because no reply has reported the price yet, the
    /// first call goes alone and the others wait for this guard.
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
    fn the_next_call_costs_the_most_that_this_run_was_reported_and_at_least_what_was_planned() {
        let price = Price::new(cents(2), Some(cents(5)));
        price.record_reply_price(None);
        assert_eq!(price.expected(), cents(5), "the price of the last run");
        price.record_reply_price(Some(cents(3)));
        assert_eq!(price.expected(), cents(3), "it has fallen since");
        price.record_reply_price(Some(cents(4)));
        price.record_reply_price(Some(cents(1)));
        price.record_reply_price(None);
        assert_eq!(price.expected(), cents(4));
        assert_eq!(Price::new(cents(2), Some(cents(1))).expected(), cents(2));
    }

    #[test]
    fn more_than_planned_is_reported_once_and_more_than_agreed_each_time() {
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

    #[test]
    fn a_price_of_zero_counts_as_missing_unless_it_is_accepted() {
        let price = Price::new(cents(2), None);
        assert_eq!(price.credible(Some(Usd::ZERO)), None);
        assert_eq!(price.credible(Some(cents(1))), Some(cents(1)));
        assert_eq!(price.accept_zero(true).credible(Some(Usd::ZERO)), Some(Usd::ZERO));
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
            "the first got no price: the second also goes alone"
        );
        price.record_reply_price(None);
        drop(second);
        assert!(
            price.first_call_guard(true).await.is_none(),
            "no price will be reported"
        );
    }
}
