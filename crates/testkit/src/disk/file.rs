//! An open file of a [`FaultDisk`].

use std::io;
use std::path::PathBuf;

use odograph_env::DiskFile;

use super::state::FileOperation;
use super::{Action, FaultDisk};

pub(super) struct FaultFile {
    pub(super) disk: FaultDisk,
    pub(super) path: PathBuf,
    pub(super) id: usize,
    pub(super) writable: bool,
}

impl FaultFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl DiskFile for FaultFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.lock();
        let content = &state.inode(self.id).live;
        let rest = content.get(offset as usize..).unwrap_or(&[]);
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        self.disk.operate(Action::Write, &self.path, |state| {
            let offset = offset as usize;
            let grows = (offset + bytes.len()).saturating_sub(state.inode(self.id).live.len());
            state.check_space(grows)?;
            if let Err(error) = state.faults.fail_write() {
                let part = bytes[..bytes.len() / 2].to_vec();
                state.inode_mut(self.id).change(FileOperation::Write { offset, bytes: part });
                return Err(error);
            }
            state.inode_mut(self.id).change(FileOperation::Write { offset, bytes: bytes.to_vec() });
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        {
            let mut state = self.disk.lock();
            state.waiting += 1;
            let wait = self.disk.shared.gate.wait_while(state, |state| state.faults.stalled);
            wait.expect("no test panics while holding the disk").waiting -= 1;
        }
        self.disk.operate(Action::Sync, &self.path, |state| {
            if let Err(error) = state.faults.fail_sync() {
                state.inode_mut(self.id).fail_sync();
                return Err(error);
            }
            state.inode_mut(self.id).sync();
            Ok(())
        })
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        self.check_writable()?;
        self.disk.operate(Action::Allocate, &self.path, |state| {
            let end = (offset + length) as usize;
            state.check_space(end.saturating_sub(state.inode(self.id).live.len()))?;
            state.inode_mut(self.id).change(FileOperation::Grow(end));
            Ok(())
        })
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.check_writable()?;
        self.disk.operate(Action::SetLength, &self.path, |state| {
            let length = length as usize;
            state.check_space(length.saturating_sub(state.inode(self.id).live.len()))?;
            state.inode_mut(self.id).change(FileOperation::SetLength(length));
            Ok(())
        })
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.lock().inode(self.id).live.len() as u64)
    }
}
