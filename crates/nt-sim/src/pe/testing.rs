//! Writes small driver images for tests: code by an assembler, unwind data and tables by hand.

use iced_x86::{
    BlockEncoderOptions,
    code_asm::{AsmRegister64, CodeAssembler, CodeLabel, ptr, qword_ptr, rax, rbp, rsp},
};

/// Address that the image says it wants.
pub(crate) const PREFERRED: u64 = 0x1_8000_0000;
/// Where writable data lies.
pub(crate) const DATA: u32 = 0x1000;
const TEXT: u32 = 0x2000;

#[derive(Clone, Copy)]
enum Op {
    Push(u8),
    Alloc(u32),
    SetFrame,
    SaveRegister { register: u8, offset: u32 },
    SaveXmm { register: u8, offset: u32 },
}

/// What guards a range of a function.
pub(crate) enum Guard {
    /// `__except (EXCEPTION_EXECUTE_HANDLER)`, handler block at the label.
    ExceptAll(CodeLabel),
    /// `__except (filter())`, filter function and handler block.
    Except(CodeLabel, CodeLabel),
    /// `__finally`, the termination handler's function.
    Finally(CodeLabel),
}

struct Scope {
    begin: CodeLabel,
    end: CodeLabel,
    guard: Guard,
}

struct Function {
    begin: CodeLabel,
    end: Option<CodeLabel>,
    prolog: Vec<(CodeLabel, Op)>,
    prolog_end: CodeLabel,
    frame: Option<(u8, u8)>,
    scopes: Vec<Scope>,
}

/// A driver image being written.
pub(crate) struct DriverBuilder {
    pub(crate) a: CodeAssembler,
    imports: Vec<(String, String, CodeLabel)>,
    absolute: Vec<(CodeLabel, u64)>,
    functions: Vec<Function>,
    exports: Vec<(String, CodeLabel)>,
    /// The language handler of functions with guards; `__C_specific_handler` unless set.
    pub(crate) handler: Option<CodeLabel>,
    /// Bytes at the start of the data section.
    pub(crate) data: Vec<u8>,
    pub(crate) subsystem: u16,
    pub(crate) machine: u16,
    /// Identity of the PDB that the image says it belongs to.
    pub(crate) pdb_guid: Option<[u8; 16]>,
}

impl DriverBuilder {
    pub(crate) fn new() -> DriverBuilder {
        DriverBuilder {
            a: CodeAssembler::new(64).unwrap(),
            imports: Vec::new(),
            absolute: Vec::new(),
            functions: Vec::new(),
            exports: Vec::new(),
            handler: None,
            data: vec![0; 256],
            subsystem: 1,
            machine: 0x8664,
            pdb_guid: None,
        }
    }

    /// A label at the current place.
    pub(crate) fn here(&mut self) -> CodeLabel {
        let mut label = self.a.create_label();
        self.place(&mut label);
        label
    }

    /// Puts a label that was created before at the current place.
    pub(crate) fn place(&mut self, label: &mut CodeLabel) {
        self.a.set_label(label).unwrap();
        self.a.zero_bytes().unwrap();
    }

    /// The slot of an import: `call qword ptr [slot]`.
    pub(crate) fn import(&mut self, module: &str, name: &str) -> CodeLabel {
        let known = self.imports.iter().find(|i| i.0 == module && i.1 == name);
        if let Some((_, _, slot)) = known {
            return *slot;
        }
        let slot = self.a.create_label();
        self.imports.push((module.into(), name.into(), slot));
        slot
    }

    /// Calls a function of ntoskrnl.exe.
    pub(crate) fn call_nt(&mut self, name: &str) {
        let slot = self.import("ntoskrnl.exe", name);
        self.a.call(qword_ptr(slot)).unwrap();
    }

    /// A word holding the relocated address of `offset` in the data section.
    pub(crate) fn data_address(&mut self, offset: u32) -> CodeLabel {
        let label = self.a.create_label();
        self.absolute
            .push((label, PREFERRED + u64::from(DATA + offset)));
        label
    }

    /// Starts an exported function.
    pub(crate) fn begin(&mut self, name: &str) -> CodeLabel {
        let begin = self.begin_hidden();
        self.exports.push((name.into(), begin));
        begin
    }

    /// Where an exported function starts.
    pub(crate) fn export_label(&self, name: &str) -> CodeLabel {
        self.exports
            .iter()
            .find(|e| e.0 == name)
            .expect("no such export")
            .1
    }

    /// Starts a function without a name.
    pub(crate) fn begin_hidden(&mut self) -> CodeLabel {
        let begin = self.here();
        self.begin_at(begin)
    }

