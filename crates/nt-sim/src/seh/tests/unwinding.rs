//! Unwinding from every instruction of a function, against a model that executes it.

use std::collections::HashMap;

use iced_x86::{
    Code as Opcode, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, code_asm::*,
};

use crate::{
    pe::{Binding, Image, Loaded, testing::DriverBuilder},
    seh::{
        context::Context,
        dispatch::code_of,
        unwind::{Stack, UnwindError, unwind_frame},
    },
};

#[derive(Default, Clone)]
struct Memory(HashMap<u64, u64>);

impl Stack for Memory {
    fn word(&self, address: u64) -> Option<u64> {
        self.0.get(&address).copied()
    }
}

const STACK: u64 = 0x7000_0000;
const RETURN: u64 = 0x1234_5678;
const NONVOLATILE: [usize; 8] = [3, 5, 6, 7, 12, 13, 14, 15];

/// A caller with a value of its own in every register.
fn caller() -> (Context, Memory) {
    let mut context = Context::zeroed();
    for (number, register) in context.gpr.iter_mut().enumerate() {
        *register = 0x1111 * (number as u64 + 1);
    }
    for (number, register) in context.xmm.iter_mut().enumerate() {
        *register = 0x0101_0101_0101_0101_0101 * (number as u128 + 1);
    }
    context.gpr[4] = STACK;
    context.rip = RETURN;
    (context, Memory::default())
}

fn number(register: iced_x86::Register) -> usize {
    register.full_register().number()
}

/// Executes one instruction of the few that prologues and epilogues have.
fn execute(instruction: &Instruction, context: &mut Context, memory: &mut Memory) {
    let address = |context: &Context| {
        context.gpr[number(instruction.memory_base())]
            .wrapping_add(instruction.memory_displacement64())
    };
    context.rip = instruction.next_ip();
    match instruction.mnemonic() {
        Mnemonic::Push => {
            context.gpr[4] -= 8;
            memory.0.insert(
                context.gpr[4],
                context.gpr[number(instruction.op0_register())],
            );
        }
        Mnemonic::Pop => {
            context.gpr[number(instruction.op0_register())] = memory.0[&context.gpr[4]];
            context.gpr[4] += 8;
        }
        Mnemonic::Sub | Mnemonic::Add => {
            let n = instruction.immediate(1);
            let register = number(instruction.op0_register());
            let old = context.gpr[register];
            context.gpr[register] = if instruction.mnemonic() == Mnemonic::Sub {
                old.wrapping_sub(n)
            } else {
                old.wrapping_add(n)
            };
        }
        Mnemonic::Lea => {
            context.gpr[number(instruction.op0_register())] = address(context);
        }
        Mnemonic::Mov if instruction.op0_kind() == OpKind::Memory => {
            memory.0.insert(
                address(context),
                context.gpr[number(instruction.op1_register())],
            );
        }
        Mnemonic::Mov if instruction.op1_kind() == OpKind::Memory => {
            context.gpr[number(instruction.op0_register())] = memory.0[&address(context)];
        }
        Mnemonic::Mov => {
            context.gpr[number(instruction.op0_register())] = instruction.immediate(1);
        }
        Mnemonic::Movaps if instruction.code() == Opcode::Movaps_xmmm128_xmm => {
            let value = context.xmm[instruction.op1_register().number()];
            memory.0.insert(address(context), value as u64);
            memory.0.insert(address(context) + 8, (value >> 64) as u64);
        }
        Mnemonic::Movaps => {
            context.xmm[instruction.op0_register().number()] =
                memory.oword(address(context)).unwrap();
        }
        Mnemonic::Pxor => context.xmm[instruction.op0_register().number()] = 0,
        Mnemonic::Nop => {}
        other => panic!("the model does not know {other:?}"),
    }
}

fn load(mut b: DriverBuilder) -> Loaded {
    b.trivial_entry();
    Image::load(&b.build(), "unwind.sys", |imports| {
        Ok(vec![Binding::Bound(0); imports.len()])
    })
    .unwrap()
}

/// At each instruction up to the return, unwinding gives back the caller.
fn unwinds_everywhere(b: DriverBuilder) {
    let image = load(b);
    let entry = image.export("F").unwrap();
    let code = &image.bytes()[image.rva(entry).unwrap() as usize..];
    let (expected, mut memory) = caller();
    let mut context = expected.clone();
    context.gpr[4] -= 8;
    memory.0.insert(context.gpr[4], RETURN);
    context.rip = entry as u64;
    let mut decoder = Decoder::with_ip(64, code, entry as u64, DecoderOptions::NONE);
    let mut places = 0;
    loop {
        let instruction = decoder.decode();
        let what = format!("{:?} at {:#x}", instruction.code(), instruction.ip());
        let mut unwound = context.clone();
        let frame = unwind_frame(code_of(&image), &memory, &mut unwound, 0)
            .unwrap_or_else(|e| panic!("{what}: {e:?}"));
        assert!(frame.entry.is_some());
        assert_eq!(unwound.rip, RETURN, "{what}");
        assert_eq!(unwound.gpr[4], STACK, "{what}");
        for register in NONVOLATILE {
            assert_eq!(
                unwound.gpr[register], expected.gpr[register],
                "register {register} of {what}"
            );
        }
        places += 1;
        if matches!(instruction.mnemonic(), Mnemonic::Ret | Mnemonic::Jmp) {
            break;
        }
        // XMM registers come back from the body on; epilogues reload them before they begin.
        if instruction.mnemonic() == Mnemonic::Nop {
            assert_eq!(unwound.xmm[6..], expected.xmm[6..], "{what}");
        }
        execute(&instruction, &mut context, &mut memory);
    }
    assert!(places > 3);
}

