//! A disk whose room is limited, and whose content outlives the database that was on it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use redb::{Builder, Database, DatabaseError, StorageBackend};

/// A disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct SmallDisk {
    bytes: Arc<RwLock<Vec<u8>>>,
    room: Arc<AtomicU64>,
    /// Held by whoever wants that nothing becomes durable meanwhile.
    stuck: Arc<Mutex<()>>,
}

impl SmallDisk {
    /// An empty disk with room for so many bytes.
    pub(crate) fn new(room: u64) -> Self {
        Self { bytes: Arc::default(), room: Arc::new(AtomicU64::new(room)), stuck: Arc::default() }
    }

    /// Makes the disk larger or smaller. What is on it stays.
    pub(crate) fn set_room(&self, room: u64) {
        self.room.store(room, Ordering::SeqCst);
    }

    /// Nothing becomes durable until the guard is dropped.
    pub(crate) fn stick(&self) -> MutexGuard<'_, ()> {
        self.stuck.lock().unwrap()
    }

    /// How much is on it.
    pub(crate) fn used(&self) -> u64 {
        self.bytes.read().unwrap().len() as u64
    }

    /// Opens the database that is on the disk, or makes one.
    pub(crate) fn open(&self) -> Result<Database, DatabaseError> {
        Builder::new().create_with_backend(self.clone())
    }
}

impl StorageBackend for SmallDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.used())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes.read().unwrap();
        let start = offset as usize;
        let from = bytes.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(from);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        // A file may be longer than its disk: blocks are given out when they are written.
        self.bytes.write().unwrap().resize(length as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        drop(self.stick());
        Ok(())
    }

    fn write(&self, offset: u64, from: &[u8]) -> io::Result<()> {
        let end = offset + from.len() as u64;
        if end > self.room.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.write().unwrap()[offset as usize..end as usize].copy_from_slice(from);
        Ok(())
    }
}
