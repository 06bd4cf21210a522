//! Labs that programs of other Linux processes are in.
//!
//! Whoever shares a lab listens at a socket in a folder of the user. Each program that connects becomes a process of the lab, with
//! handles and memory of its own, and does there what a program does on Windows; when it ends, however it ends, the
//! kernel closes what it had open.

mod folder;
mod guest;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use self::folder::{private_runtime_folder, runtime_folder};
use rustix::net::sockopt::socket_peercred;

use self::guest::Guest;
use super::{Lab, Machine};
use crate::error::{Call, Error, Fault, Kind};
use crate::interface::{Interface, System};
use crate::sys::Backend as _;
use crate::sys::lab::Caller;
use crate::sys::remote::Remote;
use crate::sys::remote::protocol::{self, Refusal, Request};

/// The card that is meant when none is named.
const FIRST_CARD: &str = "nic0";
/// How long a program may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// A lab that other programs of this user are let into, until this is dropped.
///
/// They name it as they name any interface: `lab:NAME` is its first network card, `lab:NAME/nic1` another. Dropping this ends
/// their processes in the lab.
pub struct Share {
    name: String,
    path: PathBuf,
    listener: UnixListener,
    door: Arc<Door>,
    porter: Option<JoinHandle<()>>,
}

/// A program that is in a lab of another process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Visitor {
    /// The number of its process in the lab, by which the driver knows it.
    pub process: u64,
    /// The number of its process in Linux.
    pub linux_process: u32,
    /// The name of its file.
    pub program: String,
}

/// Who is in.
struct Door {
    machine: Arc<Machine>,
    closed: AtomicBool,
    /// Programs by their number as a process.
    guests: Mutex<BTreeMap<u64, Arc<Guest>>>,
    connections: Mutex<Vec<Connection>>,
}

/// A connection, and the thread that serves it.
struct Connection {
    stream: UnixStream,
    thread: JoinHandle<()>,
}

impl Lab {
    /// Lets programs of other Linux processes into the lab, which find it as `lab:NAME`: what they do goes to the same driver,
    /// over rings in shared memory. Only programs of the same user find it.
    ///
    /// This is how a program is tested as it is: a test boots a lab, plugs itself into the ends of its cards, shares it, and
    /// starts the program with `lab:NAME` as its interface.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidArgument`] when the name is none, [`Kind::Busy`] when a lab of this name is shared already,
    /// [`Kind::NotPermitted`] when there is no folder for it ([`private_runtime_folder`]).
    pub fn share(&self, name: &str) -> Result<Share, Error> {
        folder::check_name(name)?;
        let (listener, path) = folder::listen(name)?;
        let door = Arc::new(Door {
            machine: Arc::clone(&self.machine),
            closed: AtomicBool::new(false),
            guests: Mutex::default(),
            connections: Mutex::default(),
        });
        let failed =
            |error: io::Error| Error::new(Kind::Failed, Call::ShareLab, name, error.to_string());
        let mut share = Share {
            name: name.to_owned(),
            path,
            door: Arc::clone(&door),
            listener,
            porter: None,
        };
        let listener = share.listener.try_clone().map_err(failed)?;
        let porter = thread::Builder::new().name("xdp lab porter".to_owned());
        let porter = porter.spawn(move || door.open_to(&listener));
        share.porter = Some(porter.map_err(failed)?);
        Ok(share)
    }
}

impl Share {
    /// The name under which it is found.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The programs that are in it, in the order in which they came.
    #[must_use]
    pub fn visitors(&self) -> Vec<Visitor> {
        let guests = lock(&self.door.guests);
        guests
            .values()
            .map(|guest| guest.visitor().clone())
            .collect()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.door.closed.store(true, Ordering::Release);
        // Ends the accepting; what is in the queue is refused.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        if let Some(porter) = self.porter.take() {
            let _ = porter.join();
        }
        // Nothing is lost when it stays: whoever finds it notices that nobody listens.
        let _ = fs::remove_file(&self.path);
        let connections = std::mem::take(&mut *lock(&self.door.connections));
        for connection in &connections {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
        for connection in connections {
            let _ = connection.thread.join();
        }
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Share").field(&self.name).finish()
    }
}

