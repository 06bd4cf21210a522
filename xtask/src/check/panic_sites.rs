//! Counts the places in x86-64 code from which a Rust panic can start, without any symbols.
//!
//! The panic handler is known by the stop code that it loads. From there the *panic functions* are found backwards: a
//! function belongs to them if none of its paths returns and every path that ends, ends in a call of a panic function
//! (`core::panicking::panic_fmt`, `unwrap_failed` and so on). A *panic site* is a call of, or a jump to, a panic function
//! in a function that is not one itself. The linker has dropped what nothing refers to, so what is counted is reachable.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind};
use object::pe;

use super::image::Image;

/// Stop code of the driver's panic handler, see `crates/xdp-driver/src/panic.rs`.
pub(super) const PANIC_STOP_CODE: u32 = 0x5255_5354;
/// Unwind data of a function part that belongs to another entry.
const UNW_FLAG_CHAININFO: u8 = 4;

/// Result of the search.
pub(super) enum PanicSites {
    /// The method does not apply to this file.
    NotCounted(&'static str),
    /// No function loads the panic stop code.
    NoHandler,
    /// Every site.
    Found(Vec<Site>),
}

/// One place that can panic.
pub(super) struct Site {
    /// Address of the function.
    pub(super) function: u32,
}

/// Finds the panic sites of an image.
pub(super) fn find(image: &Image<'_>) -> PanicSites {
    if image.machine != pe::IMAGE_FILE_MACHINE_AMD64 {
        return PanicSites::NotCounted("the method knows x86-64 code only");
    }
    let code = Code::new(image);
    if !code.functions.values().any(|body| body.handler) {
        return PanicSites::NoHandler;
    }
    // A handler that was inlined into a function with other business does not make that function a panic function.
    let mut panics: BTreeSet<u32> = code
        .functions
        .iter()
        .filter(|(_, body)| body.handler && !body.may_return(&BTreeSet::new()))
        .map(|(start, _)| *start)
        .collect();
    loop {
        let more: Vec<u32> = code
            .functions
            .iter()
            .filter(|(start, body)| {
                !panics.contains(*start) && body.reaches(&panics) && !body.may_return(&panics)
            })
            .map(|(start, _)| *start)
            .collect();
        if more.is_empty() {
            break;
        }
        panics.extend(more);
    }
    let mut sites = Vec::new();
    for (&function, body) in code
        .functions
        .iter()
        .filter(|(start, _)| !panics.contains(*start))
    {
        let calls = body
            .instructions
            .values()
            .filter(|step| step.target.is_some_and(|target| panics.contains(&target)))
            .count();
        let inlined_handlers = body
            .instructions
            .values()
            .filter(|step| step.loads_stop_code)
            .count();
        sites.extend((0..calls + inlined_handlers).map(|_| Site { function }));
    }
    PanicSites::Found(sites)
}

/// The functions of an image by their start address.
struct Code {
    functions: BTreeMap<u32, Body>,
}

/// One function's instructions by address.
struct Body {
    start: u32,
    instructions: BTreeMap<u32, Step>,
    /// Loads the panic stop code somewhere.
    handler: bool,
}

/// What matters of one instruction.
struct Step {
    next: u32,
    flow: FlowControl,
    /// Target of a direct call or jump.
    target: Option<u32>,
    loads_stop_code: bool,
}

impl Code {
    fn new(image: &Image<'_>) -> Self {
        let mut ranges: BTreeMap<u32, u32> = BTreeMap::new();
        for function in &image.functions {
            let chained = image
                .data_at(function.unwind)
                .and_then(|unwind| unwind.first())
                .is_some_and(|byte| byte >> 3 & UNW_FLAG_CHAININFO != 0);
            if !chained {
                ranges.insert(function.begin, function.end);
            }
        }
        let mut functions = BTreeMap::new();
        let mut callees = BTreeSet::from([image.entry]);
        for (&start, &end) in &ranges {
            let body = Body::sweep(image, start, end);
            callees.extend(body.instructions.values().filter_map(|step| step.target));
            functions.insert(start, body);
        }
        // Functions that need no stack have no unwind data: they are found as the targets of calls and jumps.
        while let Some(start) = callees.pop_first() {
            let inside = ranges
                .range(..=start)
                .next_back()
                .is_some_and(|(_, end)| start < *end);
            if inside || functions.contains_key(&start) {
                continue;
            }
            let body = Body::follow(image, start, &ranges);
            callees.extend(
                body.instructions
                    .values()
                    .filter_map(|step| step.target)
                    .filter(|target| !body.instructions.contains_key(target)),
            );
            functions.insert(start, body);
        }
        Self { functions }
    }
}

impl Body {
    /// Decodes a range from end to end.
    fn sweep(image: &Image<'_>, start: u32, end: u32) -> Self {
        let mut instructions = BTreeMap::new();
        let data = image.data_at(start).unwrap_or_default();
        let data = data
            .get(..end.saturating_sub(start) as usize)
            .unwrap_or(data);
        for instruction in &mut Decoder::with_ip(64, data, u64::from(start), DecoderOptions::NONE) {
            instructions.insert(instruction.ip() as u32, Step::new(&instruction));
        }
        Self::of(start, instructions)
    }

