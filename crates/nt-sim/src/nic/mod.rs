//! Virtual NICs: a miniport with queues and a protocol stack's place above it, whose outer sides
//! (*wire* and *stack*) tests, captures and interfaces of the host are attached to.

mod buffers;
mod device;
mod end;
mod frame;
mod layout;
mod misdeed;
mod oids;
pub(crate) mod rss;
mod stack;
mod toeplitz;
mod wire;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering},
};

use crate::sync::{Mutex, RwLock};

pub(crate) use self::{
    device::Device,
    end::{End, Giving},
};
pub use self::{
    end::Counters,
    frame::{Frame, FrameInfo},
    layout::Layout,
    misdeed::Misdeed,
    oids::SeenOid,
};
use crate::{
    kernel::kernel,
    ndis::{
        self,
        adapter::{Adapter, General},
        layer::{Layer, Part},
    },
};

/// How a NIC is made.
pub(crate) struct Config {
    pub(crate) name: String,
    pub(crate) queues: u32,
    pub(crate) mtu: u32,
    pub(crate) medium: i32,
    pub(crate) mac: [u8; 6],
    pub(crate) chain: usize,
    pub(crate) inline: bool,
    pub(crate) rss: bool,
    pub(crate) rx_layout: Layout,
    pub(crate) tx_layout: Layout,
    pub(crate) wire: Option<Arc<dyn Device>>,
    pub(crate) stack: Option<Arc<dyn Device>>,
    /// Advanced settings: registry values of the adapter.
    pub(crate) settings: Vec<(String, String)>,
    /// It may break the rules of NDIS.
    pub(crate) lawless: bool,
    /// Filters restart without attributes.
    pub(crate) hides_attributes: bool,
}

/// A virtual NIC.
pub(crate) struct Nic {
    pub(crate) name: String,
    pub(crate) queues: Vec<wire::Queue>,
    pub(crate) chain: usize,
    /// Frames are indicated on the thread that injects them, not from a DPC.
    pub(crate) inline: bool,
    /// The stack end turns RSS on.
    pub(crate) stack_sets_rss: bool,
    pub(crate) rss: RwLock<rss::Rss>,
    pub(crate) wire: End,
    pub(crate) stack: End,
    pub(crate) rx: buffers::Buffers,
    pub(crate) tx: buffers::Buffers,
    adapter: OnceLock<&'static Adapter>,
    binding: OnceLock<&'static Layer>,
    pub(crate) running: AtomicBool,
    pub(crate) stop: AtomicBool,
    pub(crate) statuses: Mutex<Vec<i32>>,
    pub(crate) events: Mutex<Vec<i32>>,
    /// Status of the sends that the wire completes.
    pub(crate) send_status: AtomicI32,
    pub(crate) stack_failed: AtomicU64,
    /// How many of the next frames that come up the stack end sends down again.
    pub(crate) routed: AtomicU64,
    pub(crate) oids: oids::Settings,
    /// Requests are left pending and completed from a DPC.
    pub(crate) oids_later: AtomicBool,
    /// The rules that it has broken.
    pub(crate) broken: misdeed::Record,
}

