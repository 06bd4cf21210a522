//! Virtual NICs, as a test sees them.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use super::{Held, Lab, LabError};
use crate::{
    cable::{Plug, Sink, Source},
    kernel::kernel,
    ndis::{self, layer::OidKind},
    nic::{self, Config, Counters, Frame, Giving, Layout, Misdeed, SeenOid},
    verifier::Rule,
};

/// How long a test waits for a frame before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// Describes a virtual NIC; [`NicBuilder::create`] makes it.
#[must_use]
pub struct NicBuilder<'lab> {
    lab: Held<'lab, Lab>,
    config: Config,
    by_driver: bool,
}

impl Lab {
    /// Starts describing a virtual NIC.
    pub fn nic(&self, name: &str) -> NicBuilder<'_> {
        NicBuilder::new(Held::Borrowed(self), name)
    }

    /// As [`Lab::nic`], for a NIC that keeps the lab alive.
    pub fn shared_nic(self: &Arc<Self>, name: &str) -> NicBuilder<'static> {
        NicBuilder::new(Held::Shared(Arc::clone(self)), name)
    }

    /// Waits until NDIS has done what it queued: filters attached, stacks restarted, work items run.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn settle(&self) -> Result<(), LabError> {
        self.enter(ndis::settle)
    }

    /// The filter drivers that are registered, in the order of their registration.
    pub fn filter_drivers(&self) -> Vec<FilterDriver> {
        let mut drivers = kernel().ndis.filter_drivers.live();
        drivers.sort_by_key(|driver| driver.order);
        let describe = |driver: &&'static ndis::filter::FilterDriver| FilterDriver {
            friendly_name: driver.name.clone(),
            unique_name: driver.unique.clone(),
            service_name: driver.service.clone(),
            ndis_version: (
                driver.characteristics.MajorNdisVersion,
                driver.characteristics.MinorNdisVersion,
            ),
            flags: driver.characteristics.Flags,
        };
        drivers.iter().map(describe).collect()
    }

    /// How attempts to attach filters to NICs ended so far.
    pub fn filter_attaches(&self) -> Vec<FilterAttach> {
        kernel()
            .ndis
            .attach_notes()
            .into_iter()
            .map(|n| FilterAttach {
                nic: n.adapter,
                filter: n.filter,
                status: n.status,
            })
            .collect()
    }
}

/// A registered filter driver, as it has described itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterDriver {
    /// What people read.
    pub friendly_name: String,
    /// The `NetCfgInstanceId` of its installation.
    pub unique_name: String,
    /// Its service.
    pub service_name: String,
    /// The NDIS version that it is written for.
    pub ndis_version: (u8, u8),
    /// `NDIS_FILTER_DRIVER_...`.
    pub flags: u32,
}

/// How an attempt to attach a filter ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterAttach {
    /// Name of the NIC.
    pub nic: String,
    /// Friendly name of the filter.
    pub filter: String,
    /// What FilterAttach returned; 0 is success.
    pub status: i32,
}

impl<'lab> NicBuilder<'lab> {
    fn new(lab: Held<'lab, Lab>, name: &str) -> Self {
        NicBuilder {
            lab,
            by_driver: false,
            config: Config {
                name: name.to_owned(),
                queues: 1,
                mtu: 1500,
                medium: nt::sys::NdisMedium802_3,
                mac: [2, 0, 0, 0, 0, 1],
                chain: 64,
                inline: false,
                rss: true,
                rx_layout: Layout::contiguous(),
                tx_layout: Layout::contiguous(),
                wire: None,
                stack: None,
                settings: Vec::new(),
                lawless: false,
                hides_attributes: false,
            },
        }
    }

    /// The adapter is run by the miniport driver that was loaded last, not by the built-in NIC: its
    /// wire end is unused.
    pub fn by_miniport_driver(mut self) -> Self {
        self.by_driver = true;
        self
    }

    /// Number of receive queues; more than one makes the NIC capable of RSS.
    pub fn queues(mut self, queues: u32) -> Self {
        self.config.queues = queues;
        self
    }

