// E0382: a frame cannot be sent twice.
fn twice<'u>(socket: &mut xdp::Socket<'u>, frame: xdp::Frame<'u>) {
    let _ = socket.send_one(frame);
    let _ = socket.send_one(frame);
}

fn main() {
    let _ = twice;
}
