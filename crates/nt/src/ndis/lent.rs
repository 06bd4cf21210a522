//! Received lists that stay the miniport's.

use core::ptr::{self, NonNull};

use super::buffer::Nbl;
use super::chain::NblChain;
use super::filter::{Filter, Receive};

impl Filter {
    /// Indicates some lists of a lent chain to the stack, each by itself, and leaves the chain linked as it came.
    ///
    /// `choose` is called for each list in turn, with what is left of the chain, that list first; `prepare` for those
    /// that are chosen, before they are indicated.
    #[doc(alias = "NDIS_RECEIVE_FLAGS_RESOURCES")]
    pub fn indicate_lent(
        self,
        chain: NblChain,
        receive: Receive,
        mut choose: impl FnMut(&NblChain, &Nbl) -> bool,
        mut prepare: impl FnMut(&mut Nbl),
    ) {
        let mut next = chain.into_raw();
        while let Some(list) = NonNull::new(next) {
            // SAFETY: the rest of an owned chain, only borrowed below.
            let rest = unsafe { NblChain::from_raw(list.as_ptr()) };
            // SAFETY: its first list; the value gives shared access only.
            let mut first = unsafe { Nbl::from_raw(list) };
            let chosen = choose(&rest, &first);
            // SAFETY: the list is lent to this driver until it returns.
            next = unsafe { (*list.as_ptr()).Next };
            if chosen {
                prepare(&mut first);
                // SAFETY: as above; whoever is indicated to sees one list.
                unsafe { (*list.as_ptr()).Next = ptr::null_mut() };
                self.indicate(
                    NblChain::from(first),
                    Receive {
                        count: 1,
                        ..receive
                    },
                );
                // SAFETY: lent lists are back when the indication returns.
                unsafe { (*list.as_ptr()).Next = next };
            }
        }
    }
}