    /// Largest payload of a frame, without the Ethernet header.
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.config.mtu = mtu;
        self
    }

    /// The kind of network, `NdisMedium...`; Ethernet if nothing else is said.
    pub fn medium(mut self, medium: i32) -> Self {
        self.config.medium = medium;
        self
    }

    /// The MAC address.
    pub fn mac(mut self, mac: [u8; 6]) -> Self {
        self.config.mac = mac;
        self
    }

    /// Longest chain of NBLs that is indicated or sent at a time.
    pub fn chain(mut self, frames: usize) -> Self {
        self.config.chain = frames.max(1);
        self
    }

    /// Indicates frames on the thread that puts them on the wire, not from a DPC.
    pub fn inline(mut self) -> Self {
        self.config.inline = true;
        self
    }

    /// The stack end leaves RSS as it is (by default it turns RSS on, as a TCP/IP stack does).
    pub fn without_rss(mut self) -> Self {
        self.config.rss = false;
        self
    }

    /// How received frames lie in memory.
    pub fn rx_layout(mut self, layout: Layout) -> Self {
        self.config.rx_layout = layout;
        self
    }

    /// How frames that the stack end sends lie in memory.
    pub fn tx_layout(mut self, layout: Layout) -> Self {
        self.config.tx_layout = layout;
        self
    }

    /// An advanced setting such as `*NumRssQueues`: a value of the adapter's registry key, there before
    /// its miniport starts.
    pub fn setting(mut self, name: &str, text: &str) -> Self {
        self.config
            .settings
            .push((name.to_owned(), text.to_owned()));
        self
    }

    /// Filters restart without attributes until [`Nic::hide_attributes`] says otherwise: they do not learn the MTU.
    pub fn hides_attributes(mut self) -> Self {
        self.config.hides_attributes = true;
        self
    }

    /// Lets the NIC break the rules of NDIS where a test asks for it ([`Wire::misbehave`]): what the kernel would be stopped
    /// for is noted against the NIC ([`Nic::broken_rules`]), and the drivers above must survive it.
    pub fn lawless(mut self) -> Self {
        self.config.lawless = true;
        self
    }

    /// Plugs a cable into the wire end: what `source` gives is received, what is sent goes into `sink`.
    pub fn wire_cable(
        mut self,
        source: Option<Box<dyn Source>>,
        sink: Option<Box<dyn Sink>>,
    ) -> Self {
        self.config.wire = Plug::device(source, sink);
        self
    }

    /// Plugs a cable into the stack end: what `source` gives is sent, what is received goes into `sink`.
    pub fn stack_cable(
        mut self,
        source: Option<Box<dyn Source>>,
        sink: Option<Box<dyn Sink>>,
    ) -> Self {
        self.config.stack = Plug::device(source, sink);
        self
    }

    /// Makes the NIC: filters attach, the stack runs.
    ///
    /// # Errors
    /// When the description makes no sense, or the kernel stops.
    pub fn create(self) -> Result<Nic<'lab>, LabError> {
        let config = &self.config;
        if !(1..=64).contains(&config.queues) {
            return Err(LabError::Invalid(format!(
                "{}: {} queues: a NIC has 1 to 64",
                config.name, config.queues
            )));
        }
        if !(68..=65_521).contains(&config.mtu) {
            return Err(LabError::Invalid(format!(
                "{}: an MTU of {}: it must be 68 to 65521",
                config.name, config.mtu
            )));
        }
        let lab = self.lab;
        let by_driver = self.by_driver;
        let config = self.config;
        let nic = lab.enter(|| {
            if ndis::nic(&config.name).is_some() {
                return Err(LabError::Invalid(format!(
                    "{} exists already: give the NIC another name",
                    config.name
                )));
            }
            let miniport = if by_driver {
                Some(ndis::newest_miniport().ok_or_else(|| {
                    LabError::Invalid("no miniport driver is registered: load one first".into())
                })?)
            } else {
                None
            };
            let name = config.name.clone();
            nic::Nic::create(config, miniport).map_err(|status| {
                LabError::Invalid(format!(
                    "{name}: the miniport driver refused the adapter: {status:#x}"
                ))
            })
        })??;
        Ok(Nic { lab, nic })
    }
}

