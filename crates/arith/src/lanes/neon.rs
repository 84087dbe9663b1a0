#![expect(unsafe_code, reason = "intrinsics need the instruction set, which the type proves")]
#![expect(clippy::inline_always, reason = "a primitive only gets the caller's instruction set when it is inlined")]
#![cfg_attr(
    not(test),
    expect(clippy::wildcard_imports, reason = "fifty intrinsics, whose names say where they come from")
)]
//! NEON: 4 lanes, a band in four passes. The dot-product extension (`neon` has it, `neonbase` does without) and the conversion of f16
//! are written as assembly: the standard library does not offer them in stable Rust.

use std::arch::aarch64::*;
use std::arch::asm;
use std::arch::is_aarch64_feature_detected;

use crate::lanes::{Kernel, Lanes, NoTiles};

/// Proof that this machine has NEON, and the dot-product extension where `DOT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Neon<const DOT: bool>(());

impl<const DOT: bool> Neon<DOT> {
    /// The proof, where the machine has the instructions.
    pub(crate) fn detect() -> Option<Self> {
        (is_aarch64_feature_detected!("neon") && (!DOT || is_aarch64_feature_detected!("dotprod"))).then_some(Self(()))
    }

    /// Runs `kernel` with these instructions.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon")]
        fn plain<L: Lanes, K: Kernel>(lanes: L, kernel: K) -> K::Output {
            kernel.lanes(lanes)
        }
        #[target_feature(enable = "neon,dotprod")]
        fn dot<L: Lanes, K: Kernel>(lanes: L, kernel: K) -> K::Output {
            kernel.lanes(lanes)
        }
        // SAFETY: `self` proves that the machine has what the function is compiled for.
        unsafe { if DOT { dot(self, kernel) } else { plain(self, kernel) } }
    }
}

impl<const DOT: bool> Lanes for Neon<DOT> {
    const N: usize = 4;
    type F = float32x4_t;
    type I = int32x4_t;
    type B = uint8x16_t;
    type S = int32x4_t;
    type Tiles = NoTiles;

    registers! {
        fn splat(x: f32) -> float32x4_t { vdupq_n_f32(x) }
        fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t { vaddq_f32(a, b) }
        fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t { vsubq_f32(a, b) }
        fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t { vmulq_f32(a, b) }
        fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t { vdivq_f32(a, b) }
        fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t { vmaxq_f32(a, b) }
        fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t { vminq_f32(a, b) }
        fn select_lt(a: float32x4_t, b: float32x4_t, yes: float32x4_t, no: float32x4_t) -> float32x4_t {
            vbslq_f32(vcltq_f32(a, b), yes, no)
        }
        fn swap_neighbours(x: float32x4_t) -> float32x4_t { vrev64q_f32(x) }
        fn bits(x: float32x4_t) -> int32x4_t { vreinterpretq_s32_f32(x) }
        fn float_of_bits(x: int32x4_t) -> float32x4_t { vreinterpretq_f32_s32(x) }
        fn to_float(x: int32x4_t) -> float32x4_t { vcvtq_f32_s32(x) }
        fn to_int(x: float32x4_t) -> int32x4_t { vcvtnq_s32_f32(x) }
        fn splat_i(x: i32) -> int32x4_t { vdupq_n_s32(x) }
        fn add_i(a: int32x4_t, b: int32x4_t) -> int32x4_t { vaddq_s32(a, b) }
        fn sub_i(a: int32x4_t, b: int32x4_t) -> int32x4_t { vsubq_s32(a, b) }
        fn mul_i(a: int32x4_t, b: int32x4_t) -> int32x4_t { vmulq_s32(a, b) }
        fn max_i(a: int32x4_t, b: int32x4_t) -> int32x4_t { vmaxq_s32(a, b) }
        fn and_i(a: int32x4_t, b: int32x4_t) -> int32x4_t { vandq_s32(a, b) }
        fn or_i(a: int32x4_t, b: int32x4_t) -> int32x4_t { vorrq_s32(a, b) }
        fn shl_i<const COUNT: u32>(x: int32x4_t) -> int32x4_t { vshlq_s32(x, vdupq_n_s32(COUNT.cast_signed())) }
        fn shr_i<const COUNT: u32>(x: int32x4_t) -> int32x4_t { vshlq_s32(x, vdupq_n_s32(-COUNT.cast_signed())) }
        fn reduce_max_i(x: int32x4_t) -> i32 { vmaxvq_s32(x) }
        fn zero_bytes() -> uint8x16_t { vdupq_n_u8(0) }
        fn low_nibbles(x: uint8x16_t) -> uint8x16_t { vandq_u8(x, vdupq_n_u8(15)) }
        fn high_nibbles(x: uint8x16_t) -> uint8x16_t { vshrq_n_u8::<4>(x) }
        fn with_upper_bits(low: uint8x16_t, x: uint8x16_t, from: u32, mask: u8) -> uint8x16_t {
            let moved = vshlq_u8(x, vdupq_n_s8(4 - from as i8));
            vorrq_u8(low, vandq_u8(moved, vdupq_n_u8(mask << 4)))
        }
        fn dot_pairs(init: int32x4_t, pairs: int32x4_t, x: i32) -> int32x4_t {
            let (pairs, x) = (vreinterpretq_s16_s32(pairs), vreinterpretq_s16_s32(vdupq_n_s32(x)));
            let low = vmull_s16(vget_low_s16(pairs), vget_low_s16(x));
            vaddq_s32(init, vpaddq_s32(low, vmull_high_s16(pairs, x)))
        }
        fn first_factor(pairs: int32x4_t) -> int32x4_t { vshrq_n_s32::<16>(vshlq_n_s32::<16>(pairs)) }
        fn second_factor(pairs: int32x4_t) -> int32x4_t { vshrq_n_s32::<16>(pairs) }
    }

