//! Payment over HTTP: what a request says of it, vouchers, and where a channel stands.

use std::sync::Arc;

use api::ApiError;
use api::response::payment::ChannelBody;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use claim::{Address, ChannelId, Digest, RequestHash, Signature};
use host::till::{Payment, Tab, Till};
use ledger::channel::{Entry, Salt};
use market::Statement;

use crate::fault::Fault;
use crate::routes::Shared;
use crate::wire::{self, PathText};

/// The channel that pays, as its token, a slash and its salt; client and host are known.
const CHANNEL: HeaderName = HeaderName::from_static("x-candor-channel");
/// Until when the request may be taken, in seconds since 1970.
const EXPIRES: HeaderName = HeaderName::from_static("x-candor-expires");
/// The client's signature of the channel, the request and that time.
const SIGNATURE: HeaderName = HeaderName::from_static("x-candor-signature");

/// Sees to it that a request is paid for, where the host takes money. A host that takes none looks at no payment.
pub(crate) async fn admit(
    shared: &Shared,
    headers: &HeaderMap,
    client: Option<Address>,
    request: RequestHash,
) -> Result<Option<Tab>, ApiError> {
    let (Some(till), Some(channel)) = (shared.host.till(), headers.get(CHANNEL)) else { return Ok(None) };
    let wrong = |header: &'static str, expected: &'static str| ApiError::Header { header, expected };
    let client = client.ok_or_else(|| wrong("x-candor-client", "the address of the channel's client"))?;
    let channel = channel.to_str().ok().and_then(read_channel);
    let expected = "the token's address, a slash and the channel's salt";
    let (token, salt) = channel.ok_or_else(|| wrong("x-candor-channel", expected))?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let expires = text(EXPIRES).and_then(|text| text.parse().ok());
    let expires = expires.ok_or_else(|| wrong("x-candor-expires", "a time in seconds since 1970"))?;
    let signature = text(SIGNATURE).and_then(read_signature);
    let signature = signature.ok_or_else(|| wrong("x-candor-signature", "0x and 130 hexadecimal digits"))?;
    till.admit(&Payment { client, token, salt, expires, signature }, request).await.map(Some)
}

fn read_channel(text: &str) -> Option<(Address, Salt)> {
    let (token, salt) = text.trim().split_once('/')?;
    Some((token.parse().ok()?, Salt::new(salt.parse().ok()?)))
}

fn read_signature(text: &str) -> Option<Signature> {
    let mut bytes = [0; Signature::SIZE_BYTES];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
    Signature::from_bytes(&bytes).ok()
}

#[utoipa::path(
    post, path = "/v1/vouchers", tag = "payment",
    request_body(content = Object, description = "A channel with its newest voucher: `chain_id`, `contract`, `client`, `host`, `token`, `salt`, and `voucher` with `channel`, `amount`, `model`, `prompt_tokens`, `output_tokens`, `receipt`, `signature`"),
    responses(
        (status = 200, description = "The voucher is stored; where the channel stands", body = ChannelBody),
        (status = 402, description = "The contract would not take the voucher", body = api::ErrorBody),
    )
)]
pub(crate) async fn pay(State(shared): State<Arc<Shared>>, body: Body) -> Result<Json<ChannelBody>, Fault> {
    let till = till(&shared)?;
    let received = shared.bodies.receive(body).await?;
    let refused = |problem: String| Fault(ApiError::PaymentRefused { problem });
    let entry =
        Entry::read(&received.bytes).map_err(|error| refused(format!("the voucher cannot be read: {error}")))?;
    let (terms, Entry { domain, terms: channel, voucher }) = (till.terms(), entry);
    if domain != terms.domain || channel.host != terms.host {
        let here = terms.domain;
        return Err(refused(format!(
            "the voucher is for the contract {} on the chain {} and the host {}, expected {} on {} and {}",
            domain.contract, domain.chain_id, channel.host, here.contract, here.chain_id, terms.host
        )));
    }
    let voucher = voucher.ok_or_else(|| refused("there is no voucher in the body".to_owned()))?;
    let (id, statement) = till.pay((channel.client, channel.token, channel.salt), voucher).await?;
    Ok(Json(body_of(id, &statement)))
}

#[utoipa::path(
    get, path = "/v1/channels/{id}", tag = "payment", params(("id" = String, Path, description = "Channel id")),
    responses(
        (status = 200, description = "Where the channel stands, as its host counts", body = ChannelBody),
        (status = 404, description = "The channel was not used since the server was started", body = api::ErrorBody),
    )
)]
pub(crate) async fn show(State(shared): State<Arc<Shared>>, id: PathText) -> Result<Json<ChannelBody>, Fault> {
    let text = wire::path_text(id);
    let unknown = || Fault(ApiError::ChannelUnknown { id: text.chars().take(80).collect() });
    let id = text.parse::<Digest>().map(ChannelId::new).map_err(|_| unknown())?;
    let statement = shared.host.till().and_then(|till| till.statement(id)).ok_or_else(unknown)?;
    Ok(Json(body_of(id, &statement)))
}

fn till(shared: &Shared) -> Result<&Till, Fault> {
    let problem = "this host answers for nothing and takes no vouchers".to_owned();
    shared.host.till().ok_or(Fault(ApiError::PaymentRefused { problem }))
}

fn body_of(id: ChannelId, statement: &Statement) -> ChannelBody {
    let Statement { capacity, owed, paid, reserved } = statement;
    ChannelBody {
        channel: id.to_string(),
        capacity: capacity.to_string(),
        owed: owed.to_string(),
        paid: paid.to_string(),
        reserved: reserved.to_string(),
    }
}
