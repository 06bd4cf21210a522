//! What port sets say, remembered for a moment.

use crate::NONE;
use crate::classifier::Classifier;
use crate::find::low;
use crate::glance::Flow4;
use crate::pattern::PortSet;
use crate::store::Store;

/// Ports that a cache has room for.
const PORTS: usize = 32;
/// Frames for which an answer about a port holds.
const FRESH: usize = 64;

/// What port sets said about a port.
#[derive(Clone, Copy)]
struct Answer {
    /// [`NONE`]: nothing was asked.
    port: u32,
    rule: u32,
}

/// What port sets said a moment ago.
pub(super) struct Answers {
    /// By the lower bits of ports.
    list: [Answer; PORTS],
    /// Frames since nothing was known.
    frames: usize,
}

impl Answers {
    pub(super) const EMPTY: Self = Self {
        list: [Answer {
            port: NONE,
            rule: NONE,
        }; PORTS],
        frames: 0,
    };

    /// Searches for a frame of one buffer.
    #[inline]
    pub(super) fn search<P: PortSet, T, S: Store>(
        &mut self,
        rules: &Classifier<P, T, S>,
        bytes: &[u8],
    ) -> u32 {
        let flow = Flow4::of(bytes).or_else(|| Flow4::ports_of_6(bytes));
        let Some(flow) = flow else {
            return rules.search_slice(bytes);
        };
        if self.frames == FRESH {
            *self = Self::EMPTY;
        }
        self.frames = self.frames.wrapping_add(1);
        let port = low(flow.ports);
        let Some(answer) = self.list.get_mut(usize::from(port) % PORTS) else {
            return NONE;
        };
        if answer.port != u32::from(port) {
            *answer = Answer {
                port: u32::from(port),
                rule: rules.ports(port, NONE),
            };
        }
        answer.rule
    }
}
