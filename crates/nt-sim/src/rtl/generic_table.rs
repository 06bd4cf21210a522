//! Generic tables of the AVL kind: ordered elements in memory that the driver allocates.
//!
//! The table and the links in front of each element have the real layout. Where Windows balances by height, the tree here
//! is a treap whose priorities are hashes of the nodes' addresses: as shallow, and drivers cannot tell.

use crate::exports;
use crate::invoke;
use crate::mem::{guest, raw};

type Node = *mut Links;

/// `RTL_BALANCED_LINKS`, in front of each element.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Links {
    parent: Node,
    left: Node,
    right: Node,
    balance: i8,
    reserved: [u8; 3],
}

/// `RTL_AVL_TABLE`. The root is the right child of `balanced_root`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Table {
    balanced_root: Links,
    ordered_pointer: usize,
    which_ordered_element: u32,
    number_of_elements: u32,
    depth_of_tree: u32,
    restart_key: Node,
    delete_count: u32,
    compare: *const (),
    allocate: *const (),
    free: *const (),
    context: usize,
}

const _: () = {
    assert!(size_of::<Links>() == 32 && size_of::<Table>() == 104);
    assert!(std::mem::offset_of!(Table, number_of_elements) == 44);
    assert!(
        std::mem::offset_of!(Table, compare) == 72 && std::mem::offset_of!(Table, context) == 96
    );
};

const NULL: Node = std::ptr::null_mut();
const HEADER: usize = size_of::<Links>();

const LESS: i32 = 0;
const GREATER: i32 = 1;

fn data(node: Node) -> usize {
    node as usize + HEADER
}

fn links(node: Node) -> Links {
    guest::load(node)
}

fn change(node: Node, with: impl FnOnce(&mut Links)) {
    let mut value = links(node);
    with(&mut value);
    guest::store(node, value);
}

fn update(table: *mut Table, with: impl FnOnce(&mut Table)) {
    let mut value = guest::load(table);
    with(&mut value);
    guest::store(table, value);
}

/// The links of the table itself, above the root.
fn top(table: *mut Table) -> Node {
    table.cast()
}

