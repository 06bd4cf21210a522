//! Where XDP runs, and its network interfaces.

use std::fmt;
use std::sync::Arc;

use xdp_abi::Guid;
use xdp_abi::offload::RssCapabilities;
use xdp_abi::open::{DEVICE_NAME, InterfaceOpen, ObjectType};
use zerocopy::IntoBytes;

use crate::error::{Call, Error, Fault, Kind};
use crate::status::NtStatus;
use crate::sys::{Access, Backend, open_object};

/// Where XDP runs: this Windows, or a lab.
#[derive(Clone)]
pub struct System {
    backend: Arc<dyn Backend>,
}

/// A network interface. Cloning it is cheap.
#[derive(Clone)]
pub struct Interface {
    system: System,
    details: Arc<Details>,
}

/// What a system tells about an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) alias: String,
    pub(crate) description: String,
    pub(crate) guid: Option<Guid>,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) mtu_bytes: Option<u32>,
    pub(crate) is_up: bool,
}

impl System {
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    pub(crate) fn shared_backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.backend)
    }

    /// This Windows.
    ///
    /// # Errors
    ///
    /// [`Kind::DriverAbsent`] on other systems.
    pub fn host() -> Result<Self, Error> {
        #[cfg(windows)]
        {
            Ok(Self::new(crate::sys::windows::host()))
        }
        #[cfg(not(windows))]
        {
            let advice = if cfg!(feature = "lab") {
                "name an interface of the lab, such as `lab:`"
            } else {
                "run it on Windows"
            };
            Err(Error::new(
                Kind::DriverAbsent,
                Call::FindInterface,
                "",
                "this is not Windows, so there is no XDP driver",
            )
            .advise(advice))
        }
    }

    /// The system that an interface's name belongs to: a lab for `lab:` with what may follow it, the host for all others.
    ///
    /// # Errors
    ///
    /// As [`System::host`], or when the lab cannot be booted.
    pub fn of(text: &str) -> Result<Self, Error> {
        if text.starts_with("lab:") {
            Ok(find_in_lab(text)?.system)
        } else {
            Self::host()
        }
    }

    /// The number that the driver knows this process by: the one that [`Inventory`](crate::Inventory) has for what this process
    /// made. In a lab it is another one than Linux'.
    #[must_use]
    pub fn process_id(&self) -> u64 {
        self.backend.process()
    }

    /// Its network interfaces, in the order of their indexes.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn interfaces(&self) -> Result<Vec<Interface>, Error> {
        let mut all = self
            .backend
            .interfaces()
            .map_err(|fault| fault.during(Call::ListInterfaces, ""))?;
        all.sort_by_key(|details| details.index);
        Ok(all
            .into_iter()
            .map(|details| Interface {
                system: self.clone(),
                details: Arc::new(details),
            })
            .collect())
    }

    /// Finds an interface by its name, alias (`Ethernet 2`), index or GUID; upper and lower case are the same.
    ///
    /// # Errors
    ///
    /// [`Kind::NoSuchInterface`], with the names that there are; [`Kind::DriverAbsent`] when there is no driver either.
    pub fn interface(&self, name: &str) -> Result<Interface, Error> {
        let all = self.interfaces()?;
        let found = all.iter().find(|interface| interface.is_called(name));
        found.cloned().ok_or_else(|| {
            // Without a driver no name would do.
            let device = self.backend.open(DEVICE_NAME, Access::Read, None);
            let call = Call::FindInterface;
            if let Err(fault) = device
                && fault.says_no_driver()
            {
                return fault.during(call, name);
            }
            let names: Vec<&str> = all.iter().map(Interface::alias).collect();
            let cause = match names.as_slice() {
                [] => "there are no interfaces".to_owned(),
                names => format!("there is none; there are {}", names.join(", ")),
            };
            Error::new(Kind::NoSuchInterface, call, name, cause).advise(
                "give the name, the alias, the index or the GUID that `xdp interfaces` shows",
            )
        })
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").finish_non_exhaustive()
    }
}

#[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
fn find_in_lab(text: &str) -> Result<Interface, Error> {
    crate::lab::find(text)
}

#[cfg(not(all(feature = "lab", target_os = "linux", target_arch = "x86_64")))]
fn find_in_lab(text: &str) -> Result<Interface, Error> {
    Err(Error::new(
        Kind::NotSupported,
        Call::FindInterface,
        text,
        "this build has no lab",
    )
    .advise("the lab is on Linux on x86-64, in builds with the feature `lab`"))
}

impl Interface {
    /// The interfaces of this Windows.
    ///
    /// # Errors
    ///
    /// As [`System::host`] and [`System::interfaces`].
    pub fn list() -> Result<Vec<Self>, Error> {
        System::host()?.interfaces()
    }

    /// Finds an interface by what people write: its name, alias (`Ethernet 2`), index or GUID; or `lab:` and options
    /// for a network card of a lab, which is booted if need be.
    ///
    /// # Errors
    ///
    /// [`Kind::NoSuchInterface`], with the names that there are; as [`System::of`].
    pub fn find(text: &str) -> Result<Self, Error> {
        if text.starts_with("lab:") {
            find_in_lab(text)
        } else {
            System::host()?.interface(text)
        }
    }

