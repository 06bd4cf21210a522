//! `cargo xtask bench ring`: our rings beside `rtrb` and `ringbuf`, in one thread and between two processors.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{
    AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use anyhow::{Context, anyhow};
use ringbuf::traits::{Consumer as _, Producer as _, Split as _};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use xdp_abi::frame::FrameDescriptor;
use xdp_ring::{Consumer, HeapRing, Producer, Ring, RingSize};

use super::measure::{Bench, Case, Contender, pin};

/// What pushing and popping one of 32 elements in one thread may take, on any machine.
const BATCH_OF_32_NS: f64 = 1.5;
/// Those than whom ours should not be slower between two processors.
const PEERS: [&str; 2] = ["rtrb", "ringbuf"];
/// Elements of every ring.
const CAPACITY: u32 = 2048;

/// Runs the cases.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<Vec<Case>> {
    // Asked for here, so that no thread waits for another one that could not be pinned.
    pin(bench.peer_cpu)?;
    pin(bench.cpu)?;
    let mut cases = Vec::new();
    cases.extend(one_thread::<1>(bench)?);
    cases.extend(one_thread::<32>(bench)?);
    cases.extend(one_thread::<64>(bench)?);
    cases.extend(two_processors::<1>(bench)?);
    cases.extend(two_processors::<32>(bench)?);
    cases.extend(two_processors::<64>(bench)?);
    Ok(cases)
}

/// The sending half of a ring of 16-byte elements.
trait Send16: Send + 'static {
    fn send(&mut self, batch: &[FrameDescriptor]) -> usize;
    fn send_one(&mut self, element: FrameDescriptor) -> bool;
}

/// The receiving half of a ring of 16-byte elements.
trait Receive16: Send + 'static {
    fn receive(&mut self, batch: &mut [FrameDescriptor]) -> usize;
    fn receive_one(&mut self) -> Option<FrameDescriptor>;
}

impl Send16 for Producer<Arc<HeapRing>, FrameDescriptor> {
    fn send(&mut self, batch: &[FrameDescriptor]) -> usize {
        self.push(batch)
    }
    fn send_one(&mut self, element: FrameDescriptor) -> bool {
        self.push_one(element)
    }
}

impl Receive16 for Consumer<Arc<HeapRing>, FrameDescriptor> {
    fn receive(&mut self, batch: &mut [FrameDescriptor]) -> usize {
        self.pop(batch)
    }
    fn receive_one(&mut self) -> Option<FrameDescriptor> {
        self.pop_one()
    }
}

impl Send16 for rtrb::Producer<FrameDescriptor> {
    fn send(&mut self, batch: &[FrameDescriptor]) -> usize {
        self.push_partial_slice(batch).0.len()
    }
    fn send_one(&mut self, element: FrameDescriptor) -> bool {
        self.push(element).is_ok()
    }
}

impl Receive16 for rtrb::Consumer<FrameDescriptor> {
    fn receive(&mut self, batch: &mut [FrameDescriptor]) -> usize {
        self.pop_partial_slice(batch).0.len()
    }
    fn receive_one(&mut self) -> Option<FrameDescriptor> {
        self.pop().ok()
    }
}

impl Send16 for HeapProd<FrameDescriptor> {
    fn send(&mut self, batch: &[FrameDescriptor]) -> usize {
        self.push_slice(batch)
    }
    fn send_one(&mut self, element: FrameDescriptor) -> bool {
        self.try_push(element).is_ok()
    }
}

impl Receive16 for HeapCons<FrameDescriptor> {
    fn receive(&mut self, batch: &mut [FrameDescriptor]) -> usize {
        self.pop_slice(batch)
    }
    fn receive_one(&mut self) -> Option<FrameDescriptor> {
        self.try_pop()
    }
}

type Ours = (
    Producer<Arc<HeapRing>, FrameDescriptor>,
    Consumer<Arc<HeapRing>, FrameDescriptor>,
);

