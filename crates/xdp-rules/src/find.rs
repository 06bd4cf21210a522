//! Finding the first rule that matches.

use crate::NONE;
use crate::address::V6;
use crate::classifier::{Classifier, Hit};
use crate::glance::{Flow4, Flow6, Segment};
use crate::pattern::PortSet;
use crate::plan::Class;
use crate::searches::{Apart, InPlace, Way};
use crate::store::Store;
use crate::tables::Step;
use xdp_abi::Port;
use xdp_packet::{Depth, Facts, Frame, Icmp, Ipv6, Packet, Scratch, protocol};

/// Searches for a packet: first where the earliest rule is; then, if something in the list comes before what was found, one after
/// the other, each if it can still find something earlier. Which search is next is written out: to look it up and jump there would cost
/// as much as most searches do.
macro_rules! in_turn {
    ($rules:ident, $class:ident: $($name:ident),+; |$step:ident, $best:ident| $search:expr; first $first:expr) => {{
        let plan = $rules.plans.of(Class::$class);
        let mut $best = plan.floor;
        if plan.first.head < $best {
            let $step = plan.first.step;
            $best = $best.min($first);
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

    /// Searches for a frame of one buffer.
    ///
    /// Where only one structure can have something for UDP, that search is all there is to do: every path of this function
    /// ends in a call that needs nothing kept.
    #[inline(never)]
    pub(crate) fn search_slice(&self, bytes: &[u8]) -> u32 {
        if let Some(flow) = Flow4::of(bytes) {
            return match self.plans.only(Class::Udp4) {
                Some(step) => self.udp4_step::<Apart>(step, NONE, flow),
                None => self.udp4(flow.from, flow.to, flow.ports, flow.payload),
            };
        }
        if let Some(flow) = Flow6::of(bytes) {
            return match self.plans.only(Class::Udp6) {
                Some(step) => self.udp6_step::<Apart>(step, NONE, flow),
                None => self.udp6(flow.ends, flow.ports, flow.payload),
            };
        }
        self.search_not_udp(bytes)
    }

    #[inline(never)]
    fn search_not_udp(&self, bytes: &[u8]) -> u32 {
        if let Some((to, segment)) = Segment::of_4(bytes) {
            return self.tcp4(to, segment.port, segment.is_control, segment.payload);
        }
        if let Some((ends, segment)) = Segment::of_6(bytes) {
            return self.tcp6(ends, segment.port, segment.is_control, segment.payload);
        }
        self.search(Packet::parse_slice(bytes, Depth::Upper))
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
        let value = self.arena.value(id)?;
        let key = self.arena.key_of(id);
        Some(Hit { key, value })
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
            self, Udp4: UdpDst, Tuple4, UdpPorts4, Prefix4, UdpSrcCid, UdpDstCid, Mask4, UdpPorts;
            |step, best| self.udp4_step::<InPlace>(step, best, flow);
            first self.udp4_step::<Apart>(step, best, flow)
        )
    }

    #[inline(always)]
    fn udp4_step<W: Way>(&self, step: Step, best: u32, flow: Flow4<'_>) -> u32 {
        let tables = &self.tables;
        let Flow4 {
            from,
            to,
            ports,
            payload,
        } = flow;
        let port = low(ports);
        match step {
            Step::UdpDst => W::exact(&tables.udp_dst, port),
            Step::Tuple4 => W::tuple4(&tables.tuple4, from, to, ports),
            Step::UdpPorts => self.ports(port, best),
            Step::UdpPorts4 => W::ports(&tables.udp_ports4, to, port, best),
            Step::Prefix4 => W::prefix(&tables.prefix4, to),
            Step::Mask4 => W::mask(&tables.mask4, to, best),
            Step::UdpSrcCid => W::cid(&tables.udp_src_cid, payload, true, port, best),
            Step::UdpDstCid => W::cid(&tables.udp_dst_cid, payload, false, port, best),
            _ => NONE,
        }
    }

    /// Searches for IPv6 UDP; `ends` is the source address, then the destination address.
    #[inline(never)]
    fn udp6(&self, ends: &[u8; 32], ports: u32, payload: &[u8]) -> u32 {
        let flow = Flow6 {
            ends,
            ports,
            payload,
        };
        in_turn!(
            self, Udp6: UdpDst, Tuple6, UdpPorts6, Prefix6, UdpSrcCid, UdpDstCid, Mask6, UdpPorts;
            |step, best| self.udp6_step::<InPlace>(step, best, flow);
            first self.udp6_step::<Apart>(step, best, flow)
        )
    }

    #[inline(always)]
    fn udp6_step<W: Way>(&self, step: Step, best: u32, flow: Flow6<'_>) -> u32 {
        let tables = &self.tables;
        let Flow6 {
            ends,
            ports,
            payload,
        } = flow;
        let port = low(ports);
        match step {
            Step::UdpDst => W::exact(&tables.udp_dst, port),
            Step::Tuple6 => W::tuple6(&tables.tuple6, ends, ports),
            Step::UdpPorts => self.ports(port, best),
            Step::UdpPorts6 => W::ports(&tables.udp_ports6, to6(ends), port, best),
            Step::Prefix6 => W::prefix(&tables.prefix6, to6(ends)),
            Step::Mask6 => W::mask(&tables.mask6, to6(ends), best),
            Step::UdpSrcCid => W::cid(&tables.udp_src_cid, payload, true, port, best),
            Step::UdpDstCid => W::cid(&tables.udp_dst_cid, payload, false, port, best),
            _ => NONE,
        }
    }

    #[inline(never)]
    fn tcp4(&self, to: u32, port: u16, is_control: bool, payload: &[u8]) -> u32 {
        let segment = Segment {
            port,
            is_control,
            payload,
        };
        in_turn!(
            self, Tcp4: TcpDst, TcpControl, TcpPorts4, Prefix4, TcpSrcCid, TcpDstCid, Mask4;
            |step, best| self.tcp4_step::<InPlace>(step, best, to, segment);
            first self.tcp4_step::<Apart>(step, best, to, segment)
        )
    }

    #[inline(always)]
    fn tcp4_step<W: Way>(&self, step: Step, best: u32, to: u32, segment: Segment<'_>) -> u32 {
        let tables = &self.tables;
        let Segment {
            port,
            is_control,
            payload,
        } = segment;
        match step {
            Step::TcpDst => W::exact(&tables.tcp_dst, port),
            Step::TcpControl if is_control => W::exact(&tables.tcp_control, port),
            Step::TcpPorts4 => W::ports(&tables.tcp_ports4, to, port, best),
            Step::Prefix4 => W::prefix(&tables.prefix4, to),
            Step::Mask4 => W::mask(&tables.mask4, to, best),
            Step::TcpSrcCid => W::cid(&tables.tcp_src_cid, payload, true, port, best),
            Step::TcpDstCid => W::cid(&tables.tcp_dst_cid, payload, false, port, best),
            _ => NONE,
        }
    }

    #[inline(never)]
    fn tcp6(&self, ends: &[u8; 32], port: u16, is_control: bool, payload: &[u8]) -> u32 {
        let segment = Segment {
            port,
            is_control,
            payload,
        };
        in_turn!(
            self, Tcp6: TcpDst, TcpControl, TcpPorts6, Prefix6, TcpSrcCid, TcpDstCid, Mask6;
            |step, best| self.tcp6_step::<InPlace>(step, best, ends, segment);
            first self.tcp6_step::<Apart>(step, best, ends, segment)
        )
    }

    #[inline(always)]
    fn tcp6_step<W: Way>(
        &self,
        step: Step,
        best: u32,
        ends: &[u8; 32],
        segment: Segment<'_>,
    ) -> u32 {
        let tables = &self.tables;
        let Segment {
            port,
            is_control,
            payload,
        } = segment;
        match step {
            Step::TcpDst => W::exact(&tables.tcp_dst, port),
            Step::TcpControl if is_control => W::exact(&tables.tcp_control, port),
            Step::TcpPorts6 => W::ports(&tables.tcp_ports6, to6(ends), port, best),
            Step::Prefix6 => W::prefix(&tables.prefix6, to6(ends)),
            Step::Mask6 => W::mask(&tables.mask6, to6(ends), best),
            Step::TcpSrcCid => W::cid(&tables.tcp_src_cid, payload, true, port, best),
            Step::TcpDstCid => W::cid(&tables.tcp_dst_cid, payload, false, port, best),
            _ => NONE,
        }
    }

    #[inline(never)]
    fn other4(&self, packet: Packet<'_>) -> u32 {
        let Some(ip) = packet.ipv4() else {
            return NONE;
        };
        let to = u32::from_be_bytes(ip.destination());
        let carried = Carried::of(&packet, Facts::ICMPV4, Icmp::V4_ECHO_REPLY);
        let number = ip.protocol();
        in_turn!(
            self, Other4: NextHeader, Echo4, Prefix4, InnerPrefix4, InnerPrefix6, InnerMask4, InnerMask6, Mask4;
            |step, best| self.other4_step::<InPlace>(step, best, to, number, carried);
            first self.other4_step::<Apart>(step, best, to, number, carried)
        )
    }

    #[inline(always)]
    fn other4_step<W: Way>(
        &self,
        step: Step,
        best: u32,
        to: u32,
        number: u8,
        carried: Carried,
    ) -> u32 {
        let tables = &self.tables;
        match step {
            Step::NextHeader => W::exact(&tables.next_header, u16::from(number)),
            Step::Prefix4 => W::prefix(&tables.prefix4, to),
            Step::Mask4 => W::mask(&tables.mask4, to, best),
            Step::Echo4 if carried.is_echo => W::exact(&tables.echo4, to),
            _ => self.inner_step::<W>(step, best, carried),
        }
    }

    #[inline(never)]
    fn other6(&self, packet: Packet<'_>) -> u32 {
        let Some(ip) = packet.ipv6() else {
            return NONE;
        };
        let to = (&ip.destination()).into();
        let carried = Carried::of(&packet, Facts::ICMPV6, Icmp::V6_ECHO_REPLY);
        let number = ip.next_header();
        in_turn!(
            self, Other6: NextHeader, Echo6, Prefix6, InnerPrefix4, InnerPrefix6, InnerMask4, InnerMask6, Mask6;
            |step, best| self.other6_step::<InPlace>(step, best, to, number, carried);
            first self.other6_step::<Apart>(step, best, to, number, carried)
        )
    }

    #[inline(always)]
    fn other6_step<W: Way>(
        &self,
        step: Step,
        best: u32,
        to: V6,
        number: u8,
        carried: Carried,
    ) -> u32 {
        let tables = &self.tables;
        match step {
            Step::NextHeader => W::exact(&tables.next_header, u16::from(number)),
            Step::Prefix6 => W::prefix(&tables.prefix6, to),
            Step::Mask6 => W::mask(&tables.mask6, to, best),
            Step::Echo6 if carried.is_echo => W::exact(&tables.echo6, to),
            _ => self.inner_step::<W>(step, best, carried),
        }
    }

    /// Takes a step that packets of any IP version can have when they are neither UDP nor TCP.
    #[inline(always)]
    fn inner_step<W: Way>(&self, step: Step, best: u32, carried: Carried) -> u32 {
        let tables = &self.tables;
        match (step, carried.inner) {
            (Step::InnerPrefix4, Some(Inner::V4(to))) => W::prefix(&tables.inner_prefix4, to),
            (Step::InnerMask4, Some(Inner::V4(to))) => W::mask(&tables.inner_mask4, to, best),
            (Step::InnerPrefix6, Some(Inner::V6(to))) => W::prefix(&tables.inner_prefix6, to),
            (Step::InnerMask6, Some(Inner::V6(to))) => W::mask(&tables.inner_mask6, to, best),
            _ => NONE,
        }
    }

    #[inline(never)]
    pub(crate) fn ports(&self, port: u16, best: u32) -> u32 {
        self.tables.udp_ports.find(Port::new(port), best)
    }
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

/// What IP carries where it is neither UDP nor TCP.
#[derive(Clone, Copy)]
struct Carried {
    is_echo: bool,
    inner: Option<Inner>,
}

/// The destination of UDP inside IP.
#[derive(Clone, Copy)]
enum Inner {
    V4(u32),
    V6(V6),
}

impl Carried {
    /// Looks at what a packet carries; echo replies have this fact and this type.
    #[inline]
    fn of(packet: &Packet<'_>, echo: Facts, reply: u8) -> Self {
        let inner4 = packet.inner_ipv4();
        let inner4 = inner4.filter(|ip| ip.protocol() == protocol::UDP);
        let inner6 = packet.inner_ipv6();
        let inner6 = inner6.filter(|ip| ip.next_header() == protocol::UDP);
        Self {
            is_echo: packet.facts().contains(echo)
                && packet
                    .icmp()
                    .is_some_and(|icmp| icmp.message_type() == reply && icmp.code() == 0),
            inner: match (inner4, inner6) {
                (Some(ip), _) => Some(Inner::V4(u32::from_be_bytes(ip.destination()))),
                (_, Some(ip)) => Some(Inner::V6((&ip.destination()).into())),
                _ => None,
            },
        }
    }
}
