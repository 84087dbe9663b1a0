#![expect(unsafe_code, reason = "primitives on memory are as unsafe as the pointers they take")]
//! What a vector instruction set must be able to do, so that each kernel is written once.
//!
//! A kernel is generic over [`Lanes`]; a file of this folder gives the primitives of one instruction set. A value of a type that
//! implements [`Lanes`] exists only after detection, and kernels are inlined into one function that has the
//! instruction set switched on (`run`), which is what makes the primitives both sound and fast.

/// Methods that are intrinsics on registers.
macro_rules! registers {
    ($(fn $name:ident$(<const $c:ident: $ct:ty>)?($($arg:ident: $t:ty),*) -> $ret:ty $body:block)*) => {$(
        #[inline(always)]
        fn $name$(<const $c: $ct>)?(self, $($arg: $t),*) -> $ret {
            // SAFETY: `self` proves that the machine has the instructions; no memory is touched.
            unsafe { $body }
        }
    )*};
}

/// Methods that are intrinsics on memory.
macro_rules! memory {
    ($(fn $name:ident($($arg:ident: $t:ty),*) $(-> $ret:ty)? $body:block)*) => {$(
        #[inline(always)]
        unsafe fn $name(self, $($arg: $t),*) $(-> $ret)? {
            // SAFETY: `self` proves that the machine has the instructions; the caller vouches for the memory.
            unsafe { $body }
        }
    )*};
}

