// UNSAFETY: vouches for memory of a lab in another process staying mapped.
#![expect(
    unsafe_code,
    reason = "only whoever maps memory can say how long it stays mapped"
)]

//! A lab in another process as a system: this program is one of the lab's processes.
//!
//! Requests go over a Unix socket to the lab ([`protocol`]); frame memory and rings are pages of the simulated machine, which are
//! mapped here as well, so frames never go through the socket.

pub(crate) mod protocol;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nt_sim::Window;
use serde::de::DeserializeOwned;

use self::protocol::{Card, Ended, Opened, Range, Refusal, Request};
use super::{Access, Answer, Backend, Object, PeerProcess, Pending, Signal, SignalId};
use crate::error::{Fault, Kind};
use crate::interface::Details;
use crate::memory::{Mapped, Memory};

/// How long a lab may take to let a program in.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process of a lab that another process runs.
#[derive(Clone)]
pub(crate) struct Remote {
    link: Arc<Link>,
}

/// What leads to the lab.
struct Link {
    socket: PathBuf,
    /// Number of this program's process in the lab.
    process: u64,
    /// Physical memory of the machine.
    memory: File,
    /// Connections that no thread uses.
    idle: Mutex<Vec<UnixStream>>,
    /// The process ends when this is closed.
    _life: UnixStream,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "process {} of {}",
            self.link.process,
            self.link.socket.display()
        )
    }
}

/// What a lab that does not answer is.
fn gone(error: &io::Error) -> Fault {
    let cause = match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::NotFound => "the lab has ended".to_owned(),
        _ => format!("the lab does not answer: {error}"),
    };
    Fault::Other {
        kind: Kind::InterfaceGone,
        cause,
        advice: Some("start the lab again, and then this program".to_owned()),
    }
}

/// Sends a request, and receives what it answers with.
fn talk<T: DeserializeOwned>(
    stream: &UnixStream,
    request: &Request,
) -> io::Result<Result<T, Fault>> {
    protocol::send(stream, request)?;
    let answer: Result<T, Refusal> = protocol::receive(stream)?;
    Ok(answer.map_err(Fault::from))
}

impl Remote {
    /// Becomes a process of the lab at the other end of a connection to this socket.
    pub(crate) fn join(socket: PathBuf, life: UnixStream) -> Result<Self, Fault> {
        let failed = |error: io::Error| gone(&error);
        life.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(|path| path.file_name());
        let request = Request::Join {
            version: protocol::VERSION,
            program: program.map_or_else(
                || "unknown".to_owned(),
                |name| name.to_string_lossy().into(),
            ),
        };
        let process = talk::<u64>(&life, &request).map_err(failed)??;
        let memory = protocol::receive_file(&life).map_err(failed)?;
        let link = Link {
            socket,
            process,
            memory,
            idle: Mutex::default(),
            _life: life,
        };
        Ok(Self { link: link.into() })
    }

    /// Whether the lab is still there.
    pub(crate) fn answers(&self) -> bool {
        self.link.call::<Vec<Card>>(&Request::Cards).is_ok()
    }

    fn opened(&self, opened: &Opened) -> Arc<dyn Object> {
        Arc::new(RemoteObject {
            link: Arc::clone(&self.link),
            number: opened.object,
            handle: opened.handle,
        })
    }
}

