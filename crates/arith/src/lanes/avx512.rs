#![expect(unsafe_code, reason = "intrinsics need the instruction set, which the type proves")]
#![expect(clippy::inline_always, reason = "a primitive only gets the caller's instruction set when it is inlined")]
#![cfg_attr(
    not(test),
    expect(clippy::wildcard_imports, reason = "sixty intrinsics, whose names say where they come from")
)]
//! AVX-512 with VNNI: 16 lanes, a band in one register, 64 multiply-adds of bytes in one instruction.

use std::arch::x86_64::*;

use crate::lanes::amx::{Amx, Shapes};
use crate::lanes::{Kernel, Lanes};

/// Proof that this machine has AVX-512 F, BW, DQ, VL and VNNI, and perhaps AMX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Avx512 {
    tiles: Option<Amx>,
}

impl Avx512 {
    /// The proof, where the machine has the instructions.
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("f16c"))
        .then_some(Self { tiles: None })
    }

    /// The proof of both, where the machine has AMX too.
    pub(crate) fn detect_with_tiles() -> Option<Self> {
        Self::detect().and(Amx::detect()).map(|tiles| Self { tiles: Some(tiles) })
    }

    /// Runs `kernel` with these instructions.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,f16c")]
        fn inner<K: Kernel>(lanes: Avx512, kernel: K) -> K::Output {
            kernel.lanes(lanes)
        }
        // SAFETY: `self` proves that the machine has what `inner` is compiled for.
        unsafe { inner(self, kernel) }
    }
}

impl Lanes for Avx512 {
    const N: usize = 16;
    type F = __m512;
    type I = __m512i;
    type B = __m512i;
    type S = __m512i;
    type Tiles = Shapes;

