//! Programs: rules attached to queues.

use nt_sim::{Handle, Nic};
use xdp_abi::{
    ClientPtr, HookId, Rule,
    open::ObjectType,
    program::{CreateProgramFlags, ProgramOpen},
};
use zerocopy::IntoBytes;

use crate::{client::Client, status::Answer};

/// A program of a client.
pub struct Program<'c> {
    handle: Handle<'c>,
}

/// A program that is being described.
#[must_use]
pub struct ProgramBuilder<'c> {
    client: &'c Client<'c>,
    open: ProgramOpen,
    rules: Vec<Rule>,
}

impl<'c> Client<'c> {
    /// Starts describing a program: on queue 0 of the receive side, without rules.
    pub fn program(&'c self, nic: &Nic<'_>) -> ProgramBuilder<'c> {
        self.program_on(nic.if_index())
    }

    /// As [`Client::program`], with the interface given by its index.
    pub fn program_on(&'c self, if_index: u32) -> ProgramBuilder<'c> {
        ProgramBuilder {
            client: self,
            open: ProgramOpen {
                if_index,
                hook_id: HookId::RX_INSPECT,
                ..ProgramOpen::default()
            },
            rules: Vec::new(),
        }
    }
}

impl<'c> ProgramBuilder<'c> {
    /// Adds a rule.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Adds rules.
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules.extend(rules);
        self
    }

    /// Chooses the queue.
    pub fn queue(mut self, queue_id: u32) -> Self {
        self.open.queue_id = queue_id;
        self
    }

    /// Attaches to every queue.
    pub fn all_queues(mut self) -> Self {
        self.open.flags |= CreateProgramFlags::ALL_QUEUES;
        self
    }

    /// Chooses the hook.
    pub fn hook(mut self, hook: HookId) -> Self {
        self.open.hook_id = hook;
        self
    }

    /// Sets any flags.
    pub fn flags(mut self, flags: CreateProgramFlags) -> Self {
        self.open.flags |= flags;
        self
    }

    /// The parameters as they would be sent, for rules at `rules`.
    pub fn parameters(&self, rules: u64) -> ProgramOpen {
        ProgramOpen {
            rule_count: self.rules.len() as u32,
            rules: ClientPtr(rules),
            ..self.open
        }
    }

    /// Creates the program.
    ///
    /// # Errors
    /// What the driver answers.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn create(self) -> Answer<Program<'c>> {
        let rules = self.client.place(self.rules.as_bytes());
        let parameters = self.parameters(rules.address() as u64);
        let result = self.client.create_program(&parameters);
        // Rules are captured once.
        self.client.free(rules).expect("the rules are freed");
        result
    }
}

impl<'c> Client<'c> {
    /// Creates a program with any parameters.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn create_program(&'c self, parameters: &ProgramOpen) -> Answer<Program<'c>> {
        let handle = self.open_object(ObjectType::PROGRAM, parameters.as_bytes())?;
        self.settle();
        Ok(Program { handle })
    }
}

impl<'c> Program<'c> {
    /// Its handle.
    pub fn handle(&self) -> &Handle<'c> {
        &self.handle
    }

    /// Closes the handle: the program is detached when this returns.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn close(self) {
        self.handle.close().expect("the handle closes");
    }
}