    /// Where it is.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.system
    }

    /// Its index, by which the driver knows it.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.details.index
    }

    /// Its name for programs, such as `ethernet_32769`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.details.name
    }

    /// Its name for people, such as `Ethernet 2`.
    #[must_use]
    pub fn alias(&self) -> &str {
        &self.details.alias
    }

    /// What it is, such as the name of the network card.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.details.description
    }

    /// Its GUID, if it has one.
    #[must_use]
    pub fn guid(&self) -> Option<Guid> {
        self.details.guid
    }

    /// Its MAC address, if it has one.
    #[must_use]
    pub fn mac(&self) -> Option<[u8; 6]> {
        self.details.mac
    }

    /// The longest packet it sends, in bytes without the Ethernet header, if that is known.
    #[must_use]
    pub fn mtu_bytes(&self) -> Option<u32> {
        self.details.mtu_bytes
    }

    /// Whether its link was up when it was found.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.details.is_up
    }

    /// How many receive queues it has.
    ///
    /// # Errors
    ///
    /// [`Kind::DriverAbsent`], [`Kind::NotPermitted`]; [`Kind::NoSuchInterface`] when XDP is not on it.
    #[doc(alias = "XdpRssGetCapabilities")]
    pub fn queues(&self) -> Result<u32, Error> {
        let open = InterfaceOpen {
            if_index: self.index(),
        };
        let object = open_object(self.backend(), ObjectType::INTERFACE, open.as_bytes())
            .map_err(|fault| fault.during(Call::OpenInterface, self.alias()))?;
        let failed = |fault: Fault| fault.during(Call::QueryRss, self.alias());
        let mut capabilities = RssCapabilities::default();
        let code = xdp_abi::ioctl::interface::RSS_GET_CAPABILITIES;
        let answer = object
            .control(code, &[], capabilities.as_mut_bytes())
            .map_err(failed)?;
        if answer.status != NtStatus::SUCCESS {
            return Err(failed(Fault::Status(answer.status)));
        }
        // Without RSS there is one.
        Ok(capabilities.number_of_receive_queues.max(1))
    }

    fn is_called(&self, name: &str) -> bool {
        let name = name.trim();
        let details = &self.details;
        let guid = |guid: Guid| {
            let bare = name
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            guid.to_string().eq_ignore_ascii_case(bare.unwrap_or(name))
        };
        details.name.eq_ignore_ascii_case(name)
            || details.alias.to_lowercase() == name.to_lowercase()
            || name.parse() == Ok(details.index)
            || details.guid.is_some_and(guid)
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        self.system.backend()
    }
}

impl From<&Interface> for System {
    fn from(interface: &Interface) -> Self {
        interface.system.clone()
    }
}

impl From<&System> for System {
    fn from(system: &System) -> Self {
        system.clone()
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.alias())
    }
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.details, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system with two interfaces that answers every open with a status.
    struct Two(NtStatus);

    impl Backend for Two {
        fn open(
            &self,
            _: &str,
            _: Access,
            _: Option<&[u8]>,
        ) -> Result<Arc<dyn crate::sys::Object>, Fault> {
            Err(Fault::Status(self.0))
        }

        fn adopt(&self, _: u64) -> Result<Arc<dyn crate::sys::Object>, Fault> {
            unreachable!("nothing is adopted")
        }

        fn signal(&self) -> Result<Arc<dyn crate::sys::Signal>, Fault> {
            unreachable!("nothing is waited for")
        }

        fn allocate(&self, _: usize) -> Result<crate::memory::Memory, Fault> {
            unreachable!("nothing is allocated")
        }

        fn process(&self) -> u64 {
            0
        }

        fn interfaces(&self) -> Result<Vec<Details>, Fault> {
            let guid = Guid::from_u128(0x28f93d3f_4c0a_4a7c_8ff1_96b24e19b856);
            Ok(vec![
                Details {
                    index: 12,
                    name: "ethernet_32769".into(),
                    alias: "Ethernet 2".into(),
                    guid: Some(guid),
                    ..Details::default()
                },
                Details {
                    index: 3,
                    name: "ethernet_3".into(),
                    alias: "Büro".into(),
                    ..Details::default()
                },
            ])
        }
    }

    #[test]
    fn interfaces_are_found_by_each_of_their_names() {
        let system = System::new(Arc::new(Two(NtStatus::ACCESS_DENIED)));
        for name in [
            "Ethernet 2",
            "ethernet 2",
            "12",
            "ethernet_32769",
            "{28F93D3F-4c0a-4a7c-8ff1-96b24e19b856}",
            "28f93d3f-4c0a-4a7c-8ff1-96b24e19b856",
        ] {
            assert_eq!(system.interface(name).expect(name).index(), 12);
        }
        assert_eq!(system.interface("BÜRO").expect("it is there").index(), 3);
        let order: Vec<_> = system
            .interfaces()
            .expect("a list")
            .iter()
            .map(Interface::index)
            .collect();
        assert_eq!(order, [3, 12]);
    }

    #[test]
    fn an_unknown_interface_is_an_error_with_the_names_there_are() {
        let error = System::new(Arc::new(Two(NtStatus::ACCESS_DENIED)))
            .interface("eth0")
            .expect_err("there is none");
        assert_eq!(error.kind(), Kind::NoSuchInterface);
        assert_eq!(
            error.to_string(),
            "cannot find the interface (eth0): there is none; there are Büro, Ethernet 2"
        );
    }

    #[test]
    fn without_a_driver_that_is_said_rather_than_that_a_name_is_unknown() {
        let system = System::new(Arc::new(Two(NtStatus::OBJECT_NAME_NOT_FOUND)));
        assert!(system.interface("12").is_ok());
        let error = system.interface("eth0").expect_err("there is none");
        assert_eq!(error.kind(), Kind::DriverAbsent);
        assert_eq!(
            error.to_string(),
            "cannot find the interface (eth0): the XDP driver is not running (STATUS_OBJECT_NAME_NOT_FOUND)"
        );
    }

    #[cfg(not(windows))]
    #[test]
    fn elsewhere_than_on_windows_there_is_no_driver() {
        let error = Interface::find("eth0").expect_err("no Windows");
        assert_eq!(error.kind(), Kind::DriverAbsent);
    }
}
