//! What a run would do, in sum: how many, for how much, in what time.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::Serialize;

use super::Action;
use crate::enroll::Rate;
use crate::money::Usd;

/// Characters of one kind, and what they cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Group {
    /// How many.
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

/// What a run would do, in sum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Totals {
    /// Enrolled for the first time.
    pub new: Group,
    /// Enrolled again, since their picture has changed.
    pub re_enrolled: Group,
    /// Enrolled before, with the same picture.
    pub kept: Group,
    /// Enrolled before, with a picture that has changed since.
    pub changed: Group,
    /// A person should look.
    pub in_review: Group,
    /// Can't be enrolled as they are.
    pub unsuitable: Group,
    /// Refused by the API before, unchanged since.
    pub refused: Group,
    /// Real actors, who wait for `castline realface`.
    pub real_actors: Group,
    /// A paid call of an earlier run has an unknown outcome.
    pub in_doubt: Group,
    /// What one enrollment costs.
    pub price_usd: Usd,
    /// Where that is said.
    pub price_from: String,
    /// What S3 is asked for.
    pub uploads: Uploads,
    /// Paid calls at most: `5/s`.
    pub rate: Rate,
    /// How long the paid calls take at that rate, at least.
    pub seconds: f64,
    /// What the run costs.
    pub cost_usd: Usd,
    /// The most that it may cost, where a budget is set.
    pub budget_usd: Option<Usd>,
    /// What calls of earlier runs may have cost, as far as in doubt.
    pub in_doubt_usd: Usd,
}

/// What S3 is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Uploads {
    /// Objects written, each by one PUT; the same picture under two names is one object but two requests.
    pub put: u64,
    /// Objects read, as a stranger would.
    pub get: u64,
    /// Bytes stored.
    pub bytes: u64,
}

