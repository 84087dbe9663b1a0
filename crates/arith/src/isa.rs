//! Which instruction set runs the kernels.

use crate::environment;
use crate::lanes::Kernel;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use crate::lanes::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::lanes::{avx2::Avx2, avx512::Avx512};

/// An instruction set that this machine has. The field is private: a value exists only after detection, which is what makes
/// calling a kernel written for it sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa(Set);

/// The instruction sets that have kernels, each with the proof that the machine has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Set {
    #[cfg(target_arch = "x86_64")]
    Amx(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2Vnni(Avx2<true>),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2<false>),
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Neon(Neon<true>),
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    NeonBase(Neon<false>),
    Portable,
}

impl Isa {
    /// The fastest instruction set of this machine.
    pub fn detect() -> Self {
        Self::available().into_iter().next().unwrap_or(Self(Set::Portable))
    }

    /// The reference: plain loops, on any machine.
    pub const fn portable() -> Self {
        Self(Set::Portable)
    }

    /// Every instruction set that this machine can run, fastest first; the last is `portable`.
    pub fn available() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(Avx512::detect_with_tiles().map(Set::Amx));
            all.extend(Avx512::detect().map(Set::Avx512));
            all.extend(Avx2::detect().map(Set::Avx2Vnni));
            all.extend(Avx2::detect().map(Set::Avx2));
        }
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        {
            all.extend(Neon::detect().map(Set::Neon));
            all.extend(Neon::detect().map(Set::NeonBase));
        }
        all.push(Set::Portable);
        all.into_iter().map(Self).collect()
    }

    /// The instruction set of this name, or `None` where the name is unknown or the machine lacks it.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|isa| isa.name() == name)
    }

    /// `amx`, `avx512`, `avx2vnni`, `avx2`, `neon`, `neonbase` or `portable`.
    pub const fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Amx(_) => "amx",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2Vnni(_) => "avx2vnni",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => "avx2",
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Set::Neon(_) => "neon",
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Set::NeonBase(_) => "neonbase",
            Set::Portable => "portable",
        }
    }

    /// Runs a kernel, in the canonical floating-point environment.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        environment::canonical(|| match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Amx(lanes) | Set::Avx512(lanes) => lanes.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2Vnni(lanes) => lanes.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(lanes) => lanes.run(kernel),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Set::Neon(lanes) => lanes.run(kernel),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Set::NeonBase(lanes) => lanes.run(kernel),
            Set::Portable => kernel.portable(),
        })
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