    #[inline(always)]
    fn prepare_signed(self, w: uint8x16_t) -> uint8x16_t {
        w
    }

    #[inline(always)]
    fn tiles(self) -> Option<NoTiles> {
        None
    }

    #[inline(always)]
    fn prefetch(self, p: *const u8) {
        // SAFETY: a hint; it never faults.
        unsafe { asm!("prfm pldl1keep, [{0}]", in(reg) p, options(nostack, preserves_flags, readonly)) };
    }

    memory! {
        fn load(p: *const f32) -> float32x4_t { vld1q_f32(p) }
        fn store(p: *mut f32, x: float32x4_t) { vst1q_f32(p, x); }
        fn load_f16(p: *const u8) -> float32x4_t {
            let halves = vld1_u16(p.cast());
            let floats: float32x4_t;
            asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) floats, in(vreg) halves, options(pure, nomem, nostack));
            floats
        }
        fn load_bf16(p: *const u8) -> float32x4_t {
            vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(p.cast())))
        }
        fn store_i8(p: *mut i8, x: int32x4_t) {
            let words = vmovn_s32(x);
            let bytes = vreinterpret_s32_s8(vmovn_s16(vcombine_s16(words, words)));
            p.cast::<i32>().write_unaligned(vget_lane_s32::<0>(bytes));
        }
        fn store_fixed32(p: *mut u64, x: float32x4_t) -> u64 {
            let bits = vreinterpretq_u32_f32(x);
            let low = fixed32(vmovl_u32(vget_low_u32(bits)));
            let high = fixed32(vmovl_high_u32(bits));
            vst1q_u64(p, low);
            vst1q_u64(p.add(2), high);
            vaddvq_u64(vaddq_u64(low, high))
        }
        fn load_bytes(p: *const u8) -> uint8x16_t { vld1q_u8(p) }
        fn store_bytes(p: *mut u8, x: uint8x16_t) { vst1q_u8(p, x) }
        fn load_pairs_u8(p: *const u8) -> int32x4_t { vreinterpretq_s32_u16(vmovl_u8(vld1_u8(p))) }
        fn load_pairs_i8(p: *const u8) -> int32x4_t { vreinterpretq_s32_s16(vmovl_s8(vld1_s8(p.cast()))) }
    }

    #[inline(always)]
    unsafe fn dot_signed(self, w: &[uint8x16_t; 8], a: *const i8, _bias: i32) -> int32x4_t {
        // SAFETY: the caller's word; bytes are multiplied as signed ones here, so no bias is needed.
        unsafe { self.dot::<8, 63>(self.splat_i(0), w, a) }
    }

    /// Weight bytes as signed ones: `0 ..= 63` is the same either way. A product is at most 128 * 127 and fits 16 bits.
    #[inline(always)]
    unsafe fn dot<const G: usize, const MAX: usize>(
        self,
        init: int32x4_t,
        w: &[uint8x16_t; G],
        a: *const i8,
    ) -> int32x4_t {
        let mut sum = init;
        for (g, w) in w.iter().enumerate() {
            // SAFETY: `self` proves the instructions; the caller vouches for 4 G bytes at `a`.
            unsafe {
                let a = vreinterpretq_s8_s32(vdupq_n_s32(a.add(4 * g).cast::<i32>().read_unaligned()));
                let w = vreinterpretq_s8_u8(*w);
                if DOT {
                    asm!(
                        "sdot {0:v}.4s, {1:v}.16b, {2:v}.16b",
                        inout(vreg) sum, in(vreg) w, in(vreg) a,
                        options(pure, nomem, nostack, preserves_flags)
                    );
                } else {
                    let low = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(a)));
                    let high = vpaddlq_s16(vmull_high_s8(w, a));
                    sum = vaddq_s32(sum, vpaddq_s32(low, high));
                }
            }
        }
        sum
    }

    #[inline(always)]
    unsafe fn scaled_dot<const G: usize, const MAX: usize>(
        self,
        init: int32x4_t,
        factor: int32x4_t,
        w: &[uint8x16_t; G],
        a: *const i8,
    ) -> int32x4_t {
        // SAFETY: as in `dot`.
        unsafe { vmlaq_s32(init, self.dot::<G, MAX>(self.splat_i(0), w, a), factor) }
    }
}

/// `floor(x * 2^32)` of floats `0 <= x < 2` whose bits are zero-extended in `bits`. Shifts of 64 and more give 0, which is right
/// for subnormals too.
#[inline(always)]
unsafe fn fixed32(bits: uint64x2_t) -> uint64x2_t {
    // SAFETY: only called from methods of `Neon`, whose value proves the instructions.
    unsafe {
        let mantissa = vorrq_u64(vandq_u64(bits, vdupq_n_u64(0x7f_ffff)), vdupq_n_u64(0x80_0000));
        let count = vsubq_s64(vreinterpretq_s64_u64(vshrq_n_u64::<23>(bits)), vdupq_n_s64(127));
        vshlq_u64(vshlq_n_u64::<9>(mantissa), count)
    }
}
