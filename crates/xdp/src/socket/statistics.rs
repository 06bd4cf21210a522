//! What happened on a socket.

use xdp_abi::sockopt::Sockopt;
use xdp_abi::xsk::XskError;
use zerocopy::{FromBytes, IntoBytes};

use super::{Socket, Statistics};
use crate::error::{Call, Error, Fault, Kind};
use crate::status::NtStatus;
use crate::sys::Object;

/// Why a ring is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RingError {
    /// The interface went away.
    InterfaceDetached,
    /// An index in it made no sense.
    InvalidRing,
    /// Something that this version does not know.
    Other(u32),
}

/// The state of the rings of a socket; the first error of each stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingErrors {
    /// Of the receive ring.
    pub rx: Option<RingError>,
    /// Of the fill ring.
    pub fill: Option<RingError>,
    /// Of the transmit ring.
    pub tx: Option<RingError>,
    /// Of the completion ring.
    pub completion: Option<RingError>,
}

/// Reads an option of a socket.
pub(super) fn read<T: FromBytes + IntoBytes>(
    object: &dyn Object,
    option: Sockopt,
) -> Result<T, Fault> {
    let mut value = T::new_zeroed();
    let size = size_of::<T>();
    let answer = object.control(
        xdp_abi::ioctl::xsk::GET_SOCKOPT,
        option.as_bytes(),
        value.as_mut_bytes(),
    )?;
    match answer.status {
        NtStatus::SUCCESS if answer.information == size => Ok(value),
        NtStatus::SUCCESS => Err(Fault::of(
            Kind::Failed,
            format!(
                "the driver gave {} bytes instead of {size}",
                answer.information
            ),
        )),
        status => Err(Fault::Status(status)),
    }
}

impl Socket<'_> {
    /// What happened on it since it was created.
    ///
    /// # Errors
    ///
    /// When the driver does not tell.
    #[doc(alias = "XSK_SOCKOPT_STATISTICS")]
    pub fn statistics(&self) -> Result<Statistics, Error> {
        read(&**self.object(), Sockopt::STATISTICS)
            .map_err(|fault| self.error(Call::Read("statistics"), fault))
    }

    /// Why rings are dead, if any is.
    ///
    /// # Errors
    ///
    /// When the driver does not tell.
    #[doc(alias = "XSK_SOCKOPT_RX_ERROR")]
    pub fn ring_errors(&self) -> Result<RingErrors, Error> {
        let ring = |option| -> Result<Option<RingError>, Error> {
            let error: XskError = read(&**self.object(), option)
                .map_err(|fault| self.error(Call::Read("the state of a ring"), fault))?;
            Ok(match error {
                XskError::NO_ERROR => None,
                XskError::INTERFACE_DETACH => Some(RingError::InterfaceDetached),
                XskError::INVALID_RING => Some(RingError::InvalidRing),
                XskError(other) => Some(RingError::Other(other)),
            })
        };
        Ok(RingErrors {
            rx: ring(Sockopt::RX_ERROR)?,
            fill: ring(Sockopt::RX_FILL_ERROR)?,
            tx: ring(Sockopt::TX_ERROR)?,
            completion: ring(Sockopt::TX_COMPLETION_ERROR)?,
        })
    }
}
