//! Signatures of typed data (EIP-712).

use std::collections::BTreeMap;

use alloy_dyn_abi::TypedData;
use alloy_primitives::{Address, Bytes};
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use serde_json::Value;

use super::arguments::Arguments;
use super::fault::{Fault, IntoFault, arguments, limit};
use super::reader::Reader;
use crate::error::Refusal;
use crate::key::Key;

/// Types that typed data may describe, and the characters of what one of their members is.
const TYPES_MAX: usize = 64;
const TYPE_CHARS_MAX: usize = 64;

/// Members of a type with all that is inside of them. Types that hold one another twice double with every step, so that a few
/// lines can describe more than any machine holds.
const MEMBERS_MAX: usize = 10_000;

pub(super) fn register(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_signTypedData_v4", |params, reader, _| async move {
        let mut arguments = Arguments::of(&params);
        let (address, data): (Address, Value) = (arguments.next()?, arguments.next()?);
        reader.work(move |reader| sign(reader, address, data)).await
    })?;
    Ok(())
}

fn sign(reader: &Reader, address: Address, data: Value) -> Result<Bytes, Fault> {
    // Some clients send it as a text.
    let data = match data {
        Value::String(text) => serde_json::from_str(&text).map_err(|error| arguments(error.to_string()))?,
        other => other,
    };
    check(&data)?;
    let data: TypedData = serde_json::from_value(data).map_err(|error| arguments(error.to_string()))?;
    let hash = data.eip712_signing_hash().map_err(|error| arguments(error.to_string()))?;
    let key = reader.devchain.config().keys.iter().find(|key| key.address() == address);
    let key: &Key = key.ok_or_else(|| Refusal::NoSigner(address).into_fault())?;
    Ok(key.sign(hash).as_bytes().into())
}

/// Whether the types are few enough to be unfolded.
fn check(data: &Value) -> Result<(), Fault> {
    let Some(types) = data.get("types").and_then(Value::as_object) else { return Err(arguments("no types")) };
    if types.len() > TYPES_MAX {
        return Err(limit(format!("{} types, the limit is {TYPES_MAX}", types.len())));
    }
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, members) in types {
        let members = members.as_array().into_iter().flatten();
        let members: Vec<_> = members.filter_map(|member| member.get("type").and_then(Value::as_str)).collect();
        if let Some(long) = members.iter().copied().chain([name.as_str()]).find(|text| text.len() > TYPE_CHARS_MAX) {
            return Err(limit(format!("a type of {} characters, the limit is {TYPE_CHARS_MAX}", long.len())));
        }
        all.insert(name, members);
    }
    let mut known = BTreeMap::new();
    let most = all.keys().map(|name| members(&all, name, all.len(), &mut known)).max();
    if most > Some(MEMBERS_MAX) {
        return Err(limit(format!(
            "a type of more than {MEMBERS_MAX} members, inner ones counted, or one inside of itself"
        )));
    }
    Ok(())
}

/// Members of a type and of all types inside of it, to a depth. One that holds itself has more than any limit.
fn members<'a>(
    types: &BTreeMap<&'a str, Vec<&'a str>>,
    name: &'a str,
    depth: usize,
    known: &mut BTreeMap<&'a str, usize>,
) -> usize {
    if let Some(count) = known.get(name) {
        return *count;
    }
    let Some(inner) = types.get(name) else { return 0 };
    let Some(depth) = depth.checked_sub(1) else { return usize::MAX };
    let mut count = inner.len();
    // Whatever stands around a name makes an array or a tuple of it.
    let is_name = |character: char| character.is_alphanumeric() || "_$".contains(character);
    for member in inner.iter().flat_map(|member| member.split(|character| !is_name(character))) {
        count = count.saturating_add(members(types, member, depth, known));
    }
    known.insert(name, count);
    count
}
