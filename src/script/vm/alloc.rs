//! The memory of one Lua state: a pool for small blocks and a limit on the whole.
//!
//! Lua's time goes to small allocations, and Lua names the old size of every block it gives back, so
//! blocks need no headers: one free list a size class, carved from slabs. Larger blocks go to the
//! global allocator. This room knows of scripts only what [`Guard::permits`] answers.
//!
//! A slab is given back when the state closes, not before: [`Heap::bytes_held`] tells what an idle
//! state still occupies.

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::cell::Cell;
use std::os::raw::c_void;
use std::ptr;

use super::guard::Guard;

/// Every block lies on a multiple of this, which is also the step between size classes.
const STEP_BYTES: usize = 16;
/// Blocks up to this size come from the pool.
const SMALL_BYTES: usize = 512;
const CLASSES: usize = SMALL_BYTES / STEP_BYTES;
const SLAB_BYTES: usize = 32 * 1024;
/// With a text in a block above this size a single instruction may take a hundred microseconds: to
/// read it as a number, say.
const LONG_BYTES: usize = 16 * 1024;

/// A free block holds the address of the next one.
struct FreeBlock {
    next: *mut FreeBlock,
}

/// The first bytes of a slab; it takes one step so that blocks stay aligned.
struct SlabHead {
    next: *mut SlabHead,
}

const _: () = assert!(size_of::<SlabHead>() <= STEP_BYTES && size_of::<FreeBlock>() <= STEP_BYTES);

/// The blocks of one Lua state.
pub(crate) struct Heap {
    free: [Cell<*mut FreeBlock>; CLASSES],
    slabs: Cell<*mut SlabHead>,
    fresh: Cell<*mut u8>,
    fresh_bytes: Cell<usize>,
    in_use: Cell<usize>,
    held: Cell<usize>,
    /// Of these the bytes in blocks above [`LONG_BYTES`].
    long: Cell<usize>,
}

impl Heap {
    pub(super) fn new() -> Self {
        Self {
            free: [const { Cell::new(ptr::null_mut()) }; CLASSES],
            slabs: Cell::new(ptr::null_mut()),
            fresh: Cell::new(ptr::null_mut()),
            fresh_bytes: Cell::new(0),
            in_use: Cell::new(0),
            held: Cell::new(0),
            long: Cell::new(0),
        }
    }

    /// The bytes Lua asked for and did not give back, garbage included.
    pub(crate) fn bytes_in_use(&self) -> usize {
        self.in_use.get()
    }

    /// The bytes taken from the system: slabs, full or empty, and large blocks.
    #[cfg(test)]
    pub(crate) fn bytes_held(&self) -> usize {
        self.held.get()
    }

    /// Whether there is anything that single instructions could be slow with.
    #[inline]
    pub(super) fn has_long_blocks(&self) -> bool {
        self.long.get() > 0
    }

    /// Notes that a large block is there, or is there no more.
    fn note_held(&self, gone: usize, come: usize) {
        let long = |size: usize| if size > LONG_BYTES { size } else { 0 };
        self.held.set(self.held.get() - gone + come);
        self.long.set(self.long.get() - long(gone) + long(come));
    }

    /// Gives a block of `size` bytes, or null when the system has none.
    fn take(&self, size: usize) -> *mut u8 {
        match class_of(size) {
            Some(class) => self.take_small(class),
            None => self.take_large(size),
        }
    }

    /// # Safety
    /// `block` came from this heap for `size` bytes and is used no more.
    unsafe fn give_back(&self, block: *mut u8, size: usize) {
        // SAFETY: the caller's promise; a small block has room for the link, a large one the layout
        // it was made with.
        unsafe {
            match class_of(size) {
                Some(class) => self.give_back_small(block, class),
                None => {
                    self.note_held(size, 0);
                    dealloc(block, large_layout(size));
                }
            }
        }
    }

