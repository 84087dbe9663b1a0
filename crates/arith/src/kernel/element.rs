#![expect(unsafe_code, reason = "elements are loaded by pointer")]
#![expect(clippy::inline_always, reason = "code over `Lanes` only gets the instruction set when it is inlined")]
//! Float formats in memory.

use crate::lanes::Lanes;

/// A float format that converts exactly to f32.
pub(crate) trait Element {
    /// Bytes of one number.
    const SIZE: usize;

    /// N numbers.
    ///
    /// # Safety
    /// `N * SIZE` bytes are readable at `p`.
    unsafe fn load<L: Lanes>(l: L, p: *const u8) -> L::F;
}

/// IEEE binary32.
pub(crate) struct Binary32;

impl Element for Binary32 {
    const SIZE: usize = 4;

    #[inline(always)]
    unsafe fn load<L: Lanes>(l: L, p: *const u8) -> L::F {
        // SAFETY: the caller's word; vectors are loaded without regard to alignment.
        unsafe { l.load(p.cast()) }
    }
}

/// IEEE binary16.
pub(crate) struct Binary16;

impl Element for Binary16 {
    const SIZE: usize = 2;

    #[inline(always)]
    unsafe fn load<L: Lanes>(l: L, p: *const u8) -> L::F {
        // SAFETY: the caller's word.
        unsafe { l.load_f16(p) }
    }
}

/// The upper half of binary32.
pub(crate) struct UpperHalf;

impl Element for UpperHalf {
    const SIZE: usize = 2;

    #[inline(always)]
    unsafe fn load<L: Lanes>(l: L, p: *const u8) -> L::F {
        // SAFETY: the caller's word.
        unsafe { l.load_bf16(p) }
    }
}
