#![expect(unsafe_code, reason = "tile instructions have no stable intrinsics, and memory is reached by pointers")]
#![expect(clippy::inline_always, reason = "a few instructions between two of the caller's")]
//! AMX: a unit that multiplies whole tiles of bytes, beside the vector unit of AVX-512.
//!
//! A band's words are what the unit wants as its second operand: line g of a block holds elements `4g .. 4g + 4` of 16
//! rows. One instruction so gives the exact integer sums of 16 rows for up to 16 tokens.

use std::arch::asm;
use std::marker::PhantomData;

use crate::lanes::{TILE_TOKENS, Tiles};
use crate::memory::LINE;

/// Proof that this machine has AMX for bytes and that the system lets this process use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Amx(());

impl Amx {
    /// The proof, where the machine has the instructions and the system grants the registers.
    pub(crate) fn detect() -> Option<Self> {
        /// Tiles and byte products in CPUID leaf 7.
        const TILE_AND_INT8: u32 = 1 << 24 | 1 << 25;
        if !is_x86_feature_detected!("xsave") || std::arch::x86_64::__cpuid(0).eax < 7 {
            return None;
        }
        let features = std::arch::x86_64::__cpuid_count(7, 0).edx;
        (features & TILE_AND_INT8 == TILE_AND_INT8 && is_granted()).then_some(Self(()))
    }

    /// Sets the shapes of the tile registers of this thread until the value is dropped.
    #[expect(clippy::unused_self, reason = "`self` is the proof that there are such registers")]
    pub(crate) fn shapes(self) -> Shapes {
        // SAFETY: `self` proves the instruction; the palette is 64 bytes and describes shapes that the unit has.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const PALETTE, options(nostack, preserves_flags, readonly)) };
        Shapes(PhantomData)
    }
}

/// Asks Linux for the tile registers, which it only saves for processes that asked.
#[cfg(target_os = "linux")]
fn is_granted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes two integers and no memory.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn is_granted() -> bool {
    false
}

/// Memory operand of `ldtilecfg`.
#[repr(C, align(64))]
struct Palette {
    format: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// tmm0: sums, tmm1: 32 activations of each token, tmm2: 32 weights of each row.
static PALETTE: Palette = Palette {
    format: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 32, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [TILE_TOKENS as u8, TILE_TOKENS as u8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// The tile registers of this thread have the shapes of [`PALETTE`]. It stays on its thread.
#[derive(Debug)]
pub(crate) struct Shapes(PhantomData<*mut ()>);

impl Drop for Shapes {
    fn drop(&mut self) {
        // Empty registers need not be saved when the system turns to another thread.
        // SAFETY: the value proves the instruction.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
    }
}

macro_rules! dot {
    ($multiply:literal, $w:ident, $a:ident, $stride:ident, $out:ident) => {
        asm!(
            "tilezero tmm0",
            "tileloadd tmm1, [{a} + {stride}]",
            "tileloadd tmm2, [{w} + {line}]",
            concat!($multiply, " tmm0, tmm1, tmm2"),
            "tilestored [{out} + {line}], tmm0",
            a = in(reg) $a,
            stride = in(reg) $stride,
            w = in(reg) $w,
            line = in(reg) LINE,
            out = in(reg) $out,
            options(nostack, preserves_flags),
        )
    };
}

impl Tiles for Shapes {
    #[inline(always)]
    unsafe fn dot(&self, signed: bool, w: *const u8, a: *const i8, stride: usize, out: *mut i32) {
        // SAFETY: the caller vouches for the memory, the value for the shapes; no Rust code keeps anything in tile registers.
        unsafe {
            if signed {
                dot!("tdpbssd", w, a, stride, out);
            } else {
                dot!("tdpbsud", w, a, stride, out);
            }
        }
    }
}