/// A virtual NIC with its two ends. Dropping it leaves the NIC in the lab; [`Nic::remove`] takes it
/// away.
pub struct Nic<'lab> {
    lab: Held<'lab, Lab>,
    nic: Arc<nic::Nic>,
}

impl<'lab> Nic<'lab> {
    /// The outer side: what is on the cable.
    pub fn wire(&self) -> Wire<'_> {
        Wire {
            lab: &self.lab,
            nic: &self.nic,
            _side: PhantomData,
        }
    }

    /// The inner side: what the protocol stack sends and receives.
    pub fn stack(&self) -> Stack<'_> {
        Stack {
            lab: &self.lab,
            nic: &self.nic,
            _side: PhantomData,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.nic.name
    }

    /// Interface index, as programs use it to name the NIC.
    pub fn if_index(&self) -> u32 {
        self.nic.adapter().if_index
    }

    /// Path of its registry key, where a miniport driver finds its settings.
    pub fn registry_key(&self) -> String {
        self.nic.adapter().registry_key()
    }

    /// Path of the registry key of the settings that a filter has for this NIC; `None` when the filter
    /// is not attached. The key exists when something was written there.
    pub fn filter_registry_key(&self, filter: &str) -> Option<String> {
        ndis::filter_key(self.nic.adapter(), filter)
    }

    /// Stops all traffic until [`Nic::restart`].
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn pause(&self) -> Result<(), LabError> {
        self.lab
            .enter(|| ndis::lifecycle::pause(self.nic.adapter(), nt::sys::NDIS_PAUSE_NDIS_INTERNAL))
    }

    /// Lets traffic flow again.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn restart(&self) -> Result<(), LabError> {
        self.lab
            .enter(|| ndis::lifecycle::run(self.nic.adapter()))
            .map(|_| ())
    }

    /// Disables and enables the NIC: filters are detached and attached again.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn reset(&self) -> Result<(), LabError> {
        self.lab.enter(|| {
            let adapter = self.nic.adapter();
            ndis::lifecycle::pause(adapter, nt::sys::NDIS_PAUSE_MINIPORT_DEVICE_REMOVE);
            adapter.change.with(|| ndis::lifecycle::detach_all(adapter));
            ndis::lifecycle::attach_all(adapter);
            ndis::lifecycle::run(adapter);
        })
    }

    /// Takes the NIC away; what its ends collected can still be read.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn unplug(&self) -> Result<(), LabError> {
        self.lab.enter(|| self.nic.remove())
    }

    /// Takes the NIC away.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn remove(self) -> Result<(), LabError> {
        self.lab.enter(|| self.nic.remove())
    }

    /// Changes the MTU.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn set_mtu(&self, mtu: u32) -> Result<(), LabError> {
        self.lab.enter(|| self.nic.set_mtu(mtu))
    }

    /// Whether filters restart without attributes from now on.
    pub fn hide_attributes(&self, hide: bool) {
        self.nic
            .adapter()
            .hides_attributes
            .store(hide, std::sync::atomic::Ordering::Relaxed);
    }

    /// Connects or disconnects the link.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn set_link(&self, up: bool) -> Result<(), LabError> {
        self.lab.enter(|| self.nic.set_link(up))
    }

    /// Indicates a status from the miniport.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn indicate_status(&self, code: i32, data: &[u8]) -> Result<(), LabError> {
        self.lab.enter(|| self.nic.indicate_status(code, data))
    }

    /// Indicates a status that claims to have `claimed` bytes with it, and has none.
    ///
    /// # Errors
    /// When the NIC is not [lawless](NicBuilder::lawless), or the kernel stops.
    pub fn indicate_empty_status(&self, code: i32, claimed: u32) -> Result<(), LabError> {
        check_lawless(&self.nic)?;
        self.lab
            .enter(|| self.nic.indicate_empty_status(code, claimed))
    }

    /// Has answers to an OID claim that this many bytes were written and needed, whatever was.
    ///
    /// # Errors
    /// When the NIC is not [lawless](NicBuilder::lawless).
    pub fn claim_length(&self, oid: u32, bytes: u32) -> Result<(), LabError> {
        check_lawless(&self.nic)?;
        self.nic.claim(oid, bytes);
        Ok(())
    }

    /// How often the NIC's stack has been restarted.
    pub fn restarts(&self) -> u32 {
        self.nic
            .adapter()
            .restarts
            .load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Names of the filters on the NIC, from the bottom up; those whose handlers a frame passes.
    pub fn filters(&self) -> Vec<FilterModule> {
        ndis::describe_filters(self.nic.adapter())
    }

    /// Settings of RSS in the miniport: processor of each queue.
    pub fn queue_processors(&self) -> Vec<u32> {
        let rss = self.nic.rss.read();
        (0..self.nic.queues.len() as u32)
            .map(|q| rss.processor(q))
            .collect()
    }

    /// The rules that a [lawless](NicBuilder::lawless) NIC has broken since the last call.
    pub fn broken_rules(&self) -> Vec<Rule> {
        self.nic.broken.take()
    }

    /// The OID requests that have reached the miniport since the last call.
    pub fn take_oids(&self) -> Vec<SeenOid> {
        self.nic.take_seen()
    }

    /// Whether the miniport leaves OID requests pending and completes them from a DPC, as many do, or
    /// answers at once (the default).
    pub fn answer_oids_later(&self, later: bool) {
        self.nic
            .oids_later
            .store(later, std::sync::atomic::Ordering::Release);
    }

    /// Lets a function answer requests for `oid`: it gets what is set, and returns what a query
    /// gets, or a status.
    pub fn answer_oid(
        &self,
        oid: u32,
        answer: impl Fn(&[u8]) -> Result<Vec<u8>, i32> + Send + Sync + 'static,
    ) {
        self.nic.set_answer(oid, Box::new(answer));
    }
}

