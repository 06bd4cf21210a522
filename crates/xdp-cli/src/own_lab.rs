//! Labs that a command boots for itself: when they have nothing more to give, and how they end.

use crate::error::Failure;

/// Whether the interface is of a lab whose captures went through it to their ends.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) fn is_replayed(interface: &xdp::Interface) -> Result<bool, Failure> {
    use xdp::lab::EndSpec;
    let Some(lab) = xdp::lab::Lab::of(interface) else {
        return Ok(false);
    };
    let reads = |end: &EndSpec| matches!(end, EndSpec::Captures { read: Some(_), .. });
    let ends = &lab.address().ends;
    let has_captures = ends.iter().any(|(wire, stack)| reads(wire) || reads(stack));
    if !has_captures || lab.replays() {
        return Ok(false);
    }
    // The last frames are still on their way.
    lab.settle()?;
    Ok(true)
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(crate) fn is_replayed(_: &xdp::Interface) -> Result<bool, Failure> {
    Ok(false)
}

/// Ends a lab of one's own, and looks what the driver left behind.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) fn finish(interface: xdp::Interface) -> Result<(), Failure> {
    let Some(lab) = xdp::lab::Lab::of(&interface) else {
        return Ok(());
    };
    drop(interface);
    end(lab).map(drop)
}

/// Ends a lab that nothing is used of any more, and looks what the driver left behind.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) fn end(lab: xdp::lab::Lab) -> Result<xdp::lab::Report, Failure> {
    let left = lab.finish()?;
    if left.is_clean() {
        return Ok(left);
    }
    Err(Failure::new("the driver left things behind").because(left))
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(crate) fn finish(_: xdp::Interface) -> Result<(), Failure> {
    Ok(())
}