    fn take_small(&self, class: usize) -> *mut u8 {
        let block = self.take_listed(class);
        if block.is_null() { self.carve(class) } else { block }
    }

    /// A block from a free list, or null when that is empty.
    #[inline]
    fn take_listed(&self, class: usize) -> *mut u8 {
        let Some(list) = self.free.get(class) else { return ptr::null_mut() };
        let block = list.get();
        if !block.is_null() {
            // SAFETY: what is on a free list was put there by give_back_small and is a link.
            list.set(unsafe { (*block).next });
        }
        block.cast()
    }

    /// # Safety
    /// `block` has room for a block of `class` and nobody uses it.
    #[inline]
    unsafe fn give_back_small(&self, block: *mut u8, class: usize) {
        let Some(list) = self.free.get(class) else { return };
        let link = block.cast::<FreeBlock>();
        // SAFETY: the caller's promise; every block is aligned to STEP_BYTES and at least that long.
        unsafe { link.write(FreeBlock { next: list.get() }) };
        list.set(link);
    }

    /// Cuts a block from the fresh end of the newest slab.
    #[cold]
    fn carve(&self, class: usize) -> *mut u8 {
        let size = (class + 1) * STEP_BYTES;
        if self.fresh_bytes.get() < size && !self.add_slab() {
            return ptr::null_mut();
        }
        let block = self.fresh.get();
        // SAFETY: fresh_bytes bytes from `fresh` on lie in the slab and `size` is no more than that.
        self.fresh.set(unsafe { block.add(size) });
        self.fresh_bytes.set(self.fresh_bytes.get() - size);
        block
    }

    /// Takes a slab from the system; what is left of the one before becomes one free block.
    fn add_slab(&self) -> bool {
        // SAFETY: the layout has a size above zero.
        let slab = unsafe { alloc(slab_layout()) };
        if slab.is_null() {
            return false;
        }
        self.keep_rest();
        let head = slab.cast::<SlabHead>();
        // SAFETY: the slab is new, aligned and longer than its head.
        unsafe {
            head.write(SlabHead { next: self.slabs.get() });
            self.fresh.set(slab.add(STEP_BYTES));
        }
        self.slabs.set(head);
        self.fresh_bytes.set(SLAB_BYTES - STEP_BYTES);
        self.held.set(self.held.get() + SLAB_BYTES);
        true
    }

    /// The rest is shorter than SMALL_BYTES (or it would have served), so it is itself of a class.
    fn keep_rest(&self) {
        let rest = self.fresh_bytes.get();
        if let (1.., Some(class)) = (rest, class_of(rest)) {
            // SAFETY: the rest is a multiple of STEP_BYTES and belongs to nobody.
            unsafe { self.give_back_small(self.fresh.get(), class) };
        }
    }

    fn take_large(&self, size: usize) -> *mut u8 {
        // SAFETY: size is above SMALL_BYTES.
        let block = unsafe { alloc(large_layout(size)) };
        if !block.is_null() {
            self.note_held(0, size);
        }
        block
    }

    /// # Safety
    /// `block` came from this heap for `old` bytes.
    unsafe fn resize(&self, block: *mut u8, old: usize, new: usize) -> *mut u8 {
        match (class_of(old), class_of(new)) {
            (Some(before), Some(after)) if before == after => block,
            (None, None) => {
                // SAFETY: a large block of `old` bytes; `new` is above zero.
                let moved = unsafe { realloc(block, large_layout(old), new) };
                if !moved.is_null() {
                    self.note_held(old, new);
                }
                moved
            }
            // SAFETY: the caller's promise.
            _ => unsafe { self.move_block(block, old, new) },
        }
    }