/// A filter module on a NIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterModule {
    /// Friendly name of the driver.
    pub name: String,
    /// Whether it has a handler for sends.
    pub sends: bool,
    /// Whether it has a handler for receives.
    pub receives: bool,
}

/// The wire end of a NIC.
pub struct Wire<'nic> {
    lab: &'nic Lab,
    nic: &'nic Arc<nic::Nic>,
    _side: PhantomData<()>,
}

impl Wire<'_> {
    /// Puts a frame on the wire; returns when it has been indicated to the drivers above.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn send(&self, frame: impl Into<Frame>) -> Result<(), LabError> {
        self.send_all([frame.into()])
    }

    /// Puts frames on the wire; returns when they have been indicated.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn send_all(&self, frames: impl IntoIterator<Item = Frame>) -> Result<(), LabError> {
        let frames = frames.into_iter().collect();
        self.lab.enter(|| self.nic.inject(frames, true))
    }

    /// Puts frames on the wire and does not wait.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn post(&self, frames: impl IntoIterator<Item = Frame>) -> Result<(), LabError> {
        let frames = frames.into_iter().collect();
        self.lab.enter(|| self.nic.inject(frames, false))
    }

    /// Indicates `total` frames, taken in turn from `frames`, as fast as they go, on the calling
    /// thread. For benchmarks and load.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn blast(&self, frames: &[Frame], total: u64) -> Result<u64, LabError> {
        if frames.is_empty() {
            return Ok(0);
        }
        self.lab.enter(|| self.nic.replay(frames, total))
    }

    /// Indicates a frame as no NIC may, also while the NIC is paused.
    ///
    /// # Errors
    /// When the NIC is not [lawless](NicBuilder::lawless), or the kernel stops.
    pub fn misbehave(&self, frame: impl Into<Frame>, misdeed: Misdeed) -> Result<(), LabError> {
        check_lawless(self.nic)?;
        let frame = frame.into();
        self.lab.enter(|| self.nic.misbehave(&frame, misdeed))
    }

    /// The next frame that was sent out, if there is one.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn try_receive(&self) -> Result<Option<Frame>, LabError> {
        self.lab.enter(|| self.nic.wire.take())
    }

    /// Waits for the next frame that is sent out.
    ///
    /// # Errors
    /// When none comes within five seconds, or the kernel stops.
    pub fn receive(&self) -> Result<Frame, LabError> {
        wait(self.lab, &self.nic.name, "wire", &self.nic.wire)
    }

    /// What this end has seen.
    pub fn counters(&self) -> Counters {
        self.nic.wire.counters()
    }

    /// Only counts frames from now on, for load.
    pub fn count_only(&self) {
        self.nic.wire.set_collect(false);
    }

    /// Keeps sends uncompleted until [`Wire::release`].
    pub fn hold(&self) {
        self.nic.wire.set_giving(Giving::Held);
    }

    /// Completes sends one by one and out of order.
    pub fn shuffle(&self) {
        self.nic.wire.set_giving(Giving::Shuffled);
    }

    /// The sends that are held, byte by byte as they lie in memory now: what a card that is slow would read.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn held(&self) -> Result<Vec<Vec<u8>>, LabError> {
        self.lab.enter(|| self.nic.held_sends())
    }

    /// Completes what was held, and holds no more.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn release(&self) -> Result<(), LabError> {
        self.lab.enter(|| self.nic.release(&self.nic.wire))
    }

    /// Status with which sends are completed from now on.
    pub fn complete_sends_with(&self, status: i32) {
        self.nic
            .send_status
            .store(status, std::sync::atomic::Ordering::Relaxed);
    }

    /// Changes how received frames lie in memory.
    pub fn set_layout(&self, layout: Layout) {
        self.nic.rx.set_layout(layout);
    }
}

