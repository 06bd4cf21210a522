//! Drops UDP datagrams to a port, until Enter is pressed.
//!
//! ```text
//! drop "Ethernet 2" 53
//! ```

use xdp::{Error, Interface, Match, Program};

/// Attaches the rule; it is there until the program is dropped.
pub(crate) fn drop_port(interface: &Interface, port: u16) -> Result<Program, Error> {
    Program::builder(interface)
        .rule(Match::udp_dst(port).drop())
        .attach()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(name), Some(port)) = (args.next(), args.next()) else {
        return Err("usage: drop INTERFACE PORT".into());
    };
    let interface = Interface::find(&name)?;
    let _program = drop_port(&interface, port.parse()?)?;
    println!("dropping UDP to port {port} on {interface}; press Enter to stop");
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
