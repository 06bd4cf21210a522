//! Finding the first rule that matches.

use crate::NONE;
use crate::address::V6;
use crate::classifier::{Classifier, Hit};
use crate::pattern::PortSet;
use crate::plan::Class;
use crate::store::Store;
use crate::tables::{Step, tuple4, tuple6, words};
use xdp_abi::Port;
use xdp_packet::{Depth, Facts, Frame, Icmp, Ipv4, Ipv6, Packet, Scratch, protocol};

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
            Some(depth) => {
                let mut scratch = Scratch::new();
                self.search(&Packet::parse(frame, depth, &mut scratch))
            }
        };
        self.hit(id)
    }

    /// Finds the first rule that matches a packet, which must have been parsed to [`Classifier::depth`] at least: rules that
    /// look deeper do not match.
    #[inline]
    #[must_use]
    pub fn find(&self, packet: &Packet<'_>) -> Option<Hit<'_, T>> {
        self.hit(self.search(packet))
    }

    #[inline]
    fn hit(&self, id: u32) -> Option<Hit<'_, T>> {
        if id == NONE {
            return None;
        }
        Some(Hit {
            key: self.arena.key_of(id)?,
            value: &self.arena.get(id)?.value,
        })
    }

    /// Searches one structure after the other until what was found is earlier than anything in those left.
    #[inline]
    fn search(&self, packet: &Packet<'_>) -> u32 {
        let mut best = NONE;
        for planned in self.plans.steps(Class::of(packet.facts())) {
            if planned.head >= best {
                break;
            }
            best = best.min(self.step(planned.step, packet, best));
        }
        best
    }

    #[inline]
    fn step(&self, step: Step, packet: &Packet<'_>, best: u32) -> u32 {
        let tables = &self.tables;
        // A step is only tried on packets that have what it looks at; `None` ends it all the same.
        let found = match step {
            Step::All => Some(tables.all.head),
            Step::Udp => Some(tables.udp.head),
            Step::NextHeader => packet
                .ip_protocol()
                .map(|number| tables.next_header.table.find(&u16::from(number))),
            Step::UdpDst => port(packet).map(|port| tables.udp_dst.table.find(&port)),
            Step::TcpDst => port(packet).map(|port| tables.tcp_dst.table.find(&port)),
            Step::TcpControl => packet
                .tcp()
                .filter(|tcp| tcp.is_control())
                .map(|tcp| tables.tcp_control.table.find(&tcp.destination_port())),
            Step::Tuple4 => packet.ipv4().zip(packet.ports()).map(|(ip, ports)| {
                let key = tuple4(source4(ip), destination4(ip), ports);
                tables.tuple4.table.find(&key)
            }),
            Step::Tuple6 => packet.ipv6().zip(packet.ports()).map(|(ip, ports)| {
                let key = tuple6(&ip.source(), &ip.destination(), ports);
                tables.tuple6.table.find(&key)
            }),
            Step::Prefix4 => packet
                .ipv4()
                .map(|ip| tables.prefix4.tree.find(destination4(ip))),
            Step::Prefix6 => packet
                .ipv6()
                .map(|ip| tables.prefix6.tree.find(destination6(ip))),
            Step::Mask4 => packet
                .ipv4()
                .map(|ip| tables.mask4.find(destination4(ip), best)),
            Step::Mask6 => packet
                .ipv6()
                .map(|ip| tables.mask6.find(destination6(ip), best)),
            Step::InnerPrefix4 => {
                inner4(packet).map(|ip| tables.inner_prefix4.tree.find(destination4(ip)))
            }
            Step::InnerPrefix6 => {
                inner6(packet).map(|ip| tables.inner_prefix6.tree.find(destination6(ip)))
            }
            Step::InnerMask4 => {
                inner4(packet).map(|ip| tables.inner_mask4.find(destination4(ip), best))
            }
            Step::InnerMask6 => {
                inner6(packet).map(|ip| tables.inner_mask6.find(destination6(ip), best))
            }
            Step::UdpPorts => {
                port(packet).map(|port| tables.udp_ports.find(&0, best, self.holds(port)))
            }
            Step::UdpPorts4 => packet.ipv4().zip(port(packet)).map(|(ip, port)| {
                let sets = &tables.udp_ports4;
                sets.find(&destination4(ip), best, self.holds(port))
            }),
            Step::UdpPorts6 => packet.ipv6().zip(port(packet)).map(|(ip, port)| {
                let sets = &tables.udp_ports6;
                sets.find(&words(&ip.destination()), best, self.holds(port))
            }),
            Step::TcpPorts4 => packet.ipv4().zip(port(packet)).map(|(ip, port)| {
                let sets = &tables.tcp_ports4;
                sets.find(&destination4(ip), best, self.holds(port))
            }),
            Step::TcpPorts6 => packet.ipv6().zip(port(packet)).map(|(ip, port)| {
                let sets = &tables.tcp_ports6;
                sets.find(&words(&ip.destination()), best, self.holds(port))
            }),
            Step::UdpSrcCid => cid(packet, Facts::QUIC_LONG)
                .map(|(port, cid)| tables.udp_src_cid.find(port, cid, best)),
            Step::UdpDstCid => cid(packet, Facts::QUIC_SHORT)
                .map(|(port, cid)| tables.udp_dst_cid.find(port, cid, best)),
            Step::TcpSrcCid => cid(packet, Facts::QUIC_LONG)
                .map(|(port, cid)| tables.tcp_src_cid.find(port, cid, best)),
            Step::TcpDstCid => cid(packet, Facts::QUIC_SHORT)
                .map(|(port, cid)| tables.tcp_dst_cid.find(port, cid, best)),
            Step::Echo4 => packet
                .ipv4()
                .filter(|_| is_echo(packet, Facts::ICMPV4, Icmp::V4_ECHO_REPLY))
                .map(|ip| tables.echo4.table.find(&destination4(ip))),
            Step::Echo6 => packet
                .ipv6()
                .filter(|_| is_echo(packet, Facts::ICMPV6, Icmp::V6_ECHO_REPLY))
                .map(|ip| tables.echo6.table.find(&words(&ip.destination()))),
        };
        found.unwrap_or(NONE)
    }

    /// Returns a test of whether a rule's port set holds a port now.
    #[inline]
    fn holds(&self, port: u16) -> impl FnMut(u32) -> bool {
        let port = Port::new(port);
        move |id| {
            self.arena
                .get(id)
                .and_then(|live| live.pattern.port_set())
                .is_some_and(|set| set.contains(port))
        }
    }
}