impl Totals {
    /// Nothing yet, at this price and rate.
    pub fn new(price_usd: Usd, price_from: String, rate: Rate) -> Self {
        Self {
            new: Group::default(),
            re_enrolled: Group::default(),
            kept: Group::default(),
            changed: Group::default(),
            in_review: Group::default(),
            unsuitable: Group::default(),
            refused: Group::default(),
            real_actors: Group::default(),
            in_doubt: Group::default(),
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

    /// Counts one character; `again` when it has an id already, `upload` the size of what must be uploaded.
    pub fn count(&mut self, action: Action, again: bool, upload: Option<usize>) {
        let cost = match action {
            Action::Enroll => self.price_usd,
            _ => Usd::ZERO,
        };
        let group = match action {
            Action::Enroll if again => &mut self.re_enrolled,
            Action::Enroll => &mut self.new,
            Action::Keep => &mut self.kept,
            Action::Hold => &mut self.changed,
            Action::Review => &mut self.in_review,
            Action::Unsuitable => &mut self.unsuitable,
            Action::Refused => &mut self.refused,
            Action::Waiting => &mut self.real_actors,
            Action::InDoubt => &mut self.in_doubt,
        };
        group.add(cost);
        self.cost_usd = self.cost_usd + cost;
        if let Some(bytes) = upload {
            self.uploads.put += 1;
            self.uploads.bytes += bytes as u64;
        }
        if action == Action::Enroll {
            self.uploads.get += 1;
        }
        // The first call leaves at once.
        let calls = self.to_enroll().saturating_sub(1);
        self.seconds = self.rate.interval().as_secs_f64() * calls as f64;
    }

    /// How many a run pays for.
    pub fn to_enroll(&self) -> u64 {
        self.new.characters + self.re_enrolled.characters
    }

    /// The most that a run can cost: what it costs, or what the budget allows.
    pub fn most(&self) -> Usd {
        self.budget_usd
            .map_or(self.cost_usd, |budget| budget.min(self.cost_usd))
    }

    /// How many of those to enroll the budget leaves for later.
    pub fn beyond_budget(&self) -> u64 {
        let Some(budget) = self.budget_usd else {
            return 0;
        };
        let paid = budget.micros().checked_div(self.price_usd.micros());
        self.to_enroll().saturating_sub(paid.unwrap_or(u64::MAX))
    }

    /// What a person is asked to agree to: `3 for $0.03`, or `2 of 3 for at most $0.025` within a budget.
    pub fn asked(&self) -> String {
        let all = self.to_enroll();
        match self.beyond_budget() {
            0 => format!("{all} for {}", self.most()),
            beyond => format!("{} of {all} for at most {}", all - beyond, self.most()),
        }
    }

    fn groups(&self) -> [(&'static str, Group, &'static str); 9] {
        [
            ("new", self.new, ""),
            (
                "enrolled again",
                self.re_enrolled,
                "their pictures or kinds have changed",
            ),
            ("kept", self.kept, "enrolled before, nothing to pay"),
            (
                "changed",
                self.changed,
                "held; pay again with --re-enroll changed",
            ),
            ("to review", self.in_review, "decide with castline review"),
            ("unsuitable", self.unsuitable, "other pictures are needed"),
            ("refused before", self.refused, "send again with castline retry"),
            (
                "real actors",
                self.real_actors,
                "lead them with castline realface",
            ),
            ("in doubt", self.in_doubt, "settle with castline resolve"),
        ]
    }
}

/// A table for people, of lines that end with a line feed; at most 80 columns wide.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16}{:>10}  {:>10}", "", "characters", "cost")?;
        let groups = self.groups();
        // New ones are always shown; of the others, those there are.
        for (n, (name, group, note)) in groups.iter().enumerate() {
            if n > 0 && group.characters == 0 {
                continue;
            }
            let paid = n < 2;
            let cost = if paid {
                group.cost_usd.to_string()
            } else {
                "–".to_owned()
            };
            let mut line = String::new();
            write!(line, "{name:<16}{:>10}  {cost:>10}  {note}", group.characters)?;
            writeln!(f, "{}", line.trim_end())?;
        }
        let all: u64 = groups.iter().map(|(_, group, _)| group.characters).sum();
        writeln!(f, "{:<16}{all:>10}  {:>10}", "in all", self.cost_usd.to_string())?;
        writeln!(f)?;
        writeln!(f, "price     {} each ({})", self.price_usd, self.price_from)?;
        let Uploads { put, get, bytes } = self.uploads;
        writeln!(f, "S3        {put} PUT, {get} GET, {} to store", size(bytes))?;
        let time = Duration::from_secs_f64(self.seconds);
        writeln!(
            f,
            "time      at least {} for the paid calls, at {}",
            length(time),
            self.rate
        )?;
        match self.budget_usd {
            Some(budget) => {
                let beyond = match self.beyond_budget() {
                    0 => String::new(),
                    beyond => format!("; {beyond} of {} are left beyond it", self.to_enroll()),
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

/// `42 s`, `3 min 20 s`, `2 h 5 min`
pub fn length(time: Duration) -> String {
    let s = time.as_secs_f64().ceil() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 if s.is_multiple_of(60) => format!("{} min", s / 60),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
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
        totals.count(Action::Enroll, false, Some(1000));
        totals.count(Action::Enroll, true, None);
        for action in [
            Action::Keep,
            Action::Hold,
            Action::Review,
            Action::Unsuitable,
            Action::Refused,
            Action::Waiting,
            Action::InDoubt,
        ] {
            totals.count(action, false, None);
        }
        assert_eq!(totals.cost_usd, Usd::from_micros(20_000));
        assert_eq!((totals.new.characters, totals.re_enrolled.characters), (1, 1));
        assert_eq!(
            totals.uploads,
            Uploads {
                put: 1,
                get: 2,
                bytes: 1000
            }
        );
        assert_eq!(totals.seconds, 20.0, "two calls at three a minute are 20 s apart");
    }

    #[test]
    fn the_groups_add_up_to_the_cost() {
        let mut totals = totals();
        for n in 0..7 {
            totals.count(Action::Enroll, n % 2 == 0, None);
            totals.count(Action::Keep, true, None);
        }
        let sum: Usd = totals.groups().iter().map(|(_, group, _)| group.cost_usd).sum();
        assert_eq!(sum, totals.cost_usd);
    }

    #[test]
    fn a_budget_limits_what_it_can_cost() {
        let mut totals = totals();
        for _ in 0..5 {
            totals.count(Action::Enroll, false, None);
        }
        assert_eq!(totals.most(), Usd::from_micros(50_000));
        totals.budget_usd = Some(Usd::from_micros(30_000));
        assert_eq!(totals.most(), Usd::from_micros(30_000));
        assert_eq!(totals.beyond_budget(), 2);
        assert_eq!(totals.asked(), "3 of 5 for at most $0.03");
        assert!(
            totals.to_string().contains("; 2 of 5 are left beyond it"),
            "{totals}"
        );
        totals.price_usd = Usd::ZERO;
        assert_eq!(totals.beyond_budget(), 0);
    }

    #[test]
    fn lengths_are_told_as_people_say_them() {
        for (seconds, told) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (200, "3 min 20 s"),
            (7500, "2 h 5 min"),
        ] {
            assert_eq!(length(Duration::from_secs(seconds)), told);
        }
    }

    #[test]
    fn the_table_fits_into_80_columns() {
        let mut totals = totals();
        totals.budget_usd = Some(Usd::from_micros(123_456_789));
        totals.in_doubt_usd = Usd::from_micros(1);
        for action in [
            Action::Enroll,
            Action::Hold,
            Action::Review,
            Action::InDoubt,
            Action::Waiting,
            Action::Refused,
        ] {
            totals.count(action, false, Some(123_456));
            totals.count(action, true, Some(123_456));
        }
        let table = totals.to_string();
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    }
}
