#![expect(unsafe_code, reason = "the control register of floating point is reached by instructions alone")]
//! The floating-point environment: rounding to nearest even, subnormals kept.
//!
//! Every process starts so, but a library built with fast-math options may switch subnormals off for the threads that load
//! it, and threads inherit that. CA-1 does not hang on such things: kernels run in the canonical environment, and the caller's is
//! put back after them.

/// Runs `f` with rounding to nearest even and subnormals kept.
#[inline]
pub(crate) fn canonical<R>(f: impl FnOnce() -> R) -> R {
    let found = control();
    if found & DEVIATIONS == 0 {
        return f();
    }
    let _restore = Restore(found);
    set_control(found & !DEVIATIONS);
    // What is stored cannot sink below the restoring instruction, which may touch memory; what is returned could.
    std::hint::black_box(f())
}

/// Puts the caller's environment back, also when a kernel panics.
struct Restore(Word);

impl Drop for Restore {
    fn drop(&mut self) {
        set_control(self.0);
    }
}

#[cfg(target_arch = "x86_64")]
mod register {
    /// MXCSR.
    pub(super) type Word = u32;
    /// Flush-to-zero (bit 15), rounding (bits 14 and 13), denormals-are-zero (bit 6).
    pub(super) const DEVIATIONS: Word = 1 << 15 | 3 << 13 | 1 << 6;

    pub(super) fn control() -> Word {
        let mut word: Word = 0;
        // SAFETY: stores four bytes to `word`.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack, preserves_flags)) };
        word
    }

    pub(super) fn set_control(word: Word) {
        // SAFETY: loads four bytes from `word`, which came from `control` with bits at most cleared or put back.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack, preserves_flags)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod register {
    /// FPCR.
    pub(super) type Word = u64;
    /// Alternative half precision (bit 26), flush-to-zero (bits 24 and 19), rounding (bits 23 and 22).
    pub(super) const DEVIATIONS: Word = 1 << 26 | 1 << 24 | 3 << 22 | 1 << 19;

    pub(super) fn control() -> Word {
        let word: Word;
        // SAFETY: reads a register.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack, preserves_flags)) };
        word
    }

    pub(super) fn set_control(word: Word) {
        // SAFETY: `word` came from `control` with bits at most cleared or put back.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) word, options(nostack, preserves_flags)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod register {
    /// Other machines offer no way to leave the canonical environment from Rust.
    pub(super) type Word = u32;
    pub(super) const DEVIATIONS: Word = 0;

    pub(super) fn control() -> Word {
        0
    }

    pub(super) fn set_control(_: Word) {}
}

use register::{DEVIATIONS, Word, control, set_control};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn subnormals_are_kept_where_the_caller_switched_them_off() {
        let smallest = std::hint::black_box(f32::MIN_POSITIVE);
        let half = || std::hint::black_box(smallest) * std::hint::black_box(0.5);
        #[cfg(target_arch = "x86_64")]
        let off = 1 << 15 | 1 << 6;
        #[cfg(target_arch = "aarch64")]
        let off = 1 << 24;
        let before = control();
        set_control(before | off);
        let (outside, inside) = (half(), canonical(half));
        let after = control();
        set_control(before);
        assert_eq!((outside.to_bits(), inside.to_bits()), (0, 0x0040_0000));
        assert_eq!(after & DEVIATIONS, off);
    }
}
