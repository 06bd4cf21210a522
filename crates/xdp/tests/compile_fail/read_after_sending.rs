// E0382: a frame cannot be read after it was sent.
fn read<'u>(socket: &mut xdp::Socket<'u>, frame: xdp::Frame<'u>) -> u8 {
    let _ = socket.send_one(frame);
    frame[0]
}

fn main() {
    let _ = read;
}