#[test]
fn pushes_and_a_small_allocation() {
    let mut b = DriverBuilder::new();
    b.begin("F");
    for register in [rbx, rbp, rsi, rdi, r12, r15] {
        b.push(register);
    }
    b.alloc(0x28);
    b.a.mov(rbx, 1_i64).unwrap();
    b.a.mov(r12, 2_i64).unwrap();
    b.a.nop().unwrap();
    b.a.add(rsp, 0x28).unwrap();
    for register in [r15, r12, rdi, rsi, rbp, rbx] {
        b.a.pop(register).unwrap();
    }
    b.a.ret().unwrap();
    b.end();
    unwinds_everywhere(b);
}

#[test]
fn large_allocations_and_saved_registers() {
    for size in [0x100, 0x7fff8, 0x80000, 0x123450] {
        let mut b = DriverBuilder::new();
        b.begin("F");
        b.push(rdi);
        b.alloc(size + 8);
        b.save(rbx, 0x40);
        b.save(r14, 0x48);
        b.save_xmm(xmm6, 0x50);
        b.save_xmm(xmm15, 0x60);
        b.a.mov(rbx, 1_i64).unwrap();
        b.a.mov(r14, 1_i64).unwrap();
        b.a.pxor(xmm6, xmm6).unwrap();
        b.a.pxor(xmm15, xmm15).unwrap();
        b.a.nop().unwrap();
        b.a.movaps(xmm6, xmmword_ptr(rsp + 0x50)).unwrap();
        b.a.movaps(xmm15, xmmword_ptr(rsp + 0x60)).unwrap();
        b.a.mov(rbx, qword_ptr(rsp + 0x40)).unwrap();
        b.a.mov(r14, qword_ptr(rsp + 0x48)).unwrap();
        b.a.add(rsp, size as i32 + 8).unwrap();
        b.a.pop(rdi).unwrap();
        b.a.ret().unwrap();
        b.end();
        unwinds_everywhere(b);
    }
}

#[test]
fn a_frame_register_and_alloca() {
    let mut b = DriverBuilder::new();
    b.begin("F");
    b.push(rbp);
    b.push(rsi);
    b.alloc(0x48);
    b.set_frame(0x30);
    b.a.sub(rsp, 0x320).unwrap();
    b.a.mov(rsi, 3_i64).unwrap();
    b.a.nop().unwrap();
    b.a.lea(rsp, ptr(rbp + 0x18)).unwrap();
    b.a.pop(rsi).unwrap();
    b.a.pop(rbp).unwrap();
    b.a.ret().unwrap();
    b.end();
    unwinds_everywhere(b);
}

#[test]
fn a_tail_jump_is_an_epilogue() {
    let mut b = DriverBuilder::new();
    let other = b.import("ntoskrnl.exe", "Other");
    b.begin("F");
    b.push(rbx);
    b.alloc(0x20);
    b.a.mov(rbx, 9_i64).unwrap();
    b.a.nop().unwrap();
    b.a.add(rsp, 0x20).unwrap();
    b.a.pop(rbx).unwrap();
    b.a.jmp(qword_ptr(other)).unwrap();
    b.end();
    // The jump itself has nothing left to undo but is behind the pops: unwound by the last pop's
    // position, not its own.
    let image = load(b);
    let entry = image.export("F").unwrap();
    let (_, function) = image
        .functions()
        .find(image.bytes(), image.rva(entry).unwrap())
        .unwrap();
    assert!(function.end > function.begin);
    let (expected, mut memory) = caller();
    let mut context = expected.clone();
    context.gpr[4] = STACK - 16;
    memory.0.insert(STACK - 16, 0x4444);
    memory.0.insert(STACK - 8, RETURN);
    // At "pop rbx".
    context.rip = entry as u64 + find(&image, entry, &[0x5b, 0xff, 0x25]);
    unwind_frame(code_of(&image), &memory, &mut context, 3).unwrap();
    assert_eq!(
        (context.rip, context.gpr[4], context.gpr[3]),
        (RETURN, STACK, 0x4444)
    );
}

fn find(image: &Image, from: usize, pattern: &[u8]) -> u64 {
    let code = &image.bytes()[image.rva(from).unwrap() as usize..];
    code.windows(pattern.len())
        .position(|w| w == pattern)
        .unwrap() as u64
}

#[test]
fn damaged_unwind_information_is_an_error() {
    let mut b = DriverBuilder::new();
    b.begin("F");
    b.push(rbx);
    b.alloc(0x20);
    b.a.nop().unwrap();
    b.a.int3().unwrap();
    b.end();
    let image = load(b);
    let rva = image.rva(image.export("F").unwrap()).unwrap();
    let (_, function) = image.functions().find(image.bytes(), rva).unwrap();
    let (context, memory) = caller();
    let mut errors = 0;
    for at in 0..12 {
        for value in 0..=255 {
            let mut bytes = image.bytes().to_vec();
            bytes[function.unwind as usize + at] = value;
            let mut code = code_of(&image);
            code.bytes = &bytes;
            let mut unwound = context.clone();
            unwound.rip = code.base + u64::from(rva) + 5;
            match unwind_frame(code, &memory, &mut unwound, 3) {
                Err(UnwindError::BadUnwindInfo) => errors += 1,
                Err(UnwindError::BadStack(_)) | Ok(_) => {}
            }
        }
    }
    assert!(errors > 200, "{errors}");
}
