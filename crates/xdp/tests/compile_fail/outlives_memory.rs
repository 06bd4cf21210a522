// E0505: a frame cannot outlive its memory.
fn main() {
    let system = xdp::System::host().unwrap();
    let umem = xdp::Umem::builder(&system).build().unwrap();
    let frame = umem.frame();
    drop(umem);
    drop(frame);
}
