//! A chain behind JSON-RPC, and an account that sends transactions to it.

mod http;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::client::RpcClient;
use alloy::rpc::types::{BlockNumberOrTag, Filter, Log, TransactionInput, TransactionReceipt, TransactionRequest};
use alloy::sol_types::{SolCall, SolEvent};
use alloy::transports::{RpcError, TransportErrorKind, TransportResult};
use claim::{Digest, HostKey};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::error::{LedgerError, reason};
use http::{Http, quoted};

/// How long one request may take.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// How often it is asked whether a transaction is mined, at first and at most.
const POLL_MIN: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_secs(2);
/// How long a transaction is waited for.
const MINED_TIME_MAX: Duration = Duration::from_mins(5);
/// How long a refused transaction is looked for that the chain may have taken all the same: one behind the door may know of
/// it before another. A block of the slowest chain, and some.
const REFUSED_TIME_MAX: Duration = Duration::from_secs(15);
/// What is offered to whoever makes the block, in wei for a unit of gas.
const TIP: u128 = 1_000_000;

/// A chain.
#[derive(Clone, Debug)]
pub struct Client {
    provider: RootProvider,
    url: Arc<str>,
    chain_id: u64,
}

/// A transaction that was mined and did what it should.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its hash.
    pub hash: B256,
    /// Its block.
    pub block: u64,
    /// Gas that it paid for.
    pub gas_used: u64,
    /// The contract that it made.
    pub created: Option<Address>,
    /// What the contracts logged.
    pub logs: Vec<Log>,
}

impl Sent {
    /// The first event of a kind.
    pub fn event<E: SolEvent>(&self) -> Option<E> {
        self.logs.iter().find_map(|log| E::decode_log(&log.inner).ok().map(|log| log.data))
    }
}

impl Client {
    /// Looks at the chain at `url`.
    ///
    /// # Errors
    ///
    /// It is no address, or nothing answers there.
    pub async fn connect(url: &str) -> Result<Self, LedgerError> {
        let parsed =
            url.parse().map_err(|error| LedgerError::Url { url: url.to_owned(), reason: format!("{error}") })?;
        // How far the chain is only says how often alloy would ask by itself, which it never does here.
        let is_local = false;
        let provider = RootProvider::new(RpcClient::new(Http::new(parsed), is_local));
        let mut client = Self { provider, url: url.into(), chain_id: 0 };
        client.chain_id = client.ask("eth_chainId", client.provider.get_chain_id()).await?;
        Ok(client)
    }

    /// The chain's number.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Where the chain is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// One request, within its time.
    async fn ask<T>(
        &self,
        method: &'static str,
        request: impl IntoFuture<Output = TransportResult<T>>,
    ) -> Result<T, LedgerError> {
        let unreachable = |reason: String| LedgerError::Unreachable { url: self.url.to_string(), reason };
        match timeout(REQUEST_TIME_MAX, request.into_future()).await {
            Err(_) => Err(unreachable(format!("`{method}` took more than {} s", REQUEST_TIME_MAX.as_secs()))),
            Ok(Ok(value)) => Ok(value),
            Ok(Err(RpcError::ErrorResp(answer))) => match answer.as_revert_data() {
                Some(data) => Err(LedgerError::Reverted { reason: reason(&data), data }),
                None => Err(LedgerError::Refused { method, code: answer.code, message: quoted(&answer.message) }),
            },
            Ok(Err(RpcError::Transport(TransportErrorKind::Custom(error)))) => Err(unreachable(chain_of(&*error))),
            Ok(Err(RpcError::Transport(error))) => Err(unreachable(error.to_string())),
            Ok(Err(RpcError::DeserError { err, .. })) => Err(LedgerError::Answer { method, reason: err.to_string() }),
            Ok(Err(error)) => Err(LedgerError::Answer { method, reason: error.to_string() }),
        }
    }

    /// Calls a contract without a transaction, on the newest block.
    ///
    /// # Errors
    ///
    /// The contract refuses, or the chain does not answer.
    pub async fn call<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, LedgerError> {
        let request = TransactionRequest::default().to(to).input(TransactionInput::new(call.abi_encode().into()));
        let output = self.ask("eth_call", self.provider.call(request)).await?;
        C::abi_decode_returns(&output)
            .map_err(|error| LedgerError::Answer { method: "eth_call", reason: error.to_string() })
    }

    /// Wei of an account.
    ///
    /// # Errors
    ///
    /// The chain does not answer.
    pub async fn balance(&self, of: Address) -> Result<U256, LedgerError> {
        self.ask("eth_getBalance", self.provider.get_balance(of)).await
    }

    /// Whether a contract lies at an address.
    ///
    /// # Errors
    ///
    /// The chain does not answer.
    pub async fn has_code(&self, at: Address) -> Result<bool, LedgerError> {
        Ok(!self.ask("eth_getCode", self.provider.get_code_at(at)).await?.is_empty())
    }

