//! A cable in an end of a network card.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use parking_lot::Mutex;

use super::{Feed, Sink, Source};
use crate::nic::{Device, Frame};

/// How long a look for frames may last, so that a card that goes away does not wait long.
const LOOK: Duration = Duration::from_millis(10);

/// The two halves of a cable, each worked by one thread at a time.
pub(crate) struct Plug {
    source: Option<Mutex<Box<dyn Source>>>,
    sink: Option<Mutex<Box<dyn Sink>>>,
    /// The cable is broken: nothing comes and nothing goes any more.
    broken: AtomicBool,
}

impl Plug {
    /// The plug of a cable; `None` if there is no cable.
    pub(crate) fn device(
        source: Option<Box<dyn Source>>,
        sink: Option<Box<dyn Sink>>,
    ) -> Option<Arc<dyn Device>> {
        if source.is_none() && sink.is_none() {
            return None;
        }
        Some(Arc::new(Plug {
            source: source.map(Mutex::new),
            sink: sink.map(Mutex::new),
            broken: AtomicBool::new(false),
        }))
    }

    fn break_off(&self, error: &super::CableError) {
        if !self.broken.swap(true, Ordering::Relaxed) {
            eprintln!("nt-sim: a cable is broken: {error}");
        }
    }
}

impl Device for Plug {
    fn transmit(&self, frames: &[Frame]) -> usize {
        // Without a sink frames have nowhere to go, which is no loss that the NIC could see.
        let Some(sink) = &self.sink else {
            return frames.len();
        };
        let mut sink = sink.lock();
        let mut sent = 0;
        for frame in frames {
            if self.broken.load(Ordering::Relaxed) {
                break;
            }
            match sink.send(&frame.data) {
                Ok(true) => sent += 1,
                Ok(false) => {}
                Err(error) => self.break_off(&error),
            }
        }
        sent
    }

    fn receive(&self, into: &mut Vec<Frame>) -> bool {
        let Some(source) = &self.source else {
            return false;
        };
        let mut frames = Vec::new();
        let feed = source.lock().receive(&mut frames, LOOK);
        into.extend(frames.into_iter().map(Frame::new));
        match feed {
            Ok(Feed::Open) => true,
            Ok(Feed::End) => false,
            Err(error) => {
                self.break_off(&error);
                false
            }
        }
    }

    fn is_live(&self) -> bool {
        self.source.is_some()
    }

    fn flush(&self) -> std::io::Result<()> {
        match &self.sink {
            Some(sink) => sink.lock().flush().map_err(std::io::Error::other),
            None => Ok(()),
        }
    }
}
