//! [`Walk`]: the batches of a `.log` file with their bytes, as far as they are whole.

use std::io;

use bytes::Bytes;
use host::File;
use protocol::records::{BATCH_OVERHEAD, BatchHeader, Error, ValidBatch};

/// A batch and where it is.
pub(super) struct At {
    pub(super) position: u64,
    pub(super) header: BatchHeader,
    /// The batch, or why it is not what was written.
    pub(super) checked: Result<ValidBatch, Error>,
}

pub(super) struct Walk<'a> {
    file: &'a dyn File,
    pub(super) position: u64,
    end: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(file: &'a dyn File) -> io::Result<Self> {
        Ok(Self { file, position: 0, end: file.len()? })
    }

    /// The next batch; `None` at the end. What has no header, or is cut off, is an error of the format: nobody knows
    /// where the next one begins.
    pub(super) fn next(&mut self) -> io::Result<Option<Result<At, Error>>> {
        let left = self.end - self.position;
        if left == 0 {
            return Ok(None);
        }
        let head = self.read(BATCH_OVERHEAD)?;
        let header = match BatchHeader::parse(&head) {
            Ok(header) => header,
            Err(error) => return Ok(Some(Err(error))),
        };
        let size = header.size();
        let have = usize::try_from(left).unwrap_or(usize::MAX);
        if size > have {
            return Ok(Some(Err(Error::Truncated { need: size, have })));
        }
        let mut bytes = Bytes::from(self.read(size)?);
        let at = At { position: self.position, header, checked: ValidBatch::split_from(&mut bytes) };
        self.position += size as u64;
        Ok(Some(Ok(at)))
    }

    fn read(&self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let read = self.file.read_at(&mut bytes, self.position)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}
