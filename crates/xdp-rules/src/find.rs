//! Finding the first rule that matches.

use crate::NONE;
use crate::address::V6;
use crate::cids::Cids;
use crate::classifier::{Classifier, Hit};
use crate::hash::Key;
use crate::index::{ByPrefix, Exact};
use crate::masks::ByMask;
use crate::pattern::{self, Pattern, PortSet, tcp_ports4, tcp_ports6, udp_ports4, udp_ports6};
use crate::plan::Class;
use crate::port_sets::PortSets;
use crate::store::Store;
use crate::tables::{Step, Tuple4, Tuple6};
use xdp_abi::Port;
use xdp_packet::{
    Depth, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Facts, Frame, Icmp, Ipv6, Packet, Quic, Scratch,
    protocol,
};

/// What searches need of IPv4 UDP; in `ports` the source port comes first.
#[derive(Clone, Copy)]
pub(crate) struct Flow4<'p> {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) ports: u32,
    pub(crate) payload: &'p [u8],
}

impl<'p> Flow4<'p> {
    /// Recognises IPv4 UDP.
    #[inline]
    pub(crate) fn of(bytes: &'p [u8]) -> Option<Self> {
        let (head, payload) = bytes.split_first_chunk::<42>()?;
        if !is_udp4(head) {
            return None;
        }
        let [.., a, b, c, d, e, f, g, h, i, j, k, l, _, _, _, _] = *head;
        Some(Self {
            from: u32::from_be_bytes([a, b, c, d]),
            to: u32::from_be_bytes([e, f, g, h]),
            ports: u32::from_be_bytes([i, j, k, l]),
            payload,
        })
    }

    /// Recognises IPv6 UDP, and tells its ports.
    #[inline]
    pub(crate) fn ports_of_6(bytes: &'p [u8]) -> Option<Self> {
        let Flow6 { ports, payload, .. } = Flow6::of(bytes)?;
        Some(Self {
            from: 0,
            to: 0,
            ports,
            payload,
        })
    }

    /// Returns the source address and, in the lower half, the destination address.
    #[inline]
    pub(crate) const fn addresses(&self) -> u64 {
        (self.from as u64) << 32 | self.to as u64
    }
}

/// What searches need of IPv6 UDP: the source address, then the destination address; the ports in the same order.
#[derive(Clone, Copy)]
pub(crate) struct Flow6<'p> {
    pub(crate) ends: &'p [u8; 32],
    pub(crate) ports: u32,
    pub(crate) payload: &'p [u8],
}

impl<'p> Flow6<'p> {
    /// Recognises IPv6 UDP.
    #[inline]
    pub(crate) fn of(bytes: &'p [u8]) -> Option<Self> {
        let (head, payload) = bytes.split_first_chunk::<62>()?;
        if !is_udp6(head) {
            return None;
        }
        let (ip, udp) = head.split_last_chunk::<8>()?;
        let (_, ends) = ip.split_last_chunk::<32>()?;
        let [a, b, c, d, ..] = *udp;
        Some(Self {
            ends,
            ports: u32::from_be_bytes([a, b, c, d]),
            payload,
        })
    }
}

/// Searches for a packet: first where the earliest rule is; then, if something in the list comes before what was found, one after
/// the other, each if it can still find something earlier. Which search is next is written out: to look it up and jump there would cost
/// as much as most searches do.
macro_rules! in_turn {
    ($rules:ident, $class:ident: $($name:ident),+; |$step:ident, $best:ident| $search:expr) => {{
        let plan = $rules.plans.of(Class::$class);
        let mut $best = plan.floor;
        if plan.first.head < $best {
            let $step = plan.first.step;
            $best = $best.min($search);
        }
        if plan.later < $best {
            $(if plan.head(Step::$name) < $best {
                let $step = Step::$name;
                $best = $best.min($search);
            })+
        }
        $best
    }};
}

