#![expect(unsafe_code, reason = "zeroed memory on a cache line needs the allocator itself")]
//! Zeroed bytes that start on a cache line.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::MmapMut;

/// Cache line and widest vector register: kernels load whole lines of this many bytes.
pub(crate) const LINE: usize = 64;

/// A fixed number of bytes, zero at birth, aligned to [`LINE`].
pub(crate) struct AlignedBytes {
    start: NonNull<u8>,
    len: usize,
    /// The region that the bytes lie in; an allocation of their own where there is none.
    region: Option<Arc<MmapMut>>,
}

// SAFETY: the memory is owned and plain bytes; sharing and sending follow the usual borrow rules.
unsafe impl Send for AlignedBytes {}
// SAFETY: as above, `&AlignedBytes` only reads.
unsafe impl Sync for AlignedBytes {}

/// Memory in large pages for all weights of a model.
///
/// A product over one token reads every weight once, so it runs at the speed of memory; with pages of 4 KiB the address
/// translation halves that speed. The region is virtual: what no matrix takes is never backed by memory.
#[derive(Debug)]
pub struct Arena {
    region: Option<Arc<MmapMut>>,
    /// Address and length of the part that is not taken.
    free: Mutex<(usize, usize)>,
}

/// Size of a large page on x86-64 and aarch64.
const LARGE_PAGE: usize = 2 << 20;

impl Arena {
    /// Room for `size` bytes of weights. Where the system grants no region, or the room is used up, matrices take ordinary
    /// memory.
    pub fn new(size: usize) -> Self {
        let region = size.checked_add(LARGE_PAGE).and_then(|len| MmapMut::map_anon(len).ok());
        let mut free = (0, 0);
        if let Some(region) = &region {
            // Advice that is refused costs speed and nothing else.
            #[cfg(target_os = "linux")]
            drop(region.advise(memmap2::Advice::HugePage));
            let start = region.as_ptr().addr();
            let first = start.next_multiple_of(LARGE_PAGE);
            free = (first - start, start + region.len() - first);
        }
        Self { region: region.map(Arc::new), free: Mutex::new(free) }
    }

    /// `len` zero bytes of the region, if it has that many left.
    fn take(&self, len: usize) -> Option<AlignedBytes> {
        let region = self.region.as_ref()?;
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (offset, left) = *free;
        let taken = len.checked_next_multiple_of(LINE).filter(|&taken| taken <= left && len > 0)?;
        *free = (offset + taken, left - taken);
        // SAFETY: `offset + len` lies inside the region. The pointer comes from the region's own start, and this part is
        // handed out once, so nothing else writes to it.
        let start = unsafe { NonNull::new_unchecked(region.as_ptr().cast_mut().add(offset)) };
        Some(AlignedBytes { start, len, region: Some(Arc::clone(region)) })
    }
}

impl AlignedBytes {
    /// `len` zero bytes in `arena`, or on their own where it is full.
    pub(crate) fn zeroed_in(arena: Option<&Arena>, len: usize) -> Self {
        arena.and_then(|arena| arena.take(len)).unwrap_or_else(|| Self::zeroed(len))
    }

    /// `len` zero bytes.
    pub(crate) fn zeroed(len: usize) -> Self {
        if len == 0 {
            return Self { start: NonNull::<Line>::dangling().cast(), len, region: None };
        }
        let layout = Self::layout(len);
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Self { start, len, region: None }
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
        if self.len > 0 && self.region.is_none() {
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
