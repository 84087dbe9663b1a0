#![expect(unsafe_code, reason = "vectors are loaded and stored by pointers into chunks of known length")]
#![expect(clippy::inline_always, reason = "code over `Lanes` only gets the instruction set when it is inlined")]
//! Operations element by element, the norm, and sampling weights.

use crate::fault::Fault;
use crate::kernel::functions;
use crate::kernel::quantise::NOT_FINITE;
use crate::lanes::{Kernel, Lanes};
use crate::portable;

/// A function of two numbers of which the first is replaced.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Binary {
    /// `x + y`
    Add,
    /// `silu(x) * y`
    SiluMul,
    /// `gelu(x) * y`
    GeluMul,
}

/// `x = f(x, y)`, element by element.
#[derive(Debug)]
pub(crate) struct Elementwise<'a> {
    pub(crate) f: Binary,
    pub(crate) x: &'a mut [f32],
    pub(crate) y: &'a [f32],
}

impl Kernel for Elementwise<'_> {
    type Output = ();

    fn portable(self) {
        for (x, y) in self.x.iter_mut().zip(self.y) {
            *x = match self.f {
                Binary::Add => *x + y,
                Binary::SiluMul => portable::silu(*x) * y,
                Binary::GeluMul => portable::gelu(*x) * y,
            };
        }
    }

    #[inline(always)]
    fn lanes<L: Lanes>(self, l: L) {
        match self.f {
            Binary::Add => self.apply(
                l,
                #[inline(always)]
                |x, y| l.add(x, y),
            ),
            Binary::SiluMul => self.apply(
                l,
                #[inline(always)]
                |x, y| l.mul(functions::silu(l, x), y),
            ),
            Binary::GeluMul => self.apply(
                l,
                #[inline(always)]
                |x, y| l.mul(functions::gelu(l, x), y),
            ),
        }
    }
}

impl Elementwise<'_> {
    #[inline(always)]
    fn apply<L: Lanes>(self, l: L, f: impl Fn(L::F, L::F) -> L::F) {
        let len = self.x.len().min(self.y.len());
        let whole = len - len % L::N;
        for i in (0..whole).step_by(L::N) {
            // SAFETY: `i + N` is at most the length of both.
            unsafe {
                let (x, y) = (self.x.as_mut_ptr().add(i), self.y.as_ptr().add(i));
                l.store(x, f(l.load(x), l.load(y)));
            }
        }
        Self { f: self.f, x: &mut self.x[whole..], y: &self.y[whole..] }.portable();
    }
}

/// `x = x * factor`, element by element.
#[derive(Debug)]
pub(crate) struct Scale<'a> {
    pub(crate) x: &'a mut [f32],
    pub(crate) factor: f32,
}

impl Kernel for Scale<'_> {
    type Output = ();

    fn portable(self) {
        for x in self.x {
            *x *= self.factor;
        }
    }

    /// The compiler makes vectors of a loop that is as plain as this one.
    #[inline(always)]
    fn lanes<L: Lanes>(self, _: L) {
        self.portable();
    }
}

/// RMS norm of one row.
#[derive(Debug)]
pub(crate) struct RmsNorm<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) gain: &'a [f32],
    pub(crate) eps: f32,
    pub(crate) out: &'a mut [f32],
}

impl Kernel for RmsNorm<'_> {
    type Output = Result<(), Fault>;

    fn portable(self) -> Self::Output {
        portable::rms_norm(self.x, self.gain, self.eps, self.out)
    }

    #[inline(always)]
    fn lanes<L: Lanes>(self, l: L) -> Self::Output {
        let n = self.x.len().min(self.gain.len()).min(self.out.len());
        let sum = sum_of_squares(l, self.x);
        if !sum.is_finite() {
            return self.portable();
        }
        let factor = 1.0 / (sum / self.x.len() as f32 + self.eps).sqrt();
        let whole = n - n % L::N;
        let wide = l.splat(factor);
        for i in (0..whole).step_by(L::N) {
            // SAFETY: `i + N` is at most the length of all three.
            unsafe {
                let y = l.mul(l.mul(l.load(self.x.as_ptr().add(i)), wide), l.load(self.gain.as_ptr().add(i)));
                l.store(self.out.as_mut_ptr().add(i), y);
            }
        }
        for i in whole..n {
            self.out[i] = (self.x[i] * factor) * self.gain[i];
        }
        Ok(())
    }
}

