//! The system around a driver: its registry, its events, its performance counters.

use super::{Lab, LabError, NtStatus};
use crate::{
    cm::{REG_DWORD, REG_SZ},
    kernel::kernel,
    trace::Event,
};

/// An event that a driver wrote to ETW.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEvent {
    /// GUID of the provider, as it lies in memory.
    pub provider: [u8; 16],
    /// The `EVENT_DESCRIPTOR`: identifier, version, channel, level, opcode, task, keyword.
    pub descriptor: [u8; 16],
    /// The event's data, its parts joined.
    pub data: Vec<u8>,
}

/// An instance of a performance counter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterInstance {
    /// Its name.
    pub name: String,
    /// Its blocks of counters.
    pub blocks: Vec<Vec<u8>>,
}

impl From<Event> for TraceEvent {
    fn from(event: Event) -> TraceEvent {
        TraceEvent {
            provider: event.provider,
            descriptor: event.descriptor,
            data: event.data,
        }
    }
}

impl Lab {
    /// Sets a registry value of any type, making its key if need be; who watches the key is told.
    ///
    /// `key` is a full path such as `\Registry\Machine\System\CurrentControlSet\Services\xdp\Parameters`.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn set_registry_value(
        &self,
        key: &str,
        name: &str,
        kind: u32,
        data: &[u8],
    ) -> Result<(), LabError> {
        self.enter(|| {
            let registry = &kernel().registry;
            let (key, _) = registry.create(key);
            registry.set(&key, name, kind, data.to_vec());
        })
    }

    /// Sets a `REG_DWORD` value.
    ///
    /// # Errors
    /// As [`Lab::set_registry_value`].
    pub fn set_registry_dword(&self, key: &str, name: &str, value: u32) -> Result<(), LabError> {
        self.set_registry_value(key, name, REG_DWORD, &value.to_le_bytes())
    }

    /// Sets a `REG_SZ` value.
    ///
    /// # Errors
    /// As [`Lab::set_registry_value`].
    pub fn set_registry_string(&self, key: &str, name: &str, text: &str) -> Result<(), LabError> {
        let units = text.encode_utf16().chain([0]);
        let data: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        self.set_registry_value(key, name, REG_SZ, &data)
    }

    /// Type and bytes of a registry value; `None` when there is no such value.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn registry_value(
        &self,
        key: &str,
        name: &str,
    ) -> Result<Option<(u32, Vec<u8>)>, LabError> {
        self.enter(|| {
            let key = kernel().registry.find(key)?;
            let values = key.values.lock();
            let value = values.get(&name.to_lowercase())?;
            Some((value.kind, value.data.clone()))
        })
    }

    /// Removes a registry value.
    ///
    /// # Errors
    /// When there is no such value, or the kernel has stopped.
    pub fn delete_registry_value(&self, key: &str, name: &str) -> Result<(), LabError> {
        let removed = self.enter(|| {
            let registry = &kernel().registry;
            let missing = nt::sys::STATUS_OBJECT_NAME_NOT_FOUND;
            let key = registry.find(key).ok_or(missing)?;
            registry.remove(&key, name)
        })?;
        removed.map_err(|status| LabError::Status {
            what: format!("removing {name} of {key}"),
            status: NtStatus(status),
        })
    }

    /// Starts listening to an ETW provider: events up to `level` with one of `keywords` (or none)
    /// are kept.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn listen(&self, provider: [u8; 16], level: u8, keywords: u64) -> Result<(), LabError> {
        self.enter(|| kernel().trace.etw.enable(provider, level, keywords))
    }

    /// Takes the events that were written since the last call.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn take_events(&self) -> Result<Vec<TraceEvent>, LabError> {
        self.enter(|| {
            let events = kernel().trace.etw.take_events();
            events.into_iter().map(TraceEvent::from).collect()
        })
    }

    /// Collects a performance counter set: name and blocks of each instance.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn counter_instances(&self, set: &str) -> Result<Vec<CounterInstance>, LabError> {
        self.enter(|| {
            let instances = kernel().trace.pcw.collect(set);
            let named = instances.into_iter();
            named
                .map(|(name, blocks)| CounterInstance { name, blocks })
                .collect()
        })
    }
}
