//! Document 08 and the parts of 06 that belong to it: receive-side scaling and QUIC connections through interface handles,
//! and sending back what a network card has put together.

mod hostile;
mod quic;
mod rss;
mod segments;
