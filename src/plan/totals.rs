//! The totals of a plan: the number of characters, the cost, the time.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{ByStanding, Standing};
use crate::enroll::Rate;
use crate::util::duration::format_duration;
use crate::util::money::Usd;

/// The number of characters with one standing, and their cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Group {
    /// The number of characters.
    pub characters: u64,
    /// What a run pays for them.
    pub cost_usd: Usd,
}

impl Group {
    fn add(&mut self, cost: Usd) {
        self.characters += 1;
        self.cost_usd = self.cost_usd + cost;
    }
}

/// The totals of what a run would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Totals {
    /// The characters by standing, and what the run pays for each group.
    pub standing: ByStanding<Group>,
    /// The number of characters to enroll that already have an asset id, and are paid for again because they changed.
    pub re_enrolled: u64,
    /// Price of one enrollment.
    pub price_usd: Usd,
    /// The source of the price, as shown to the user.
    pub price_from: String,
    /// Requests to S3.
    pub uploads: Uploads,
    /// Maximum rate of paid calls: `5/s`.
    pub rate: Rate,
    /// Minimum duration of the paid calls at that rate, in seconds.
    pub seconds: f64,
    /// Cost of the run.
    pub cost_usd: Usd,
    /// The most that the run may pay, if a budget is set.
    pub budget_usd: Option<Usd>,
    /// What calls in doubt of earlier runs may have cost.
    pub in_doubt_usd: Usd,
}

/// The requests to S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Uploads {
    /// PUT requests, one per upload; the same image under two names is one object but two requests.
    pub put: u64,
    /// GET requests by an anonymous client.
    pub get: u64,
    /// Bytes stored.
    pub bytes: u64,
}

impl Totals {
    /// Totals without characters, at this price and rate.
    pub fn new(price_usd: Usd, price_from: String, rate: Rate) -> Self {
        Self {
            standing: ByStanding::default(),
            re_enrolled: 0,
            price_usd,
            price_from,
            uploads: Uploads::default(),
            rate,
            seconds: 0.0,
            cost_usd: Usd::ZERO,
            budget_usd: None,
            in_doubt_usd: Usd::ZERO,
        }
    }

    /// Counts one character. `is_reenrollment` is whether it already has an id, `upload` the size in bytes of what must
    /// be uploaded for it.
    pub fn count(&mut self, standing: Standing, is_reenrollment: bool, upload: Option<usize>) {
        let paid = standing.is_paid_next();
        let cost = if paid { self.price_usd } else { Usd::ZERO };
        self.standing[standing].add(cost);
        self.cost_usd = self.cost_usd + cost;
        self.re_enrolled += u64::from(paid && is_reenrollment);
        if let Some(bytes) = upload {
            self.uploads.put += 1;
            self.uploads.bytes += bytes as u64;
        }
        self.uploads.get += u64::from(paid);
        // The first call is sent at once.
        let calls = self.to_enroll().saturating_sub(1);
        self.seconds = self.rate.interval().as_secs_f64() * calls as f64;
    }

    /// The number of characters that a run pays for.
    pub fn to_enroll(&self) -> u64 {
        let paid = self
            .standing
            .iter()
            .filter(|(standing, _)| standing.is_paid_next());
        paid.map(|(_, group)| group.characters).sum()
    }

    /// The maximum cost of a run: its cost, or the budget if lower.
    pub fn most(&self) -> Usd {
        self.budget_usd
            .map_or(self.cost_usd, |budget| budget.min(self.cost_usd))
    }

    /// The number of characters to enroll that exceed the budget.
    pub fn beyond_budget(&self) -> u64 {
        let Some(budget) = self.budget_usd else {
            return 0;
        };
        let paid = budget.micros().checked_div(self.price_usd.micros());
        self.to_enroll().saturating_sub(paid.unwrap_or(u64::MAX))
    }

    /// What the user is asked to confirm: `3 for $0.03`, or `2 of 3 for at most $0.025` within a budget.
    pub fn asked(&self) -> String {
        let all = self.to_enroll();
        match self.beyond_budget() {
            0 => format!("{all} for {}", self.most()),
            beyond => format!("{} of {all} for at most {}", all - beyond, self.most()),
        }
    }
}

