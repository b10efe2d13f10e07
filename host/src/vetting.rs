//! Vetting on demand: a file is examined as a load would examine it, and nothing is loaded.

use crate::{
    child,
    data::Data,
    report::Verdict,
    standby::Examiners,
    steps::{
        vet::{self, Examination},
        watch,
    },
};
use anyhow::{Context, Result, anyhow};
use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Examines `file` without a host, in a child process of `examiner` (default: this program itself, whose `main` must begin
/// with [`examiner`](crate::examiner)), for at most `limit`.
#[must_use]
pub fn vet(file: &Path, examiner: Option<&Path>, limit: Duration) -> Verdict {
    let program = examiner.map_or_else(child::own_program, Path::to_owned);
    let staging = match private_folder() {
        Ok(staging) => staging,
        Err(error) => {
            return Verdict::Refused {
                reason: format!("no folder for a private copy: {error:#}"),
            };
        }
    };
    // By the name that the kernel has for it: that is how the mapped copy is found.
    let staging = staging.canonicalize().unwrap_or(staging);
    let verdict = vet_in(&staging, file, &Examiners::new(program), limit, None);
    if let Err(error) = std::fs::remove_dir(&staging) {
        tracing::warn!("{} is left behind: {error}", staging.display());
    }
    verdict
}

/// A new folder among the temporary ones that nobody else may look into, or could have made before.
fn private_folder() -> Result<PathBuf> {
    let number = getrandom::u64()
        .map_err(|error| anyhow!("asking the system for a random number: {error}"))?;
    let folder = std::env::temp_dir().join(format!("host-vet-{number:016x}"));
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// Examines a copy of `file` that is made in `staging`, with what the datasets hold, where there are any.
pub(crate) fn vet_in(
    staging: &Path,
    file: &Path,
    examiners: &Examiners,
    limit: Duration,
    data: Option<&Data>,
) -> Verdict {
    let refused = |reason: String| Verdict::Refused { reason };
    let staged = match watch::stage(file, staging) {
        Ok(staged) => staged,
        Err(not) => return refused(format!("{:#}", not.into_error())),
    };
    let held = match data.map(|data| data.held_for(&staged.manifest.reads, None)) {
        Some(Err(error)) => return refused(format!("{error:#}")),
        Some(Ok(held)) => Some(held),
        None => None,
    };
    let examination = Examination {
        examiners,
        limit,
        host_build: "",
        store: None,
        data: held.as_deref(),
    };
    vet::verdict(&staged, &examination)
        .unwrap_or_else(|error| refused(format!("it could not be examined: {error:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_private_folder_is_new_and_private() {
        let [first, second] = [(); 2].map(|()| private_folder().expect("made"));
        assert_ne!(first, second);
        for folder in [first, second] {
            let mode = folder.metadata().expect("it is there").mode();
            assert_eq!(mode & 0o777, 0o700);
            std::fs::remove_dir(folder).expect("it is empty");
        }
    }
}
