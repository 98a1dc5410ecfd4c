//! Records and reports what happens to a character.

use super::Shutdown;
use super::inspected::{Evidence, Inspected};
use crate::cast::Name;
use crate::event::{Event, Reporters, Stage};
use crate::exit::ExitCode;
use crate::inspect::Verdict;
use crate::ledger::{Approval, Ledger, LedgerError, Transition};
use crate::plan::Standing;
use crate::util::money::Usd;

/// Writes the inspection of an image to the ledger, unless it is already there. `fingerprint` is the inspector's.
pub(super) async fn record(
    ledger: &Ledger,
    fingerprint: &str,
    inspected: &Inspected,
) -> Result<(), LedgerError> {
    let Inspected {
        character,
        sha256,
        standing,
        stamp,
        evidence,
        known,
        ..
    } = inspected;
    if sha256.is_empty() {
        return Ok(());
    }
    let goes_on = standing.is_paid_next();
    let is_fresh = matches!(evidence, Evidence::Fresh { .. });
    let mut transitions = Vec::new();
    let newly_stamped = stamp.as_ref().filter(|_| *standing == Standing::Enrolled);
    if (!known || newly_stamped.is_some()) && *standing != Standing::InDoubt {
        transitions.push(Transition::see(character, sha256));
        transitions.extend(stamp.clone().map(Transition::Stamp));
    }
    if let Some(inspection) = evidence.inspection() {
        if goes_on || !known || is_fresh {
            transitions.push(Transition::judge(inspection, goes_on));
        }
        // Whether it is a duplicate depends on the cast, and is decided again each time.
        if is_fresh && !inspection.is_duplicate() {
            ledger.put_inspection(sha256, fingerprint, inspection).await?;
        }
    }
    if !transitions.is_empty() {
        ledger.write(&character.name, transitions).await?;
    }
    Ok(())
}

/// Reports the inspection of an image and the standing of its character. `price` is that of one enrollment.
pub fn emit_inspected(reporters: &Reporters, inspected: &Inspected, price: Usd) {
    let name = inspected.character.name.as_str();
    let source = inspected.character.source.given();
    if let Some(inspection) = inspected.evidence.inspection() {
        let approval = match inspected.standing {
            Standing::Rejected => Approval::Rejected,
            _ if inspected.approved && inspection.verdict == Verdict::Review => Approval::Approved,
            _ => Approval::None,
        };
        let mut event = Event::checked(name, source, inspection, approval);
        if let (Event::Checked { messages, .. }, Some(note)) = (&mut event, inspected.note_on_approval()) {
            messages.push(note);
        }
        reporters.emit(event);
    }
    reporters.emit(Event::Planned {
        name: name.to_owned(),
        standing: inspected.standing,
        cost_usd: match inspected.standing.is_paid_next() {
            true => price,
            false => Usd::ZERO,
        },
    });
}

/// Stops the run, and with it all spending, because the ledger can't be written.
pub(super) fn ledger_broke(shutdown: &Shutdown, error: &LedgerError) {
    shutdown.request(
        ExitCode::Internal,
        "ledger_not_writable",
        format!("{error}; nothing more is paid"),
    );
}

/// Reports a failure that cost nothing.
pub(super) fn failed(reporters: &Reporters, name: &Name, stage: Stage, code: &str, message: String) {
    reporters.emit(Event::Failed {
        name: name.as_str().to_owned(),
        stage,
        standing: Standing::Failed,
        code: code.to_owned(),
        message,
    });
}
