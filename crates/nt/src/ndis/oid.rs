//! OID requests: passing them on as clones, answering them, and making own ones.

#![expect(
    non_upper_case_globals,
    reason = "the request kinds have their C names"
)]

use core::ptr::{self, NonNull};

use super::filter::Filter;
use super::status;
use crate::irql::Passive;
use crate::pool::{Box, Tag, Vec};
use crate::status::{Result, Status};
use crate::sync::Event;
use crate::sys::imports::ndis;
use crate::sys::{
    NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID, NDIS_OID_REQUEST,
    NDIS_OID_REQUEST_DATA, NDIS_OID_REQUEST_DATA_METHOD_INFORMATION, NDIS_OID_REQUEST_REVISION_1,
    NDIS_REQUEST_TYPE, NDIS_SIZEOF_OID_REQUEST_REVISION_1, NDIS_STATUS,
    NDIS_STATUS_BUFFER_TOO_SHORT, NDIS_STATUS_INVALID_LENGTH, NDIS_STATUS_PENDING,
    NdisRequestMethod, NdisRequestQueryInformation, NdisRequestSetInformation,
};

/// What a request asks for.
#[derive(Clone, Copy)]
pub struct OidView<'a> {
    request: &'a NDIS_OID_REQUEST,
}

/// The parts of a request that all its kinds have.
struct Parts {
    oid: NDIS_OID,
    buffer: *mut u8,
    /// The length that the kind counts its data by.
    len: u32,
    /// How much of it was read or written.
    done: u32,
    /// How much room would have been enough.
    needed: u32,
}

/// What came back of a request of ours.
struct Answer {
    status: Status,
    done: usize,
    needed: usize,
}

impl Answer {
    /// How many bytes were read or written.
    fn written(self) -> Result<usize> {
        self.status.ok()?;
        Ok(self.done)
    }
}

fn parts(request: &NDIS_OID_REQUEST) -> Parts {
    match request.RequestType {
        NdisRequestSetInformation => {
            // SAFETY: the union's member for this kind.
            let set = unsafe { request.DATA.SET_INFORMATION };
            Parts {
                oid: set.Oid,
                buffer: set.InformationBuffer.cast(),
                len: set.InformationBufferLength,
                done: set.BytesRead,
                needed: set.BytesNeeded,
            }
        }
        NdisRequestMethod => {
            // SAFETY: the union's member for this kind.
            let method = unsafe { request.DATA.METHOD_INFORMATION };
            let len = method.InputBufferLength.max(method.OutputBufferLength);
            Parts {
                oid: method.Oid,
                buffer: method.InformationBuffer.cast(),
                len,
                done: method.BytesWritten,
                needed: method.BytesNeeded,
            }
        }
        _ => {
            // SAFETY: all other kinds are queries.
            let query = unsafe { request.DATA.QUERY_INFORMATION };
            Parts {
                oid: query.Oid,
                buffer: query.InformationBuffer.cast(),
                len: query.InformationBufferLength,
                done: query.BytesWritten,
                needed: query.BytesNeeded,
            }
        }
    }
}

impl<'a> OidView<'a> {
    pub(super) const fn new(request: &'a NDIS_OID_REQUEST) -> Self {
        Self { request }
    }

    /// The kind: `NdisRequestQueryInformation`, ...
    #[must_use]
    pub const fn kind(&self) -> NDIS_REQUEST_TYPE {
        self.request.RequestType
    }

    /// The port of the adapter that is meant; 0 is the default one.
    #[must_use]
    pub const fn port(&self) -> u32 {
        self.request.PortNumber
    }

    /// The object asked for.
    #[must_use]
    pub fn oid(&self) -> NDIS_OID {
        parts(self.request).oid
    }

    /// The request's buffer: what is set, or, once completed, what was answered.
    #[must_use]
    pub fn buffer(&self) -> &'a [u8] {
        let Parts { buffer, len, .. } = parts(self.request);
        if buffer.is_null() {
            return &[];
        }
        // SAFETY: the request's own buffer of that length.
        unsafe { core::slice::from_raw_parts(buffer, len as usize) }
    }

    /// How many bytes of the buffer were read or written.
    #[must_use]
    pub fn transferred(&self) -> usize {
        parts(self.request).done as usize
    }
}

/// A request that came to a filter module, to be passed on or completed.
#[must_use = "a request that is not completed holds up the adapter"]
#[derive(Debug)]
pub struct OidRequest {
    request: NonNull<NDIS_OID_REQUEST>,
    route: Route,
}

