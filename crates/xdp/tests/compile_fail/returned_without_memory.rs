// E0515: a frame cannot leave the function that owns its memory.
fn frame(system: &xdp::System) -> xdp::Frame<'static> {
    let umem = xdp::Umem::builder(system).build().unwrap();
    umem.frame().unwrap()
}

fn main() {
    frame(&xdp::System::host().unwrap());
}