impl Nic {
    /// Makes an adapter with a stack on it and lets it run.
    ///
    /// # Errors
    /// The status with which a loaded miniport driver refused the adapter.
    pub(crate) fn create(
        config: Config,
        miniport: Option<Box<dyn ndis::layer::Bottom>>,
    ) -> Result<Arc<Nic>, i32> {
        let cpus = kernel().config.cpus;
        let general = General {
            mtu: config.mtu,
            media_type: config.medium,
            lookahead: config.mtu + 14,
            mac: config.mac.to_vec(),
            permanent_mac: config.mac.to_vec(),
            rss: (config.queues > 1).then(|| rss::Rss::capabilities(config.queues)),
            oids: oids::SUPPORTED.to_vec(),
            offload: Some(oids::offload()),
            ..General::default()
        };
        let capacity = config.mtu as usize + 14 + 4;
        let nic = Arc::new(Nic {
            name: config.name.clone(),
            queues: (0..config.queues).map(|_| wire::Queue::default()).collect(),
            chain: config.chain,
            inline: config.inline,
            stack_sets_rss: config.rss && config.queues > 1,
            rss: RwLock::new(rss::Rss::new(config.queues, cpus)),
            wire: End::new(config.wire, config.lawless),
            stack: End::new(config.stack, config.lawless),
            rx: buffers::Buffers::new(config.rx_layout, capacity),
            tx: buffers::Buffers::new(config.tx_layout, capacity),
            adapter: OnceLock::new(),
            binding: OnceLock::new(),
            running: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            statuses: Mutex::new(Vec::new()),
            events: Mutex::new(Vec::new()),
            send_status: AtomicI32::new(0),
            stack_failed: AtomicU64::new(0),
            routed: AtomicU64::new(0),
            oids: oids::Settings::default(),
            oids_later: AtomicBool::new(false),
            broken: misdeed::Record::new(config.lawless),
        });
        let bottom = miniport.unwrap_or_else(|| Box::new(wire::Bottom(Arc::clone(&nic))));
        let adapter = ndis::add_adapter(&config.name, general, bottom);
        assert!(nic.adapter.set(adapter).is_ok(), "made once");
        adapter
            .hides_attributes
            .store(config.hides_attributes, Ordering::Relaxed);
        ndis::write_settings(adapter, &config.settings);
        let status = ndis::start_miniport(adapter);
        if status != nt::sys::NDIS_STATUS_SUCCESS {
            return Err(status);
        }
        ndis::add_nic(Arc::clone(&nic));
        let binding = ndis::bind(
            adapter,
            Part::Binding(Box::new(stack::Top(Arc::clone(&nic)))),
        );
        assert!(nic.binding.set(binding).is_ok(), "made once");
        ndis::lifecycle::attach_all(adapter);
        ndis::lifecycle::run(adapter);
        nic.start_devices();
        Ok(nic)
    }

    pub(crate) fn adapter(&self) -> &'static Adapter {
        self.adapter.get().expect("set when the NIC is made")
    }

    pub(crate) fn miniport(&self) -> &'static Layer {
        self.adapter().miniport()
    }

    pub(crate) fn binding(&self) -> &'static Layer {
        self.binding.get().expect("set when the NIC is made")
    }

    /// Starts a thread for each end that frames come to by themselves.
    fn start_devices(self: &Arc<Nic>) {
        for (at_wire, end) in [(true, &self.wire), (false, &self.stack)] {
            let Some(device) = end.device.clone().filter(|d| d.is_live()) else {
                continue;
            };
            let nic = Arc::clone(self);
            let name = format!("{}/{}", self.name, if at_wire { "wire" } else { "stack" });
            crate::sched::spawn_system(&name, move || {
                let mut frames = Vec::new();
                let mut open = true;
                while open && !nic.stop.load(Ordering::Acquire) {
                    // The last frames come together with the word that there are no more.
                    open = device.receive(&mut frames);
                    if !frames.is_empty() {
                        let batch = std::mem::take(&mut frames);
                        if at_wire {
                            nic.inject(batch, false);
                        } else {
                            nic.send(batch);
                        }
                    }
                }
            });
        }
    }

    /// Takes the NIC away: pauses, detaches the filters, halts.
    pub(crate) fn remove(&self) {
        self.stop.store(true, Ordering::Release);
        self.release(&self.wire);
        self.release(&self.stack);
        ndis::remove_adapter(self.adapter());
        for end in [&self.wire, &self.stack] {
            if let Some(device) = &end.device {
                let _ = device.flush();
            }
        }
    }

    /// Gives back what an end has held, and holds no more.
    pub(crate) fn release(&self, end: &End) {
        end.set_giving(Giving::AtOnce);
        if std::ptr::eq(end, &self.wire) {
            self.complete_held();
        } else {
            self.return_held();
        }
    }
}
