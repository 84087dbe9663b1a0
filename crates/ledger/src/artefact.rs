//! The code of the contracts, as it is checked in.

use alloy::primitives::Bytes;

/// Declares the contracts that can be deployed.
macro_rules! artefacts {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// A contract of Candor.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Artefact {
            $($(#[$doc])* $name,)*
        }

        impl Artefact {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What is checked in for it: its interface and its code, as JSON.
            pub const fn json(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../../../contracts/artefacts/", stringify!($name), ".json")),)*
                }
            }
        }
    };
}

artefacts! {
    /// The rules of attention.
    AttentionChapter;
    /// The judge of answers.
    ArithmeticJudge;
    /// Payment channels.
    Channels;
    /// The court.
    Court;
    /// A dollar for development chains.
    DevDollar;
    /// The rules of draws and chains.
    DrawChapter;
    /// The makers of answers.
    Hosts;
    /// The factory of vaults.
    HostVaults;
    /// The registry of models.
    Models;
    /// The rules of norms and single weights.
    NormChapter;
    /// The rules of products.
    ProductChapter;
    /// What the court found.
    Verdicts;
    /// The rules of words that follow in one step.
    WordChapter;
}

impl Artefact {
    /// The judge's chapters, in the order in which its constructor takes them.
    pub const CHAPTERS: [Self; 5] =
        [Self::WordChapter, Self::ProductChapter, Self::NormChapter, Self::AttentionChapter, Self::DrawChapter];

    /// The code that deploys it, with its constructor's arguments behind.
    ///
    /// # Panics
    ///
    /// Where the file that is checked in has no code: no build of that passes its tests.
    pub fn creation(self, arguments: &[u8]) -> Bytes {
        let marker = "\"bytecode\": \"0x";
        let code = self.json().split_once(marker).and_then(|(_, rest)| rest.split_once('"')).map(|(code, _)| code);
        let code = code.and_then(|code| alloy::hex::decode(code).ok());
        let mut code = code.expect("every artefact has code, which the tests look at");
        code.extend(arguments);
        code.into()
    }
}
