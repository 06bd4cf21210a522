//! Virtual NICs, as a test sees them.

use std::{marker::PhantomData, sync::Arc};

use super::{
    Held, Lab, LabError,
    ends::{Stack, Wire},
};
use crate::{
    cable::{Plug, Sink, Source},
    kernel::kernel,
    ndis,
    nic::{self, Config, Layout, SeenOid},
    verifier::Rule,
};

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

    /// Leaves requests for `oid` pending until they are cancelled ([`Stack::cancel_requests`]).
    pub fn hold_oid(&self, oid: u32) {
        self.nic.hold_oid(oid);
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

/// Whether a NIC may break the rules.
pub(super) fn check_lawless(nic: &nic::Nic) -> Result<(), LabError> {
    if nic.broken.allowed {
        return Ok(());
    }
    Err(LabError::Invalid(format!(
        "{} keeps the rules: make it lawless first",
        nic.name
    )))
}
