//! The state folder: where a new host is to keep what it remembers, and where a client finds a host that runs.

use super::{commands::Place, failure::Failure, socket::FILE_NAME};
use std::path::{Path, PathBuf};

/// The folder's usual name.
const USUAL: &str = ".host";

/// The state folder of a host that is about to start; it exists afterwards.
pub(crate) fn of_new_host(place: &Place) -> Result<PathBuf, Failure> {
    let folder = place.state_dir.clone().unwrap_or_else(|| USUAL.into());
    std::fs::create_dir_all(&folder).map_err(|error| {
        Failure::failed(
            "state_dir",
            format!("making the state folder {}: {error}", folder.display()),
        )
    })?;
    Ok(folder)
}

/// The socket of the host that `place` means, as seen from `here`.
pub(crate) fn socket_of_host(place: &Place, here: &Path) -> Result<PathBuf, Failure> {
    if let Some(socket) = &place.admin {
        return Ok(here.join(socket));
    }
    if let Some(folder) = &place.state_dir {
        return Ok(here.join(folder).join(FILE_NAME));
    }
    here.ancestors()
        .map(|folder| folder.join(USUAL))
        .find(|folder| folder.is_dir())
        .map(|folder| folder.join(FILE_NAME))
        .ok_or_else(|| {
            Failure::no_host(format!(
                "there is no host: neither {} nor a parent folder has a folder {USUAL}. {HOW_TO_START}",
                here.display()
            ))
        })
}

/// What to do where there is no host.
pub(crate) const HOW_TO_START: &str =
    "Start one with `host dev` or `host run DIR`, or say where it is with --state-dir";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::failure::Ending;

    #[test]
    fn the_nearest_folder_is_found_from_below() {
        let top = tempfile::tempdir().unwrap();
        let below = top.path().join("plugins/counter/src");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::create_dir(top.path().join(".host")).unwrap();
        let socket = socket_of_host(&Place::default(), &below).unwrap();
        assert_eq!(socket, top.path().join(".host/host.sock"));
    }

    #[test]
    fn what_the_command_line_says_goes_first() {
        let here = Path::new("/srv");
        let mut place = Place {
            state_dir: Some("state".into()),
            admin: None,
        };
        let socket = |place: &Place| socket_of_host(place, here).unwrap();
        assert_eq!(socket(&place), Path::new("/srv/state/host.sock"));
        place.admin = Some("/run/admin.sock".into());
        assert_eq!(socket(&place), Path::new("/run/admin.sock"));
    }

    #[test]
    fn where_there_is_none_the_message_says_how_to_start_one() {
        let failure = socket_of_host(&Place::default(), Path::new("/nowhere")).unwrap_err();
        assert_eq!(failure.ending, Ending::NoHost);
        assert!(failure.message.contains("host run DIR"));
    }
}
