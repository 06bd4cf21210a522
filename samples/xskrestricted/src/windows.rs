// UNSAFETY: says that the handles are the child's alone, as their values cannot.
#![expect(unsafe_code, reason = "handles are taken over by their values")]

//! The child is this program again, without the rights of administrators; a pipe tells it the values of its handles.

use named_args::restricted::{Child, Pipe};
use named_args::{Failure, cannot};
use xdp::{Error, Handle, Interface, Peer};

use crate::{Task, echo};

pub(crate) fn run(
    interface: &Interface,
    task: &Task,
    hand_over: impl FnOnce(&Peer) -> Result<[u64; 2], Error>,
) -> Result<(), Failure> {
    let name = format!(r"\\.\pipe\xskrestricted-{}", std::process::id());
    let pipe = Pipe::create(&name)?;
    let index = interface.index();
    let seconds = task.timeout.map_or(0, |time| time.as_secs());
    let child = Child::suspended(&format!("{index} -TimeoutSeconds {seconds} -child {name}"))?;
    let peer = Peer::of(&child).map_err(cannot("use the child"))?;
    let [socket, program] = hand_over(&peer)?;
    child.resume();
    pipe.tell(&format!("{socket} {program}"))?;
    match child.wait() {
        0 => Ok(()),
        code => Err(Failure::Other(format!("the child ended with {code}"))),
    }
}

pub(crate) fn work(pipe: &str, task: &Task) -> Result<(), Failure> {
    let text = std::fs::read_to_string(pipe).map_err(cannot("read the pipe"))?;
    let values = text.split(' ').filter_map(|word| word.parse().ok());
    let [socket, program] = values.collect::<Vec<u64>>()[..] else {
        return Err(Failure::Usage("-child is given by the parent".into()));
    };
    let interface = Interface::find(&task.interface)?;
    // SAFETY: the parent made the handle for this process, and nobody else here has it.
    let socket = unsafe { Handle::from_value(interface.system(), socket) }?;
    // SAFETY: as above.
    let program = unsafe { Handle::from_value(interface.system(), program) }?;
    echo(&interface, [socket, program], task)
}