    /// Starts a function at a label placed by the caller.
    pub(crate) fn begin_at(&mut self, begin: CodeLabel) -> CodeLabel {
        self.functions.push(Function {
            begin,
            end: None,
            prolog: Vec::new(),
            prolog_end: begin,
            frame: None,
            scopes: Vec::new(),
        });
        begin
    }

    fn op(&mut self, op: Op) {
        let after = self.here();
        let function = self.functions.last_mut().unwrap();
        function.prolog.push((after, op));
        function.prolog_end = after;
    }

    /// Prologue: saves a register on the stack.
    pub(crate) fn push(&mut self, register: AsmRegister64) {
        self.a.push(register).unwrap();
        self.op(Op::Push(number(register)));
    }

    /// Prologue: makes room on the stack.
    pub(crate) fn alloc(&mut self, size: u32) {
        self.a.sub(rsp, size as i32).unwrap();
        self.op(Op::Alloc(size));
    }

    /// Prologue: `lea rbp, [rsp + offset]`, offset a multiple of 16.
    pub(crate) fn set_frame(&mut self, offset: u32) {
        self.a.lea(rbp, ptr(rsp + offset)).unwrap();
        let frame = (number(rbp), (offset / 16) as u8);
        self.functions.last_mut().unwrap().frame = Some(frame);
        self.op(Op::SetFrame);
    }

    /// Prologue: saves a register in a slot made by `alloc`.
    pub(crate) fn save(&mut self, register: AsmRegister64, offset: u32) {
        self.a.mov(qword_ptr(rsp + offset), register).unwrap();
        let register = number(register);
        self.op(Op::SaveRegister { register, offset });
    }

    /// Prologue: saves an XMM register in a slot made by `alloc`.
    pub(crate) fn save_xmm(&mut self, register: iced_x86::code_asm::AsmRegisterXmm, offset: u32) {
        use iced_x86::code_asm::xmmword_ptr;
        self.a.movaps(xmmword_ptr(rsp + offset), register).unwrap();
        let register = iced_x86::Register::from(register).number() as u8;
        self.op(Op::SaveXmm { register, offset });
    }

    /// Guards the code between two labels; inner ranges first.
    pub(crate) fn guard(&mut self, begin: CodeLabel, end: CodeLabel, guard: Guard) {
        let function = self.functions.last_mut().unwrap();
        function.scopes.push(Scope { begin, end, guard });
    }

    /// Ends the function begun last.
    pub(crate) fn end(&mut self) {
        // A return address at the very end still belongs to the function.
        self.a.int3().unwrap();
        let end = self.here();
        self.functions.last_mut().unwrap().end = Some(end);
    }

    /// A function that returns zero: the entry point of most tests.
    pub(crate) fn trivial_entry(&mut self) {
        self.begin("DriverEntry");
        self.a.xor(rax, rax).unwrap();
        self.a.ret().unwrap();
        self.end();
    }

