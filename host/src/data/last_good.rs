//! The last good revision: what a dataset holds when its host starts, before its source is heard.

use super::{dataset::Dataset, ledger::Ledger, revision::Revision};
use crate::{announce::Announcer, event::Happening};
use anyhow::Result;

/// The newest revision on disk that can be used, parsed.
pub(super) fn last_good(
    ledger: &Ledger,
    dataset: &Dataset,
    announcer: &Announcer,
) -> Result<Option<Revision>> {
    let name = &dataset.name;
    let remark = |text: String| announcer.announce(Happening::Remark { plugin: None, text });
    for record in ledger.history(name, usize::MAX)? {
        let number = record.number;
        let parsed = match ledger.revision(name, number) {
            Ok(Some(kept)) => record
                .format
                .parse(&kept.content)
                .map(|parsed| (kept.content, parsed))
                .map_err(|mistake| mistake.to_string()),
            Ok(None) => continue,
            Err(error) => Err(format!("{error:#}")),
        };
        match parsed {
            Ok((content, parsed)) => {
                let schema = dataset.schema.as_ref().zip(parsed.as_ref());
                if let Some(Err(mistake)) = schema.map(|(schema, parsed)| schema.check(parsed)) {
                    remark(format!(
                        "revision {number} of data \"{name}\" is served from disk, though it does not fit json_schema: {mistake}"
                    ));
                }
                let dataset = name.clone();
                announcer.announce(Happening::DataRestored {
                    dataset,
                    revision: number,
                });
                return Ok(Some(Revision {
                    record,
                    content,
                    parsed,
                }));
            }
            Err(reason) => remark(format!(
                "revision {number} of data \"{name}\" cannot be brought back from disk: {reason}"
            )),
        }
    }
    Ok(None)
}
