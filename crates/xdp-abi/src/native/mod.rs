//! The native NIC driver interface.
