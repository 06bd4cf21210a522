// UNSAFETY: says that the handles are the child's alone, as their values cannot.
#![expect(unsafe_code, reason = "handles are taken over by their values")]

//! In the lab the child is another process of the simulated Windows, of an ordinary user.

use named_args::Failure;
use xdp::lab::{Lab, User};
use xdp::{Error, Handle, Interface, Peer};

use crate::{Task, echo};

pub(crate) fn run(
    interface: &Interface,
    task: &Task,
    hand_over: impl FnOnce(&Peer) -> Result<[u64; 2], Error>,
) -> Result<(), Failure> {
    let lab = Lab::of(interface).ok_or_else(|| {
        Failure::Usage("in the lab of another process handles cannot be given to a child: use lab: or lab:OPTIONS".into())
    })?;
    let child = lab.process("xskrestricted", User::Ordinary)?;
    let [socket, program] = hand_over(&child.peer())?;
    let system = child.system();
    // SAFETY: the value was just made for the child, and is used here only.
    let socket = unsafe { Handle::from_value(&system, socket) }?;
    // SAFETY: as above.
    let program = unsafe { Handle::from_value(&system, program) }?;
    echo(
        &system.interface(interface.name())?,
        [socket, program],
        task,
    )
}

pub(crate) fn work(_: &str, _: &Task) -> Result<(), Failure> {
    Err(Failure::Usage("-child is for Windows".into()))
}
