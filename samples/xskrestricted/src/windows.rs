// UNSAFETY: restricted tokens, suspended processes and pipes are functions of Windows with pointers.
#![expect(unsafe_code, reason = "functions of Windows are foreign")]

//! The child as this program again, with a token whose group of administrators is disabled.

use std::fs::{File, read_to_string};
use std::io::{self, Write as _};
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::ptr::{null, null_mut};

use named_args::Failure;
use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Security as sec;
use windows_sys::Win32::Storage::FileSystem::PIPE_ACCESS_OUTBOUND;
use windows_sys::Win32::System::Pipes::{ConnectNamedPipe, CreateNamedPipeW};
use windows_sys::Win32::System::Threading as thr;
use xdp::{Error, Handle, Interface, Peer};

use crate::{Task, echo};

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure::Other(format!("cannot {what}: {error}"))
}

/// The handle that a function made, unless it says 0.
fn made(what: &str, done: i32, handle: HANDLE) -> Result<OwnedHandle, Failure> {
    if done == 0 || handle == INVALID_HANDLE_VALUE {
        return Err(failed(what, &io::Error::last_os_error()));
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

pub(crate) fn run(
    interface: &Interface,
    task: &Task,
    hand_over: impl FnOnce(&Peer) -> Result<[u64; 2], Error>,
) -> Result<(), Failure> {
    let name = format!(r"\\.\pipe\xskrestricted-{}", std::process::id());
    let path = wide(&name);
    // SAFETY: the name ends with a zero; no security attributes are the default ones.
    let pipe =
        unsafe { CreateNamedPipeW(path.as_ptr(), PIPE_ACCESS_OUTBOUND, 0, 1, 64, 0, 0, null()) };
    let mut pipe = File::from(made("create the pipe", 1, pipe)?);
    let program = std::env::current_exe().map_err(|error| failed("find this program", &error))?;
    let seconds = task.timeout.map_or(0, |time| time.as_secs());
    let (program, index) = (program.display(), interface.index());
    let mut line = wide(&format!(
        "\"{program}\" {index} -TimeoutSeconds {seconds} -child {name}"
    ));
    let startup = thr::STARTUPINFOW {
        cb: size_of::<thr::STARTUPINFOW>() as u32,
        ..Default::default()
    };
    let mut child = thr::PROCESS_INFORMATION::default();
    let (token, flags) = (token()?, thr::CREATE_SUSPENDED);
    let (who, line, nobody) = (token.as_raw_handle(), line.as_mut_ptr(), null());
    // SAFETY: the command line may be written to; all else lives until the call returns, or is not given.
    let done = unsafe {
        thr::CreateProcessAsUserW(
            who,
            nobody,
            line,
            null(),
            null(),
            0,
            flags,
            null(),
            nobody,
            &startup,
            &mut child,
        )
    };
    let process = made("start the child", done, child.hProcess)?;
    let thread = made("start the child", done, child.hThread)?;
    let values = Peer::of(&process).map_err(|error| failed("use the child", &error));
    let values = values.and_then(|peer| Ok(hand_over(&peer)?));
    if values.is_err() {
        // SAFETY: the process is open, and waits for nothing but its end.
        unsafe { thr::TerminateProcess(process.as_raw_handle(), 1) };
    }
    let [socket, program] = values?;
    // SAFETY: the thread is open.
    unsafe { thr::ResumeThread(thread.as_raw_handle()) };
    // SAFETY: the pipe is open, and waits in the call. A child that is there already is no failure.
    unsafe { ConnectNamedPipe(pipe.as_raw_handle(), null_mut()) };
    let told = write!(pipe, "{socket} {program}");
    told.map_err(|error| failed("tell the child", &error))?;
    drop(pipe);
    // SAFETY: the process is open.
    unsafe { thr::WaitForSingleObject(process.as_raw_handle(), thr::INFINITE) };
    let mut code = 1;
    // SAFETY: the process is open; the result is written to a variable.
    unsafe { thr::GetExitCodeProcess(process.as_raw_handle(), &mut code) };
    if code == 0 {
        Ok(())
    } else {
        Err(Failure::Other(format!("the child ended with {code}")))
    }
}

pub(crate) fn work(pipe: &str, task: &Task) -> Result<(), Failure> {
    let text = read_to_string(pipe).map_err(|error| failed("read the pipe", &error))?;
    let values: Vec<u64> = text
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [socket, program] = values[..] else {
        return Err(Failure::Usage("-child is given by the parent".into()));
    };
    let interface = Interface::find(&task.interface)?;
    // SAFETY: the parent made the handle for this process, and nobody else here has it.
    let socket = unsafe { Handle::from_value(interface.system(), socket) }?;
    // SAFETY: as above.
    let program = unsafe { Handle::from_value(interface.system(), program) }?;
    echo(&interface, [socket, program], task)
}