    /// Decodes along the control flow, for a function whose end is not known.
    fn follow(image: &Image<'_>, start: u32, known: &BTreeMap<u32, u32>) -> Self {
        let mut instructions = BTreeMap::new();
        let mut open = vec![start];
        while let Some(mut address) = open.pop() {
            while !instructions.contains_key(&address) && !known.contains_key(&address) {
                let Some(data) = image.data_at(address) else {
                    break;
                };
                let mut decoder =
                    Decoder::with_ip(64, data, u64::from(address), DecoderOptions::NONE);
                let instruction = decoder.decode();
                if instruction.is_invalid() {
                    break;
                }
                let step = Step::new(&instruction);
                let jump = matches!(
                    step.flow,
                    FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
                );
                open.extend(step.target.filter(|_| jump));
                let goes_on = step.falls_through();
                let next = step.next;
                instructions.insert(address, step);
                if !goes_on {
                    break;
                }
                address = next;
            }
        }
        Self::of(start, instructions)
    }

    fn of(start: u32, instructions: BTreeMap<u32, Step>) -> Self {
        let handler = instructions.values().any(|step| step.loads_stop_code);
        Self {
            start,
            instructions,
            handler,
        }
    }

    fn reaches(&self, panics: &BTreeSet<u32>) -> bool {
        self.instructions
            .values()
            .any(|step| step.target.is_some_and(|target| panics.contains(&target)))
    }

    /// Whether some path from the start returns, leaves to a function that is not a panic function, or cannot be followed.
    fn may_return(&self, panics: &BTreeSet<u32>) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![self.start];
        while let Some(address) = open.pop() {
            if !seen.insert(address) {
                continue;
            }
            let Some(step) = self.instructions.get(&address) else {
                // Jumped out of the function: a tail call.
                if panics.contains(&address) {
                    continue;
                }
                return true;
            };
            match step.flow {
                FlowControl::Return | FlowControl::IndirectBranch => return true,
                FlowControl::Call if step.target.is_some_and(|target| panics.contains(&target)) => {
                }
                // `ud2` and `int3` follow what does not come back.
                FlowControl::Exception | FlowControl::Interrupt => {}
                FlowControl::UnconditionalBranch => open.extend(step.target),
                FlowControl::ConditionalBranch => {
                    open.extend(step.target.into_iter().chain([step.next]))
                }
                _ => open.push(step.next),
            }
        }
        false
    }
}

impl Step {
    fn new(instruction: &Instruction) -> Self {
        let direct = matches!(instruction.op0_kind(), OpKind::NearBranch64);
        let loads_stop_code = (0..instruction.op_count()).any(|operand| {
            matches!(
                instruction.op_kind(operand),
                OpKind::Immediate32 | OpKind::Immediate32to64 | OpKind::Immediate64
            ) && instruction.immediate(operand) as u32 == PANIC_STOP_CODE
        });
        Self {
            next: instruction.next_ip() as u32,
            flow: instruction.flow_control(),
            target: direct.then(|| instruction.near_branch_target() as u32),
            loads_stop_code,
        }
    }

    fn falls_through(&self) -> bool {
        !matches!(
            self.flow,
            FlowControl::Return
                | FlowControl::IndirectBranch
                | FlowControl::UnconditionalBranch
                | FlowControl::Exception
                | FlowControl::Interrupt
        )
    }
}