    /// # Safety
    /// As [`Heap::resize`].
    unsafe fn move_block(&self, block: *mut u8, old: usize, new: usize) -> *mut u8 {
        let moved = self.take(new);
        if moved.is_null() {
            // Lua cannot bear a refused shrink. The block stays where it is and counts from now on
            // as a block of the smaller class; a large one is then never returned to the system.
            return if new <= old { block } else { moved };
        }
        // SAFETY: both blocks are live, apart, and as long as the shorter of the two sizes.
        unsafe {
            ptr::copy_nonoverlapping(block, moved, old.min(new));
            self.give_back(block, old);
        }
        moved
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        let mut slab = self.slabs.get();
        while !slab.is_null() {
            // SAFETY: each slab was made by add_slab with this layout; the state is closed.
            unsafe {
                let next = (*slab).next;
                dealloc(slab.cast(), slab_layout());
                slab = next;
            }
        }
    }
}

/// The size class of a block, none for large blocks. A block of no bytes has no class either; Lua
/// asks for none.
#[inline]
fn class_of(size: usize) -> Option<usize> {
    (size.wrapping_sub(1) < SMALL_BYTES).then(|| (size - 1) / STEP_BYTES)
}

const fn slab_layout() -> Layout {
    // SAFETY: a power of two and a size far below isize::MAX.
    unsafe { Layout::from_size_align_unchecked(SLAB_BYTES, STEP_BYTES) }
}

/// Sizes come from Lua, which refuses anything near the end of the address space, and growth is
/// checked against LARGEST_BYTES before.
fn large_layout(size: usize) -> Layout {
    // SAFETY: a power of two; see above for the size.
    unsafe { Layout::from_size_align_unchecked(size, STEP_BYTES) }
}

/// No block is longer than this, whatever the limits say.
const LARGEST_BYTES: usize = isize::MAX as usize - 2 * STEP_BYTES;

/// The `lua_Alloc` of a state whose user data is its [`Guard`].
///
/// # Safety
/// Called by Lua with blocks it got from here.
pub(super) unsafe extern "C" fn allocate(
    guard: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: the guard outlives the state; Lua keeps the sizes of its blocks.
    unsafe {
        let guard = &*guard.cast::<Guard>();
        let block = block.cast::<u8>();
        let old = if block.is_null() { 0 } else { old };
        allocate_small(guard, block, old, new)
            .unwrap_or_else(|| allocate_in(guard, block, old, new))
            .cast()
    }
}

/// The short way of nearly all calls: a small block goes to its free list, or comes from there.
///
/// # Safety
/// As [`allocate`]; `old` is 0 for no block.
#[inline]
unsafe fn allocate_small(guard: &Guard, block: *mut u8, old: usize, new: usize) -> Option<*mut u8> {
    let heap = guard.heap();
    if new == 0 {
        // SAFETY: the caller's promise.
        unsafe { heap.give_back_small(block, class_of(old)?) };
        heap.in_use.set(heap.in_use.get() - old);
        return Some(ptr::null_mut());
    }
    if old != 0 || !guard.has_room(new) {
        return None;
    }
    let given = heap.take_listed(class_of(new)?);
    if given.is_null() {
        return None;
    }
    heap.in_use.set(heap.in_use.get() + new);
    Some(given)
}

/// Apart, so that the short way has no registers to save.
///
/// # Safety
/// As [`allocate`]; `old` is 0 for no block.
#[cold]
#[inline(never)]
unsafe fn allocate_in(guard: &Guard, block: *mut u8, old: usize, new: usize) -> *mut u8 {
    let heap = guard.heap();
    // SAFETY: the caller's promise.
    unsafe {
        if new == 0 {
            if old != 0 {
                heap.give_back(block, old);
                heap.in_use.set(heap.in_use.get() - old);
            }
            return ptr::null_mut();
        }
        if new > old && (new > LARGEST_BYTES || !guard.permits(new - old)) {
            return ptr::null_mut();
        }
        let given = if old == 0 { heap.take(new) } else { heap.resize(block, old, new) };
        if given.is_null() {
            guard.system_refused(new - old);
        } else {
            heap.in_use.set(heap.in_use.get() - old + new);
        }
        given
    }
}