    registers! {
        fn splat(x: f32) -> __m512 { _mm512_set1_ps(x) }
        fn add(a: __m512, b: __m512) -> __m512 { _mm512_add_ps(a, b) }
        fn sub(a: __m512, b: __m512) -> __m512 { _mm512_sub_ps(a, b) }
        fn mul(a: __m512, b: __m512) -> __m512 { _mm512_mul_ps(a, b) }
        fn div(a: __m512, b: __m512) -> __m512 { _mm512_div_ps(a, b) }
        fn max(a: __m512, b: __m512) -> __m512 { _mm512_max_ps(a, b) }
        fn min(a: __m512, b: __m512) -> __m512 { _mm512_min_ps(a, b) }
        fn select_lt(a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 {
            _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, yes)
        }
        fn swap_neighbours(x: __m512) -> __m512 { _mm512_permute_ps::<0b10_11_00_01>(x) }
        fn bits(x: __m512) -> __m512i { _mm512_castps_si512(x) }
        fn float_of_bits(x: __m512i) -> __m512 { _mm512_castsi512_ps(x) }
        fn to_float(x: __m512i) -> __m512 { _mm512_cvtepi32_ps(x) }
        fn to_int(x: __m512) -> __m512i { _mm512_cvtps_epi32(x) }
        fn splat_i(x: i32) -> __m512i { _mm512_set1_epi32(x) }
        fn add_i(a: __m512i, b: __m512i) -> __m512i { _mm512_add_epi32(a, b) }
        fn sub_i(a: __m512i, b: __m512i) -> __m512i { _mm512_sub_epi32(a, b) }
        fn mul_i(a: __m512i, b: __m512i) -> __m512i { _mm512_mullo_epi32(a, b) }
        fn max_i(a: __m512i, b: __m512i) -> __m512i { _mm512_max_epi32(a, b) }
        fn and_i(a: __m512i, b: __m512i) -> __m512i { _mm512_and_si512(a, b) }
        fn or_i(a: __m512i, b: __m512i) -> __m512i { _mm512_or_si512(a, b) }
        fn shl_i<const COUNT: u32>(x: __m512i) -> __m512i { _mm512_slli_epi32::<COUNT>(x) }
        fn shr_i<const COUNT: u32>(x: __m512i) -> __m512i { _mm512_srai_epi32::<COUNT>(x) }
        fn reduce_max_i(x: __m512i) -> i32 { _mm512_reduce_max_epi32(x) }
        fn zero_bytes() -> __m512i { _mm512_setzero_si512() }
        fn low_nibbles(x: __m512i) -> __m512i { _mm512_and_si512(x, _mm512_set1_epi8(15)) }
        fn high_nibbles(x: __m512i) -> __m512i {
            _mm512_and_si512(_mm512_srli_epi16::<4>(x), _mm512_set1_epi8(15))
        }
        fn with_upper_bits(low: __m512i, x: __m512i, from: u32, mask: u8) -> __m512i {
            // The shift crosses byte borders; the mask keeps only bits that did not.
            let moved = if from < 4 {
                _mm512_sll_epi16(x, _mm_cvtsi32_si128(4 - from.cast_signed()))
            } else {
                _mm512_srl_epi16(x, _mm_cvtsi32_si128(from.cast_signed() - 4))
            };
            _mm512_or_si512(low, _mm512_and_si512(moved, _mm512_set1_epi8((mask << 4).cast_signed())))
        }
        fn prepare_signed(w: __m512i) -> __m512i { _mm512_xor_si512(w, _mm512_set1_epi8(-128)) }
        fn dot_pairs(init: __m512i, pairs: __m512i, x: i32) -> __m512i {
            _mm512_dpwssd_epi32(init, pairs, _mm512_set1_epi32(x))
        }
        fn first_factor(pairs: __m512i) -> __m512i { _mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(pairs)) }
        fn second_factor(pairs: __m512i) -> __m512i { _mm512_srai_epi32::<16>(pairs) }
    }

    #[inline(always)]
    fn tiles(self) -> Option<Shapes> {
        self.tiles.map(Amx::shapes)
    }

    #[inline(always)]
    fn prefetch(self, p: *const u8) {
        // SAFETY: a hint; it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) };
    }

    memory! {
        fn load(p: *const f32) -> __m512 { _mm512_loadu_ps(p) }
        fn store(p: *mut f32, x: __m512) { _mm512_storeu_ps(p, x) }
        fn load_f16(p: *const u8) -> __m512 { _mm512_cvtph_ps(_mm256_loadu_si256(p.cast())) }
        fn load_bf16(p: *const u8) -> __m512 {
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()))))
        }
        fn store_i8(p: *mut i8, x: __m512i) { _mm_storeu_si128(p.cast(), _mm512_cvtepi32_epi8(x)) }
        fn store_fixed32(p: *mut u64, x: __m512) -> u64 {
            let bits = _mm512_castps_si512(x);
            let low = fixed32(_mm512_cvtepu32_epi64(_mm512_castsi512_si256(bits)));
            let high = fixed32(_mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64::<1>(bits)));
            _mm512_storeu_si512(p.cast(), low);
            _mm512_storeu_si512(p.add(8).cast(), high);
            _mm512_reduce_add_epi64(_mm512_add_epi64(low, high)).cast_unsigned()
        }
        fn load_bytes(p: *const u8) -> __m512i { _mm512_loadu_si512(p.cast()) }
        fn store_bytes(p: *mut u8, x: __m512i) { _mm512_storeu_si512(p.cast(), x) }
        fn load_pairs_u8(p: *const u8) -> __m512i { _mm512_cvtepu8_epi16(_mm256_loadu_si256(p.cast())) }
        fn load_pairs_i8(p: *const u8) -> __m512i { _mm512_cvtepi8_epi16(_mm256_loadu_si256(p.cast())) }
        fn dot_signed(w: &[__m512i; 8], a: *const i8, bias: i32) -> __m512i {
            // w + 128 as unsigned bytes; `bias` takes 128 times the activations away again, exactly. The worst partial sum is
            // 32 * 255 * 127 + 32 * 128 * 127, far inside i32.
            let mut sum = _mm512_set1_epi32(bias);
            for (g, w) in w.iter().enumerate() {
                sum = _mm512_dpbusd_epi32(sum, *w, _mm512_set1_epi32(word(a, g)));
            }
            sum
        }
    }

    #[inline(always)]
    unsafe fn dot<const G: usize, const MAX: usize>(self, init: __m512i, w: &[__m512i; G], a: *const i8) -> __m512i {
        let mut sum = init;
        for (g, w) in w.iter().enumerate() {
            // SAFETY: `self` proves the instructions; the caller vouches for 4 G bytes at `a`.
            sum = unsafe { _mm512_dpbusd_epi32(sum, *w, _mm512_set1_epi32(word(a, g))) };
        }
        sum
    }

    #[inline(always)]
    unsafe fn scaled_dot<const G: usize, const MAX: usize>(
        self,
        init: __m512i,
        factor: __m512i,
        w: &[__m512i; G],
        a: *const i8,
    ) -> __m512i {
        // SAFETY: as in `dot`.
        unsafe {
            let sum = self.dot::<G, MAX>(_mm512_setzero_si512(), w, a);
            _mm512_add_epi32(init, _mm512_mullo_epi32(sum, factor))
        }
    }
}

/// Four activations as one word.
///
/// # Safety
/// Bytes `4 g .. 4 g + 4` are readable at `a`.
#[inline(always)]
unsafe fn word(a: *const i8, g: usize) -> i32 {
    // SAFETY: the caller vouches for the bytes; alignment is not assumed.
    unsafe { a.add(4 * g).cast::<i32>().read_unaligned() }
}

/// `floor(x * 2^32)` of floats `0 <= x < 2` whose bits are zero-extended in `bits`. Shifts of 64 and more give 0, which is right
/// for subnormals too.
#[inline(always)]
unsafe fn fixed32(bits: __m512i) -> __m512i {
    // SAFETY: only called from methods of `Avx512`, whose value proves the instructions.
    unsafe {
        let mantissa =
            _mm512_or_si512(_mm512_and_si512(bits, _mm512_set1_epi64(0x7f_ffff)), _mm512_set1_epi64(0x80_0000));
        let count = _mm512_sub_epi64(_mm512_set1_epi64(127), _mm512_srli_epi64::<23>(bits));
        _mm512_srlv_epi64(_mm512_slli_epi64::<9>(mantissa), count)
    }
}