/// Formats the totals as a table of newline-terminated lines, at most 80 columns wide.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16}{:>10}  {:>10}", "", "characters", "cost")?;
        for (standing, group) in self.standing.iter() {
            // "To enroll" is always shown, the others only if not zero.
            if group.characters == 0 && standing != Standing::ToEnroll {
                continue;
            }
            let cost = match standing.is_paid_next() {
                true => group.cost_usd.to_string(),
                false => "–".to_owned(),
            };
            let hint = match (standing, self.re_enrolled) {
                (Standing::ToEnroll, 0) => String::new(),
                (Standing::ToEnroll, count) => format!("{count} again, because they changed"),
                _ => standing.hint(),
            };
            let line = format!("{standing:<16}{:>10}  {cost:>10}  {hint}", group.characters);
            writeln!(f, "{}", line.trim_end())?;
        }
        let all: u64 = self.standing.iter().map(|(_, group)| group.characters).sum();
        writeln!(f, "{:<16}{all:>10}  {:>10}", "in all", self.cost_usd.to_string())?;
        writeln!(f)?;
        writeln!(f, "price     {} each ({})", self.price_usd, self.price_from)?;
        let Uploads { put, get, bytes } = self.uploads;
        writeln!(f, "S3        {put} PUT, {get} GET, {} to store", size(bytes))?;
        let time = Duration::from_secs_f64(self.seconds);
        writeln!(
            f,
            "time      at least {} for the paid calls, at {}",
            format_duration(time),
            self.rate
        )?;
        match self.budget_usd {
            Some(budget) => {
                let beyond = match self.beyond_budget() {
                    0 => String::new(),
                    beyond => format!("; {beyond} of {} exceed it", self.to_enroll()),
                };
                writeln!(f, "at most   {} (budget: {budget}){beyond}", self.most())?;
            }
            None => writeln!(f, "at most   {}", self.most())?,
        }
        if self.in_doubt_usd > Usd::ZERO {
            writeln!(
                f,
                "in doubt  {} of earlier runs, counted as spent",
                self.in_doubt_usd
            )?;
        }
        Ok(())
    }
}

/// `1.9 MB`
fn size(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals() -> Totals {
        Totals::new(
            Usd::from_micros(10_000),
            "default".to_owned(),
            "3/min".parse().unwrap(),
        )
    }

    #[test]
    fn only_enrolling_costs() {
        let mut totals = totals();
        totals.count(Standing::ToEnroll, false, Some(1000));
        totals.count(Standing::Failed, true, None);
        for standing in Standing::ALL
            .into_iter()
            .filter(|standing| !standing.is_paid_next())
        {
            totals.count(standing, false, None);
        }
        assert_eq!(totals.cost_usd, Usd::from_micros(20_000));
        assert_eq!((totals.to_enroll(), totals.re_enrolled), (2, 1));
        assert_eq!(
            totals.uploads,
            Uploads {
                put: 1,
                get: 2,
                bytes: 1000
            }
        );
        assert_eq!(
            totals.seconds, 20.0,
            "two calls at three per minute are 20 s apart"
        );
    }

    #[test]
    fn the_groups_add_up_to_the_cost() {
        let mut totals = totals();
        for n in 0..7 {
            totals.count(Standing::ToEnroll, n % 2 == 0, None);
            totals.count(Standing::Enrolled, true, None);
        }
        let sum: Usd = totals.standing.iter().map(|(_, group)| group.cost_usd).sum();
        assert_eq!(sum, totals.cost_usd);
    }

    #[test]
    fn a_budget_limits_what_it_can_cost() {
        let mut totals = totals();
        for _ in 0..5 {
            totals.count(Standing::ToEnroll, false, None);
        }
        assert_eq!(totals.most(), Usd::from_micros(50_000));
        totals.budget_usd = Some(Usd::from_micros(30_000));
        assert_eq!(totals.most(), Usd::from_micros(30_000));
        assert_eq!(totals.beyond_budget(), 2);
        assert_eq!(totals.asked(), "3 of 5 for at most $0.03");
        assert!(totals.to_string().contains("; 2 of 5 exceed it"), "{totals}");
        totals.price_usd = Usd::ZERO;
        assert_eq!(totals.beyond_budget(), 0);
    }

    #[test]
    fn the_table_fits_into_80_columns() {
        let mut totals = totals();
        totals.budget_usd = Some(Usd::from_micros(123_456_789));
        totals.in_doubt_usd = Usd::from_micros(1);
        for standing in Standing::ALL {
            totals.count(standing, false, Some(123_456));
            totals.count(standing, true, Some(123_456));
        }
        let table = totals.to_string();
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    }
}
