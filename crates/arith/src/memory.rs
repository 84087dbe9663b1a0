#![expect(unsafe_code, reason = "zeroed memory on a cache line needs the allocator itself")]
//! Zeroed bytes that start on a cache line.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Cache line and widest vector register: kernels load whole lines of this many bytes.
pub(crate) const LINE: usize = 64;

/// A fixed number of bytes, zero at birth, aligned to [`LINE`].
pub(crate) struct AlignedBytes {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is owned and plain bytes; sharing and sending follow the usual borrow rules.
unsafe impl Send for AlignedBytes {}
// SAFETY: as above, `&AlignedBytes` only reads.
unsafe impl Sync for AlignedBytes {}

impl AlignedBytes {
    /// `len` zero bytes.
    pub(crate) fn zeroed(len: usize) -> Self {
        if len == 0 {
            return Self { start: NonNull::<Line>::dangling().cast(), len };
        }
        let layout = Self::layout(len);
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Self { start, len }
    }

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len, LINE).expect("64 is a power of two and no slice is longer than isize::MAX")
    }

    /// All bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: `start` owns `len` initialised bytes (or is dangling and aligned with `len` 0).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// All bytes, to write.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

/// Only its alignment is used.
#[repr(align(64))]
struct Line;

impl Drop for AlignedBytes {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: allocated in `zeroed` with this very layout and freed once.
            unsafe { dealloc(self.start.as_ptr(), Self::layout(self.len)) };
        }
    }
}

impl Clone for AlignedBytes {
    fn clone(&self) -> Self {
        let mut copy = Self::zeroed(self.len);
        copy.as_mut_slice().copy_from_slice(self.as_slice());
        copy
    }
}

impl std::fmt::Debug for AlignedBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedBytes({} bytes)", self.len)
    }
}