/// The way of a request through a module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) filter: Filter,
    pub(super) direct: bool,
    /// The tag of clones.
    pub(super) tag: Tag,
    /// The module's context, and what is called with it when a clone has its answer.
    pub(super) context: NDIS_HANDLE,
    pub(super) answered: unsafe fn(NDIS_HANDLE, &OidView<'_>, Status),
}

// SAFETY: requests may be completed by any thread.
unsafe impl Send for OidRequest {}

/// What a request of this driver carries while NDIS has it: the original of a clone, or a waiting caller.
#[derive(Clone, Copy)]
#[repr(C)]
struct Source {
    original: *mut NDIS_OID_REQUEST,
    waiting: *mut Waiting,
}

const _: () = assert!(size_of::<Source>() == 16);

struct Waiting {
    request: NDIS_OID_REQUEST,
    event: Event,
    status: NDIS_STATUS,
}

fn source(request: NonNull<NDIS_OID_REQUEST>) -> *mut Source {
    request
        .as_ptr()
        .wrapping_byte_add(core::mem::offset_of!(NDIS_OID_REQUEST, SourceReserved))
        .cast()
}

impl OidRequest {
    /// Owns a request.
    ///
    /// # Safety
    ///
    /// The request came to the module that the route names, which stays attached until the request completes, and
    /// nobody else completes it.
    pub(super) const unsafe fn new(request: NonNull<NDIS_OID_REQUEST>, route: Route) -> Self {
        Self { request, route }
    }

    /// What the request asks for.
    #[must_use]
    pub fn view(&self) -> OidView<'_> {
        // SAFETY: owned.
        OidView::new(unsafe { self.request.as_ref() })
    }

    /// Whether it is a direct request, which may come at DISPATCH_LEVEL.
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        self.route.direct
    }

    /// The request's buffer, to answer a query or change what is passed on.
    #[must_use]
    pub fn buffer_mut(&mut self) -> &mut [u8] {
        // SAFETY: owned.
        let Parts { buffer, len, .. } = parts(unsafe { self.request.as_ref() });
        if buffer.is_null() {
            return &mut [];
        }
        // SAFETY: the request's own buffer of that length, borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(buffer, len as usize) }
    }

    /// Completes the request; `transferred` bytes were read or written, and `needed` would have been enough.
    pub fn complete(mut self, status: Status, transferred: usize, needed: usize) {
        // SAFETY: owned.
        let request = unsafe { self.request.as_mut() };
        let count = u32::try_from(transferred).unwrap_or(u32::MAX);
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        match request.RequestType {
            NdisRequestSetInformation => {
                request.DATA.SET_INFORMATION.BytesRead = count;
                request.DATA.SET_INFORMATION.BytesNeeded = needed;
            }
            NdisRequestMethod => {
                request.DATA.METHOD_INFORMATION.BytesWritten = count;
                request.DATA.METHOD_INFORMATION.BytesNeeded = needed;
            }
            _ => {
                request.DATA.QUERY_INFORMATION.BytesWritten = count;
                request.DATA.QUERY_INFORMATION.BytesNeeded = needed;
            }
        }
        self.finish(status.0);
    }

    fn finish(self, status: NDIS_STATUS) {
        let Self { request, route } = self;
        let filter = route.filter;
        if route.direct {
            // SAFETY: owned, and given up here.
            unsafe { ndis::NdisFDirectOidRequestComplete(filter.raw(), request.as_ptr(), status) }
        } else {
            // SAFETY: owned, and given up here.
            unsafe { ndis::NdisFOidRequestComplete(filter.raw(), request.as_ptr(), status) }
        }
    }

    /// Passes the request down as a clone; it completes when the clone does.
    pub fn forward(self) {
        let route = self.route;
        let mut clone = ptr::null_mut();
        let original = self.request.as_ptr();
        // SAFETY: owned.
        let cloned = unsafe {
            ndis::NdisAllocateCloneOidRequest(route.filter.raw(), original, route.tag.0, &mut clone)
        };
        let (Some(clone), true) = (NonNull::new(clone), status(cloned).is_success()) else {
            return self.finish(Status::INSUFFICIENT_RESOURCES.0);
        };
        // SAFETY: the reserved bytes of a clone are its maker's; 8-byte aligned as all of the request.
        unsafe {
            source(clone).write(Source {
                original,
                waiting: ptr::null_mut(),
            })
        };
        // SAFETY: owned.
        let id = unsafe { (*original).RequestId };
        // Cancelling goes by this.
        // SAFETY: a new clone.
        unsafe { (*clone.as_ptr()).RequestId = id };
        // SAFETY: a new clone of an owned request.
        let sent = unsafe { send(route.filter, clone, route.direct) };
        if sent != NDIS_STATUS_PENDING {
            // SAFETY: not pending, so it is back.
            unsafe { completed(clone, sent, route) };
        }
    }
}

