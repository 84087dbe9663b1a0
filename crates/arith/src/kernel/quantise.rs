#![expect(unsafe_code, reason = "vectors are loaded and stored by pointers into chunks of known length")]
#![expect(clippy::inline_always, reason = "code over `Lanes` only gets the instruction set when it is inlined")]
//! The quantiser of activations.

use crate::activations::{Activations, Target};
use crate::fault::Fault;
use crate::lanes::{Kernel, Lanes};
use crate::portable::{self, AMAX_MIN};
use crate::weight::ActivationKind;

/// Exponent field of infinities and NaN: bits at or above this, sign aside, are not finite.
pub(crate) const NOT_FINITE: i32 = 0x7f80_0000;

/// Quantises one token.
#[derive(Debug)]
pub(crate) struct Quantise<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) out: Target<'a>,
}

impl Kernel for Quantise<'_> {
    type Output = Result<(), Fault>;

    fn portable(mut self) -> Self::Output {
        portable::quantise(self.x, &mut self.out)
    }

    #[inline(always)]
    fn lanes<L: Lanes>(self, l: L) -> Self::Output {
        let mut out = self.out;
        let finite = match out.kind {
            ActivationKind::F32 => return Self { x: self.x, out }.portable(),
            ActivationKind::Block32 => blocks::<L, 32>(l, self.x, &mut out),
            ActivationKind::Block256 => blocks::<L, 256>(l, self.x, &mut out),
        };
        match Fault::find("quantise", self.x) {
            Some(fault) if !finite => Err(fault),
            _ => Ok(()),
        }
    }
}

/// Quantises blocks of `LEN`; tells if every number was finite.
#[inline(always)]
fn blocks<L: Lanes, const LEN: usize>(l: L, x: &[f32], out: &mut Target<'_>) -> bool {
    let words = out.sums.len() / out.scales.len();
    let magnitude = l.splat_i(i32::MAX);
    let blocks = x.as_chunks::<LEN>().0.iter().zip(out.quants.as_chunks_mut::<LEN>().0);
    for ((x, quants), (scale, sums)) in blocks.zip(out.scales.iter_mut().zip(out.sums.chunks_exact_mut(words))) {
        // Bits of magnitudes, read as integers, are in the order of the magnitudes, with NaN above the infinities.
        let mut largest = l.splat_i(0);
        for i in (0..LEN).step_by(L::N) {
            // SAFETY: N divides LEN.
            let v = unsafe { l.load(x.as_ptr().add(i)) };
            largest = l.max_i(largest, l.and_i(l.bits(v), magnitude));
        }
        let largest = l.reduce_max_i(largest);
        if largest >= NOT_FINITE {
            return false;
        }
        let amax = f32::from_bits(largest.cast_unsigned());
        let inverse = if amax < AMAX_MIN { 0.0 } else { 127.0 / amax };
        *scale = if amax < AMAX_MIN { 0.0 } else { amax / 127.0 };
        let inverse = l.splat(inverse);
        for i in (0..LEN).step_by(L::N) {
            // SAFETY: as above. No clamp: |x * (127 / amax)| <= 127 (1 + 2^-24)^2, which rounds to 127.
            unsafe {
                let q = l.to_int(l.mul(l.load(x.as_ptr().add(i)), inverse));
                l.store_i8(quants.as_mut_ptr().add(i), q);
            }
        }
        Activations::fill_sums(out.kind, quants, *scale, sums);
    }
    true
}
