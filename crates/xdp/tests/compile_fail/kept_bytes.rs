// E0505: the bytes of a frame cannot be kept when it is sent.
fn keep<'u>(socket: &mut xdp::Socket<'u>, frame: xdp::Frame<'u>) -> u8 {
    let bytes: &[u8] = &frame;
    let _ = socket.send_one(frame);
    bytes[0]
}

fn main() {
    let _ = keep;
}
