//! `castline check --shard`: inspects a part of a cast into the ledger that many machines share. Pays nothing and needs no key.

use std::sync::Arc;

use futures_util::StreamExt;

use crate::app::cast_names::{CastNames, select};
use crate::app::context::Context;
use crate::app::ledger_guard::{open_view, provider};
use crate::app::settings::{cast_flags, read};
use crate::app::shard::ShardArgument;
use crate::app::signals::signal;
use crate::cli::{CastArgs, Common};
use crate::event::Event;
use crate::exit::{ExitCode, UsageError};
use crate::ledger::{Approval, InspectionWriter, Reader};
use crate::pipeline::Evidence;
use crate::plan::Policy;
use crate::util::text::pluralize;

/// Inspects the images of one shard that the ledger does not know, and writes what was seen.
pub(super) async fn shard(common: &Common, args: CastArgs, shard: ShardArgument) -> anyhow::Result<ExitCode> {
    let context = Context::new(common, "check", Some(&args.cast), cast_flags(&args))?;
    let shard = shard
        .resolve(&|name| std::env::var(name).ok())
        .map_err(UsageError)?;
    let Some(server) = &context.settings.server else {
        let text =
            "--shard writes into a ledger that machines share: set ledger.url to a PostgreSQL database";
        return Err(UsageError(text.to_owned()).into());
    };
    let provider = provider(&context.settings, common.sandbox);
    let mut writer = InspectionWriter::open(server, &provider, common.sandbox)?;
    let view = open_view(&context.settings)?.map(|view| Arc::new(view) as Arc<dyn Reader>);
    let mut cast = read(&args.cast, &context.settings)?;
    let names = CastNames::of(&cast, &args)?;
    select(&mut cast, &args.select)?;
    let whole = cast.characters.len();
    cast.characters.retain(|character| shard.has(character));
    context.open_cast(&cast, &args, "check")?;
    let part = cast.characters.len();
    let inspect = Arc::new(context.inspect_stage(names, Policy::default(), false, view, None)?);
    let fingerprint = inspect.inspector.fingerprint().to_owned();
    let stopped = signal();
    tokio::pin!(stopped);
    let mut all = std::pin::pin!(inspect.all(cast.characters));
    let mut seen = 0;
    let preempted = loop {
        let inspected = tokio::select! {
            biased;
            () = &mut stopped => break true,
            next = all.next() => match next {
                Some(inspected) => inspected?,
                None => break false,
            },
        };
        seen += 1;
        if let Evidence::Fresh { inspection, .. } = &inspected.evidence {
            writer.put(&inspected.sha256, &fingerprint, inspection)?;
        }
        if let Some(inspection) = inspected.evidence.inspection() {
            let (name, source) = (
                inspected.character.name.as_str(),
                inspected.character.source.given(),
            );
            context
                .reporters
                .emit(Event::checked(name, source, inspection, Approval::None));
        }
    };
    writer.flush()?;
    // The verdicts are the run's to act on: an engine must not repeat a shard because of an image.
    let exit = if preempted {
        ExitCode::Preempted
    } else {
        ExitCode::Done
    };
    context.end(Some(exit), None);
    if !common.quiet {
        let new = writer.written();
        eprintln!(
            "shard {shard}: {seen} of {} ({whole} in the cast), {new} new{}",
            pluralize(part, "image"),
            if preempted {
                "; interrupted, run it again for the rest"
            } else {
                ""
            }
        );
    }
    Ok(exit)
}
