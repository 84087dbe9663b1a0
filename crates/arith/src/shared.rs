#![expect(unsafe_code, reason = "threads write disjoint parts of one slice, which the borrow checker cannot see")]
//! One slice, written in disjoint parts by several threads.

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice whose parts may be handed to several threads.
#[derive(Debug)]
pub(crate) struct SharedSlice<'a, T> {
    start: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

// Not derived: a derive would ask that `T` be copied too.
impl<T> Clone for SharedSlice<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SharedSlice<'_, T> {}

// SAFETY: parts are reached through `part` alone, whose contract is that no two of them overlap; `T` may be sent.
unsafe impl<T: Send> Sync for SharedSlice<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for SharedSlice<'_, T> {}

impl<'a, T> SharedSlice<'a, T> {
    /// All of `slice`, which stays borrowed.
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), life: PhantomData }
    }

    /// The elements of `range`.
    ///
    /// # Safety
    /// No other part that is alive overlaps `range`.
    ///
    /// # Panics
    /// Where `range` is not inside the slice.
    pub(crate) unsafe fn part(self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "a part lies inside its slice");
        // SAFETY: in bounds by the assertion; exclusive by the caller's word; alive as long as the borrow `'a`.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.end - range.start) }
    }

    /// Row `row` of the slice seen as `rows` rows of equal length.
    ///
    /// # Safety
    /// As [`SharedSlice::part`].
    pub(crate) unsafe fn row(self, row: usize, rows: usize) -> &'a mut [T] {
        let len = self.len / rows;
        // SAFETY: the caller's word.
        unsafe { self.part(row * len..(row + 1) * len) }
    }
}