    /// Writes the file.
    pub(crate) fn build(mut self) -> Vec<u8> {
        let guarded = self.functions.iter().any(|f| !f.scopes.is_empty());
        if guarded && self.handler.is_none() {
            // The handler must be in the image: a jump through the import slot.
            let handler = self.here();
            let slot = self.import("ntoskrnl.exe", "__C_specific_handler");
            self.a.jmp(qword_ptr(slot)).unwrap();
            self.handler = Some(handler);
        }
        for i in 0..self.imports.len() {
            self.a.nop().unwrap();
            let mut label = self.imports[i].2;
            self.a.set_label(&mut label).unwrap();
            self.imports[i].2 = label;
            self.a.dq(&[0, 0]).unwrap();
        }
        let mut relocations = Vec::new();
        for i in 0..self.absolute.len() {
            let (mut label, value) = self.absolute[i];
            self.a.set_label(&mut label).unwrap();
            self.absolute[i].0 = label;
            self.a.dq(&[value]).unwrap();
        }
        let base = PREFERRED + u64::from(TEXT);
        let code = self
            .a
            .assemble_options(base, BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS)
            .unwrap();
        let rva = |label: &CodeLabel| (code.label_ip(label).unwrap() - PREFERRED) as u32;
        for (label, _) in &self.absolute {
            relocations.push(rva(label));
        }
        let text = code.inner.code_buffer.clone();
        let rdata_rva = (TEXT + text.len() as u32).next_multiple_of(0x1000);
        let mut rdata = Blob {
            rva: rdata_rva,
            bytes: Vec::new(),
        };

        let mut table: Vec<[u32; 3]> = Vec::new();
        for function in &self.functions {
            let unwind = rdata.unwind_info(function, self.handler.as_ref(), &rva);
            let end = function.end.as_ref().expect("function without end");
            table.push([rva(&function.begin), rva(end), unwind]);
        }
        table.sort_unstable();
        let pdata = rdata.align(4);
        for entry in table.iter().flatten() {
            rdata.u32(*entry);
        }
        let pdata_size = rdata.here() - pdata;

        let import_table = rdata.import_table(&self.imports, &rva);
        let export_table = rdata.export_table(&self.exports, &rva);
        let cookie = PREFERRED + u64::from(DATA) + 0xf0;
        let load_config = rdata.align(8);
        relocations.push(load_config + 0x58);
        rdata.u32(0x60);
        rdata.bytes.extend([0; 0x54]);
        rdata.bytes.extend(cookie.to_le_bytes());
        let debug = self.pdb_guid.map(|guid| rdata.debug_directory(guid));
        let relocation_table = rdata.align(4);
        relocations.sort_unstable();
        for page in relocations.chunk_by(|a, b| a / 4096 == b / 4096) {
            let padded = page.len().next_multiple_of(2);
            rdata.u32(page[0] & !0xfff);
            rdata.u32(8 + padded as u32 * 2);
            for at in page {
                rdata
                    .bytes
                    .extend((0xa000 | (at & 0xfff) as u16).to_le_bytes());
            }
            rdata.bytes.extend(vec![0; (padded - page.len()) * 2]);
        }
        let relocation_size = rdata.here() - relocation_table;

        self.data.resize(256, 0);
        self.data[0xf0..0xf8].copy_from_slice(&0x2b99_2ddf_a232_u64.to_le_bytes());
        let sections = [
            (".data", DATA, &self.data, 0xc000_0040_u32),
            (".text", TEXT, &text, 0x6000_0020),
            (".rdata", rdata_rva, &rdata.bytes, 0x4000_0040),
        ];
        let entry = self.exports.iter().find(|e| e.0 == "DriverEntry");
        let entry = rva(&entry.expect("no DriverEntry").1);
        let size = (rdata_rva + rdata.bytes.len() as u32).next_multiple_of(0x1000);
        let mut directories = [(0, 0); 16];
        directories[0] = export_table;
        directories[1] = (import_table, 40);
        directories[3] = (pdata, pdata_size);
        directories[5] = (relocation_table, relocation_size);
        directories[6] = debug.map_or((0, 0), |rva| (rva, 28));
        directories[10] = (load_config, 0x60);
        self.write_file(&sections, entry, size, &directories)
    }

    fn write_file(
        &self,
        sections: &[(&str, u32, &Vec<u8>, u32)],
        entry: u32,
        size: u32,
        directories: &[(u32, u32); 16],
    ) -> Vec<u8> {
        let mut file = Blob {
            rva: 0,
            bytes: vec![0; 0x40],
        };
        file.bytes[..2].copy_from_slice(b"MZ");
        file.bytes[0x3c] = 0x40;
        file.bytes.extend(b"PE\0\0");
        file.u16(self.machine);
        file.u16(sections.len() as u16);
        file.u32(0x6500_0000);
        file.bytes.extend([0; 8]);
        file.u16(112 + 128);
        file.u16(0x22);
        file.u16(0x20b);
        file.bytes.extend([14, 0]);
        file.bytes.extend([0; 12]);
        file.u32(entry);
        file.u32(TEXT);
        file.bytes.extend(PREFERRED.to_le_bytes());
        file.u32(0x1000);
        file.u32(0x200);
        file.bytes.extend([0; 16]);
        file.u32(size);
        file.u32(0x400);
        file.u32(0);
        file.u16(self.subsystem);
        file.u16(0x160);
        file.bytes.extend([0; 36]);
        file.u32(16);
        for (rva, size) in directories {
            file.u32(*rva);
            file.u32(*size);
        }
        let mut raw = 0x400;
        for (name, rva, bytes, characteristics) in sections {
            let mut padded = [0; 8];
            padded[..name.len()].copy_from_slice(name.as_bytes());
            file.bytes.extend(padded);
            file.u32(bytes.len() as u32);
            file.u32(*rva);
            file.u32((bytes.len() as u32).next_multiple_of(0x200));
            file.u32(raw);
            file.bytes.extend([0; 12]);
            file.u32(*characteristics);
            raw += (bytes.len() as u32).next_multiple_of(0x200);
        }
        file.bytes.resize(0x400, 0);
        for (_, _, bytes, _) in sections {
            file.bytes.extend(bytes.iter());
            let padded = file.bytes.len().next_multiple_of(0x200);
            file.bytes.resize(padded, 0);
        }
        file.bytes
    }
}

fn number(register: AsmRegister64) -> u8 {
    iced_x86::Register::from(register).number() as u8
}

struct Blob {
    rva: u32,
    bytes: Vec<u8>,
}