fn priority(node: Node) -> u64 {
    (node as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Puts `new` where `old` is below `parent`.
fn replace_child(parent: Node, old: Node, new: Node) {
    change(parent, |links| {
        if links.left == old {
            links.left = new
        } else {
            links.right = new
        }
    });
    if !new.is_null() {
        change(new, |links| links.parent = parent);
    }
}

/// Lifts a node above its parent.
fn rotate_up(node: Node) {
    let parent = links(node).parent;
    let above = links(parent).parent;
    replace_child(above, parent, node);
    let inner = if links(parent).left == node {
        let inner = links(node).right;
        change(parent, |links| links.left = inner);
        change(node, |links| links.right = parent);
        inner
    } else {
        let inner = links(node).left;
        change(parent, |links| links.right = inner);
        change(node, |links| links.left = parent);
        inner
    };
    change(parent, |links| links.parent = node);
    if !inner.is_null() {
        change(inner, |links| links.parent = parent);
    }
}

fn compare(table: *mut Table, a: usize, b: usize) -> i32 {
    let function = guest::load(table).compare;
    invoke!(function, table as usize, a, b) as i32
}

/// The node with an equal element, or the node below which it belongs and on which side.
fn search(table: *mut Table, element: usize) -> Result<Node, (Node, i32)> {
    let (mut above, mut side) = (top(table), GREATER);
    let mut node = links(above).right;
    while !node.is_null() {
        side = compare(table, element, data(node));
        above = node;
        node = match side {
            LESS => links(node).left,
            GREATER => links(node).right,
            _ => return Ok(node),
        };
    }
    Err((above, side))
}

fn leftmost(mut node: Node) -> Node {
    while !node.is_null() {
        let left = links(node).left;
        if left.is_null() {
            break;
        }
        node = left;
    }
    node
}

fn successor(table: *mut Table, mut node: Node) -> Node {
    let right = links(node).right;
    if !right.is_null() {
        return leftmost(right);
    }
    loop {
        let parent = links(node).parent;
        if parent == top(table) {
            return NULL;
        }
        if links(parent).left == node {
            return parent;
        }
        node = parent;
    }
}

/// An element's address, or null.
fn element(node: Node) -> usize {
    if node.is_null() { 0 } else { data(node) }
}

fn insert(table: *mut Table, buffer: usize, size: u32, is_new: *mut u8) -> usize {
    let found = search(table, buffer);
    if !is_new.is_null() {
        guest::store(is_new, found.is_err().into());
    }
    let (above, side) = match found {
        Ok(node) => return data(node),
        Err(place) => place,
    };
    let allocate = guest::load(table).allocate;
    let bytes = size as usize + HEADER;
    let node = invoke!(allocate, table as usize, bytes) as Node;
    if node.is_null() {
        if !is_new.is_null() {
            guest::store(is_new, 0);
        }
        return 0;
    }
    guest::store(
        node,
        Links {
            parent: above,
            left: NULL,
            right: NULL,
            balance: 0,
            reserved: [0; 3],
        },
    );
    let from = guest::host(buffer, size as usize, crate::mem::user::Access::Read);
    raw::copy(data(node), from, size as usize);
    change(above, |links| {
        if side == LESS {
            links.left = node
        } else {
            links.right = node
        }
    });
    while links(node).parent != top(table) && priority(links(node).parent) < priority(node) {
        rotate_up(node);
    }
    update(table, |table| {
        table.number_of_elements += 1;
        table.ordered_pointer = 0;
    });
    data(node)
}

fn delete(table: *mut Table, buffer: usize) -> bool {
    let Ok(node) = search(table, buffer) else {
        return false;
    };
    loop {
        let Links { left, right, .. } = links(node);
        let child = match (left.is_null(), right.is_null()) {
            (false, false) if priority(left) > priority(right) => left,
            (false, false) => right,
            (true, _) => {
                replace_child(links(node).parent, node, right);
                break;
            }
            (_, true) => {
                replace_child(links(node).parent, node, left);
                break;
            }
        };
        rotate_up(child);
    }
    update(table, |table| {
        table.number_of_elements -= 1;
        table.delete_count += 1;
        table.ordered_pointer = 0;
        if table.restart_key == node {
            table.restart_key = NULL;
        }
    });
    let free = guest::load(table).free;
    invoke!(free, table as usize, node as usize);
    true
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes an empty table.
    #[irql(DISPATCH)]
    fn RtlInitializeGenericTableAvl(
        table: *mut Table,
        compare: *const (),
        allocate: *const (),
        free: *const (),
        context: usize,
    ) {
        let root = Links { parent: top(table), left: NULL, right: NULL, balance: 0, reserved: [0; 3] };
        guest::store(table, Table {
            balanced_root: root,
            ordered_pointer: 0,
            which_ordered_element: 0,
            number_of_elements: 0,
            depth_of_tree: 0,
            restart_key: NULL,
            delete_count: 0,
            compare,
            allocate,
            free,
            context,
        });
    }

    /// Inserts a copy of an element unless an equal one is there; returns the one in the table.
    #[irql(DISPATCH)]
    fn RtlInsertElementGenericTableAvl(table: *mut Table, buffer: usize, size: u32, is_new: *mut u8) -> usize {
        insert(table, buffer, size, is_new)
    }

    /// Deletes the equal element.
    #[irql(DISPATCH)]
    fn RtlDeleteElementGenericTableAvl(table: *mut Table, buffer: usize) -> u8 {
        delete(table, buffer).into()
    }

    /// Finds the equal element.
    #[irql(DISPATCH)]
    fn RtlLookupElementGenericTableAvl(table: *mut Table, buffer: usize) -> usize {
        search(table, buffer).map_or(0, data)
    }

    /// Goes through the elements in order; `restart` begins anew.
    #[irql(DISPATCH)]
    fn RtlEnumerateGenericTableAvl(table: *mut Table, restart: u8) -> usize {
        let last = if restart != 0 { NULL } else { guest::load(table).restart_key };
        let next = if last.is_null() { leftmost(links(top(table)).right) } else { successor(table, last) };
        update(table, |table| table.restart_key = next);
        element(next)
    }

    /// Goes through the elements in order; where it is, the caller keeps (null at first).
    #[irql(DISPATCH)]
    fn RtlEnumerateGenericTableWithoutSplayingAvl(table: *mut Table, restart_key: *mut usize) -> usize {
        let last = guest::load(restart_key) as Node;
        let next = if last.is_null() { leftmost(links(top(table)).right) } else { successor(table, last) };
        guest::store(restart_key, next as usize);
        element(next)
    }

    /// The element at a place in the order, from 0.
    #[irql(DISPATCH)]
    fn RtlGetElementGenericTableAvl(table: *mut Table, index: u32) -> usize {
        let mut node = leftmost(links(top(table)).right);
        for _ in 0..index {
            if node.is_null() {
                break;
            }
            node = successor(table, node);
        }
        element(node)
    }

    /// The number of elements.
    #[irql(DISPATCH)]
    fn RtlNumberGenericTableElementsAvl(table: *mut Table) -> u32 {
        guest::load(table).number_of_elements
    }

    /// Whether there is no element.
    #[irql(DISPATCH)]
    fn RtlIsGenericTableEmptyAvl(table: *mut Table) -> u8 {
        (guest::load(table).number_of_elements == 0).into()
    }
}
