//! What drivers print for a debugger.

use crate::sync::Mutex;

use super::format::Arguments;
use super::print::format_narrow;
use crate::kernel::kernel;
use crate::{Lab, exports};

/// A line, or part of one, that a driver printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugMessage {
    /// The component (`DPFLTR_*`); 101 is the default.
    pub component: u32,
    /// The level: 0 error, 1 warning, 2 trace, 3 information, or a mask.
    pub level: u32,
    /// The text.
    pub text: String,
}

/// What `DbgPrint` prints as.
const DEFAULT_COMPONENT: u32 = 101;
const INFORMATION: u32 = 3;

/// Messages kept; the oldest are dropped.
const KEPT: usize = 10_000;

/// What drivers printed.
#[derive(Debug, Default)]
pub(crate) struct DebugLog {
    messages: Mutex<std::collections::VecDeque<DebugMessage>>,
}

fn print(
    component: u32,
    level: u32,
    prefix: &[u8],
    text: *const u8,
    arguments: &mut Arguments<'_>,
) -> i32 {
    let mut bytes = prefix.to_vec();
    bytes.extend(format_narrow(text, arguments));
    let text = bytes.iter().map(|&byte| char::from(byte)).collect();
    let mut messages = kernel().debug.messages.lock();
    if messages.len() == KEPT {
        messages.pop_front();
    }
    messages.push_back(DebugMessage {
        component,
        level,
        text,
    });
    nt::sys::STATUS_SUCCESS
}

impl Lab {
    /// What drivers printed for a debugger (`DbgPrint` and its kind), oldest first; taken out of the log.
    pub fn take_debug_messages(&self) -> Vec<DebugMessage> {
        kernel().debug.messages.lock().drain(..).collect()
    }
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Prints.
    #[irql(ANY)]
    fn DbgPrint(
        text: *const u8,
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64, j: u64, k: u64, l: u64, m: u64, n: u64,
    ) -> i32 {
        let slots = [a, b, c, d, e, f, g, h, i, j, k, l, m, n];
        print(DEFAULT_COMPONENT, INFORMATION, &[], text, &mut Arguments::Slots(&slots))
    }

    /// Prints for a component.
    #[irql(ANY)]
    fn DbgPrintEx(
        component: u32, level: u32, text: *const u8,
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64, j: u64, k: u64, l: u64, m: u64, n: u64,
    ) -> i32 {
        let slots = [a, b, c, d, e, f, g, h, i, j, k, l, m, n];
        print(component, level, &[], text, &mut Arguments::Slots(&slots))
    }

    /// Prints for a component.
    #[irql(ANY)]
    fn vDbgPrintEx(component: u32, level: u32, text: *const u8, list: *const u64) -> i32 {
        print(component, level, &[], text, &mut Arguments::List(list))
    }

    /// Prints for a component, with a prefix.
    #[irql(ANY)]
    fn vDbgPrintExWithPrefix(prefix: *const u8, component: u32, level: u32, text: *const u8, list: *const u64) -> i32 {
        print(component, level, &crate::mem::guest::load_terminated(prefix), text, &mut Arguments::List(list))
    }

    /// Whether messages of a component and level are printed: all are.
    #[irql(ANY)]
    fn DbgQueryDebugFilterState(_component: u32, _level: u32) -> i32 {
        1
    }
}
