#![expect(unsafe_code, reason = "intrinsics need the instruction set, which the type proves")]
#![expect(clippy::inline_always, reason = "a primitive only gets the caller's instruction set when it is inlined")]
#![cfg_attr(
    not(test),
    expect(clippy::wildcard_imports, reason = "sixty intrinsics, whose names say where they come from")
)]
//! AVX2: 8 lanes, a band in two passes. Without VNNI, bytes are multiplied by `vpmaddubsw`, whose sums are 16-bit integers: the
//! bounds are beside each use. With VNNI (`avx2vnni`: client processors without AVX-512) one instruction does it, as in
//! `avx512`.

use std::arch::x86_64::*;

use crate::lanes::{Kernel, Lanes, NoTiles};

/// Proof that this machine has AVX2 and F16C, and AVX-VNNI where `VNNI`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Avx2<const VNNI: bool>(());

impl<const VNNI: bool> Avx2<VNNI> {
    /// The proof, where the machine has the instructions.
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("f16c")
            && (!VNNI || is_x86_feature_detected!("avxvnni")))
        .then_some(Self(()))
    }

    /// Runs `kernel` with these instructions.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,f16c")]
        fn plain<L: Lanes, K: Kernel>(lanes: L, kernel: K) -> K::Output {
            kernel.lanes(lanes)
        }
        #[target_feature(enable = "avx2,f16c,avxvnni")]
        fn vnni<L: Lanes, K: Kernel>(lanes: L, kernel: K) -> K::Output {
            kernel.lanes(lanes)
        }
        // SAFETY: `self` proves that the machine has what the function is compiled for.
        unsafe { if VNNI { vnni(self, kernel) } else { plain(self, kernel) } }
    }
}

impl<const VNNI: bool> Lanes for Avx2<VNNI> {
    const N: usize = 8;
    type F = __m256;
    type I = __m256i;
    type B = __m256i;
    /// Each factor twice, as a pair of 16-bit integers; with VNNI once, as a 32-bit one.
    type S = __m256i;
    type Tiles = NoTiles;

