//! Where the pace of an account is kept between the runs of a machine.

use super::ledger_guard::provider;
use super::services::ServiceConfig;
use super::user_folder;
use crate::enroll::{Departures, RateLimiter, Spacing};
use crate::settings::Settings;

/// What the name of the file is derived from the payer's key for.
const PURPOSE: &str = "castline pace 1";

/// The limiter of paid calls; it shares the rate with the other runs of the account on this machine, earlier ones
/// included. Without a folder of the user's where that can be kept, it holds for this run alone.
pub(crate) fn rate_limiter(settings: &Settings, services: &ServiceConfig) -> RateLimiter {
    let limiter = RateLimiter::new(settings.api.rate, settings.api.concurrency);
    if services.sandbox {
        return limiter;
    }
    limiter.sharing(departures(settings, services))
}

fn departures(settings: &Settings, services: &ServiceConfig) -> Option<Departures> {
    let folder = user_folder::state()?.join("pace");
    let purpose = format!("{PURPOSE}\n{}", provider(settings, false));
    let account = hex::encode(services.payer_secret(&purpose)?.get(..16)?);
    match Departures::open(&folder, &account, Spacing::of(settings.api.rate)) {
        Ok(departures) => Some(departures),
        Err(error) => {
            tracing::debug!("{}: the pace is not kept between runs: {error}", folder.display());
            None
        }
    }
}
