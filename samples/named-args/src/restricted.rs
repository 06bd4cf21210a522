// UNSAFETY: restricted tokens, suspended processes and pipes are functions of Windows with pointers.
#![expect(unsafe_code, reason = "functions of Windows are foreign")]

//! Another process of this program that has fewer rights, and what it is told.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::windows::io::OwnedHandle;
use std::os::windows::io::{AsHandle, AsRawHandle as _, BorrowedHandle, FromRawHandle as _};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Security as sec;
use windows_sys::Win32::Storage::FileSystem::PIPE_ACCESS_OUTBOUND;
use windows_sys::Win32::System::Pipes::{ConnectNamedPipe, CreateNamedPipeW};
use windows_sys::Win32::System::Threading as thr;

use crate::{Failure, cannot};

/// A process with a token whose group of administrators is disabled. Dropping it ends it.
pub struct Child {
    process: OwnedHandle,
    thread: OwnedHandle,
}

/// The writing end of a named pipe.
pub struct Pipe(File);

/// The handle that a function made, unless it says 0.
fn made(what: &str, done: i32, handle: HANDLE) -> Result<OwnedHandle, Failure> {
    if done == 0 || handle == INVALID_HANDLE_VALUE {
        return Err(cannot(what)(io::Error::last_os_error()));
    }
    // SAFETY: the function succeeded, so the handle is open, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// The token of this process, without the rights of administrators.
fn token() -> Result<OwnedHandle, Failure> {
    let access = sec::TOKEN_DUPLICATE | sec::TOKEN_ASSIGN_PRIMARY | sec::TOKEN_QUERY;
    let mut own: HANDLE = null_mut();
    // SAFETY: a pseudo handle that is always there.
    let process = unsafe { thr::GetCurrentProcess() };
    // SAFETY: the result is written to a variable.
    let done = unsafe { thr::OpenProcessToken(process, access, &mut own) };
    let own = made("open the token", done, own)?;
    let (mut sid, mut length) = ([0_u64; 9], sec::SECURITY_MAX_SID_SIZE);
    let (kind, at) = (sec::WinBuiltinAdministratorsSid, sid.as_mut_ptr().cast());
    // SAFETY: there is room for the longest SID.
    unsafe { sec::CreateWellKnownSid(kind, null_mut(), at, &mut length) };
    let administrators = sec::SID_AND_ATTRIBUTES {
        Sid: at,
        Attributes: 0,
    };
    let (old, mut new): (_, HANDLE) = (own.as_raw_handle(), null_mut());
    // SAFETY: one SID is pointed to, as is said; the result is written to a variable.
    let done = unsafe {
        sec::CreateRestrictedToken(old, 0, 1, &administrators, 0, null(), 0, null(), &mut new)
    };
    made("restrict the token", done, new)
}

impl Child {
    /// Makes a process of this program with these arguments; it runs when it is [resumed](Self::resume).
    ///
    /// # Errors
    ///
    /// The system refuses it.
    pub fn suspended(arguments: &str) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(cannot("find this program"))?;
        let mut line = wide(&format!("\"{}\" {arguments}", program.display()));
        let startup = thr::STARTUPINFOW {
            cb: size_of::<thr::STARTUPINFOW>() as u32,
            ..Default::default()
        };
        let mut child = thr::PROCESS_INFORMATION::default();
        let token = token()?;
        // SAFETY: the command line may be written to; all else lives until the call returns, or is not given.
        let done = unsafe {
            thr::CreateProcessAsUserW(
                token.as_raw_handle(),
                null(),
                line.as_mut_ptr(),
                null(),
                null(),
                0,
                thr::CREATE_SUSPENDED,
                null(),
                null(),
                &startup,
                &mut child,
            )
        };
        Ok(Self {
            process: made("start the child", done, child.hProcess)?,
            thread: made("start the child", done, child.hThread)?,
        })
    }

    /// Lets it run.
    pub fn resume(&self) {
        // SAFETY: the thread is open.
        unsafe { thr::ResumeThread(self.thread.as_raw_handle()) };
    }

    /// Waits until it ends; returns its exit code.
    #[must_use]
    pub fn wait(self) -> u32 {
        let process = self.process.as_raw_handle();
        // SAFETY: the process is open.
        unsafe { thr::WaitForSingleObject(process, thr::INFINITE) };
        let mut code = 1;
        // SAFETY: the process is open; the result is written to a variable.
        unsafe { thr::GetExitCodeProcess(process, &mut code) };
        code
    }
}

impl AsHandle for Child {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.process.as_handle()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: the process is open; one that has ended is left as it is.
        unsafe { thr::TerminateProcess(self.process.as_raw_handle(), 1) };
    }
}

impl Pipe {
    /// Makes a pipe that another process can open by its name, as a file.
    ///
    /// # Errors
    ///
    /// The system refuses it.
    pub fn create(name: &str) -> Result<Self, Failure> {
        let name = wide(name);
        // SAFETY: the name ends with a zero; no security attributes are the default ones.
        let pipe = unsafe {
            CreateNamedPipeW(name.as_ptr(), PIPE_ACCESS_OUTBOUND, 0, 1, 64, 0, 0, null())
        };
        Ok(Self(File::from(made("create the pipe", 1, pipe)?)))
    }

    /// Waits for the process that opens it, and tells it something.
    ///
    /// # Errors
    ///
    /// The other side is gone already.
    pub fn tell(mut self, text: &str) -> Result<(), Failure> {
        // SAFETY: the pipe is open, and waits in the call. A process that is there already is no failure.
        unsafe { ConnectNamedPipe(self.0.as_raw_handle(), null_mut()) };
        let told = self.0.write_all(text.as_bytes());
        told.map_err(cannot("tell the child"))
    }
}
