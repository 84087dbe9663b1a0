//! A Merkle Patricia trie whose versions share what they have in common.
//!
//! Changing a trie makes the nodes on the way to the leaf anew and leaves the old version as it was. A chain can thus keep
//! the state after each of its blocks, go back to any of them at once, and hash only what a block changed. Keys are hashes
//! of 32 bytes, as in the tries of Ethereum, so that no key is the beginning of another and a branch holds no value.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{B256, keccak256};
use alloy_rlp::{BufMut, EMPTY_STRING_CODE, Encodable as _, Header};

/// The root of a trie without leaves: the hash of an empty string in RLP.
pub(crate) const EMPTY_ROOT: B256 = alloy_consensus::constants::EMPTY_ROOT_HASH;

/// Nibbles of a key.
const KEY_NIBBLES: usize = 64;

/// What lies at the end of a path.
pub(crate) trait Leaf: Clone {
    /// Appends the RLP that the root commits to.
    fn encode(&self, out: &mut Vec<u8>);

    /// Whether two versions of a leaf are the same in all that counts.
    fn is_same(&self, other: &Self) -> bool;
}

/// One version of a trie. Cloning it is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Trie<L> {
    root: Option<Arc<Node<L>>>,
}

#[derive(Debug)]
struct Node<L> {
    kind: Kind<L>,
    /// How the node's parent refers to it, once it has been asked for.
    reference: OnceLock<Reference>,
}

/// Where a node begins is known from the way to it: the number of nibbles above it.
#[derive(Debug)]
enum Kind<L> {
    Leaf {
        key: B256,
        leaf: L,
    },
    /// `length` nibbles that all keys below have in common; `key` is one of these keys. The child is a branch.
    Extension {
        key: B256,
        length: usize,
        child: Arc<Node<L>>,
    },
    Branch([Option<Arc<Node<L>>>; 16]),
}

/// A node's RLP when that is shorter than a hash, else the RLP of its hash.
#[derive(Debug, Clone, Copy)]
struct Reference {
    bytes: [u8; 33],
    length: u8,
}

impl Reference {
    fn of(rlp: &[u8]) -> Self {
        let mut bytes = [0; 33];
        let length = if rlp.len() < 32 {
            bytes[..rlp.len()].copy_from_slice(rlp);
            rlp.len()
        } else {
            bytes[0] = EMPTY_STRING_CODE + 32;
            bytes[1..].copy_from_slice(keccak256(rlp).as_slice());
            33
        };
        Self { bytes, length: length as u8 }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

fn nibble(key: &B256, index: usize) -> usize {
    let byte = key.0[index / 2];
    usize::from(if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 })
}

/// How many nibbles two keys have in common from `start` on.
fn common(left: &B256, right: &B256, start: usize) -> usize {
    (start..KEY_NIBBLES).take_while(|index| nibble(left, *index) == nibble(right, *index)).count()
}

/// What is left of a subtrie without one of its leaves.
enum Removed<L> {
    Unchanged,
    Nothing,
    Changed(Arc<Node<L>>),
}

impl<L> Default for Trie<L> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<L: Leaf> Trie<L> {
    /// The leaf of a key.
    pub(crate) fn get(&self, key: &B256) -> Option<&L> {
        let mut node = self.root.as_deref()?;
        let mut depth = 0;
        loop {
            match &node.kind {
                Kind::Leaf { key: found, leaf } => return (found == key).then_some(leaf),
                Kind::Extension { key: found, length, child } => {
                    if common(found, key, depth) < *length {
                        return None;
                    }
                    depth += length;
                    node = child;
                }
                Kind::Branch(children) => {
                    node = children[nibble(key, depth)].as_deref()?;
                    depth += 1;
                }
            }
        }
    }

    /// Puts a leaf in the place of the one that the key had, if it had one.
    pub(crate) fn insert(&mut self, key: B256, leaf: L) {
        self.root = Some(match self.root.take() {
            None => Node::leaf(key, leaf),
            Some(root) => root.with(key, leaf, 0),
        });
    }