fn ours() -> anyhow::Result<Ours> {
    let size = RingSize::new(CAPACITY).context("the capacity is a power of two")?;
    let memory = Arc::new(HeapRing::new(size, 2));
    let ring = || Ring::new(memory.clone(), size, 16);
    Ok((Producer::new(ring()?)?, Consumer::new(ring()?)?))
}

fn rtrb() -> (
    rtrb::Producer<FrameDescriptor>,
    rtrb::Consumer<FrameDescriptor>,
) {
    rtrb::RingBuffer::new(CAPACITY as usize)
}

fn ringbuf() -> (HeapProd<FrameDescriptor>, HeapCons<FrameDescriptor>) {
    HeapRb::new(CAPACITY as usize).split()
}

fn frames<const BATCH: usize>() -> [FrameDescriptor; BATCH] {
    std::array::from_fn(|at| FrameDescriptor::new(at as u64 * 2048, 0, 60))
}

/// One thread pushes a batch and pops it again.
fn one_thread<const BATCH: usize>(bench: &Bench) -> anyhow::Result<Option<Case>> {
    fn contender<const BATCH: usize>(
        name: &str,
        (mut sender, mut receiver): (impl Send16, impl Receive16),
    ) -> Contender<'static> {
        let sent = frames::<BATCH>();
        let mut received = sent;
        Contender::new(name, BATCH as u64, move || {
            if BATCH == 1 {
                sender.send_one(black_box(sent[0]));
                black_box(receiver.receive_one());
            } else {
                sender.send(black_box(&sent));
                receiver.receive(black_box(&mut received));
            }
        })
    }
    let case = bench.case(
        format!("one thread, push and pop, 16 bytes, batch {BATCH}"),
        vec![
            contender::<BATCH>("xdp-ring", ours()?),
            contender::<BATCH>("rtrb", rtrb()),
            contender::<BATCH>("ringbuf", ringbuf()),
        ],
    )?;
    Ok(case.map(|case| match BATCH {
        32 => case.against(BATCH_OF_32_NS, (1.0, 1.0)),
        _ => case,
    }))
}

/// Sends `count` elements, waiting for room.
fn produce<const BATCH: usize>(sender: &mut impl Send16, count: u64) {
    let batch = frames::<BATCH>();
    let mut left = count;
    while left > 0 {
        let sent = if BATCH == 1 {
            sender.send_one(batch[0]).into()
        } else {
            sender.send(&batch[..BATCH.min(left as usize)])
        };
        left -= sent as u64;
        if sent == 0 {
            spin_loop();
        }
    }
}

/// Receives `count` elements, reads them, and waits where there is none.
fn consume<const BATCH: usize>(receiver: &mut impl Receive16, count: u64) {
    let mut batch = frames::<BATCH>();
    let mut left = count;
    let mut bytes = 0u64;
    while left > 0 {
        let received = if BATCH == 1 {
            match receiver.receive_one() {
                Some(frame) => {
                    bytes += u64::from(frame.buffer.length) + frame.buffer.address.0;
                    1
                }
                None => 0,
            }
        } else {
            let received = receiver.receive(&mut batch[..BATCH.min(left as usize)]);
            bytes += batch[..received]
                .iter()
                .map(|frame| u64::from(frame.buffer.length) + frame.buffer.address.0)
                .sum::<u64>();
            received
        };
        left -= received as u64;
        if received == 0 {
            spin_loop();
        }
    }
    black_box(bytes);
}

/// A word alone on its cache line, and on the line the processor fetches with it.
#[repr(align(128))]
#[derive(Default)]
struct Line(AtomicU64);

/// What the measuring thread asks of the other one.
#[derive(Default)]
struct Mailbox {
    /// Number of the last order.
    order: Line,
    contender: AtomicU64,
    count: AtomicU64,
    /// Number of the last order that is done.
    done: Line,
    stop: AtomicBool,
}

impl Mailbox {
    /// Gives an order.
    fn post(&self, contender: u64, count: u64) -> u64 {
        let order = self.order.0.load(Relaxed) + 1;
        self.contender.store(contender, Relaxed);
        self.count.store(count, Relaxed);
        self.order.0.store(order, Release);
        order
    }

