// E0505: a socket cannot outlive its memory.
fn main() {
    let interface = xdp::Interface::find("lab:").unwrap();
    let umem = xdp::Umem::builder(&interface).build().unwrap();
    let mut socket = xdp::Socket::builder(&interface, &umem).open().unwrap();
    drop(umem);
    socket.complete();
}