/// The stack end of a NIC.
pub struct Stack<'nic> {
    lab: &'nic Lab,
    nic: &'nic Arc<nic::Nic>,
    _side: PhantomData<()>,
}

impl Stack<'_> {
    /// Sends a frame down.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn send(&self, frame: impl Into<Frame>) -> Result<(), LabError> {
        self.send_all([frame.into()]).map(|_| ())
    }

    /// Sends frames down; returns how many the stack below took.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn send_all(&self, frames: impl IntoIterator<Item = Frame>) -> Result<u64, LabError> {
        let frames = frames.into_iter().collect();
        self.lab.enter(|| self.nic.send(frames))
    }

    /// Sends lists down, each of the frames that it has: what a stack does with the segments of one connection. What
    /// travels beside the bytes of a list's first frame is the list's. Returns how many frames the stack below took.
    ///
    /// # Errors
    /// When a list has no frame, or the kernel stops.
    pub fn send_lists(&self, lists: &[Vec<Frame>]) -> Result<u64, LabError> {
        if lists.iter().any(Vec::is_empty) {
            return Err(LabError::Invalid("a list without a frame".into()));
        }
        self.lab.enter(|| self.nic.send_lists(lists))
    }

    /// Sends `total` frames down, taken in turn from `frames`, as fast as they go, on the calling thread; returns how many
    /// the stack below took. For benchmarks and load.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn blast(&self, frames: &[Frame], total: u64) -> Result<u64, LabError> {
        if frames.is_empty() {
            return Ok(0);
        }
        self.lab.enter(|| self.nic.pour(frames, total))
    }

    /// The next frame that came up, if there is one.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn try_receive(&self) -> Result<Option<Frame>, LabError> {
        self.lab.enter(|| self.nic.stack.take())
    }

    /// Waits for the next frame that comes up.
    ///
    /// # Errors
    /// When none comes within five seconds, or the kernel stops.
    pub fn receive(&self) -> Result<Frame, LabError> {
        wait(self.lab, &self.nic.name, "stack", &self.nic.stack)
    }

    /// What this end has seen.
    pub fn counters(&self) -> Counters {
        self.nic.stack.counters()
    }

    /// Sends that came back with a failure status.
    pub fn failed_sends(&self) -> u64 {
        self.nic
            .stack_failed
            .load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Sends that have not been completed.
    pub fn pending_sends(&self) -> u64 {
        self.nic
            .tx
            .outstanding
            .load(std::sync::atomic::Ordering::SeqCst)
            .max(0) as u64
    }

    /// Only counts frames from now on, for load.
    pub fn count_only(&self) {
        self.nic.stack.set_collect(false);
    }

    /// Keeps receives until [`Stack::release`].
    pub fn hold(&self) {
        self.nic.stack.set_giving(Giving::Held);
    }

    /// Returns receives one by one and out of order.
    pub fn shuffle(&self) {
        self.nic.stack.set_giving(Giving::Shuffled);
    }

    /// Returns what was held, and holds no more.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn release(&self) -> Result<(), LabError> {
        self.lab.enter(|| self.nic.release(&self.nic.stack))
    }

    /// Status codes indicated to the stack since the last call.
    pub fn take_statuses(&self) -> Vec<i32> {
        std::mem::take(&mut *self.nic.statuses.lock())
    }

    /// Network events that reached the stack since the last call.
    pub fn take_events(&self) -> Vec<i32> {
        std::mem::take(&mut *self.nic.events.lock())
    }

    /// Queries an OID from above the filters; the error is the status.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn query(&self, oid: u32) -> Result<Result<Vec<u8>, i32>, LabError> {
        self.lab.enter(|| self.nic.query_oid(oid, OidKind::Regular))
    }

    /// As [`Stack::query`], on the direct path.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn query_direct(&self, oid: u32) -> Result<Result<Vec<u8>, i32>, LabError> {
        self.lab.enter(|| self.nic.query_oid(oid, OidKind::Direct))
    }

    /// As [`Stack::query`], on the synchronous path.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn query_synchronous(&self, oid: u32) -> Result<Result<Vec<u8>, i32>, LabError> {
        self.lab
            .enter(|| self.nic.query_oid(oid, OidKind::Synchronous))
    }

    /// Sets an OID from above the filters; returns the status.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn set(&self, oid: u32, data: &[u8]) -> Result<i32, LabError> {
        let mut data = data.to_vec();
        self.lab.enter(|| self.nic.set_oid(oid, &mut data))
    }

    /// As [`Stack::set`], with the request made at DISPATCH_LEVEL.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn set_at_dispatch(&self, oid: u32, data: &[u8]) -> Result<i32, LabError> {
        let (mut data, level) = (data.to_vec(), nt::sys::DISPATCH_LEVEL);
        self.lab
            .enter(|| self.nic.set_oid_at(oid, &mut data, level as nt::sys::KIRQL))
    }

    /// Spreads receives over the queues of these processors, as the protocol stack does when it moves
    /// RSS; none turns RSS off. Returns the status.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn set_rss(&self, processors: &[u32]) -> Result<i32, LabError> {
        let parameters = nic::rss::parameters_for(processors, nic::rss::MAX_TABLE);
        self.set(nt::sys::OID_GEN_RECEIVE_SCALE_PARAMETERS, &parameters)
    }

    /// Whether the stack end runs.
    pub fn is_up(&self) -> bool {
        self.nic.is_up()
    }

    /// Changes how frames that are sent lie in memory.
    pub fn set_layout(&self, layout: Layout) {
        self.nic.tx.set_layout(layout);
    }
}

fn check_lawless(nic: &nic::Nic) -> Result<(), LabError> {
    if nic.broken.allowed {
        return Ok(());
    }
    Err(LabError::Invalid(format!(
        "{} keeps the rules: make it lawless first",
        nic.name
    )))
}

fn wait(lab: &Lab, name: &str, side: &str, end: &nic::End) -> Result<Frame, LabError> {
    let timeout = (PATIENCE.as_nanos() / 100) as i64;
    lab.enter(|| end.wait(timeout))?.ok_or_else(|| {
        LabError::Invalid(format!(
            "no frame reached the {side} end of {name} within {} s",
            PATIENCE.as_secs()
        ))
    })
}
