//! Internet addresses.

foreign! {
    pub struct IN_ADDR_S_un_S_un_b(0x4, 1) {
        0x00 s_b1: u8,
        0x01 s_b2: u8,
        0x02 s_b3: u8,
        0x03 s_b4: u8,
    }

    pub struct IN_ADDR_S_un_S_un_w(0x4, 2) {
        0x00 s_w1: u16,
        0x02 s_w2: u16,
    }

    pub union IN_ADDR_S_un(0x4, 4) {
        0x00 S_un_b: IN_ADDR_S_un_S_un_b,
        0x00 S_un_w: IN_ADDR_S_un_S_un_w,
        0x00 S_addr: u32,
    }

    pub struct IN_ADDR(0x4, 4) {
        0x00 S_un: IN_ADDR_S_un,
    }

    pub union IN6_ADDR_u(0x10, 2) {
        0x00 Byte: [u8; 16],
        0x00 Word: [u16; 8],
    }

    pub struct IN6_ADDR(0x10, 2) {
        0x00 u: IN6_ADDR_u,
    }

    pub union SCOPE_ID(0x4, 4) {
        0x00 Bits: SCOPE_ID_Bits,
        0x00 Value: u32,
    }

    pub struct SOCKADDR(0x10, 2) {
        0x00 sa_family: u16,
        0x02 sa_data: [i8; 14],
    }

    pub struct SOCKADDR_IN(0x10, 4) {
        0x00 sin_family: u16,
        0x02 sin_port: u16,
        0x04 sin_addr: IN_ADDR,
        0x08 sin_zero: [i8; 8],
    }

    pub struct SOCKADDR_IN6_LH(0x1c, 4) {
        0x00 sin6_family: u16,
        0x02 sin6_port: u16,
        0x04 sin6_flowinfo: u32,
        0x08 sin6_addr: IN6_ADDR,
        0x18 sin6_scope_id: u32,
    }

    pub union SOCKADDR_INET(0x1c, 4) {
        0x00 Ipv4: SOCKADDR_IN,
        0x00 Ipv6: SOCKADDR_IN6_LH,
        0x00 si_family: u16,
    }
}

bits! {
    pub struct SCOPE_ID_Bits(u32) {
        Zone: 0..28,
        Level: 28..32,
    }
}