    /// Takes the key's leaf out, if it has one.
    pub(crate) fn remove(&mut self, key: &B256) {
        if let Some(root) = &self.root {
            match root.without(key, 0) {
                Removed::Unchanged => {}
                Removed::Nothing => self.root = None,
                Removed::Changed(node) => self.root = Some(node),
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Whether both are the same version, or at least made of the same nodes. Tries of equal content can differ here.
    pub(crate) fn is_shared_with(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        }
    }

    /// The hash that commits to all keys and leaves.
    pub(crate) fn root(&self) -> B256 {
        self.root.as_ref().map_or(EMPTY_ROOT, |root| keccak256(root.rlp(0)))
    }

    /// The RLP of each node on the way to a key, from the root on: the proof of its leaf, or that it has none.
    pub(crate) fn proof(&self, key: &B256) -> Vec<Vec<u8>> {
        let mut proof = Vec::new();
        if self.root.is_none() {
            // What the root of an empty trie is the hash of.
            proof.push(vec![EMPTY_STRING_CODE]);
        }
        let mut at = self.root.as_deref().map(|root| (root, 0));
        while let Some((node, depth)) = at {
            let rlp = node.rlp(depth);
            // A node inside its parent is shown by the parent's RLP.
            if depth == 0 || rlp.len() >= 32 {
                proof.push(rlp);
            }
            at = match &node.kind {
                Kind::Leaf { .. } => None,
                Kind::Extension { key: found, length, child } => {
                    (common(found, key, depth) >= *length).then_some((&**child, depth + length))
                }
                Kind::Branch(children) => children[nibble(key, depth)].as_deref().map(|child| (child, depth + 1)),
            };
        }
        proof
    }

    /// Shows each leaf that differs between an older version and this one: what it was and what it is.
    pub(crate) fn difference(&self, old: &Self, show: &mut impl FnMut(Option<&L>, Option<&L>)) {
        let cursor = |root: &'_ Option<Arc<Node<L>>>| root.clone().map(|node| Cursor { node, depth: 0 });
        difference(cursor(&old.root), cursor(&self.root), 0, show);
    }
}

/// A node and the number of nibbles above it.
struct Cursor<L> {
    node: Arc<Node<L>>,
    depth: usize,
}

impl<L: Leaf> Cursor<L> {
    /// What lies below one nibble more, also inside of a leaf's or an extension's path.
    fn child(&self, at: usize, index: usize) -> Option<Self> {
        match &self.node.kind {
            Kind::Branch(children) => children[index].clone().map(|node| Self { node, depth: at + 1 }),
            Kind::Leaf { key, .. } => (nibble(key, at) == index).then(|| self.clone()),
            Kind::Extension { key, length, child } => (nibble(key, at) == index).then(|| {
                let end = self.depth + length;
                if at + 1 == end { Self { node: child.clone(), depth: end } } else { self.clone() }
            }),
        }
    }
}

impl<L> Clone for Cursor<L> {
    fn clone(&self) -> Self {
        Self { node: self.node.clone(), depth: self.depth }
    }
}

fn difference<L: Leaf>(
    old: Option<Cursor<L>>,
    new: Option<Cursor<L>>,
    at: usize,
    show: &mut impl FnMut(Option<&L>, Option<&L>),
) {
    match (old, new) {
        (None, None) => {}
        (Some(old), None) => old.node.for_each(&mut |leaf| show(Some(leaf), None)),
        (None, Some(new)) => new.node.for_each(&mut |leaf| show(None, Some(leaf))),
        (Some(old), Some(new)) => match (&old.node.kind, &new.node.kind) {
            _ if Arc::ptr_eq(&old.node, &new.node) => {}
            (Kind::Leaf { key: old_key, leaf: old }, Kind::Leaf { key: new_key, leaf: new }) => {
                if old_key != new_key {
                    show(Some(old), None);
                    show(None, Some(new));
                } else if !old.is_same(new) {
                    show(Some(old), Some(new));
                }
            }
            _ => {
                for index in 0..16 {
                    difference(old.child(at, index), new.child(at, index), at + 1, show);
                }
            }
        },
    }
}

impl<L: Leaf> Node<L> {
    fn new(kind: Kind<L>) -> Arc<Self> {
        Arc::new(Self { kind, reference: OnceLock::new() })
    }

    fn leaf(key: B256, leaf: L) -> Arc<Self> {
        Self::new(Kind::Leaf { key, leaf })
    }

    /// A branch below the nibbles that its keys have in common, if there are such.
    fn below(key: B256, length: usize, branch: Arc<Self>) -> Arc<Self> {
        if length == 0 { branch } else { Self::new(Kind::Extension { key, length, child: branch }) }
    }

    /// A branch of two subtries whose keys part at `depth`.
    fn fork(depth: usize, one: (B256, Arc<Self>), other: (B256, Arc<Self>)) -> Arc<Self> {
        let mut children = [const { None }; 16];
        children[nibble(&one.0, depth)] = Some(one.1);
        children[nibble(&other.0, depth)] = Some(other.1);
        Self::new(Kind::Branch(children))
    }

    /// This subtrie with one leaf more, or with another one in its place.
    fn with(&self, key: B256, leaf: L, depth: usize) -> Arc<Self> {
        match &self.kind {
            Kind::Leaf { key: found, .. } if *found == key => Self::leaf(key, leaf),
            Kind::Leaf { key: found, leaf: old } => {
                let shared = common(found, &key, depth);
                let old = (*found, Self::leaf(*found, old.clone()));
                let branch = Self::fork(depth + shared, old, (key, Self::leaf(key, leaf)));
                Self::below(key, shared, branch)
            }
            Kind::Extension { key: found, length, child } => {
                let shared = common(found, &key, depth).min(*length);
                if shared == *length {
                    let child = child.with(key, leaf, depth + length);
                    return Self::new(Kind::Extension { key: *found, length: *length, child });
                }
                let rest = Self::below(*found, length - shared - 1, child.clone());
                let branch = Self::fork(depth + shared, (*found, rest), (key, Self::leaf(key, leaf)));
                Self::below(key, shared, branch)
            }
            Kind::Branch(children) => {
                let mut children = children.clone();
                let place = &mut children[nibble(&key, depth)];
                *place = Some(match place.take() {
                    None => Self::leaf(key, leaf),
                    Some(child) => child.with(key, leaf, depth + 1),
                });
                Self::new(Kind::Branch(children))
            }
        }
    }

    fn without(&self, key: &B256, depth: usize) -> Removed<L> {
        match &self.kind {
            Kind::Leaf { key: found, .. } if found == key => Removed::Nothing,
            Kind::Leaf { .. } => Removed::Unchanged,
            Kind::Extension { key: found, length, child } => {
                if common(found, key, depth) < *length {
                    return Removed::Unchanged;
                }
                match child.without(key, depth + length) {
                    Removed::Changed(node) => Removed::Changed(node.lifted(*found, *length)),
                    // Two leaves at least lie below a branch, so that something is left of it.
                    Removed::Unchanged | Removed::Nothing => Removed::Unchanged,
                }
            }
            Kind::Branch(children) => {
                let index = nibble(key, depth);
                let Some(child) = &children[index] else { return Removed::Unchanged };
                let rest = match child.without(key, depth + 1) {
                    Removed::Unchanged => return Removed::Unchanged,
                    Removed::Nothing => None,
                    Removed::Changed(node) => Some(node),
                };
                let mut children = children.clone();
                children[index] = rest;
                let mut left = children.iter().flatten();
                match (left.next(), left.next()) {
                    (Some(only), None) => Removed::Changed(only.lifted(only.any_key(), 1)),
                    _ => Removed::Changed(Self::new(Kind::Branch(children))),
                }
            }
        }
    }

    /// The node `by` nibbles nearer to the root, where nothing else is left beside it.
    fn lifted(self: &Arc<Self>, key: B256, by: usize) -> Arc<Self> {
        match &self.kind {
            Kind::Leaf { key, leaf } => Self::leaf(*key, leaf.clone()),
            Kind::Extension { key, length, child } => {
                Self::new(Kind::Extension { key: *key, length: length + by, child: child.clone() })
            }
            Kind::Branch(_) => Self::new(Kind::Extension { key, length: by, child: self.clone() }),
        }
    }

    /// A key of this subtrie.
    fn any_key(&self) -> B256 {
        let mut node = self;
        loop {
            match &node.kind {
                Kind::Leaf { key, .. } | Kind::Extension { key, .. } => return *key,
                Kind::Branch(children) => {
                    node = children.iter().flatten().next().expect("a branch has two children at least");
                }
            }
        }
    }

    fn for_each(&self, show: &mut impl FnMut(&L)) {
        match &self.kind {
            Kind::Leaf { leaf, .. } => show(leaf),
            Kind::Extension { child, .. } => child.for_each(show),
            Kind::Branch(children) => children.iter().flatten().for_each(|child| child.for_each(show)),
        }
    }

    fn reference(&self, depth: usize) -> Reference {
        *self.reference.get_or_init(|| Reference::of(&self.rlp(depth)))
    }

    fn rlp(&self, depth: usize) -> Vec<u8> {
        let mut payload = Vec::with_capacity(17 * 33);
        match &self.kind {
            Kind::Leaf { key, leaf } => {
                let mut value = Vec::with_capacity(112);
                leaf.encode(&mut value);
                encode_path(key, depth, KEY_NIBBLES, 2).as_slice().encode(&mut payload);
                value.as_slice().encode(&mut payload);
            }
            Kind::Extension { key, length, child } => {
                encode_path(key, depth, depth + length, 0).as_slice().encode(&mut payload);
                payload.put_slice(child.reference(depth + length).as_slice());
            }
            Kind::Branch(children) => {
                for child in children {
                    match child {
                        None => payload.put_u8(EMPTY_STRING_CODE),
                        Some(child) => payload.put_slice(child.reference(depth + 1).as_slice()),
                    }
                }
                payload.put_u8(EMPTY_STRING_CODE);
            }
        }
        let mut rlp = Vec::with_capacity(payload.len() + 3);
        Header { list: true, payload_length: payload.len() }.encode(&mut rlp);
        rlp.append(&mut payload);
        rlp
    }
}

/// Nibbles `start..end` of a key as bytes, after a nibble that holds `flag` and whether their number is odd.
fn encode_path(key: &B256, start: usize, end: usize, flag: u8) -> Vec<u8> {
    let mut path = Vec::with_capacity(1 + (end - start) / 2);
    let is_odd = !(end - start).is_multiple_of(2);
    let mut at = start;
    path.push(if is_odd {
        at += 1;
        ((flag | 1) << 4) | nibble(key, start) as u8
    } else {
        flag << 4
    });
    while at < end {
        path.push(((nibble(key, at) << 4) | nibble(key, at + 1)) as u8);
        at += 2;
    }
    path
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::BTreeMap;

    use alloy_primitives::{B256, U256, keccak256};
    use alloy_rlp::Encodable as _;

    use super::{Leaf, Trie};

    /// A number under the hash of another.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Number {
        key: B256,
        value: u64,
    }

    impl Leaf for Number {
        fn encode(&self, out: &mut Vec<u8>) {
            self.value.encode(out);
        }

        fn is_same(&self, other: &Self) -> bool {
            self == other
        }
    }

    /// The root of the same numbers by another implementation, which knows all of them at once.
    fn expected(model: &BTreeMap<B256, u64>) -> B256 {
        let slots = model.iter().map(|(key, value)| (*key, U256::from(*value)));
        alloy_trie::root::storage_root_unsorted(slots)
    }

    /// Keys that are no hashes: they share long beginnings and endings.
    fn key(random: u64) -> B256 {
        let mut key = if random.is_multiple_of(3) { keccak256(random.to_le_bytes()) } else { B256::ZERO };
        key.0[(random % 32) as usize] = (random >> 8) as u8 & 0x33;
        key
    }

    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    #[test]
    fn roots_are_those_of_another_implementation() {
        for seed in 0..20 {
            let (mut state, mut trie, mut model) = (seed, Trie::default(), BTreeMap::new());
            for step in 0..200 {
                let key = key(random(&mut state) % 97);
                if random(&mut state).is_multiple_of(3) {
                    trie.remove(&key);
                    model.remove(&key);
                } else {
                    let value = random(&mut state) + 1;
                    trie.insert(key, Number { key, value });
                    model.insert(key, value);
                }
                assert_eq!(trie.get(&key).map(|number| number.value), model.get(&key).copied());
                if step % 7 == 0 {
                    assert_eq!(trie.root(), expected(&model), "seed {seed}, step {step}");
                }
            }
            for key in model.keys().copied().collect::<Vec<_>>() {
                trie.remove(&key);
                model.remove(&key);
                assert_eq!(trie.root(), expected(&model), "seed {seed}");
            }
            assert!(trie.is_empty());
        }
    }

    #[test]
    fn old_versions_stay_and_differences_lead_from_one_to_the_other() {
        let mut state = 7;
        let mut versions = vec![(Trie::default(), BTreeMap::new())];
        for _ in 0..40 {
            let (mut trie, mut model) = versions.last().cloned().unwrap();
            for _ in 0..random(&mut state) % 9 {
                let key = key(random(&mut state) % 61);
                if random(&mut state).is_multiple_of(2) {
                    trie.remove(&key);
                    model.remove(&key);
                } else {
                    let value = random(&mut state) % 5 + 1;
                    trie.insert(key, Number { key, value });
                    model.insert(key, value);
                }
            }
            versions.push((trie, model));
        }
        for (old, from) in &versions {
            assert_eq!(old.root(), expected(from));
            for (new, to) in versions.iter().step_by(5) {
                let mut model = from.clone();
                new.difference(old, &mut |was, is| {
                    assert_ne!(was, is);
                    if let Some(was) = was {
                        assert_eq!(model.remove(&was.key), Some(was.value));
                    }
                    if let Some(is) = is {
                        model.insert(is.key, is.value);
                    }
                });
                assert_eq!(&model, to);
            }
        }
    }

    #[test]
    fn proofs_are_accepted_by_another_implementation() {
        let (mut trie, mut state) = (Trie::default(), 3);
        for _ in 0..50 {
            let key = keccak256(random(&mut state).to_le_bytes());
            trie.insert(key, Number { key, value: random(&mut state) + 1 });
        }
        let mut keys: Vec<B256> = (0..20_u64).map(|number| keccak256(number.to_be_bytes())).collect();
        trie.difference(&Trie::default(), &mut |_, is| keys.extend(is.map(|number| number.key)));
        assert_eq!(keys.len(), 70);
        for key in keys {
            let value = trie.get(&key).map(|number| alloy_rlp::encode(number.value));
            let proof: Vec<_> = trie.proof(&key).into_iter().map(alloy_primitives::Bytes::from).collect();
            let path = alloy_trie::Nibbles::unpack(key);
            alloy_trie::proof::verify_proof(trie.root(), path, value, &proof).unwrap();
        }
    }
}