impl Link {
    /// Sends a request over a connection that no other thread uses meanwhile.
    fn call<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Fault> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().pop();
        let stream = match waiting {
            Some(stream) => stream,
            None => self.connect()?,
        };
        let answer = talk(&stream, request).map_err(|error| gone(&error))?;
        idle().push(stream);
        answer
    }

    fn connect(&self) -> Result<UnixStream, Fault> {
        let stream = UnixStream::connect(&self.socket).map_err(|error| gone(&error))?;
        let request = Request::Again {
            process: self.process,
        };
        talk::<()>(&stream, &request).map_err(|error| gone(&error))??;
        Ok(stream)
    }

    /// Sends a request of which nothing is expected: a lab that has ended has forgotten everything by itself.
    fn tell(&self, request: &Request) {
        let _ = self.call::<()>(request);
    }

    fn map(
        self: &Arc<Self>,
        range: &Range,
        bytes: usize,
        object: Option<Arc<RemoteObject>>,
    ) -> Result<Memory, Fault> {
        let window = Window::open(&self.memory, &range.stretches());
        let mapped = RemoteMemory {
            window: window.map_err(|error| {
                self.tell(&Request::Free {
                    memory: range.memory,
                });
                let cause = format!("memory of the lab cannot be mapped: {error}");
                Fault::of(Kind::OutOfMemory, cause)
            })?,
            address: range.address,
            bytes,
            number: range.memory,
            link: Arc::clone(self),
            _object: object,
        };
        if mapped.window.size() < bytes {
            let cause = "the lab gave less memory than it was asked for";
            return Err(Fault::of(Kind::Failed, cause));
        }
        Ok(Memory::new(Arc::new(mapped)))
    }
}

fn nanoseconds(timeout: Option<Duration>) -> Option<u64> {
    timeout.map(|timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX))
}

impl Backend for Remote {
    fn open(
        &self,
        device: &str,
        access: Access,
        value: Option<&[u8]>,
    ) -> Result<Arc<dyn Object>, Fault> {
        let opened = self.link.call(&Request::Open {
            device: device.to_owned(),
            full: access == Access::Full,
            value: value.map(<[u8]>::to_vec),
        })?;
        Ok(self.opened(&opened))
    }

    fn adopt(&self, value: u64) -> Result<Arc<dyn Object>, Fault> {
        let opened = self.link.call(&Request::Adopt { handle: value })?;
        Ok(self.opened(&opened))
    }

    fn signal(&self) -> Result<Arc<dyn Signal>, Fault> {
        let number = self.link.call(&Request::Signal)?;
        let link = Arc::clone(&self.link);
        Ok(Arc::new(RemoteSignal { link, number }))
    }

    fn allocate(&self, bytes: usize) -> Result<Memory, Fault> {
        let bytes = bytes.max(1);
        let request = Request::Allocate {
            bytes: bytes as u64,
        };
        let range = self.link.call(&request)?;
        self.link.map(&range, bytes, None)
    }

    fn interfaces(&self) -> Result<Vec<Details>, Fault> {
        let cards: Vec<Card> = self.link.call(&Request::Cards)?;
        Ok(cards.into_iter().map(Details::from).collect())
    }

    fn process(&self) -> u64 {
        self.link.process
    }

    fn settle(&self) -> Result<(), Fault> {
        self.link.call(&Request::Settle)
    }

    fn attached(&self) {
        self.link.tell(&Request::Attached);
    }
}

/// An open handle.
struct RemoteObject {
    link: Arc<Link>,
    number: u64,
    handle: u64,
}

impl Object for RemoteObject {
    fn handle(&self) -> u64 {
        self.handle
    }

    fn control(&self, code: u32, input: &[u8], output: &mut [u8]) -> Result<Answer, Fault> {
        let (ended, bytes): (Ended, Vec<u8>) = self.link.call(&Request::Control {
            object: self.number,
            code,
            input: input.to_vec(),
            output: output.len() as u64,
        })?;
        if bytes.len() != output.len() {
            let cause = "the lab gave another output than it was asked for";
            return Err(Fault::of(Kind::Failed, cause));
        }
        output.copy_from_slice(&bytes);
        Ok(ended.into())
    }

    fn notify(&self, input: [u8; 8]) -> Result<Answer, Fault> {
        let object = self.number;
        let ended: Ended = self.link.call(&Request::Notify { object, input })?;
        Ok(ended.into())
    }

