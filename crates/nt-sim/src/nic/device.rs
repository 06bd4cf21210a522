//! What the ends of a NIC can be attached to outside the lab.

use super::frame::Frame;

/// Something of the host that frames come from and go to.
pub(crate) trait Device: Send + Sync {
    /// Sends frames; returns how many were taken.
    fn transmit(&self, frames: &[Frame]) -> usize;

    /// Waits a short while for frames and appends what came; `false` when no more will ever come.
    fn receive(&self, into: &mut Vec<Frame>) -> bool;

    /// Whether frames come by themselves (else the end is asked to replay them).
    fn is_live(&self) -> bool;

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// What the host says.
    fn flush(&self) -> std::io::Result<()>;
}
