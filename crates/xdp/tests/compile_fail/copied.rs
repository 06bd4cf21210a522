// E0277: a frame cannot be copied, or there would be two of it to send.
fn copy<'u>(frame: &xdp::Frame<'u>) -> xdp::Frame<'u> {
    xdp::Frame::clone(frame)
}

fn main() {
    let _ = copy;
}
