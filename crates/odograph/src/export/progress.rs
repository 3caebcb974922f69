//! How far an export is, told between the pieces of what it gives.
//!
//! A server's answer is bytes and nothing else, unless whoever asks wants progress too. Then each piece has a heading:
//! one byte that says what follows, and its length as a 32-bit number, little-endian.

use super::Sink;
use std::io;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// Records or pieces so far.
    pub(crate) given: u64,
    /// Days or devices that are done.
    pub(crate) done: u64,
    /// Of so many; 0 where that is not known.
    pub(crate) of: u64,
}

/// Puts headings before pieces.
pub(crate) struct Framed;

impl Framed {
    /// A piece of what is exported, and behind it how far that is.
    pub(crate) fn piece(data: &[u8], progress: Progress) -> Vec<u8> {
        let mut framed = Vec::with_capacity(data.len() + 2 * HEADING_BYTES + PROGRESS_BYTES);
        if !data.is_empty() {
            heading(&mut framed, DATA, data.len());
            framed.extend_from_slice(data);
        }
        heading(&mut framed, PROGRESS, PROGRESS_BYTES);
        for number in [progress.given, progress.done, progress.of] {
            framed.extend_from_slice(&number.to_le_bytes());
        }
        framed
    }
}

fn heading(framed: &mut Vec<u8>, what: u8, length: usize) {
    framed.push(what);
    framed.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

/// Takes pieces apart again, however they are cut on their way.
#[derive(Default)]
pub(crate) struct Unframed {
    pending: Vec<u8>,
}

impl Unframed {
    pub(crate) fn take(&mut self, bytes: &[u8], out: &mut dyn Sink) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        let mut rest = &self.pending[..];
        while let Some((heading, behind)) = rest.split_first_chunk::<HEADING_BYTES>() {
            let [what, length @ ..] = *heading;
            let Some((piece, behind)) = behind.split_at_checked(u32::from_le_bytes(length) as usize) else { break };
            match what {
                DATA => out.write(piece)?,
                _ => out.reached(Progress::read(piece)?)?,
            }
            rest = behind;
        }
        let taken = self.pending.len() - rest.len();
        self.pending.drain(..taken);
        Ok(())
    }
}

impl Progress {
    fn read(bytes: &[u8]) -> io::Result<Self> {
        let (numbers, _) = bytes.as_chunks::<8>();
        match *numbers {
            [given, done, of] => {
                let [given, done, of] = [given, done, of].map(u64::from_le_bytes);
                Ok(Self { given, done, of })
            }
            _ => Err(io::Error::other("the server's answer makes no sense: is it of another version?")),
        }
    }
}

const DATA: u8 = 0;
const PROGRESS: u8 = 1;
const HEADING_BYTES: usize = 5;
const PROGRESS_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Heard {
        bytes: Vec<u8>,
        progress: Vec<Progress>,
    }

    impl Sink for Heard {
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.bytes.extend_from_slice(bytes);
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn is_gone(&self) -> bool {
            false
        }

        fn reached(&mut self, progress: Progress) -> io::Result<()> {
            self.progress.push(progress);
            Ok(())
        }
    }

    #[test]
    fn pieces_arrive_however_they_are_cut() {
        let (one, two) = (Progress { given: 1, done: 0, of: 2 }, Progress { given: 300, done: 2, of: 2 });
        let mut sent = Framed::piece(b"first", one);
        sent.extend(Framed::piece(b"", two));
        sent.extend(Framed::piece(b"last", two));
        for size in 1..=sent.len() {
            let (mut unframed, mut heard) = (Unframed::default(), Heard::default());
            for bytes in sent.chunks(size) {
                unframed.take(bytes, &mut heard).unwrap();
            }
            assert_eq!((heard.bytes, heard.progress), (b"firstlast".to_vec(), vec![one, two, two]), "{size}");
        }
    }
}
