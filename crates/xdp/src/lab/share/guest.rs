//! A program of another Linux process, as a process of the lab.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::Visitor;
use crate::error::{Fault, Kind};
use crate::memory::Memory;
use crate::sys::lab::Caller;
use crate::sys::remote::protocol::{self, Card, Ended, Opened, Range, Refusal, Request};
use crate::sys::{Access, Backend as _, Object, Pending, Signal, SignalId};

/// How long the end of a program waits before it wakes its threads once more.
const RAISE_AGAIN: Duration = Duration::from_millis(20);
/// The most bytes that a request may answer with.
const LONGEST_OUTPUT: u64 = 16 << 20;

/// What was made for a program, by number.
struct Table<T> {
    next: u64,
    made: HashMap<u64, T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            next: 1,
            made: HashMap::new(),
        }
    }
}

impl<T: Clone> Table<T> {
    fn insert(&mut self, value: T) -> u64 {
        let number = self.next;
        self.next += 1;
        self.made.insert(number, value);
        number
    }

    fn get(&self, number: u64) -> Result<T, Fault> {
        let found = self.made.get(&number).cloned();
        found.ok_or_else(|| {
            Fault::of(
                Kind::InvalidArgument,
                format!("nothing has the number {number}"),
            )
        })
    }
}

/// Connections of a program that are served.
#[derive(Default)]
struct Served {
    next: u64,
    streams: HashMap<u64, UnixStream>,
    /// The program has gone: there will be no more.
    ended: bool,
}

/// Makes a connection one that is no longer served, whatever ended it.
struct Leaving<'g> {
    guest: &'g Guest,
    number: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        lock(&self.guest.served).streams.remove(&self.number);
        self.guest.left.notify_all();
    }
}

/// A program, as a process of the lab.
pub(super) struct Guest {
    objects: Mutex<Table<Arc<dyn Object>>>,
    pending: Mutex<Table<Arc<dyn Pending>>>,
    signals: Mutex<Table<Arc<dyn Signal>>>,
    memory: Mutex<Table<Memory>>,
    served: Mutex<Served>,
    /// A connection is no longer served.
    left: Condvar,
    visitor: Visitor,
    caller: Caller,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn duration(nanoseconds: Option<u64>) -> Option<Duration> {
    nanoseconds.map(Duration::from_nanos)
}

/// An answer as it goes over the socket.
fn encode<T: Serialize>(answer: Result<T, Fault>) -> io::Result<Vec<u8>> {
    protocol::encode(&answer.map_err(Refusal::from))
}

impl Guest {
    pub(super) fn new(caller: Caller, visitor: Visitor) -> Self {
        Self {
            visitor,
            objects: Mutex::default(),
            pending: Mutex::default(),
            signals: Mutex::default(),
            memory: Mutex::default(),
            served: Mutex::default(),
            left: Condvar::new(),
            caller,
        }
    }

    pub(super) fn visitor(&self) -> &Visitor {
        &self.visitor
    }

    /// Answers the requests of a connection until it ends; not when the program has gone.
    pub(super) fn serve(&self, stream: &UnixStream) -> io::Result<()> {
        let _leaving = self.enter(stream)?;
        self.converse(stream)
    }

    fn enter(&self, stream: &UnixStream) -> io::Result<Leaving<'_>> {
        let mut served = lock(&self.served);
        if served.ended {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let number = served.next;
        served.next += 1;
        served.streams.insert(number, stream.try_clone()?);
        Ok(Leaving {
            guest: self,
            number,
        })
    }

    fn converse(&self, mut stream: &UnixStream) -> io::Result<()> {
        protocol::send(stream, &Ok::<(), Refusal>(()))?;
        loop {
            let request = protocol::receive(stream)?;
            stream.write_all(&self.answer(request)?)?;
        }
    }

