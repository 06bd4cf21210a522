//! A program with rights binds a socket and redirects frames to it; a program without any gets both and does the work.

#![deny(unsafe_code)]

#[cfg_attr(windows, path = "windows.rs")]
#[cfg_attr(not(windows), path = "lab.rs")]
mod restricted;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use named_args::{Failure, TICK, catch_interrupts, close, interrupted};
use xdp::{Batch, Handle, Interest, Interface, Kind, Match, Program, Socket, Umem};

const USAGE: &str = "\
Usage: xskrestricted <IfIndex> [-TimeoutSeconds <N>]

Sends every frame for UDP port 1234 that arrives on queue 0 back to its sender, from a child process that may not open the driver.
The interface is given by its index, its name, or as lab:...

  -TimeoutSeconds  end after this time; 0 (default): run until Ctrl-C";

const PORT: u16 = 1234;

/// What the child is told.
struct Task {
    interface: String,
    /// For how long; `None` for ever.
    timeout: Option<Duration>,
}

fn main() -> ExitCode {
    named_args::reference_sample(USAGE, |mut args| {
        let pipe: Option<String> = args.value("-child")?;
        let seconds = args.value("-TimeoutSeconds")?.unwrap_or(0);
        let task = Task {
            interface: args.positional("<IfIndex>")?,
            timeout: (seconds > 0).then(|| Duration::from_secs(seconds)),
        };
        args.finish()?;
        catch_interrupts()?;
        match pipe {
            Some(pipe) => restricted::work(&pipe, &task),
            None => lead(&task),
        }
    })
}

/// The parent: opens what only it may open, and hands it over.
fn lead(task: &Task) -> Result<(), Failure> {
    let interface = Interface::find(&task.interface)?;
    let mut socket = Socket::binding(&interface).queue(0).bind()?;
    let program = Program::builder(&interface)
        .queue(0)
        .rule(Match::udp_dst(PORT).redirect_to_bound(&socket))
        .attach()?;
    restricted::run(&interface, task, |child| {
        Ok([socket.duplicate_to(child)?, program.duplicate_to(child)?])
    })?;
    drop((socket, program));
    close(interface)
}

/// The child: what it may not do, and what it may with what it was given.
fn echo(interface: &Interface, [socket, program]: [Handle; 2], task: &Task) -> Result<(), Failure> {
    let refused = [
        ("XskCreate", Socket::binding(interface).bind().err()),
        (
            "XdpCreateProgram",
            Program::builder(interface).attach().err(),
        ),
    ];
    for (call, error) in refused {
        match error {
            Some(error) if error.kind() == Kind::NotPermitted => println!("{call}: refused"),
            Some(error) => return Err(error.into()),
            None => return Err(Failure::Other(format!("{call} should have been refused"))),
        }
    }
    let _program = Program::adopt(program);
    let umem = Umem::builder(interface).frames(64).build()?;
    let bound = Socket::binding(interface).queue(0).adopt(socket)?;
    let mut socket = bound.builder(&umem).fill_ring(32).open()?;
    println!("echoing UDP port {PORT} on {}", interface.name());
    let start = Instant::now();
    let mut batch = Batch::with_capacity(32);
    while !interrupted() && task.timeout.is_none_or(|limit| start.elapsed() < limit) {
        if socket.wait(Interest::RX, TICK)?.is_empty() {
            continue;
        }
        socket.receive(&mut batch);
        for frame in &mut batch {
            if let Some((addresses, _)) = frame.split_first_chunk_mut::<12>() {
                addresses.rotate_left(6);
            }
        }
        socket.send(&mut batch)?;
        batch.clear();
    }
    Ok(())
}
