//! Output in a thread of its own: whoever reads it may be slow, and packets must not wait for that.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

/// Pieces that may be on their way to the thread.
const PIECES: usize = 16;
/// Bytes that make a piece.
const PIECE: usize = 64 << 10;
/// Bytes that wait here at most when the thread does not get on.
const MOST: usize = 8 << 20;

/// Bytes on their way to the thread that writes them. Writing to it never waits.
pub(super) struct Outlet {
    waiting: Vec<u8>,
    sender: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<io::Result<()>>>,
    is_closed: bool,
}

impl Outlet {
    /// Starts the thread.
    pub(super) fn new(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(PIECES);
        let thread = thread::Builder::new()
            .name("xdp output".into())
            .spawn(move || write_all(out, &pieces))?;
        Ok(Self {
            waiting: Vec::new(),
            sender: Some(sender),
            thread: Some(thread),
            is_closed: false,
        })
    }

    /// Whether so much waits already that nothing should be added.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MOST
    }

    /// Whether the thread has ended, because it could not write.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Hands over what waits if the thread can take it.
    pub(super) fn pass_on(&mut self) {
        let Some(sender) = self.sender.as_ref().filter(|_| !self.waiting.is_empty()) else {
            return;
        };
        match sender.try_send(std::mem::take(&mut self.waiting)) {
            Ok(()) => {}
            Err(TrySendError::Full(piece)) => self.waiting = piece,
            Err(TrySendError::Disconnected(_)) => self.is_closed = true,
        }
    }

    /// Waits until everything is written.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if let Some(sender) = self.sender.take() {
            // A thread that has ended says why when it is joined.
            let _ = sender.send(std::mem::take(&mut self.waiting));
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE {
            self.pass_on();
        }
        Ok(bytes.len())
    }

    /// Nothing is to be waited for: [`Outlet::pass_on`] is called when there is time.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(mut out: impl Write, pieces: &Receiver<Vec<u8>>) -> io::Result<()> {
    for piece in pieces {
        out.write_all(&piece)?;
        out.flush()?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn everything_arrives_in_order() {
        let shared = Shared::default();
        let mut outlet = Outlet::new(shared.clone()).unwrap();
        let mut expected = Vec::new();
        for number in 0..100_000_u32 {
            outlet.write_all(&number.to_le_bytes()).unwrap();
            expected.extend(number.to_le_bytes());
        }
        outlet.finish().unwrap();
        assert!(*shared.0.lock().unwrap() == expected);
    }

    /// Does not get on until it is told to.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Nobody tells any more when the test is over.
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whoever_does_not_read_stops_nobody() {
        let (go_on, stuck): (Sender<()>, _) = channel();
        let mut outlet = Outlet::new(Stuck(stuck)).unwrap();
        let mut pieces = 0;
        while !outlet.is_full() {
            outlet.write_all(&[0; PIECE]).unwrap();
            pieces += 1;
        }
        assert!(pieces >= MOST / PIECE);
        drop(go_on);
        outlet.finish().unwrap();
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_noticed() {
        let mut outlet = Outlet::new(Broken).unwrap();
        while !outlet.is_closed() {
            outlet.write_all(b"x").unwrap();
            outlet.pass_on();
        }
        let error = outlet.finish().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