#[inline]
fn port(packet: &Packet<'_>) -> Option<u16> {
    packet.ports().map(|(_, destination)| destination)
}

#[inline]
fn source4(ip: Ipv4<'_>) -> u32 {
    u32::from_be_bytes(ip.source())
}

#[inline]
fn destination4(ip: Ipv4<'_>) -> u32 {
    u32::from_be_bytes(ip.destination())
}

#[inline]
fn destination6(ip: Ipv6<'_>) -> V6 {
    (&ip.destination()).into()
}

#[inline]
fn inner4<'a>(packet: &Packet<'a>) -> Option<Ipv4<'a>> {
    packet
        .inner_ipv4()
        .filter(|inner| inner.protocol() == protocol::UDP)
}

#[inline]
fn inner6<'a>(packet: &Packet<'a>) -> Option<Ipv6<'a>> {
    packet
        .inner_ipv6()
        .filter(|inner| inner.next_header() == protocol::UDP)
}

/// Returns port and connection ID of a QUIC packet with the given form of header.
#[inline]
fn cid<'a>(packet: &Packet<'a>, form: Facts) -> Option<(u16, &'a [u8])> {
    if !packet.facts().contains(form) {
        return None;
    }
    port(packet).zip(packet.quic_cid())
}

#[inline]
fn is_echo(packet: &Packet<'_>, version: Facts, reply: u8) -> bool {
    packet.facts().contains(version)
        && packet
            .icmp()
            .is_some_and(|icmp| icmp.message_type() == reply && icmp.code() == 0)
}
