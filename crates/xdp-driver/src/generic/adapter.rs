//! The filter on one adapter.

use core::sync::atomic::{AtomicBool, Ordering};

use nt::irql::Raised;
use nt::ndis::{
    Datapath, Filter, FilterModule, Flags, NblChain, NblQueue, OidRequest, Receive, Restart, Run,
    StatusView,
};
use nt::sync::Published;
use nt::sys::{
    NDIS_STATUS_PAUSED, NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, NET_PNP_EVENT_NOTIFICATION,
    NetEventFilterPreDetach, OID_GEN_RECEIVE_SCALE_PARAMETERS,
};
use nt::{Arc, Box, Passive, Result, Status, Tag};

use super::{inspect, offload, rss};
use crate::driver::Services;
use crate::interface::Interface;

/// Bytes of an Ethernet header: what a frame has beyond the MTU.
const ETHERNET_HEADER: u32 = 14;

/// The filter on one adapter.
///
/// The interface is made when the adapter first starts: before that it cannot be asked how many queues it has.
pub(crate) struct Adapter {
    filter: Filter,
    if_index: u32,
    services: Arc<Services>,
    interface: Published<Arc<Interface>>,
    /// Nothing may go through while the module is paused, whoever brings it.
    paused: AtomicBool,
}

impl Adapter {
    pub(crate) fn new(filter: Filter, if_index: u32, services: Arc<Services>) -> Self {
        Self {
            filter,
            if_index,
            services,
            interface: Published::empty(),
            paused: AtomicBool::new(true),
        }
    }

    /// The interface, once there is one.
    fn interface(&self) -> Option<Arc<Interface>> {
        let raised = Raised::to_dispatch();
        self.interface.read(raised.token()).cloned()
    }

    /// Makes the interface and lets it be looked up. The adapter works without it when that fails.
    fn appear(&self, passive: Passive<'_>) -> Result<Arc<Interface>> {
        let scale = rss::query(self.filter, passive)?;
        let interface =
            Interface::new(self.if_index, self.filter, self.services.clone(), scale.rss)?;
        let interface = Arc::new(crate::TAG, interface)?;
        let steering = Box::new(crate::TAG, scale.steering)?;
        drop(interface.steering.replace(Some(steering), passive));
        offload::query(&interface, passive);
        let published = Box::new(crate::TAG, interface.clone())?;
        Interface::start(&interface)?;
        if let Err(status) = self.services.interfaces.add(interface.clone(), passive) {
            interface.remove(passive);
            return Err(status);
        }
        drop(self.interface.replace(Some(published), passive));
        Ok(interface)
    }

    fn disappear(&self, passive: Passive<'_>) {
        if let Some(interface) = self.interface() {
            interface.remove(passive);
        }
    }

    #[inline]
    fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Gives back what came to be sent while the module is paused: whoever brought it has broken the rules.
    #[cold]
    fn refuse_send(&self, chain: NblChain, flags: Flags) {
        let mut refused = NblQueue::new();
        for mut list in chain {
            list.set_status(Status(NDIS_STATUS_PAUSED));
            refused.push_back(list);
        }
        self.filter
            .send_complete(refused.into_chain(), flags.level_only());
    }

    /// As [`Adapter::refuse_send`], for what was received; what is only lent is the lender's anyway.
    #[cold]
    fn refuse_receive(&self, chain: NblChain, receive: Receive) {
        if !receive.is_lent() {
            self.filter.return_chain(chain, receive.flags.level_only());
        }
    }

    /// Takes the lists of ours off that were sent or indicated; what is left of the chain is of others, in their order.
    #[inline]
    fn take_ours(&self, mut chain: NblChain) -> NblQueue {
        let mut others = NblQueue::new();
        let mut raised = None;
        while let Some(run) = chain.pop_run(self.filter) {
            let (word, packets) = match run {
                Run::Others(lists) => {
                    others.append(lists);
                    continue;
                }
                Run::Packets(word, packets) => (word, packets),
            };
            let raised = raised.get_or_insert_with(Raised::to_dispatch);
            match self.interface.read(raised.token()) {
                Some(interface) => interface.packets_back(word, packets, raised.token()),
                None => drop(packets),
            }
        }
        others
    }
}

impl FilterModule for Adapter {
    const TAG: Tag = crate::TAG;

    fn filter(&self) -> Filter {
        self.filter
    }

    fn datapath(&self) -> Datapath {
        self.interface()
            .map_or_else(Datapath::default, |interface| interface.datapath())
    }

    fn restart(&self, restart: &Restart<'_>, passive: Passive<'_>) -> Result<()> {
        let interface = match self.interface() {
            Some(interface) => Ok(interface),
            None => self.appear(passive),
        };
        self.paused.store(false, Ordering::Release);
        // A restart without attributes says nothing about the MTU: what was known stays.
        let max_frame = restart.mtu().map(|mtu| mtu.saturating_add(ETHERNET_HEADER));
        if let Ok(interface) = interface {
            interface.restarted(max_frame, passive);
        }
        Ok(())
    }

    fn pause(&self, passive: Passive<'_>) {
        if let Some(interface) = self.interface() {
            interface.pause(passive);
        }
        self.paused.store(true, Ordering::Release);
    }

    fn detach(self, passive: Passive<'_>) {
        self.disappear(passive);
        drop(self.interface.replace(None, passive));
    }

    fn send(&self, chain: NblChain, port: u32, flags: Flags) {
        if self.is_paused() {
            return self.refuse_send(chain, flags);
        }
        let raised = Raised::to_dispatch();
        match self.interface.read(raised.token()) {
            Some(interface) => inspect::send(interface, chain, port, flags, raised.token()),
            None => self.filter.send(chain, port, flags),
        }
    }

    fn send_complete(&self, chain: NblChain, flags: Flags) {
        let others = self.take_ours(chain);
        self.filter.send_complete(others.into_chain(), flags);
    }

    fn receive(&self, chain: NblChain, receive: Receive) {
        if self.is_paused() {
            return self.refuse_receive(chain, receive);
        }
        let raised = Raised::to_dispatch();
        match self.interface.read(raised.token()) {
            Some(interface) => inspect::receive(interface, chain, receive, raised.token()),
            None => self.filter.indicate(chain, receive),
        }
    }

    fn return_chain(&self, chain: NblChain, flags: Flags) {
        let others = self.take_ours(chain);
        self.filter.return_chain(others.into_chain(), flags);
    }

    fn oid_request(&self, request: OidRequest) {
        let view = request.view();
        if !request.is_direct()
            && view.port() == 0
            && view.oid() == OID_GEN_RECEIVE_SCALE_PARAMETERS
        {
            match self.interface() {
                Some(interface) => rss::serve(&interface, request),
                None => request.forward(),
            }
        } else {
            request.forward();
        }
    }

    fn status(&self, indication: &StatusView<'_>) {
        if indication.code() == NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG
            && let Some(interface) = self.interface()
        {
            offload::changed(&interface, indication.buffer());
        }
    }

    fn net_pnp_event(
        &self,
        event: &NET_PNP_EVENT_NOTIFICATION,
        passive: Passive<'_>,
    ) -> Result<()> {
        if event.NetPnPEvent.NetEvent == NetEventFilterPreDetach {
            self.disappear(passive);
        }
        Ok(())
    }
}