/// Gives a request to the next lower module.
///
/// # Safety
///
/// The request is valid until it completes, and its source bytes say what to do then.
unsafe fn send(filter: Filter, request: NonNull<NDIS_OID_REQUEST>, direct: bool) -> NDIS_STATUS {
    if direct {
        // SAFETY: the caller's promise.
        unsafe { ndis::NdisFDirectOidRequest(filter.raw(), request.as_ptr()) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { ndis::NdisFOidRequest(filter.raw(), request.as_ptr()) }
    }
}

/// Takes back a request that [`send`] gave away.
///
/// # Safety
///
/// The request was sent by the module that the route names and has completed.
pub(super) unsafe fn completed(
    request: NonNull<NDIS_OID_REQUEST>,
    answer: NDIS_STATUS,
    route: Route,
) {
    // SAFETY: written by `forward` or `ask`.
    let Source { original, waiting } = unsafe { source(request).read() };
    if !waiting.is_null() {
        // SAFETY: `ask` waits for the event, so its block is there.
        unsafe { (*waiting).status = answer };
        // SAFETY: as above.
        let event = unsafe { &(*waiting).event };
        event.set();
        return;
    }
    let Some(original) = NonNull::new(original) else {
        return;
    };
    // SAFETY: the clone is valid until freed below.
    let clone = unsafe { request.as_ref() };
    // SAFETY: the module is attached as long as a request is in it.
    unsafe { (route.answered)(route.context, &OidView::new(clone), status(answer)) };
    // SAFETY: the original is owned since `forward`.
    let target = unsafe { &mut *original.as_ptr() };
    copy_counts(clone, &mut target.DATA);
    // SAFETY: made by `forward`, back from below.
    unsafe { ndis::NdisFreeCloneOidRequest(route.filter.raw(), request.as_ptr()) };
    // SAFETY: owned since `forward`, given up by completing.
    unsafe { OidRequest::new(original, route) }.finish(answer);
}

/// Copies what the clone's answer says about the shared buffer.
fn copy_counts(clone: &NDIS_OID_REQUEST, to: &mut NDIS_OID_REQUEST_DATA) {
    match clone.RequestType {
        NdisRequestSetInformation => {
            // SAFETY: the union's member for this kind.
            let from = unsafe { clone.DATA.SET_INFORMATION };
            to.SET_INFORMATION.BytesRead = from.BytesRead;
            to.SET_INFORMATION.BytesNeeded = from.BytesNeeded;
        }
        NdisRequestMethod => {
            // SAFETY: the union's member for this kind.
            let from = unsafe { clone.DATA.METHOD_INFORMATION };
            to.METHOD_INFORMATION.OutputBufferLength = from.OutputBufferLength;
            to.METHOD_INFORMATION.BytesRead = from.BytesRead;
            to.METHOD_INFORMATION.BytesWritten = from.BytesWritten;
            to.METHOD_INFORMATION.BytesNeeded = from.BytesNeeded;
        }
        _ => {
            // SAFETY: all other kinds are queries.
            let from = unsafe { clone.DATA.QUERY_INFORMATION };
            to.QUERY_INFORMATION.BytesWritten = from.BytesWritten;
            to.QUERY_INFORMATION.BytesNeeded = from.BytesNeeded;
        }
    }
}

impl Filter {
    /// Asks the modules below for an object; returns how many bytes were written.
    ///
    /// # Errors
    ///
    /// The status of the answer, or [`Status::INSUFFICIENT_RESOURCES`].
    pub fn query_oid(
        self,
        tag: Tag,
        oid: NDIS_OID,
        to: &mut [u8],
        passive: Passive<'_>,
    ) -> Result<usize> {
        self.ask(
            tag,
            NdisRequestQueryInformation,
            oid,
            to.as_mut_ptr(),
            to.len(),
            passive,
        )?
        .written()
    }

    /// As [`Filter::query_oid`], once more with as much room as is needed when there is too little: up to `longest` bytes.
    ///
    /// # Errors
    ///
    /// As [`Filter::query_oid`].
    pub fn query_oid_growing(
        self,
        tag: Tag,
        oid: NDIS_OID,
        to: &mut Vec<u8>,
        longest: usize,
        passive: Passive<'_>,
    ) -> Result<usize> {
        let ask = |to: &mut Vec<u8>| {
            let kind = NdisRequestQueryInformation;
            self.ask(tag, kind, oid, to.as_mut_ptr(), to.len(), passive)
        };
        let answer = ask(to)?;
        let is_short = matches!(
            answer.status.0,
            NDIS_STATUS_BUFFER_TOO_SHORT | NDIS_STATUS_INVALID_LENGTH
        );
        if !is_short || answer.needed <= to.len() || answer.needed > longest {
            return answer.written();
        }
        to.reserve_exact(answer.needed - to.len())?;
        while to.len() < answer.needed {
            to.push(0)?;
        }
        ask(to)?.written()
    }

    /// Sets an object of the modules below.
    ///
    /// # Errors
    ///
    /// The status of the answer, or [`Status::INSUFFICIENT_RESOURCES`].
    pub fn set_oid(
        self,
        tag: Tag,
        oid: NDIS_OID,
        from: &mut [u8],
        passive: Passive<'_>,
    ) -> Result<()> {
        self.ask(
            tag,
            NdisRequestSetInformation,
            oid,
            from.as_mut_ptr(),
            from.len(),
            passive,
        )?
        .written()?;
        Ok(())
    }

    /// Has the modules below answer in place of what they are asked, by a direct request; returns how many bytes were
    /// written.
    #[doc(alias = "NdisFDirectOidRequest")]
    ///
    /// # Errors
    ///
    /// The status of the answer, or [`Status::INSUFFICIENT_RESOURCES`].
    pub fn direct_method(
        self,
        tag: Tag,
        oid: NDIS_OID,
        buffer: &mut [u8],
        passive: Passive<'_>,
    ) -> Result<usize> {
        let len = u32::try_from(buffer.len()).map_err(|_| Status::INVALID_PARAMETER)?;
        let mut request = self.own_request(NdisRequestMethod);
        request.DATA.METHOD_INFORMATION = NDIS_OID_REQUEST_DATA_METHOD_INFORMATION {
            Oid: oid,
            InformationBuffer: buffer.as_mut_ptr().cast(),
            InputBufferLength: len,
            OutputBufferLength: len,
            ..NDIS_OID_REQUEST_DATA_METHOD_INFORMATION::zeroed()
        };
        self.run(tag, request, true, passive)?.written()
    }

    fn ask(
        self,
        tag: Tag,
        kind: NDIS_REQUEST_TYPE,
        oid: NDIS_OID,
        buffer: *mut u8,
        len: usize,
        passive: Passive<'_>,
    ) -> Result<Answer> {
        let len = u32::try_from(len).map_err(|_| Status::INVALID_PARAMETER)?;
        let mut request = self.own_request(kind);
        // The object, buffer and length lie at the same places in queries and sets.
        request.DATA.QUERY_INFORMATION.Oid = oid;
        request.DATA.QUERY_INFORMATION.InformationBuffer = buffer.cast();
        request.DATA.QUERY_INFORMATION.InformationBufferLength = len;
        self.run(tag, request, false, passive)
    }

    fn own_request(self, kind: NDIS_REQUEST_TYPE) -> NDIS_OID_REQUEST {
        let mut request = NDIS_OID_REQUEST::zeroed();
        request.Header = NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_OID_REQUEST,
            Revision: NDIS_OID_REQUEST_REVISION_1,
            Size: NDIS_SIZEOF_OID_REQUEST_REVISION_1,
        };
        request.RequestType = kind;
        request.RequestHandle = self.raw();
        request
    }

    /// Sends a request whose buffer is borrowed by the caller, and waits for the answer.
    fn run(
        self,
        tag: Tag,
        request: NDIS_OID_REQUEST,
        direct: bool,
        passive: Passive<'_>,
    ) -> Result<Answer> {
        let event = Event::manual_reset(tag, false)?;
        let waiting = Box::into_raw(Box::new(
            tag,
            Waiting {
                request,
                event,
                status: NDIS_STATUS_PENDING,
            },
        )?);
        // SAFETY: just given away, taken back below.
        let place = unsafe { &raw mut (*waiting).request };
        // SAFETY: within the block.
        let request = unsafe { NonNull::new_unchecked(place) };
        // SAFETY: the source's own bytes.
        unsafe {
            source(request).write(Source {
                original: ptr::null_mut(),
                waiting,
            })
        };
        // SAFETY: valid until the wait below has ended.
        let sent = unsafe { send(self, request, direct) };
        // SAFETY: the block is there until taken back.
        let event = unsafe { &(*waiting).event };
        if sent == NDIS_STATUS_PENDING {
            event.wait(passive);
        }
        // SAFETY: completed, so NDIS no longer has it.
        let waiting = unsafe { Box::from_raw(waiting) };
        let parts = parts(&waiting.request);
        Ok(Answer {
            status: status(if sent == NDIS_STATUS_PENDING {
                waiting.status
            } else {
                sent
            }),
            done: parts.done as usize,
            needed: parts.needed as usize,
        })
    }
}