    registers! {
        fn splat(x: f32) -> __m256 { _mm256_set1_ps(x) }
        fn add(a: __m256, b: __m256) -> __m256 { _mm256_add_ps(a, b) }
        fn sub(a: __m256, b: __m256) -> __m256 { _mm256_sub_ps(a, b) }
        fn mul(a: __m256, b: __m256) -> __m256 { _mm256_mul_ps(a, b) }
        fn div(a: __m256, b: __m256) -> __m256 { _mm256_div_ps(a, b) }
        fn max(a: __m256, b: __m256) -> __m256 { _mm256_max_ps(a, b) }
        fn min(a: __m256, b: __m256) -> __m256 { _mm256_min_ps(a, b) }
        fn select_lt(a: __m256, b: __m256, yes: __m256, no: __m256) -> __m256 {
            _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b))
        }
        fn swap_neighbours(x: __m256) -> __m256 { _mm256_permute_ps::<0b10_11_00_01>(x) }
        fn bits(x: __m256) -> __m256i { _mm256_castps_si256(x) }
        fn float_of_bits(x: __m256i) -> __m256 { _mm256_castsi256_ps(x) }
        fn to_float(x: __m256i) -> __m256 { _mm256_cvtepi32_ps(x) }
        fn to_int(x: __m256) -> __m256i { _mm256_cvtps_epi32(x) }
        fn splat_i(x: i32) -> __m256i { _mm256_set1_epi32(x) }
        fn add_i(a: __m256i, b: __m256i) -> __m256i { _mm256_add_epi32(a, b) }
        fn sub_i(a: __m256i, b: __m256i) -> __m256i { _mm256_sub_epi32(a, b) }
        fn mul_i(a: __m256i, b: __m256i) -> __m256i { _mm256_mullo_epi32(a, b) }
        fn max_i(a: __m256i, b: __m256i) -> __m256i { _mm256_max_epi32(a, b) }
        fn and_i(a: __m256i, b: __m256i) -> __m256i { _mm256_and_si256(a, b) }
        fn or_i(a: __m256i, b: __m256i) -> __m256i { _mm256_or_si256(a, b) }
        fn shl_i<const COUNT: u32>(x: __m256i) -> __m256i {
            _mm256_sll_epi32(x, _mm_cvtsi32_si128(COUNT.cast_signed()))
        }
        fn shr_i<const COUNT: u32>(x: __m256i) -> __m256i {
            _mm256_sra_epi32(x, _mm_cvtsi32_si128(COUNT.cast_signed()))
        }
        fn reduce_max_i(x: __m256i) -> i32 {
            let four = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
            let two = _mm_max_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
            _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two)))
        }
        fn zero_bytes() -> __m256i { _mm256_setzero_si256() }
        fn low_nibbles(x: __m256i) -> __m256i { _mm256_and_si256(x, _mm256_set1_epi8(15)) }
        fn high_nibbles(x: __m256i) -> __m256i {
            _mm256_and_si256(_mm256_srli_epi16::<4>(x), _mm256_set1_epi8(15))
        }
        fn with_upper_bits(low: __m256i, x: __m256i, from: u32, mask: u8) -> __m256i {
            // The shift crosses byte borders; the mask keeps only bits that did not.
            let moved = if from < 4 {
                _mm256_sll_epi16(x, _mm_cvtsi32_si128(4 - from.cast_signed()))
            } else {
                _mm256_srl_epi16(x, _mm_cvtsi32_si128(from.cast_signed() - 4))
            };
            _mm256_or_si256(low, _mm256_and_si256(moved, _mm256_set1_epi8((mask << 4).cast_signed())))
        }
        fn prepare_signed(w: __m256i) -> __m256i {
            if VNNI { _mm256_xor_si256(w, _mm256_set1_epi8(-128)) } else { w }
        }
        fn dot_pairs(init: __m256i, pairs: __m256i, x: i32) -> __m256i {
            _mm256_add_epi32(init, _mm256_madd_epi16(pairs, _mm256_set1_epi32(x)))
        }
        fn first_factor(pairs: __m256i) -> __m256i {
            if VNNI {
                _mm256_srai_epi32::<16>(_mm256_slli_epi32::<16>(pairs))
            } else {
                _mm256_blend_epi16::<0b1010_1010>(pairs, _mm256_slli_epi32::<16>(pairs))
            }
        }
        fn second_factor(pairs: __m256i) -> __m256i {
            if VNNI {
                _mm256_srai_epi32::<16>(pairs)
            } else {
                _mm256_blend_epi16::<0b0101_0101>(pairs, _mm256_srli_epi32::<16>(pairs))
            }
        }
    }

    #[inline(always)]
    fn tiles(self) -> Option<NoTiles> {
        None
    }

    #[inline(always)]
    fn prefetch(self, p: *const u8) {
        // SAFETY: a hint; it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) };
    }

    memory! {
        fn load(p: *const f32) -> __m256 { _mm256_loadu_ps(p) }
        fn store(p: *mut f32, x: __m256) { _mm256_storeu_ps(p, x) }
        fn load_f16(p: *const u8) -> __m256 { _mm256_cvtph_ps(_mm_loadu_si128(p.cast())) }
        fn load_bf16(p: *const u8) -> __m256 {
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()))))
        }
        fn store_i8(p: *mut i8, x: __m256i) {
            let words = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
            _mm_storel_epi64(p.cast(), _mm_packs_epi16(words, words));
        }
        fn store_fixed32(p: *mut u64, x: __m256) -> u64 {
            let bits = _mm256_castps_si256(x);
            let low = fixed32(_mm256_cvtepu32_epi64(_mm256_castsi256_si128(bits)));
            let high = fixed32(_mm256_cvtepu32_epi64(_mm256_extracti128_si256::<1>(bits)));
            _mm256_storeu_si256(p.cast(), low);
            _mm256_storeu_si256(p.add(4).cast(), high);
            let four = _mm256_add_epi64(low, high);
            let two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256::<1>(four));
            (_mm_cvtsi128_si64(two) + _mm_extract_epi64::<1>(two)).cast_unsigned()
        }
        fn load_bytes(p: *const u8) -> __m256i { _mm256_loadu_si256(p.cast()) }
        fn store_bytes(p: *mut u8, x: __m256i) { _mm256_storeu_si256(p.cast(), x) }
        fn load_pairs_u8(p: *const u8) -> __m256i { _mm256_cvtepu8_epi16(_mm_loadu_si128(p.cast())) }
        fn load_pairs_i8(p: *const u8) -> __m256i { _mm256_cvtepi8_epi16(_mm_loadu_si128(p.cast())) }
        fn dot_signed(w: &[__m256i; 8], a: *const i8, bias: i32) -> __m256i {
            if VNNI {
                let mut sum = _mm256_set1_epi32(bias);
                for (g, w) in w.iter().enumerate() {
                    sum = _mm256_dpbusd_avx_epi32(sum, *w, _mm256_set1_epi32(word(a, g)));
                }
                return sum;
            }
            // |w| times a with the sign of w: |-128| is 128 as an unsigned byte, and a pair's sum is at most 2 * 128 * 127 = 32512,
            // below 2^15. (w + 128 as unsigned bytes would reach 2 * 255 * 127 and overflow.)
            let mut sum = _mm256_setzero_si256();
            for (g, w) in w.iter().enumerate() {
                let a = _mm256_sign_epi8(_mm256_set1_epi32(word(a, g)), *w);
                let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(*w), a);
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            }
            sum
        }
    }

    #[inline(always)]
    unsafe fn dot<const G: usize, const MAX: usize>(self, init: __m256i, w: &[__m256i; G], a: *const i8) -> __m256i {
        // SAFETY: `self` proves the instructions; the caller vouches for 4 G bytes at `a`.
        unsafe {
            if VNNI {
                let mut sum = init;
                for (g, w) in w.iter().enumerate() {
                    sum = _mm256_dpbusd_avx_epi32(sum, *w, _mm256_set1_epi32(word(a, g)));
                }
                return sum;
            }
            pairs_dot::<G, MAX>(init, _mm256_set1_epi16(1), w, a)
        }
    }

    #[inline(always)]
    unsafe fn scaled_dot<const G: usize, const MAX: usize>(
        self,
        init: __m256i,
        factor: __m256i,
        w: &[__m256i; G],
        a: *const i8,
    ) -> __m256i {
        // SAFETY: as in `dot`.
        unsafe {
            if VNNI {
                let sum = self.dot::<G, MAX>(_mm256_setzero_si256(), w, a);
                return _mm256_add_epi32(init, _mm256_mullo_epi32(sum, factor));
            }
            pairs_dot::<G, MAX>(init, factor, w, a)
        }
    }
}