impl Blob {
    fn here(&self) -> u32 {
        self.rva + self.bytes.len() as u32
    }

    fn align(&mut self, to: usize) -> u32 {
        let padded = self.bytes.len().next_multiple_of(to);
        self.bytes.resize(padded, 0);
        self.here()
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn string(&mut self, text: &str) -> u32 {
        let at = self.here();
        self.bytes.extend(text.bytes());
        self.bytes.push(0);
        at
    }

    fn debug_directory(&mut self, guid: [u8; 16]) -> u32 {
        let record = self.align(4);
        self.bytes.extend(b"RSDS");
        self.bytes.extend(guid);
        self.u32(1);
        self.string("test.pdb");
        let size = self.here() - record;
        let directory = self.align(4);
        for word in [0, 0, 0, 2, size, record, 0] {
            self.u32(word);
        }
        directory
    }

    fn unwind_info(
        &mut self,
        function: &Function,
        handler: Option<&CodeLabel>,
        rva: &dyn Fn(&CodeLabel) -> u32,
    ) -> u32 {
        let begin = rva(&function.begin);
        let offset = |label: &CodeLabel| (rva(label) - begin) as u8;
        let mut codes: Vec<u16> = Vec::new();
        for (after, op) in function.prolog.iter().rev() {
            let mut code = |operation: u8, info: u8| {
                codes.push(u16::from_le_bytes([offset(after), operation | info << 4]));
            };
            match *op {
                Op::Push(register) => code(0, register),
                Op::Alloc(size) if size <= 128 => code(2, (size / 8 - 1) as u8),
                Op::Alloc(size) if size < 512 * 1024 => {
                    code(1, 0);
                    codes.push((size / 8) as u16);
                }
                Op::Alloc(size) => {
                    code(1, 1);
                    codes.extend([size as u16, (size >> 16) as u16]);
                }
                Op::SetFrame => code(3, 0),
                Op::SaveRegister { register, offset } => {
                    code(4, register);
                    codes.push((offset / 8) as u16);
                }
                Op::SaveXmm { register, offset } => {
                    code(8, register);
                    codes.push((offset / 16) as u16);
                }
            }
        }
        let at = self.align(4);
        let has_handler = !function.scopes.is_empty();
        let flags = if has_handler { 3 } else { 0 };
        let frame = function.frame.map_or(0, |(r, o)| r | o << 4);
        self.bytes.extend([
            1 | flags << 3,
            offset(&function.prolog_end),
            codes.len() as u8,
            frame,
        ]);
        for code in &codes {
            self.u16(*code);
        }
        self.align(4);
        if has_handler {
            self.u32(rva(handler.expect("made by build")));
            self.u32(function.scopes.len() as u32);
            for scope in &function.scopes {
                self.u32(rva(&scope.begin));
                self.u32(rva(&scope.end));
                let (filter, target) = match &scope.guard {
                    Guard::ExceptAll(target) => (1, rva(target)),
                    Guard::Except(filter, target) => (rva(filter), rva(target)),
                    Guard::Finally(handler) => (rva(handler), 0),
                };
                self.u32(filter);
                self.u32(target);
            }
        }
        at
    }

    fn import_table(
        &mut self,
        imports: &[(String, String, CodeLabel)],
        rva: &dyn Fn(&CodeLabel) -> u32,
    ) -> u32 {
        let mut descriptors = Vec::new();
        for (module, name, slot) in imports {
            self.align(2);
            let by_name = self.here();
            self.u16(0);
            self.string(name);
            let module = self.string(module);
            let names = self.align(8);
            self.bytes.extend(u64::from(by_name).to_le_bytes());
            self.bytes.extend([0; 8]);
            descriptors.push([names, 0, 0, module, rva(slot)]);
        }
        descriptors.push([0; 5]);
        let table = self.align(4);
        for word in descriptors.iter().flatten() {
            self.u32(*word);
        }
        table
    }

    fn export_table(
        &mut self,
        exports: &[(String, CodeLabel)],
        rva: &dyn Fn(&CodeLabel) -> u32,
    ) -> (u32, u32) {
        let names: Vec<u32> = exports.iter().map(|e| self.string(&e.0)).collect();
        let functions = self.align(4);
        for (_, label) in exports {
            self.u32(rva(label));
        }
        let name_table = self.here();
        for name in names {
            self.u32(name);
        }
        let ordinals = self.here();
        for i in 0..exports.len() {
            self.u16(i as u16);
        }
        let count = exports.len() as u32;
        let table = self.align(4);
        for word in [0, 0, 0, 0, 1, count, count, functions, name_table, ordinals] {
            self.u32(word);
        }
        (table, 40)
    }
}