    fn submit(
        &self,
        code: u32,
        input: &[u8],
        signal: Option<&Arc<dyn Signal>>,
    ) -> Result<Arc<dyn Pending>, Fault> {
        let signal = match signal.map(|signal| signal.id()) {
            None => None,
            Some(SignalId::Remote(number)) => Some(number),
            Some(SignalId::Lab(_)) => return Err(SignalId::foreign()),
        };
        let number = self.link.call(&Request::Submit {
            object: self.number,
            code,
            input: input.to_vec(),
            signal,
        })?;
        let link = Arc::clone(&self.link);
        Ok(Arc::new(RemotePending { link, number }))
    }

    fn duplicate(&self, _: &PeerProcess) -> Result<u64, Fault> {
        Err(Fault::Other {
            kind: Kind::NotSupported,
            cause: "the other process is one of a lab in this program, this handle is one of another lab"
                .to_owned(),
            advice: Some("give handles to processes of the same lab".to_owned()),
        })
    }

    fn mapped(self: Arc<Self>, address: u64, bytes: usize) -> Result<Memory, Fault> {
        let request = Request::Mapped {
            object: self.number,
            address,
            bytes: bytes as u64,
        };
        let range = self.link.call(&request)?;
        let link = Arc::clone(&self.link);
        link.map(&range, bytes, Some(self))
    }
}

impl Drop for RemoteObject {
    fn drop(&mut self) {
        self.link.tell(&Request::Close {
            object: self.number,
        });
    }
}

/// Memory of the process, also of the driver's making.
struct RemoteMemory {
    window: Window,
    address: u64,
    bytes: usize,
    number: u64,
    link: Arc<Link>,
    /// The driver unmaps it when the handle is closed.
    _object: Option<Arc<RemoteObject>>,
}

// SAFETY: the window is this value's own, is made of whole pages, readable and writable, and at least `bytes` long. The pages are
// the process' until `drop` frees them.
unsafe impl Mapped for RemoteMemory {
    fn pointer(&self) -> NonNull<u8> {
        NonNull::new(self.window.as_ptr()).expect("nothing is mapped at address 0")
    }

    fn address(&self) -> u64 {
        self.address
    }

    fn size(&self) -> usize {
        self.bytes
    }
}

impl Drop for RemoteMemory {
    fn drop(&mut self) {
        self.link.tell(&Request::Free {
            memory: self.number,
        });
    }
}

/// A request under way.
struct RemotePending {
    link: Arc<Link>,
    number: u64,
}

impl Pending for RemotePending {
    fn answer(&self) -> Result<Option<Answer>, Fault> {
        let pending = self.number;
        let ended: Option<Ended> = self.link.call(&Request::Answer { pending })?;
        Ok(ended.map(Answer::from))
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<Option<Answer>, Fault> {
        let ended: Option<Ended> = self.link.call(&Request::Wait {
            pending: self.number,
            nanoseconds: nanoseconds(timeout),
        })?;
        Ok(ended.map(Answer::from))
    }

    fn cancel(&self) {
        let pending = self.number;
        self.link.tell(&Request::Cancel { pending });
    }
}

impl Drop for RemotePending {
    fn drop(&mut self) {
        let pending = self.number;
        self.link.tell(&Request::Forget { pending });
    }
}

/// An event of the simulated kernel.
struct RemoteSignal {
    link: Arc<Link>,
    number: u64,
}

impl Signal for RemoteSignal {
    fn reset(&self) -> Result<(), Fault> {
        let signal = self.number;
        self.link.call(&Request::Lower { signal })
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<(), Fault> {
        self.link.call(&Request::Await {
            signal: self.number,
            nanoseconds: nanoseconds(timeout),
        })
    }

    fn id(&self) -> SignalId<'_> {
        SignalId::Remote(self.number)
    }
}

impl Drop for RemoteSignal {
    fn drop(&mut self) {
        let signal = self.number;
        self.link.tell(&Request::Unsignal { signal });
    }
}