/// The vector sum of squares: virtual lane `N v + i` is lane i of accumulator v.
#[inline(always)]
fn sum_of_squares<L: Lanes>(l: L, x: &[f32]) -> f32 {
    let mut acc = [l.splat(0.0); 4];
    let (chunks, rest) = x.as_chunks::<16>();
    let mut last = [0.0f32; 16];
    last[..rest.len()].copy_from_slice(rest);
    for chunk in chunks.iter().chain([&last]) {
        for (v, acc) in acc.iter_mut().enumerate().take(16 / L::N) {
            // SAFETY: a chunk has 16 elements. The padding adds +0, which changes nothing: a lane is never -0.
            let x = unsafe { l.load(chunk.as_ptr().add(v * L::N)) };
            *acc = l.add(*acc, l.mul(x, x));
        }
    }
    fold(l, acc)
}

/// Folds 16 virtual lanes by halves.
#[inline(always)]
pub(crate) fn fold<L: Lanes>(l: L, acc: [L::F; 4]) -> f32 {
    let mut lanes = [0.0f32; 16];
    for (v, acc) in acc.into_iter().enumerate().take(16 / L::N) {
        // SAFETY: `16 / N` vectors of N lanes.
        unsafe { l.store(lanes.as_mut_ptr().add(v * L::N), acc) };
    }
    portable::fold(lanes)
}

/// The largest number, as [`portable::max`]; `None` where one is not finite.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Max<'a> {
    pub(crate) x: &'a [f32],
}

impl Kernel for Max<'_> {
    type Output = Option<f32>;

    fn portable(self) -> Self::Output {
        self.x.iter().all(|x| x.is_finite()).then(|| portable::max(self.x))
    }

    #[inline(always)]
    fn lanes<L: Lanes>(self, l: L) -> Self::Output {
        let (mut largest, mut magnitude) = (l.splat(f32::MIN), l.splat_i(0));
        let whole = self.x.len() - self.x.len() % L::N;
        for i in (0..whole).step_by(L::N) {
            // SAFETY: `i + N` is at most the length.
            let x = unsafe { l.load(self.x.as_ptr().add(i)) };
            largest = l.max(largest, x);
            magnitude = l.max_i(magnitude, l.and_i(l.bits(x), l.splat_i(i32::MAX)));
        }
        if l.reduce_max_i(magnitude) >= NOT_FINITE {
            return None;
        }
        let mut lanes = [f32::MIN; 16];
        // SAFETY: N is at most 16.
        unsafe { l.store(lanes.as_mut_ptr(), largest) };
        let rest = Max { x: &self.x[whole..] }.portable()?;
        Some(portable::max(&lanes).max(rest) + 0.0)
    }
}

/// Sampling weights of some of the logits, given the largest of all; returns their sum.
#[derive(Debug)]
pub(crate) struct Weights<'a> {
    pub(crate) logits: &'a [f32],
    pub(crate) max: f32,
    pub(crate) temperature: f32,
    pub(crate) out: &'a mut [u64],
}

impl Kernel for Weights<'_> {
    type Output = u64;

    fn portable(self) -> u64 {
        portable::weights(self.logits, self.max, self.temperature, self.out)
    }

    #[inline(always)]
    fn lanes<L: Lanes>(self, l: L) -> u64 {
        let len = self.logits.len().min(self.out.len());
        let whole = len - len % L::N;
        let (max, temperature) = (l.splat(self.max), l.splat(self.temperature));
        let mut total = 0u64;
        for i in (0..whole).step_by(L::N) {
            // SAFETY: `i + N` is at most the length of both.
            unsafe {
                let x = l.div(l.sub(l.load(self.logits.as_ptr().add(i)), max), temperature);
                total += l.store_fixed32(self.out.as_mut_ptr().add(i), functions::exp(l, x));
            }
        }
        let rest = Self { logits: &self.logits[whole..], out: &mut self.out[whole..], ..self };
        total + rest.portable()
    }
}