impl<P: PortSet, T, S: Store> Classifier<P, T, S> {
    /// Returns how deep packets must be parsed for [`Classifier::find`]; `None` when the rules do not look at them.
    #[inline]
    #[must_use]
    pub const fn depth(&self) -> Option<Depth> {
        self.plans.depth()
    }

    /// Finds the first rule that matches a frame.
    #[inline]
    #[must_use]
    pub fn classify(&self, frame: &Frame<'_>) -> Option<Hit<'_, T>> {
        let id = match self.depth() {
            None => self.tables.all.head,
            Some(_) if frame.is_contiguous() => self.search_slice(frame.first()),
            Some(_) => self.search_split(frame),
        };
        self.hit(id)
    }

    /// Searches for a frame where that needs a look at it.
    #[inline]
    pub(crate) fn search_frame(&self, frame: &Frame<'_>) -> u32 {
        if frame.is_contiguous() {
            self.search_slice(frame.first())
        } else {
            self.search_split(frame)
        }
    }

    /// Searches for a frame of one buffer. UDP, where nearly all rules are, is recognised at a glance: its headers have fixed
    /// places, so that one look at the length is enough.
    ///
    /// Where only one structure can have something for UDP, that search is all there is to do: every path of this function
    /// ends in a call that needs nothing kept.
    #[inline(never)]
    pub(crate) fn search_slice(&self, bytes: &[u8]) -> u32 {
        if let Some(flow) = Flow4::of(bytes) {
            return match self.plans.only(Class::Udp4) {
                Some(step) => self.udp4_step(step, NONE, flow),
                None => self.udp4(flow.from, flow.to, flow.ports, flow.payload),
            };
        }
        if let Some(flow) = Flow6::of(bytes) {
            let Flow6 {
                ends,
                ports,
                payload,
            } = flow;
            return match self.plans.only(Class::Udp6) {
                Some(step) => self.udp6_step(step, NONE, ends, ports, payload),
                None => self.udp6(ends, ports, payload),
            };
        }
        self.search_parsed(bytes)
    }

    #[inline(never)]
    fn search_parsed(&self, bytes: &[u8]) -> u32 {
        // Searches look themselves at what TCP carries.
        let packet = Packet::parse_slice(bytes, Depth::Transport);
        match Class::of(packet.facts()) {
            Class::Tcp4 | Class::Tcp6 => self.search(packet),
            _ => self.search(Packet::parse_slice(bytes, Depth::Upper)),
        }
    }

    /// Finds the first rule that matches a packet, which must have been parsed to [`Classifier::depth`] at least: rules that
    /// look deeper do not match.
    #[inline]
    #[must_use]
    pub fn find(&self, packet: &Packet<'_>) -> Option<Hit<'_, T>> {
        self.hit(self.search(*packet))
    }

    #[inline]
    pub(crate) fn hit(&self, id: u32) -> Option<Hit<'_, T>> {
        Some(Hit {
            value: self.arena.value(id)?,
            key: self.arena.key_of(id)?,
        })
    }

    #[inline(never)]
    fn search_split(&self, frame: &Frame<'_>) -> u32 {
        let depth = self.depth().unwrap_or(Depth::Link);
        let mut scratch = Scratch::new();
        self.search(Packet::parse(frame, depth, &mut scratch))
    }

    /// Searches one structure after the other until what was found is earlier than anything in those left.
    #[inline(never)]
    fn search(&self, packet: Packet<'_>) -> u32 {
        let class = Class::of(packet.facts());
        match class {
            Class::NotIp => self.tables.all.head,
            Class::Udp4 => {
                let (Some(ip), Some(ports)) = (packet.ipv4(), packet.ports()) else {
                    return NONE;
                };
                let from = u32::from_be_bytes(ip.source());
                let to = u32::from_be_bytes(ip.destination());
                self.udp4(from, to, pair(ports), packet.payload())
            }
            Class::Tcp4 => {
                let (Some(ip), Some(tcp)) = (packet.ipv4(), packet.tcp()) else {
                    return NONE;
                };
                let to = u32::from_be_bytes(ip.destination());
                self.tcp4(
                    to,
                    tcp.destination_port(),
                    tcp.is_control(),
                    packet.payload(),
                )
            }
            Class::Other4 => self.other4(packet),
            Class::Udp6 => {
                let (Some(ip), Some(ports)) = (packet.ipv6(), packet.ports()) else {
                    return NONE;
                };
                self.udp6(ends(ip), pair(ports), packet.payload())
            }
            Class::Tcp6 => {
                let (Some(ip), Some(tcp)) = (packet.ipv6(), packet.tcp()) else {
                    return NONE;
                };
                self.tcp6(
                    ends(ip),
                    tcp.destination_port(),
                    tcp.is_control(),
                    packet.payload(),
                )
            }
            Class::Other6 => self.other6(packet),
        }
    }

    /// Searches for IPv4 UDP; `ports` is the source port, then the destination port. All of it in registers.
    #[inline(never)]
    fn udp4(&self, from: u32, to: u32, ports: u32, payload: &[u8]) -> u32 {
        let flow = Flow4 {
            from,
            to,
            ports,
            payload,
        };
        in_turn!(
            self, Udp4: UdpDst, Tuple4, UdpPorts, UdpPorts4, Prefix4, UdpSrcCid, UdpDstCid, Mask4;
            |step, best| self.udp4_step(step, best, flow)
        )
    }

    #[inline(always)]
    fn udp4_step(&self, step: Step, best: u32, flow: Flow4<'_>) -> u32 {
        let Flow4 {
            from,
            to,
            ports,
            payload,
        } = flow;
        let tables = &self.tables;
        let port = low(ports);
        match step {
            Step::UdpDst => exact(&tables.udp_dst, port),
            Step::Tuple4 => tuple4(&tables.tuple4, from, to, ports),
            Step::UdpPorts => self.ports(port, best),
            Step::UdpPorts4 => self.address_ports(&tables.udp_ports4, udp_ports4, to, port, best),
            Step::Prefix4 => prefix4(&tables.prefix4, to),
            Step::Mask4 => mask4(&tables.mask4, to, best),
            Step::UdpSrcCid => cid(&tables.udp_src_cid, payload, true, port, best),
            Step::UdpDstCid => cid(&tables.udp_dst_cid, payload, false, port, best),
            _ => NONE,
        }
    }

    /// Searches for IPv6 UDP; `ends` is the source address, then the destination address.
    #[inline(never)]
    fn udp6(&self, ends: &[u8; 32], ports: u32, payload: &[u8]) -> u32 {
        in_turn!(
            self, Udp6: UdpDst, Tuple6, UdpPorts, UdpPorts6, Prefix6, UdpSrcCid, UdpDstCid, Mask6;
            |step, best| self.udp6_step(step, best, ends, ports, payload)
        )
    }

    #[inline(always)]
    fn udp6_step(&self, step: Step, best: u32, ends: &[u8; 32], ports: u32, payload: &[u8]) -> u32 {
        let tables = &self.tables;
        let port = low(ports);
        match step {
            Step::UdpDst => exact(&tables.udp_dst, port),
            Step::Tuple6 => tuple6(&tables.tuple6, ends, ports),
            Step::UdpPorts => self.ports(port, best),
            Step::UdpPorts6 => {
                self.address_ports(&tables.udp_ports6, udp_ports6, to6(ends), port, best)
            }
            Step::Prefix6 => prefix6(&tables.prefix6, to6(ends)),
            Step::Mask6 => mask6(&tables.mask6, to6(ends), best),
            Step::UdpSrcCid => cid(&tables.udp_src_cid, payload, true, port, best),
            Step::UdpDstCid => cid(&tables.udp_dst_cid, payload, false, port, best),
            _ => NONE,
        }
    }

    #[inline(never)]
    fn tcp4(&self, to: u32, port: u16, is_control: bool, payload: &[u8]) -> u32 {
        let tables = &self.tables;
        in_turn!(
            self, Tcp4: TcpDst, TcpControl, TcpPorts4, Prefix4, TcpSrcCid, TcpDstCid, Mask4;
            |step, best| match step {
            Step::TcpDst => exact(&tables.tcp_dst, port),
            Step::TcpControl if is_control => exact(&tables.tcp_control, port),
            Step::TcpPorts4 => self.address_ports(&tables.tcp_ports4, tcp_ports4, to, port, best),
            Step::Prefix4 => prefix4(&tables.prefix4, to),
            Step::Mask4 => mask4(&tables.mask4, to, best),
            Step::TcpSrcCid => cid(&tables.tcp_src_cid, payload, true, port, best),
            Step::TcpDstCid => cid(&tables.tcp_dst_cid, payload, false, port, best),
            _ => NONE,
            }
        )
    }

    #[inline(never)]
    fn tcp6(&self, ends: &[u8; 32], port: u16, is_control: bool, payload: &[u8]) -> u32 {
        let tables = &self.tables;
        in_turn!(
            self, Tcp6: TcpDst, TcpControl, TcpPorts6, Prefix6, TcpSrcCid, TcpDstCid, Mask6;
            |step, best| match step {
            Step::TcpDst => exact(&tables.tcp_dst, port),
            Step::TcpControl if is_control => exact(&tables.tcp_control, port),
            Step::TcpPorts6 => {
                let to = to6(ends);
                self.address_ports(&tables.tcp_ports6, tcp_ports6, to, port, best)
            }
            Step::Prefix6 => prefix6(&tables.prefix6, to6(ends)),
            Step::Mask6 => mask6(&tables.mask6, to6(ends), best),
            Step::TcpSrcCid => cid(&tables.tcp_src_cid, payload, true, port, best),
            Step::TcpDstCid => cid(&tables.tcp_dst_cid, payload, false, port, best),
            _ => NONE,
            }
        )
    }

    #[inline(never)]
    fn other4(&self, packet: Packet<'_>) -> u32 {
        let tables = &self.tables;
        let Some(ip) = packet.ipv4() else {
            return NONE;
        };
        let to = u32::from_be_bytes(ip.destination());
        in_turn!(
            self, Other4: NextHeader, Echo4, Prefix4, InnerPrefix4, InnerPrefix6, InnerMask4, InnerMask6, Mask4;
            |step, best| match step {
            Step::NextHeader => exact(&tables.next_header, u16::from(ip.protocol())),
            Step::Prefix4 => prefix4(&tables.prefix4, to),
            Step::Mask4 => mask4(&tables.mask4, to, best),
            Step::Echo4 if is_echo(&packet, Facts::ICMPV4, Icmp::V4_ECHO_REPLY) => {
                exact(&tables.echo4, to)
            }
            _ => self.inner(step, &packet, best),
            }
        )
    }

    #[inline(never)]
    fn other6(&self, packet: Packet<'_>) -> u32 {
        let tables = &self.tables;
        let Some(ip) = packet.ipv6() else {
            return NONE;
        };
        in_turn!(
            self, Other6: NextHeader, Echo6, Prefix6, InnerPrefix4, InnerPrefix6, InnerMask4, InnerMask6, Mask6;
            |step, best| match step {
            Step::NextHeader => exact(&tables.next_header, u16::from(ip.next_header())),
            Step::Prefix6 => prefix6(&tables.prefix6, (&ip.destination()).into()),
            Step::Mask6 => mask6(&tables.mask6, (&ip.destination()).into(), best),
            Step::Echo6 if is_echo(&packet, Facts::ICMPV6, Icmp::V6_ECHO_REPLY) => {
                exact(&tables.echo6, V6::from(&ip.destination()))
            }
            _ => self.inner(step, &packet, best),
            }
        )
    }

    /// Takes a step that packets of any IP version can have when they are neither UDP nor TCP.
    #[inline(never)]
    fn inner(&self, step: Step, packet: &Packet<'_>, best: u32) -> u32 {
        let tables = &self.tables;
        if let Some(ip) = packet.inner_ipv4() {
            let to = u32::from_be_bytes(ip.destination());
            return match step {
                _ if ip.protocol() != protocol::UDP => NONE,
                Step::InnerPrefix4 => prefix4(&tables.inner_prefix4, to),
                Step::InnerMask4 => mask4(&tables.inner_mask4, to, best),
                _ => NONE,
            };
        }
        match (packet.inner_ipv6(), step) {
            (Some(ip), _) if ip.next_header() != protocol::UDP => NONE,
            (Some(ip), Step::InnerPrefix6) => {
                prefix6(&tables.inner_prefix6, (&ip.destination()).into())
            }
            (Some(ip), Step::InnerMask6) => {
                mask6(&tables.inner_mask6, (&ip.destination()).into(), best)
            }
            _ => NONE,
        }
    }

    #[inline(never)]
    pub(crate) fn ports(&self, port: u16, best: u32) -> u32 {
        let holds = self.holds(port, pattern::any_udp_ports);
        self.tables.udp_ports.find(best, holds)
    }

    #[inline(never)]
    fn address_ports<K: Key>(
        &self,
        sets: &PortSets<K, S>,
        set_of: impl Fn(&Pattern<P>) -> Option<&P>,
        to: K,
        port: u16,
        best: u32,
    ) -> u32 {
        match sets.first(&to) {
            NONE => best,
            first => self.ports_from(sets, set_of, first, port, best),
        }
    }

    /// Apart from the search for the address, most of which find nothing.
    #[inline(never)]
    fn ports_from<K: Key>(
        &self,
        sets: &PortSets<K, S>,
        set_of: impl Fn(&Pattern<P>) -> Option<&P>,
        first: u32,
        port: u16,
        best: u32,
    ) -> u32 {
        sets.find_from(first, best, self.holds(port, set_of))
    }

    /// Returns a test of whether a rule's port set holds a port now. What kind of rule has the set is known: telling it from
    /// others takes longer than asking it.
    #[inline]
    fn holds(&self, port: u16, set_of: impl Fn(&Pattern<P>) -> Option<&P>) -> impl Fn(u32) -> bool {
        let port = Port::new(port);
        move |id| {
            let set = self.arena.pattern(id).and_then(&set_of);
            set.is_some_and(|set| set.contains(port))
        }
    }
}

// The searches are not inlined: together in one loop the compiler would compute the keys and hashes of all of them before the
// loop, for every packet.

#[inline(never)]
fn exact<K: Key, S: Store>(rules: &Exact<K, S>, key: K) -> u32 {
    rules.table.find(&key)
}

#[inline(never)]
fn tuple4<S: Store>(rules: &Exact<Tuple4, S>, from: u32, to: u32, ports: u32) -> u32 {
    let (table, key) = (&rules.table, Tuple4::new(from, to, ports));
    if let Some(id) = table.find_only(&key) {
        return id;
    }
    match table.find_soon(&key, table.hash(&key)) {
        Some(id) => id,
        None => tuple4_further(rules, from, to, ports),
    }
}

/// The parts of the key come separately, in registers: the whole key would be put into memory before it is known whether this
/// is called.
#[cold]
#[inline(never)]
fn tuple4_further<S: Store>(rules: &Exact<Tuple4, S>, from: u32, to: u32, ports: u32) -> u32 {
    let (table, key) = (&rules.table, Tuple4::new(from, to, ports));
    table.find_further(key, table.hash(&key))
}

#[inline(never)]
fn tuple6<S: Store>(rules: &Exact<Tuple6, S>, ends: &[u8; 32], ports: u32) -> u32 {
    let (table, key) = (&rules.table, Tuple6::new(ends, ports));
    if let Some(id) = table.find_only(&key) {
        return id;
    }
    match table.find_soon(&key, table.hash(&key)) {
        Some(id) => id,
        None => tuple6_further(rules, ends, ports),
    }
}

/// As [`tuple4_further`].
#[cold]
#[inline(never)]
fn tuple6_further<S: Store>(rules: &Exact<Tuple6, S>, ends: &[u8; 32], ports: u32) -> u32 {
    let (table, key) = (&rules.table, Tuple6::new(ends, ports));
    table.find_further(key, table.hash(&key))
}

#[inline(never)]
fn prefix4<S: Store>(rules: &ByPrefix<u32, S>, to: u32) -> u32 {
    rules.tree.find(to)
}

#[inline(never)]
fn prefix6<S: Store>(rules: &ByPrefix<V6, S>, to: V6) -> u32 {
    rules.tree.find(to)
}

#[inline(never)]
fn mask4<S: Store>(rules: &ByMask<u32, S>, to: u32, best: u32) -> u32 {
    rules.find(to, best)
}

#[inline(never)]
fn mask6<S: Store>(rules: &ByMask<V6, S>, to: V6, best: u32) -> u32 {
    rules.find(to, best)
}

/// Looks for the connection ID of a QUIC header with the wanted form.
#[inline(never)]
fn cid<S: Store>(rules: &Cids<S>, payload: &[u8], long: bool, port: u16, best: u32) -> u32 {
    if !rules.wants(port)
        || payload
            .first()
            .is_none_or(|first| (first & 0x80 != 0) != long)
    {
        return NONE;
    }
    match Quic::parse(payload) {
        Ok(quic) => rules.find(port, quic.rule_cid(), best),
        Err(_) => NONE,
    }
}

/// Tells whether these are the headers of IPv4 UDP.
#[inline]
fn is_udp4(head: &[u8; 42]) -> bool {
    let [_, _, _, _, _, _, _, _, _, _, _, _, a, b, words, ..] = *head;
    let [
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        number,
        ..,
    ] = *head;
    u16::from_be_bytes([a, b]) == ETHERTYPE_IPV4 && words & 0xF == 5 && number == protocol::UDP
}

/// Tells whether these are the headers of IPv6 UDP.
#[inline]
fn is_udp6(head: &[u8; 62]) -> bool {
    let [_, _, _, _, _, _, _, _, _, _, _, _, a, b, ..] = *head;
    let [
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        number,
        ..,
    ] = *head;
    u16::from_be_bytes([a, b]) == ETHERTYPE_IPV6 && number == protocol::UDP
}

/// Returns the source and the destination address.
#[inline]
fn ends<'a>(ip: Ipv6<'a>) -> &'a [u8; 32] {
    let [_, _, _, _, _, _, _, _, ends @ ..] = ip.as_bytes();
    ends
}

#[inline]
pub(crate) fn from6(ends: &[u8; 32]) -> V6 {
    let (from, _) = halves(ends);
    from.into()
}

#[inline]
pub(crate) fn to6(ends: &[u8; 32]) -> V6 {
    let (_, to) = halves(ends);
    to.into()
}

#[inline]
fn halves(ends: &[u8; 32]) -> (&[u8; 16], &[u8; 16]) {
    match (ends.first_chunk(), ends.last_chunk()) {
        (Some(from), Some(to)) => (from, to),
        // 32 bytes have both.
        _ => (&[0; 16], &[0; 16]),
    }
}

#[inline]
fn pair((from, to): (u16, u16)) -> u32 {
    u32::from(from) << 16 | u32::from(to)
}

/// Returns the lower half of a pair: the destination port.
#[inline]
pub(crate) const fn low(pair: u32) -> u16 {
    pair as u16
}

#[inline]
fn is_echo(packet: &Packet<'_>, version: Facts, reply: u8) -> bool {
    packet.facts().contains(version)
        && packet
            .icmp()
            .is_some_and(|icmp| icmp.message_type() == reply && icmp.code() == 0)
}