    /// The newest block's number, and its time in seconds since 1970.
    ///
    /// # Errors
    ///
    /// The chain does not answer, or has no block.
    pub async fn head(&self) -> Result<(u64, u64), LedgerError> {
        let block = self.block(BlockNumberOrTag::Latest).await?;
        let (number, _, _, time) = block
            .ok_or_else(|| LedgerError::Answer { method: "eth_getBlockByNumber", reason: "no block".to_owned() })?;
        Ok((number, time))
    }

    /// The time that the next block will have, as far as anybody knows, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// The chain does not answer.
    pub async fn now(&self) -> Result<u64, LedgerError> {
        let (_, head) = self.head().await?;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // A chain without traffic may have an old head, and a development chain may be ahead of its time.
        Ok(head.max(wall))
    }

    /// Number, hash, parent and time of a block.
    pub(crate) async fn block(&self, which: BlockNumberOrTag) -> Result<Option<(u64, B256, B256, u64)>, LedgerError> {
        let method = "eth_getBlockByNumber";
        let block = self.ask(method, self.provider.get_block_by_number(which)).await?;
        let Some(header) = block.map(|block| block.header) else { return Ok(None) };
        let found = header.inner.number;
        match which.as_number().filter(|expected| *expected != found) {
            Some(expected) => {
                Err(LedgerError::Answer { method, reason: format!("this is block {found}, expected {expected}") })
            }
            None => Ok(Some((found, header.hash, header.inner.parent_hash, header.inner.timestamp))),
        }
    }

    pub(crate) async fn logs(&self, filter: &Filter) -> Result<Vec<Log>, LedgerError> {
        self.ask("eth_getLogs", self.provider.get_logs(filter)).await
    }

    /// A request that only development chains know.
    ///
    /// # Errors
    ///
    /// The chain does not know it, or does not answer.
    pub async fn development<P: serde::Serialize + Clone + std::fmt::Debug + Send + Sync + Unpin + 'static>(
        &self,
        method: &'static str,
        parameters: P,
    ) -> Result<serde_json::Value, LedgerError> {
        self.ask(method, self.provider.raw_request(method.into(), parameters)).await
    }

    /// The receipt of a transaction that is mined.
    async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, LedgerError> {
        let method = "eth_getTransactionReceipt";
        let receipt = self.ask(method, self.provider.get_transaction_receipt(hash)).await?;
        match receipt.as_ref().map(|receipt| receipt.transaction_hash).filter(|found| *found != hash) {
            Some(found) => {
                Err(LedgerError::Answer { method, reason: format!("this is the receipt of {found}, expected {hash}") })
            }
            // Some chains have receipts of what still waits.
            None => Ok(receipt.filter(|receipt| receipt.block_number.is_some())),
        }
    }

    async fn is_known(&self, hash: B256) -> Result<bool, LedgerError> {
        let found = self.ask("eth_getTransactionByHash", self.provider.get_transaction_by_hash(hash)).await?;
        Ok(found.is_some())
    }
}