    /// The program has gone: ends what it waits for in the driver, then, when no thread is in there for it any more, its process.
    pub(super) fn end(&self) {
        // Whoever waits in the kernel is woken; a lab that has stopped has done that already.
        let _ = self.caller.kill();
        let mut served = lock(&self.served);
        served.ended = true;
        for stream in served.streams.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Events know no process, and another thread may lower one on its way out.
        while !served.streams.is_empty() {
            self.raise_signals();
            let waited = self.left.wait_timeout(served, RAISE_AGAIN);
            served = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(served);
        *lock(&self.pending) = Table::default();
        *lock(&self.signals) = Table::default();
        *lock(&self.memory) = Table::default();
        *lock(&self.objects) = Table::default();
        let _ = self.caller.exit();
    }

    fn raise_signals(&self) {
        for signal in lock(&self.signals).made.values() {
            if let SignalId::Lab(event) = signal.id() {
                // A lab that has stopped waits for nothing.
                let _ = event.set();
            }
        }
    }

    fn object(&self, number: u64) -> Result<Arc<dyn Object>, Fault> {
        lock(&self.objects).get(number)
    }

    fn pending(&self, number: u64) -> Result<Arc<dyn Pending>, Fault> {
        lock(&self.pending).get(number)
    }

    fn signal(&self, number: u64) -> Result<Arc<dyn Signal>, Fault> {
        lock(&self.signals).get(number)
    }

    fn answer(&self, request: Request) -> io::Result<Vec<u8>> {
        match request {
            Request::Join { .. } | Request::Again { .. } => encode::<()>(Err(Fault::of(
                Kind::InvalidArgument,
                "the program has joined already",
            ))),
            Request::Cards => encode(self.cards()),
            Request::Settle => encode(self.caller.settle()),
            Request::Attached => {
                self.caller.attached();
                encode(Ok(()))
            }
            Request::Open {
                device,
                full,
                value,
            } => encode(self.open(&device, full, value.as_deref())),
            Request::Adopt { handle } => {
                encode(self.caller.adopt(handle).map(|object| self.opened(object)))
            }
            Request::Close { object } => {
                // Closed when the table is no longer locked.
                let closed = lock(&self.objects).made.remove(&object);
                drop(closed);
                encode(Ok(()))
            }
            Request::Control {
                object,
                code,
                input,
                output,
            } => encode(self.control(object, code, &input, output)),
            Request::Notify { object, input } => encode(
                self.object(object)
                    .and_then(|object| object.notify(input))
                    .map(Ended::from),
            ),
            Request::Submit {
                object,
                code,
                input,
                signal,
            } => encode(self.submit(object, code, &input, signal)),
            Request::Answer { pending } => encode(
                self.pending(pending)
                    .and_then(|pending| pending.answer())
                    .map(ended),
            ),
            Request::Wait {
                pending,
                nanoseconds,
            } => encode(
                self.pending(pending)
                    .and_then(|pending| pending.wait(duration(nanoseconds)))
                    .map(ended),
            ),
            Request::Cancel { pending } => {
                encode(self.pending(pending).map(|pending| pending.cancel()))
            }
            Request::Forget { pending } => {
                let forgotten = lock(&self.pending).made.remove(&pending);
                drop(forgotten);
                encode(Ok(()))
            }
            Request::Mapped {
                object,
                address,
                bytes,
            } => encode(
                self.object(object)
                    .and_then(|object| object.mapped(address, bytes as usize))
                    .and_then(|memory| self.range(memory)),
            ),
            Request::Allocate { bytes } => encode(
                self.caller
                    .allocate(bytes as usize)
                    .and_then(|memory| self.range(memory)),
            ),
            Request::Free { memory } => {
                let freed = lock(&self.memory).made.remove(&memory);
                drop(freed);
                encode(Ok(()))
            }
            Request::Signal => encode(
                self.caller
                    .signal()
                    .map(|signal| lock(&self.signals).insert(signal)),
            ),
            Request::Lower { signal } => {
                encode(self.signal(signal).and_then(|signal| signal.reset()))
            }
            Request::Await {
                signal,
                nanoseconds,
            } => encode(
                self.signal(signal)
                    .and_then(|signal| signal.wait(duration(nanoseconds))),
            ),
            Request::Unsignal { signal } => {
                let removed = lock(&self.signals).made.remove(&signal);
                drop(removed);
                encode(Ok(()))
            }
        }
    }

    fn cards(&self) -> Result<Vec<Card>, Fault> {
        let cards = self.caller.interfaces()?;
        Ok(cards.into_iter().map(Card::from).collect())
    }

    fn open(&self, device: &str, full: bool, value: Option<&[u8]>) -> Result<Opened, Fault> {
        let access = if full { Access::Full } else { Access::Read };
        let object = self.caller.open(device, access, value)?;
        Ok(self.opened(object))
    }

    fn opened(&self, object: Arc<dyn Object>) -> Opened {
        Opened {
            handle: object.handle(),
            object: lock(&self.objects).insert(object),
        }
    }

    fn control(
        &self,
        object: u64,
        code: u32,
        input: &[u8],
        output: u64,
    ) -> Result<(Ended, Vec<u8>), Fault> {
        if output > LONGEST_OUTPUT {
            let cause = format!("an output of {output} bytes is too long");
            return Err(Fault::of(Kind::InvalidArgument, cause));
        }
        let mut bytes = vec![0; output as usize];
        let answer = self.object(object)?.control(code, input, &mut bytes)?;
        Ok((answer.into(), bytes))
    }

    fn submit(
        &self,
        object: u64,
        code: u32,
        input: &[u8],
        signal: Option<u64>,
    ) -> Result<u64, Fault> {
        let signal = signal.map(|signal| self.signal(signal)).transpose()?;
        let pending = self.object(object)?.submit(code, input, signal.as_ref())?;
        Ok(lock(&self.pending).insert(pending))
    }

    fn range(&self, memory: Memory) -> Result<Range, Fault> {
        let stretches = self.caller.stretches(&memory)?;
        let address = memory.address();
        let number = lock(&self.memory).insert(memory);
        Ok(Range::new(number, address, &stretches))
    }
}

fn ended(answer: Option<crate::sys::Answer>) -> Option<Ended> {
    answer.map(Ended::from)
}
