//! The kept verdicts: what vetting found of an artifact, so that the same bytes are not examined twice.
//!
//! Only what depends on the bytes and on the host's build is kept: sound and refused.

use super::{
    Store,
    journal::next,
    rows::{self, VERDICT_ORDER, VERDICTS},
};
use crate::{artifact::Digest, report::Verdict};
use anyhow::ensure;
use redb::ReadableTableMetadata;

impl Store {
    /// What this build of the host found of the artifact with this digest, if it is known.
    pub(crate) fn verdict(
        &self,
        digest: Digest,
        host_build: &str,
    ) -> anyhow::Result<Option<Verdict>> {
        let read = self.database.read("reading the journal")?;
        let verdicts = read.open_table(VERDICTS)?;
        let row = verdicts.get((digest.to_string().as_str(), host_build))?;
        // One that cannot be read is as good as none: the artifact is examined again.
        Ok(row.and_then(|row| rows::read(row.value().1, "a verdict").ok()))
    }

    /// Keeps what this build of the host found of the artifact with this digest; for good with whatever is written next.
    pub(crate) fn keep_verdict(
        &self,
        digest: Digest,
        host_build: &str,
        verdict: &Verdict,
    ) -> anyhow::Result<()> {
        ensure!(
            matches!(verdict, Verdict::Sound { .. } | Verdict::Refused { .. }),
            "a verdict \"{}\" may be different next time, and is not kept",
            verdict.word()
        );
        let digest = digest.to_string();
        let key = (digest.as_str(), host_build);
        let row = rows::write(verdict, "a verdict")?;
        self.database.jot("keeping a verdict", |write| {
            let place = next(write, rows::VERDICT_PLACES)?;
            let mut order = write.open_table(VERDICT_ORDER)?;
            let mut verdicts = write.open_table(VERDICTS)?;
            let former = verdicts
                .insert(key, (place, row.as_slice()))?
                .map(|row| row.value().0);
            if let Some(former) = former {
                order.remove(former)?;
            }
            order.insert(place, key)?;
            while verdicts.len()? > self.limits.verdicts {
                let Some((_, oldest)) = order.pop_first()? else {
                    break;
                };
                verdicts.remove(oldest.value())?;
            }
            Ok(())
        })
    }
}