impl Door {
    /// Lets in who comes, until the door is closed.
    fn open_to(self: &Arc<Self>, listener: &UnixListener) {
        while !self.closed.load(Ordering::Acquire) {
            let served = listener.accept().and_then(|(stream, _)| self.admit(stream));
            if served.is_err() && !self.closed.load(Ordering::Acquire) {
                // Out of descriptors or threads, perhaps; there will be some again.
                thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// Starts a thread for a connection.
    fn admit(self: &Arc<Self>, stream: UnixStream) -> io::Result<()> {
        let mut connections = lock(&self.connections);
        connections.retain(|connection| !connection.thread.is_finished());
        let (door, served) = (Arc::clone(self), stream.try_clone()?);
        let thread = thread::Builder::new()
            .name("xdp lab guest".to_owned())
            .spawn(move || {
                // A connection that ends is nobody's failure.
                let _ = door.serve(&served);
                // It is still in the list of connections, which does not hang up.
                let _ = served.shutdown(Shutdown::Both);
            })?;
        connections.push(Connection { stream, thread });
        Ok(())
    }

    fn serve(&self, stream: &UnixStream) -> io::Result<()> {
        if !folder::is_of_this_user(stream) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let request = protocol::receive(stream)?;
        stream.set_read_timeout(None)?;
        match request {
            Request::Join { version, program } => self.join(stream, version, &program),
            Request::Again { process } => {
                let guest = lock(&self.guests).get(&process).map(Arc::clone);
                match guest {
                    Some(guest) => guest.serve(stream),
                    None => refuse(stream, "the lab has no such process"),
                }
            }
            _ => refuse(stream, "the first request is to join"),
        }
    }

    /// Starts a process for a program, and ends it when the connection ends.
    fn join(&self, life: &UnixStream, version: u32, program: &str) -> io::Result<()> {
        if version != protocol::VERSION {
            return refuse(life, "use the same version of xdp on both sides");
        }
        let memory = self.machine.lab().memory_file()?;
        let caller = match Caller::start(&self.machine, program, self.machine.address().user) {
            Ok(caller) => caller,
            Err(fault) => return answer(life, Err(fault)),
        };
        let process = caller.process();
        let peer = socket_peercred(life)?;
        let guest = Arc::new(Guest::new(
            caller,
            Visitor {
                process,
                linux_process: peer.pid.as_raw_nonzero().get().unsigned_abs(),
                program: program.to_owned(),
            },
        ));
        // The program's other connections may come as soon as it has its number.
        lock(&self.guests).insert(process, Arc::clone(&guest));
        let joined = answer(life, Ok(process)).and_then(|()| protocol::send_file(life, &memory));
        // Nothing more comes over this connection but its end.
        let lived = joined.and_then(|()| protocol::receive::<Request>(life));
        guest.end();
        lock(&self.guests).remove(&process);
        lived.map(drop)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(stream: &UnixStream, answer: Result<u64, Fault>) -> io::Result<()> {
    protocol::send(stream, &answer.map_err(Refusal::from))
}

fn refuse(stream: &UnixStream, cause: &str) -> io::Result<()> {
    answer(stream, Err(Fault::of(Kind::Failed, cause)))
}

/// The labs of other processes that this program is in.
static JOINED: Mutex<BTreeMap<String, Weak<Remote>>> = Mutex::new(BTreeMap::new());

/// The lab and the network card that an address names, if it is not one of a lab to boot.
pub(super) fn named(text: &str) -> Option<(&str, &str)> {
    let name = text.strip_prefix("lab:")?;
    // Options of a lab to boot have an `=` in them, names do not.
    if name.is_empty() || name.contains('=') {
        return None;
    }
    Some(name.split_once('/').unwrap_or((name, FIRST_CARD)))
}

/// Finds a card of a lab that another process shares.
pub(super) fn find(name: &str, card: &str) -> Result<Interface, Error> {
    let mut joined = lock(&JOINED);
    let known = joined.get(name).and_then(Weak::upgrade);
    let remote = match known.filter(|remote| remote.answers()) {
        Some(remote) => remote,
        None => {
            let remote = Arc::new(join(name)?);
            joined.insert(name.to_owned(), Arc::downgrade(&remote));
            remote
        }
    };
    drop(joined);
    System::new(remote).interface(card)
}

/// Becomes a process of the lab that is shared under this name.
fn join(name: &str) -> Result<Remote, Error> {
    let failed =
        |kind, cause: String| Error::new(kind, Call::FindInterface, format!("lab:{name}"), cause);
    folder::check_name(name).map_err(|error| failed(error.kind(), error.cause().to_owned()))?;
    let path = folder::socket(&runtime_folder(), name);
    let stream = folder::connect(&path).map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => Kind::NotPermitted,
            _ => Kind::Failed,
        };
        failed(kind, format!("{}: {error}", path.display()))
    })?;
    let Some(stream) = stream else {
        let cause = match folder::names().as_slice() {
            [] => "no lab of this name runs, and no other".to_owned(),
            names => format!("no lab of this name runs; there are {}", names.join(", ")),
        };
        let advice = format!("start one: xdp lab run --name {name} --stay");
        return Err(failed(Kind::NoSuchInterface, cause).advise(advice));
    };
    Remote::join(path, stream)
        .map_err(|fault| fault.during(Call::FindInterface, format!("lab:{name}")))
}

#[cfg(test)]
mod tests;
