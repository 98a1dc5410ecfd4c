//! Where the pace of an account is kept between its runs.

use std::sync::Arc;

use super::ledger_guard::provider;
use super::services::ServiceConfig;
use super::user_folder;
use crate::enroll::{Departures, RateLimiter, SharedPace};
use crate::ledger::AccountPace;
use crate::settings::Settings;

/// What the name of the account is derived from the payer's key for.
const PURPOSE: &str = "castline pace 1";

/// The limiter of paid calls; it shares the rate with the other runs of the account: with those whose ledgers are in the
/// same database, or else with those on this machine. Where that can't be kept, it holds for this run alone.
pub(crate) fn rate_limiter(settings: &Settings, services: &ServiceConfig) -> RateLimiter {
    let limiter = RateLimiter::new(settings.api.rate, settings.api.concurrency);
    if services.sandbox {
        return limiter;
    }
    limiter.sharing(shared(settings, services))
}

fn shared(settings: &Settings, services: &ServiceConfig) -> Option<Arc<dyn SharedPace>> {
    let purpose = format!("{PURPOSE}\n{}", provider(settings, false));
    let account = hex::encode(services.payer_secret(&purpose)?.get(..16)?);
    let rate = settings.api.rate;
    if let Some(server) = &settings.server {
        return match AccountPace::open(server, &account, rate) {
            Ok(pace) => Some(Arc::new(pace)),
            Err(error) => {
                tracing::warn!("the pace is not shared with other runs: {error}");
                None
            }
        };
    }
    let folder = user_folder::state()?.join("pace");
    match Departures::open(&folder, &account, rate) {
        Ok(departures) => Some(Arc::new(departures)),
        Err(error) => {
            tracing::debug!("{}: the pace is not kept between runs: {error}", folder.display());
            None
        }
    }
}
