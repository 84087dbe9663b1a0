//! What is put before the court.

pub use api::receipt_json::Ending;
use claim::{Address, ChannelId, ChoiceIndex, Evidence, ModelRoot, Price, RequestHash, SignedReceipt};

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The host's statement.
    pub signed: &'a SignedReceipt,
    /// What opens its hashes. Its prompt and its states may be left out (empty): they are computed anyway, and only tell
    /// where a wrong root first goes wrong.
    pub evidence: &'a Evidence,
    /// What the verifier knows by itself.
    pub known: Known<'a>,
    /// Output tokens to redraw, from the first to one past the last; `None` for all.
    pub window: Option<(usize, usize)>,
}

/// What the verifier knows without the host. Every field that is absent is one lie less that can be found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The root that the requested model name stands for.
    pub model_root: Option<ModelRoot>,
    /// The host that was asked.
    pub host: Option<Address>,
    /// The agreed price.
    pub price: Option<Price>,
    /// The channel that pays.
    pub channel: Option<ChannelId>,
    /// What the client itself asked and was shown.
    pub client: Option<ClientRecord<'a>>,
    /// Who handed over the evidence.
    pub source: Source,
}

/// Who handed over the evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// It came by other hands, which may have changed it.
    #[default]
    Unknown,
    /// The host itself, to the verifier. Then evidence that does not open the receipt is the host's doing.
    Host,
}

/// The client's own memory of an answer. It is no proof to anyone else, since the host did not sign it.
///
/// It says that the receipt under judgement is what the host sent for this request and choice.
#[derive(Clone, Copy, Debug)]
pub struct ClientRecord<'a> {
    /// The hash of the request that was sent.
    pub request: RequestHash,
    /// Which of the request's answers the receipt was sent for.
    pub choice: ChoiceIndex,
    /// The text that was shown.
    pub text: &'a str,
    /// How the answer came to its end.
    pub ending: Ending,
}