/// An array of eight, the expression with the index 0 to 7.
///
/// `array::from_fn` takes a closure, which is a function of its own: where LLVM does not inline it, it lacks the instruction
/// set of its surroundings, and each intrinsic in it is a call.
macro_rules! eight {
    ($i:ident => $e:expr) => {
        [at!($i 0 $e), at!($i 1 $e), at!($i 2 $e), at!($i 3 $e), at!($i 4 $e), at!($i 5 $e), at!($i 6 $e), at!($i 7 $e)]
    };
}
/// As `eight`, an array of four.
macro_rules! four {
    ($i:ident => $e:expr) => {
        [at!($i 0 $e), at!($i 1 $e), at!($i 2 $e), at!($i 3 $e)]
    };
}
macro_rules! at {
    ($i:ident $value:literal $e:expr) => {{
        let $i: usize = $value;
        $e
    }};
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
pub(crate) mod neon;

/// A computation that runs on any instruction set.
pub(crate) trait Kernel {
    /// What it returns.
    type Output;
    /// By the reference in `portable`.
    fn portable(self) -> Self::Output;
    /// By vectors. Implementations are `#[inline(always)]`: that is how they get the instruction set of `run`.
    fn lanes<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// Tokens of a tile.
pub(crate) const TILE_TOKENS: usize = 16;

/// A unit that multiplies a block of a band with many tokens at once. A band's words are what such units want: line g of a
/// block holds elements `4g .. 4g + 4` of 16 rows.
pub(crate) trait Tiles {
    /// `out[t][r]`, `[16][16]`: the sum over 32 elements of a byte of row r times the activation of token t. Bytes of weights
    /// are signed or unsigned.
    ///
    /// # Safety
    /// Eight lines of 64 bytes are readable at `w`, 32 bytes at `a + t * stride` for each token, and 1,024 bytes are
    /// writable at `out`.
    unsafe fn dot(&self, signed: bool, w: *const u8, a: *const i8, stride: usize, out: *mut i32);
}

/// No such unit.
#[derive(Debug)]
pub(crate) enum NoTiles {}

impl Tiles for NoTiles {
    unsafe fn dot(&self, _: bool, _: *const u8, _: *const i8, _: usize, _: *mut i32) {
        match *self {}
    }
}

/// Vectors of [`Lanes::N`] 32-bit lanes. Every floating-point primitive is one IEEE operation per lane, rounded to nearest even.
///
/// `F` holds floats, `I` integers, `B` four bytes in each lane: four consecutive elements of one matrix row per lane.
pub(crate) trait Lanes: Copy {
    /// Lanes of a vector; divides 16.
    const N: usize;
    /// Floats.
    type F: Copy;
    /// 32-bit integers, or pairs of 16-bit ones where a method says so.
    type I: Copy;
    /// Bytes, four to a lane.
    type B: Copy;
    /// Integer factors of sub-blocks, in the form that [`Lanes::scaled_dot`] takes.
    type S: Copy;
    /// The unit for tiles beside the vectors.
    type Tiles: Tiles;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::F;
    /// # Safety
    /// N floats are readable at `p`.
    unsafe fn load(self, p: *const f32) -> Self::F;
    /// # Safety
    /// N floats are writable at `p`.
    unsafe fn store(self, p: *mut f32, x: Self::F);
    /// N little-endian f16, exactly.
    /// # Safety
    /// 2 N bytes are readable at `p`.
    unsafe fn load_f16(self, p: *const u8) -> Self::F;
    /// N little-endian bf16, exactly.
    /// # Safety
    /// 2 N bytes are readable at `p`.
    unsafe fn load_bf16(self, p: *const u8) -> Self::F;
    /// `a + b`
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b`
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `if a > b { a } else { b }`, up to which NaN is returned.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `if a < b { a } else { b }`, up to which NaN is returned.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// `if a < b { yes } else { no }`
    fn select_lt(self, a: Self::F, b: Self::F, yes: Self::F, no: Self::F) -> Self::F;
    /// Each even lane changed for the odd one after it.
    fn swap_neighbours(self, x: Self::F) -> Self::F;
    /// The bits.
    fn bits(self, x: Self::F) -> Self::I;
    /// The float of these bits.
    fn float_of_bits(self, x: Self::I) -> Self::F;
    /// Rounded to nearest even.
    fn to_float(self, x: Self::I) -> Self::F;
    /// The nearest integer, ties to even; for `|x| < 2^31`.
    fn to_int(self, x: Self::F) -> Self::I;

    /// All lanes `x`.
    fn splat_i(self, x: i32) -> Self::I;
    /// `a + b`, wrapping
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// `a - b`, wrapping
    fn sub_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// `a * b`, wrapping
    fn mul_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// The larger, signed.
    fn max_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// `a & b`
    fn and_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// `a | b`
    fn or_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// `x << COUNT`
    fn shl_i<const COUNT: u32>(self, x: Self::I) -> Self::I;
    /// `x >> COUNT`, with the sign.
    fn shr_i<const COUNT: u32>(self, x: Self::I) -> Self::I;
    /// The largest lane.
    fn reduce_max_i(self, x: Self::I) -> i32;
    /// Stores each lane, which fits a signed byte, as one.
    /// # Safety
    /// N bytes are writable at `p`.
    unsafe fn store_i8(self, p: *mut i8, x: Self::I);
    /// `(mantissa << 9) >> (127 - exponent)` of each lane as u64: `floor(x * 2^32)` for `0 <= x < 2`. Stored at `p`; their sum is returned.
    /// # Safety
    /// N u64 are writable at `p`.
    unsafe fn store_fixed32(self, p: *mut u64, x: Self::F) -> u64;

    /// The unit for tiles, ready until the value is dropped, where the machine has one.
    fn tiles(self) -> Option<Self::Tiles>;

    /// Asks for the cache line of `p`, which may be any address.
    fn prefetch(self, p: *const u8);
    /// # Safety
    /// 4 N bytes are readable at `p`.
    unsafe fn load_bytes(self, p: *const u8) -> Self::B;
    /// # Safety
    /// 4 N bytes are writable at `p`.
    unsafe fn store_bytes(self, p: *mut u8, x: Self::B);
    /// All bytes zero.
    fn zero_bytes(self) -> Self::B;
    /// The low nibble of each byte.
    fn low_nibbles(self, x: Self::B) -> Self::B;
    /// The high nibble of each byte.
    fn high_nibbles(self, x: Self::B) -> Self::B;
    /// Puts the bits `mask << from` of each byte of `x` to `mask << 4` and sets them in `low`; `mask` is 1 or 3.
    fn with_upper_bits(self, low: Self::B, x: Self::B, from: u32, mask: u8) -> Self::B;

    /// `init` plus, in each lane, the sum over words g of its four bytes of `w[g]` times activations `a[4g .. 4g + 4]`.
    /// Weight bytes are `0 ..= MAX`, `MAX <= 63`, and activations `-127 ..= 127`.
    /// # Safety
    /// 4 G bytes are readable at `a`.
    unsafe fn dot<const G: usize, const MAX: usize>(self, init: Self::I, w: &[Self::B; G], a: *const i8) -> Self::I;
    /// Signed weight bytes in the form that [`Lanes::dot_signed`] takes.
    fn prepare_signed(self, w: Self::B) -> Self::B;
    /// As [`Lanes::dot`] with any signed weight bytes (prepared) and no `init`. `bias` is -128 times the sum of `a`, for
    /// instruction sets that only multiply unsigned by signed.
    /// # Safety
    /// 32 bytes are readable at `a`.
    unsafe fn dot_signed(self, w: &[Self::B; 8], a: *const i8, bias: i32) -> Self::I;

    /// 2 N unsigned bytes as pairs of 16-bit integers.
    /// # Safety
    /// 2 N bytes are readable at `p`.
    unsafe fn load_pairs_u8(self, p: *const u8) -> Self::I;
    /// 2 N signed bytes as pairs of 16-bit integers.
    /// # Safety
    /// 2 N bytes are readable at `p`.
    unsafe fn load_pairs_i8(self, p: *const u8) -> Self::I;
    /// `init` plus the products of pairs, both summed: `pairs` of 16-bit integers with the one pair in `x`.
    fn dot_pairs(self, init: Self::I, pairs: Self::I, x: i32) -> Self::I;
    /// The first integer of each pair as a factor.
    fn first_factor(self, pairs: Self::I) -> Self::S;
    /// The second integer of each pair as a factor.
    fn second_factor(self, pairs: Self::I) -> Self::S;
    /// `init + factor * dot(w, a)`, all in 32-bit integers; the factor fits a signed byte or six bits.
    /// # Safety
    /// 4 G bytes are readable at `a`.
    unsafe fn scaled_dot<const G: usize, const MAX: usize>(
        self,
        init: Self::I,
        factor: Self::S,
        w: &[Self::B; G],
        a: *const i8,
    ) -> Self::I;
}
