//! Subscriptions over WebSocket.

use alloy_rpc_types_eth::Filter;
use jsonrpsee::core::{RegisterMethodError, to_json_raw_value};
use jsonrpsee::server::SubscriptionSink;
use jsonrpsee::{PendingSubscriptionSink, RpcModule};
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::arguments::Arguments;
use super::fault::{Fault, arguments};
use super::reader::Reader;
use super::wire;
use crate::devchain::Notice;

/// What can be subscribed to.
enum Topic {
    Heads,
    Logs(Box<Filter>),
    Pending {
        full: bool,
    },
    /// This chain has nobody to catch up with, so that nothing is ever told.
    Syncing,
}

pub(super) fn register(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_subscription(
        "eth_subscribe",
        "eth_subscription",
        "eth_unsubscribe",
        |params, pending: PendingSubscriptionSink, reader, _| async move {
            let topic = match topic(&mut Arguments::of(&params)) {
                Ok(topic) => topic,
                Err(fault) => return pending.reject(fault).await,
            };
            // From here on, so that nothing is missed that happens while the client learns the subscription's number.
            let notices = reader.devchain.listen();
            if let Ok(sink) = pending.accept().await {
                tell(&sink, &topic, notices).await;
            }
        },
    )?;
    Ok(())
}

fn topic(arguments: &mut Arguments<'_>) -> Result<Topic, Fault> {
    let name: String = arguments.next()?;
    match name.as_str() {
        "newHeads" => Ok(Topic::Heads),
        "logs" => Ok(Topic::Logs(arguments.optional()?.unwrap_or_default())),
        "newPendingTransactions" => Ok(Topic::Pending { full: arguments.optional()?.unwrap_or(false) }),
        "syncing" => Ok(Topic::Syncing),
        _ => Err(self::arguments(format!("no subscription is called {name:?}"))),
    }
}

/// Tells a client what happens, until it goes away or cannot keep up.
async fn tell(sink: &SubscriptionSink, topic: &Topic, mut notices: Receiver<Notice>) {
    loop {
        let notice = tokio::select! {
            () = sink.closed() => return,
            notice = notices.recv() => notice,
        };
        let told = match notice {
            Ok(notice) => show(sink, topic, &notice).await,
            // A client that has missed something must not believe that it has not: the subscription ends.
            Err(RecvError::Lagged(_) | RecvError::Closed) => return,
        };
        if told.is_none() {
            return;
        }
    }
}

async fn show(sink: &SubscriptionSink, topic: &Topic, notice: &Notice) -> Option<()> {
    match (topic, notice) {
        (Topic::Heads, Notice::Block(block)) => send(sink, &wire::header(block)).await,
        (Topic::Logs(filter), Notice::Block(block)) => {
            for log in wire::logs(block, filter) {
                send(sink, &log).await?;
            }
            Some(())
        }
        (Topic::Logs(filter), Notice::Reverted(gone)) => {
            for block in gone.iter().rev() {
                for log in wire::logs(block, filter).into_iter().rev() {
                    send(sink, &alloy_rpc_types_eth::Log { removed: true, ..log }).await?;
                }
            }
            Some(())
        }
        (Topic::Pending { full: false }, Notice::Pending(sent)) => send(sink, &sent.hash()).await,
        (Topic::Pending { full: true }, Notice::Pending(sent)) => send(sink, &wire::waiting(sent)).await,
        _ => Some(()),
    }
}

async fn send(sink: &SubscriptionSink, message: &impl Serialize) -> Option<()> {
    let message = to_json_raw_value(message).ok()?;
    sink.send(message).await.ok()
}
