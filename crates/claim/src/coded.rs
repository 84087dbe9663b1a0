//! Closed sets that are written as one byte.

/// A closed set with a byte code and a name for each member.
pub(crate) trait Coded: Copy + 'static {
    /// What an error calls the set.
    const SET: &'static str;
    /// The members; a member's code is its index.
    const MEMBERS: &'static [Self];
    /// The member's byte.
    fn byte(self) -> u8;
}

/// Declares a closed set: its members in code order from 0, each with the name that people and JSON use.
macro_rules! coded {
    ($(#[$doc:meta])* $set:ident, $what:literal { $($(#[$member_doc:meta])* $member:ident = $code:literal, $name:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum $set {
            $($(#[$member_doc])* $member = $code,)*
        }

        impl $set {
            /// All members, in code order.
            pub const ALL: &'static [Self] = &[$(Self::$member),*];

            /// The byte that encodings write.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The member with this byte, if there is one.
            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.get(usize::from(code)).copied()
            }

            /// The member's name, in lower-case words joined by underscores.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$member => $name,)*
                }
            }

            /// The member with this name, if there is one.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|member| member.name() == name)
            }
        }

        impl std::fmt::Display for $set {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl $crate::coded::Coded for $set {
            const SET: &'static str = $what;
            const MEMBERS: &'static [Self] = Self::ALL;

            fn byte(self) -> u8 {
                self.code()
            }
        }

        // A code is an index into ALL: from_code relies on it.
        const _: () = {
            let mut index = 0;
            while index < $set::ALL.len() {
                assert!($set::ALL[index] as usize == index);
                index += 1;
            }
        };
    };
}

pub(crate) use coded;