    fn wait(&self, order: u64) {
        while self.done.0.load(Acquire) != order {
            spin_loop();
        }
    }

    /// Carries out orders until there are no more.
    fn serve(&self, mut carry_out: impl FnMut(u64, u64)) {
        let mut seen = 0;
        while !self.stop.load(Relaxed) {
            let order = self.order.0.load(Acquire);
            if order == seen {
                spin_loop();
                continue;
            }
            seen = order;
            carry_out(self.contender.load(Relaxed), self.count.load(Relaxed));
            self.done.0.store(order, Release);
        }
    }
}

/// A contender that sends to the thread behind the mailbox.
fn transfer<'a, const BATCH: usize, S: Send16>(
    name: &str,
    mailbox: &'a Mailbox,
    contender: u64,
    sender: &'a mut S,
) -> Contender<'a> {
    Contender::timed(name, BATCH as u64, move |iterations| {
        let count = iterations * BATCH as u64;
        let start = Instant::now();
        let order = mailbox.post(contender, count);
        produce::<BATCH>(sender, count);
        mailbox.wait(order);
        start.elapsed()
    })
}

/// Elements go from one processor to another; the time a cache line takes there and back is noted beside.
fn two_processors<const BATCH: usize>(bench: &Bench) -> anyhow::Result<Option<Case>> {
    let name = format!("two processors, 16 bytes, batch {BATCH}");
    if !bench.wants(&name) {
        return Ok(None);
    }
    /// Number of the order that bounces a cache line.
    const ROUND_TRIP: u64 = u64::MAX;
    let mailbox = Mailbox::default();
    let (ping, pong) = (Line::default(), Line::default());
    let (mut our_sender, mut our_receiver) = ours()?;
    let (mut rtrb_sender, mut rtrb_receiver) = rtrb();
    let (mut ringbuf_sender, mut ringbuf_receiver) = ringbuf();
    let ready = Barrier::new(2);
    thread::scope(|scope| {
        let (mailbox, ready, ping, pong) = (&mailbox, &ready, &ping, &pong);
        // The receiving halves move to their thread, so that no two threads write to one cache line of this stack.
        let receiver = scope.spawn(move || {
            let pinned = pin(bench.peer_cpu);
            ready.wait();
            mailbox.serve(|contender, count| match contender {
                0 => consume::<BATCH>(&mut our_receiver, count),
                1 => consume::<BATCH>(&mut rtrb_receiver, count),
                2 => consume::<BATCH>(&mut ringbuf_receiver, count),
                _ => {
                    for value in 1..=count {
                        while ping.0.load(Acquire) != value {
                            spin_loop();
                        }
                        pong.0.store(value, Release);
                    }
                }
            });
            pinned
        });
        // Asleep until the other thread is where it belongs: it starts on this processor.
        ready.wait();
        let case = bench.case(
            name,
            vec![
                transfer::<BATCH, _>("xdp-ring", mailbox, 0, &mut our_sender),
                transfer::<BATCH, _>("rtrb", mailbox, 1, &mut rtrb_sender),
                transfer::<BATCH, _>("ringbuf", mailbox, 2, &mut ringbuf_sender),
                Contender::timed("cache line, there and back", 1, |iterations| {
                    ping.0.store(0, Relaxed);
                    pong.0.store(0, Relaxed);
                    let order = mailbox.post(ROUND_TRIP, iterations);
                    let start = Instant::now();
                    for value in 1..=iterations {
                        ping.0.store(value, Release);
                        while pong.0.load(Acquire) != value {
                            spin_loop();
                        }
                    }
                    let elapsed = start.elapsed();
                    mailbox.wait(order);
                    elapsed
                }),
            ],
        );
        mailbox.stop.store(true, Relaxed);
        receiver
            .join()
            .map_err(|_| anyhow!("the receiving thread panicked"))??;
        Ok(case?.map(|case| case.against_peers(&PEERS)))
    })
}