/// An error with what caused it.
fn chain_of(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A key and its transactions on one chain. They are sent one after the other, each with the next number, and each is signed
/// once: whatever goes wrong on the way, the same bytes are sent again, which a chain takes no more than once.
#[derive(Debug)]
pub struct Account {
    client: Client,
    key: Arc<HostKey>,
    address: Address,
    /// Held while a transaction is on its way.
    sending: Mutex<()>,
}

impl Account {
    /// The account of a key.
    pub fn new(client: Client, key: Arc<HostKey>) -> Self {
        let address = Address::from(*key.address().as_bytes());
        Self { client, key, address, sending: Mutex::new(()) }
    }

    /// Its address.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Its key.
    pub(crate) fn key(&self) -> &HostKey {
        &self.key
    }

    /// The chain.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Calls a contract in a transaction, and waits until it is mined.
    ///
    /// # Errors
    ///
    /// The contract refuses, or the chain: then nothing was sent. [`LedgerError::Pending`] where it was sent and not mined.
    pub async fn send<C: SolCall>(&self, to: Address, call: &C) -> Result<Sent, LedgerError> {
        self.transact(TxKind::Call(to), call.abi_encode().into(), U256::ZERO).await
    }

    /// The same with a call that is encoded already.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub async fn send_encoded(&self, to: Address, call: Vec<u8>) -> Result<Sent, LedgerError> {
        self.transact(TxKind::Call(to), call.into(), U256::ZERO).await
    }

    /// Sends wei.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub async fn pay(&self, to: Address, wei: U256) -> Result<Sent, LedgerError> {
        self.transact(TxKind::Call(to), Bytes::new(), wei).await
    }

    /// Deploys a contract.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub async fn create(&self, code: Bytes) -> Result<(Address, Sent), LedgerError> {
        let sent = self.transact(TxKind::Create, code, U256::ZERO).await?;
        let method = "eth_getTransactionReceipt";
        let address = sent
            .created
            .ok_or_else(|| LedgerError::Answer { method, reason: "the creation names no contract".to_owned() })?;
        Ok((address, sent))
    }

    /// The number of the next transaction.
    ///
    /// # Errors
    ///
    /// The chain does not answer.
    pub async fn nonce(&self) -> Result<u64, LedgerError> {
        let request = self.client.provider.get_transaction_count(self.address()).pending();
        self.client.ask("eth_getTransactionCount", request).await
    }

    async fn transact(&self, kind: TxKind, input: Bytes, value: U256) -> Result<Sent, LedgerError> {
        let _turn = self.sending.lock().await;
        let nonce = self.nonce().await?;
        let mut request = TransactionRequest::default().from(self.address()).value(value);
        request.to = Some(kind);
        request.input = TransactionInput::new(input.clone());
        let provider = &self.client.provider;
        let estimate = self.client.ask("eth_estimateGas", provider.estimate_gas(request.clone())).await?;
        let price = self.client.ask("eth_gasPrice", provider.get_gas_price()).await?;
        let transaction = TxEip1559 {
            chain_id: self.client.chain_id,
            nonce,
            // State may move between the estimate and the block.
            gas_limit: estimate.saturating_add(estimate / 5),
            max_fee_per_gas: price.saturating_mul(2).saturating_add(TIP),
            max_priority_fee_per_gas: TIP,
            to: kind,
            value,
            input,
            ..TxEip1559::default()
        };
        let signature = self.key.sign_digest(Digest::new(transaction.signature_hash().0)).to_bytes();
        let signature = Signature::from_bytes_and_parity(&signature[..64], signature[64] == 28);
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        let receipt = self.deliver(*envelope.tx_hash(), nonce, &envelope.encoded_2718()).await?;
        let block = receipt.block_number.unwrap_or_default();
        if !receipt.status() {
            let again = self.client.ask("eth_call", provider.call(request)).await;
            let reason = again.err().map_or_else(|| "it would succeed now".to_owned(), |error| error.to_string());
            return Err(LedgerError::Failed { hash: receipt.transaction_hash, block, reason });
        }
        Ok(Sent {
            hash: receipt.transaction_hash,
            block,
            gas_used: receipt.gas_used,
            created: receipt.contract_address,
            logs: receipt.inner.logs().to_vec(),
        })
    }

    /// Sends signed bytes until they are mined. A chain that says nothing may have taken them, and one that refuses them may
    /// have taken them before, so they are looked for before anything else is believed.
    async fn deliver(&self, hash: B256, nonce: u64, raw: &[u8]) -> Result<TransactionReceipt, LedgerError> {
        let client = &self.client;
        let start = Instant::now();
        let (mut pause, mut is_taken, mut was_taken) = (POLL_MIN, false, false);
        let mut refused_since = None;
        let mut last = None;
        while start.elapsed() < MINED_TIME_MAX {
            let mut refusal = None;
            if !is_taken {
                match client.ask("eth_sendRawTransaction", client.provider.send_raw_transaction(raw)).await {
                    Ok(_) => (is_taken, was_taken) = (true, true),
                    Err(error) if error.says_nothing() => last = Some(error),
                    Err(error) => refusal = Some(error),
                }
            }
            match client.receipt(hash).await {
                Ok(Some(receipt)) => return Ok(receipt),
                Ok(None) => {}
                // An answer that does not come, or that is none, is asked for again.
                Err(error) => last = Some(error),
            }
            if let Some(refusal) = refusal {
                let since = *refused_since.get_or_insert_with(Instant::now);
                let is_patient = was_taken || since.elapsed() < REFUSED_TIME_MAX;
                is_taken = match self.standing(hash, nonce).await {
                    Ok(Standing::Known) => true,
                    // Where every answer has come and none was a yes, nothing was taken.
                    Ok(Standing::Free) if !is_patient || (last.is_none() && !was_taken) => return Err(refusal),
                    Ok(Standing::Used) if !is_patient => {
                        return Err(LedgerError::Replaced { account: self.address(), nonce, hash });
                    }
                    Ok(Standing::Free | Standing::Used) => false,
                    Err(error) => {
                        last = Some(error);
                        false
                    }
                };
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(POLL_MAX);
            // A chain that went back, or forgot what waited, is given the same bytes again.
            is_taken = is_taken && client.is_known(hash).await.unwrap_or(true);
        }
        let reason = last.map_or_else(|| "it waits".to_owned(), |error| error.to_string());
        Err(LedgerError::Pending { hash, seconds: MINED_TIME_MAX.as_secs(), reason })
    }

    /// What the chain says of a transaction that it refuses and that has no receipt.
    async fn standing(&self, hash: B256, nonce: u64) -> Result<Standing, LedgerError> {
        if self.client.is_known(hash).await? {
            return Ok(Standing::Known);
        }
        let request = self.client.provider.get_transaction_count(self.address());
        let next = self.client.ask("eth_getTransactionCount", request).await?;
        Ok(if next > nonce { Standing::Used } else { Standing::Free })
    }
}

/// What a chain says of a transaction that it refuses.
enum Standing {
    /// It has it.
    Known,
    /// It does not have it, and its number is used.
    Used,
    /// It has neither.
    Free,
}
