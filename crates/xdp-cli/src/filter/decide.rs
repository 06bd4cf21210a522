//! Rules of a file as the driver would apply them.

use crate::error::Failure;
use xdp::rulefile::{PortBitmap, RuleFile};
use xdp_abi::{Handle, Port};
use xdp_packet::Frame;
use xdp_rules::validate::{Caller, rules};
use xdp_rules::{Classifier, Heap, OutOfMemory, Pattern, PortSet};

/// A port set of the file.
#[derive(Clone, Copy)]
pub(crate) struct FilePorts<'a>(&'a PortBitmap);

impl PortSet for FilePorts<'_> {
    fn contains(&self, port: Port) -> bool {
        self.0.contains(port.number())
    }

    fn identity(&self) -> u64 {
        self.0.address().0
    }
}

/// Returns what the rules of a file look at, validated as the driver does it.
pub(super) fn patterns(file: &RuleFile) -> Result<Vec<Pattern<FilePorts<'_>>>, Failure> {
    // Nothing is redirected here, so that any handle will do.
    let bound = file
        .bind(|_| Some(Handle(1)))
        .map_err(|error| Failure::new(error.to_string()))?;
    rules(&bound, Caller::User)
        .enumerate()
        .map(|(index, rule)| {
            let refused = |cause: &dyn ToString| {
                Failure::new(format!("rule {} is invalid", index + 1)).because(cause.to_string())
            };
            let pattern = rule.map_err(|error| refused(&error))?.pattern;
            pattern.try_map_port_set(|address| {
                file.port_set(address)
                    .map(FilePorts)
                    .ok_or_else(|| refused(&"its port set is missing"))
            })
        })
        .collect()
}

/// Returns how much memory the compiled rules of a file take.
pub(super) fn memory_bytes(file: &RuleFile) -> Result<usize, Failure> {
    Ok(Decider::new(file)?.classifier.memory_bytes())
}

/// The compiled rules of a file.
pub(crate) struct Decider<'a> {
    classifier: Classifier<FilePorts<'a>, usize, Heap>,
}

impl<'a> Decider<'a> {
    pub(crate) fn new(file: &'a RuleFile) -> Result<Self, Failure> {
        let full = |_: OutOfMemory| Failure::new("the rules do not fit into memory");
        // The rules are the user's own: there is nobody to keep the seed from.
        let mut classifier = Classifier::new(Heap, 0, usize::MAX);
        for (index, pattern) in patterns(file)?.into_iter().enumerate() {
            classifier.push(pattern, index).map_err(full)?;
        }
        Ok(Self { classifier })
    }

    /// Returns the index of the rule that decides about a frame; none means that the frame passes.
    pub(crate) fn decide(&self, frame: &[u8]) -> Option<usize> {
        self.classifier
            .classify(&Frame::new(frame))
            .map(|hit| *hit.value)
    }
}
