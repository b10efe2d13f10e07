//! A database: a redb file that outlives what its disk does to it.
//!
//! Once its file could not be read or written, be it that the disk was full for a moment, redb answers nothing any more.
//! A host goes on for months: so the file is opened anew before the next access, as a restart would.
//!
//! # Invariants
//! 1. What [`Database::write`] has answered `Ok` to is in the file of this path: one that was removed under the host is
//!    not written to, since nobody would find it again. What [`Database::jot`] has is there with the next such.
//! 2. What it has answered `Err` to may be in the file all the same, since a disk can fail at the last moment. Whoever
//!    writes must be able to write it once more.

use anyhow::{Context as _, Result, ensure};
use parking_lot::RwLock;
use redb::{
    DatabaseError, Durability, ReadTransaction, ReadableDatabase as _, WriteTransaction,
    backends::FileBackend,
};
use std::{
    fs::{File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

/// Makes a database of an opened file.
type Opener = Box<dyn Fn(File) -> Result<redb::Database, DatabaseError> + Send + Sync>;

/// A redb database in a file.
pub(crate) struct Database {
    path: PathBuf,
    /// The file that was found under that path at the start.
    file: File,
    opener: Opener,
    /// Whether an access has failed since it was opened.
    failed: AtomicBool,
    /// Nothing while it cannot be opened anew, which waits for those that write.
    open: RwLock<Option<redb::Database>>,
}

impl Database {
    /// Opens the database in this file, which is made if it is missing, with that share of memory.
    pub(crate) fn open(path: &Path, cache: usize) -> Result<Database> {
        let opener = move |file| {
            redb::Builder::new()
                .set_cache_size(cache)
                .create_with_backend(FileBackend::new(file)?)
        };
        Database::open_by(path, Box::new(opener))
    }

    fn open_by(path: &Path, opener: Opener) -> Result<Database> {
        let opening = || {
            format!(
                "opening {}; if it is damaged, move it away to begin a new one",
                path.display()
            )
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .with_context(opening)?;
        let database = Database {
            path: path.to_owned(),
            file,
            opener,
            failed: AtomicBool::new(true),
            open: RwLock::new(None),
        };
        database.mend().with_context(opening)?;
        Ok(database)
    }

    /// Begins to read what is there now; `doing` says what for, if that fails.
    pub(crate) fn read(&self, doing: &'static str) -> Result<ReadTransaction> {
        let read = || {
            self.mend()?;
            let open = self.open.read();
            let database = open.as_ref().context("it is not open")?;
            self.noting(database.begin_read().map_err(Into::into))
        };
        read().context(doing)
    }

    /// Runs `work` in one transaction: all of it is on disk afterwards, or nobody sees any of it.
    pub(crate) fn write<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        self.commit(Durability::Immediate, doing, work)
    }

    /// The same, but that what is written is on disk only after the next [`write`](Database::write): for what can be found
    /// out anew, and is not worth waiting for.
    pub(crate) fn jot<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        self.commit(Durability::None, doing, work)
    }

    fn commit<T>(
        &self,
        durability: Durability,
        doing: &'static str,
        work: impl FnOnce(&WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        let write = || {
            self.mend()?;
            self.ensure_there()?;
            let open = self.open.read();
            let database = open.as_ref().context("it is not open")?;
            let written = || {
                let mut write = database.begin_write()?;
                write.set_durability(durability)?;
                let result = work(&write)?;
                write.commit()?;
                Ok(result)
            };
            self.noting(written())
        };
        write().context(doing)
    }

    fn noting<T>(&self, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        outcome
    }

    /// Opens the file anew if an access has failed.
    fn mend(&self) -> Result<()> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut open = self.open.write();
        // Somebody else may have been quicker.
        if self.failed.load(Ordering::Acquire) {
            // First of all, since it has a lock on the file.
            *open = None;
            self.ensure_there()?;
            let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
            *open = Some((self.opener)(file)?);
            self.failed.store(false, Ordering::Release);
        }
        Ok(())
    }

    fn ensure_there(&self) -> Result<()> {
        let file = self.file.metadata()?;
        let is_there = match self.path.metadata() {
            Ok(found) => (found.dev(), found.ino()) == (file.dev(), file.ino()),
            // One that cannot be looked for can be written all the same.
            Err(error) => error.kind() != ErrorKind::NotFound,
        };
        ensure!(
            is_there,
            "{} was removed, or replaced, while this host has it open; put it back, or restart the host",
            self.path.display()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::{StorageBackend, TableDefinition};
    use std::{io, sync::Arc};

    const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");

    /// A file on a disk that may be full.
    #[derive(Debug)]
    struct OnFullDisk(FileBackend, Arc<AtomicBool>);

    impl OnFullDisk {
        fn room(&self) -> io::Result<()> {
            match self.1.load(Ordering::Acquire) {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
        }
    }

    impl StorageBackend for OnFullDisk {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }

        fn set_len(&self, length: u64) -> io::Result<()> {
            self.room()?;
            self.0.set_len(length)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.0.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.room()?;
            self.0.write(offset, data)
        }
    }

    fn put(database: &Database, number: u64) -> Result<()> {
        database.write("putting a number", |write| {
            write.open_table(NUMBERS)?.insert("it", number)?;
            Ok(())
        })
    }

    fn get(database: &Database) -> Result<Option<u64>> {
        let read = database.read("getting a number")?;
        let number = read.open_table(NUMBERS)?.get("it")?;
        Ok(number.map(|number| number.value()))
    }

    #[test]
    fn after_a_full_disk_it_goes_on_as_soon_as_there_is_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let is_full = Arc::new(AtomicBool::new(false));
        let disk = Arc::clone(&is_full);
        let opener = move |file| {
            let backend = OnFullDisk(FileBackend::new(file)?, Arc::clone(&disk));
            redb::Builder::new().create_with_backend(backend)
        };
        let database = Database::open_by(&folder.path().join("it.redb"), Box::new(opener));
        let database = database.expect("it opens");
        put(&database, 1).expect("there is room");
        is_full.store(true, Ordering::Release);
        for number in [2, 3] {
            let error = put(&database, number).expect_err("there is none");
            assert!(!format!("{error:#}").contains("re-open"), "{error:#}");
        }
        is_full.store(false, Ordering::Release);
        assert_eq!(get(&database).expect("it is read"), Some(1));
        put(&database, 4).expect("there is room");
        assert_eq!(get(&database).expect("it is read"), Some(4));
    }

    #[test]
    fn what_is_written_to_a_file_that_nobody_finds_is_refused_until_it_is_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, away] = ["it.redb", "away"].map(|name| folder.path().join(name));
        let database = Database::open(&path, 1 << 20).expect("it opens");
        put(&database, 1).expect("it is there");
        std::fs::rename(&path, &away).expect("another name");
        let error = put(&database, 2).expect_err("it is gone");
        assert!(
            format!("{error:#}").contains("restart the host"),
            "{error:#}"
        );
        std::fs::write(&path, "another file").expect("it is written");
        put(&database, 3).expect_err("it is another one");
        std::fs::rename(&away, &path).expect("its name");
        put(&database, 4).expect("it is back");
        assert_eq!(get(&database).expect("it is read"), Some(4));
    }
}