/// `init + factor * dot` where `factor` is a pair of equal 16-bit integers in each lane.
///
/// # Safety
/// The machine has AVX2; 4 G bytes are readable at `a`.
#[inline(always)]
unsafe fn pairs_dot<const G: usize, const MAX: usize>(
    init: __m256i,
    factor: __m256i,
    w: &[__m256i; G],
    a: *const i8,
) -> __m256i {
    // A pair's sum is at most 2 * 127 * MAX, and as many are added up as 16 bits hold: 8 words of nibbles (30480), 4 of five
    // bits (31496), 2 of six bits (32004).
    let words = 32_767 / (2 * 127 * MAX);
    let mut sum = init;
    for (part, w) in w.chunks(words).enumerate() {
        // SAFETY: the caller's word.
        unsafe {
            let mut pairs = _mm256_setzero_si256();
            for (g, w) in w.iter().enumerate() {
                let a = _mm256_set1_epi32(word(a, part * words + g));
                pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(*w, a));
            }
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, factor));
        }
    }
    sum
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
unsafe fn fixed32(bits: __m256i) -> __m256i {
    // SAFETY: only called from methods of `Avx2`, whose value proves the instructions.
    unsafe {
        let mantissa =
            _mm256_or_si256(_mm256_and_si256(bits, _mm256_set1_epi64x(0x7f_ffff)), _mm256_set1_epi64x(0x80_0000));
        let count = _mm256_sub_epi64(_mm256_set1_epi64x(127), _mm256_srli_epi64::<23>(bits));
        _mm256_srlv_epi64(_mm256_slli_epi64::<9>(mantissa), count)
    }
}
