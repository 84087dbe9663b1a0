//! Filters: what has happened since a client last asked.

use std::collections::HashMap;
use std::sync::PoisonError;

use alloy_primitives::{B256, U128};
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use super::arguments::{Arguments, height};
use super::fault::{Fault, answer, failed};
use super::logs;
use super::reader::Reader;
use crate::devchain::Notice;

/// All filters. Each is known by a number that nobody can guess from another, so that clients do not ask in each other's
/// name by accident.
pub(super) struct Filters {
    open: HashMap<U128, Open>,
    /// Counts questions, to know which filter was asked longest ago.
    asked: u64,
    created: u64,
    max: usize,
}

struct Open {
    kind: Kind,
    asked: u64,
}

enum Kind {
    /// The hashes of new blocks, from a height on.
    Blocks { next: u64 },
    /// Logs of new blocks, from a height on.
    Logs { filter: Box<Filter>, next: u64 },
    /// The hashes of transactions that wait.
    Pending { notices: Receiver<Notice> },
}

/// What has happened since.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum Changes {
    Hashes(Vec<B256>),
    Logs(Vec<Log>),
}

impl Filters {
    pub(super) fn new(max: usize) -> Self {
        Self { open: HashMap::new(), asked: 0, created: 0, max: max.max(1) }
    }

    fn add(&mut self, kind: Kind) -> U128 {
        if self.open.len() >= self.max
            && let Some(oldest) = self.open.iter().min_by_key(|(_, open)| open.asked).map(|(id, _)| *id)
        {
            self.open.remove(&oldest);
        }
        self.created += 1;
        self.asked += 1;
        let hash = alloy_primitives::keccak256(self.created.to_be_bytes());
        let id = U128::from_be_slice(&hash[..16]);
        self.open.insert(id, Open { kind, asked: self.asked });
        id
    }

    fn get(&mut self, id: U128) -> Result<&mut Kind, Fault> {
        self.asked += 1;
        let open = self.open.get_mut(&id).ok_or_else(|| failed("filter not found"))?;
        open.asked = self.asked;
        Ok(&mut open.kind)
    }
}

pub(super) fn register(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_method("eth_newFilter", |params, reader, _| {
        let filter: Filter = Arguments::of(&params).next()?;
        let head = reader.head().number();
        let next = filter.block_option.get_from_block().map_or(head + 1, |from| height(*from, head).max(head + 1));
        Ok::<_, Fault>(reader.filters().add(Kind::Logs { filter: Box::new(filter), next }))
    })?;
    module.register_method("eth_newBlockFilter", |_, reader, _| {
        let next = reader.head().number() + 1;
        answer(reader.filters().add(Kind::Blocks { next }))
    })?;
    module.register_method("eth_newPendingTransactionFilter", |_, reader, _| {
        let notices = reader.devchain.listen();
        answer(reader.filters().add(Kind::Pending { notices }))
    })?;
    module.register_method("eth_uninstallFilter", |params, reader, _| {
        let id: U128 = Arguments::of(&params).next()?;
        Ok::<_, Fault>(reader.filters().open.remove(&id).is_some())
    })?;
    module.register_async_method("eth_getFilterChanges", |params, reader, _| async move {
        let id = Arguments::of(&params).next()?;
        reader.work(move |reader| changes(reader, id)).await
    })?;
    module.register_async_method("eth_getFilterLogs", |params, reader, _| async move {
        let id = Arguments::of(&params).next()?;
        let filter = match reader.filters().get(id)? {
            Kind::Logs { filter, .. } => filter.clone(),
            Kind::Blocks { .. } | Kind::Pending { .. } => return Err(failed("filter has no logs")),
        };
        reader.work(move |reader| logs::search(reader, &filter)).await
    })?;
    Ok(())
}

impl Reader {
    fn filters(&self) -> std::sync::MutexGuard<'_, Filters> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn changes(reader: &Reader, id: U128) -> Result<Changes, Fault> {
    let head = reader.head().number();
    let mut filters = reader.filters();
    match filters.get(id)? {
        Kind::Pending { notices } => Ok(Changes::Hashes(pending(notices))),
        Kind::Blocks { next } => {
            let from = take_range(next, head);
            drop(filters);
            let mut hashes = Vec::new();
            for number in from..=head {
                hashes.extend(reader.block_at(number)?.map(|block| block.hash()));
            }
            Ok(Changes::Hashes(hashes))
        }
        Kind::Logs { filter, next } => {
            let from = take_range(next, head);
            let filter = filter.clone();
            drop(filters);
            let to = match filter.block_option {
                FilterBlockOption::AtBlockHash(_) => return Ok(Changes::Logs(Vec::new())),
                FilterBlockOption::Range { to_block, .. } => to_block.map_or(head, |to| height(to, head).min(head)),
            };
            if from > to {
                return Ok(Changes::Logs(Vec::new()));
            }
            logs::range(reader, &filter, from, to).map(Changes::Logs)
        }
    }
}

/// The first height that has not been told. After blocks were taken back, that is the height where they stood.
fn take_range(next: &mut u64, head: u64) -> u64 {
    let from = (*next).min(head + 1);
    *next = head + 1;
    from
}

fn pending(notices: &mut Receiver<Notice>) -> Vec<B256> {
    let mut hashes = Vec::new();
    loop {
        match notices.try_recv() {
            Ok(Notice::Pending(sent)) => hashes.push(sent.hash()),
            // Who asks too seldom misses the oldest.
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return hashes,
        }
    }
}
