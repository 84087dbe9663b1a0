// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Sha256} from "../../src/court/Sha256.sol";
import {TraceTree} from "../../src/court/TraceTree.sol";

/// @notice One word of a trace.
struct Entry {
    uint64 position;
    uint32 word;
}

/// @notice A trace of `2^(6 levels)` words, of which only these are not 0.
struct Trace {
    uint8 levels;
    Entry[] entries;
}

using {wordAt, wordsAt, tileAt, nodeAt, childrenAt, siblingsAt, rootOf, withWord, withRoots, heightOf} for Trace global;

/// @dev Height of the root.
function heightOf(Trace memory trace) pure returns (uint256) {
    return 6 * uint256(trace.levels);
}

function wordAt(Trace memory trace, uint256 position) pure returns (uint32) {
    for (uint256 i; i < trace.entries.length; ++i) {
        if (trace.entries[i].position == position) return trace.entries[i].word;
    }
    return 0;
}

/// @dev The bytes of `count` words.
function wordsAt(Trace memory trace, uint256 position, uint256 count) pure returns (bytes memory words) {
    words = new bytes(4 * count);
    for (uint256 i; i < count; ++i) {
        uint32 word = wordAt(trace, position + i);
        for (uint256 j; j < 4; ++j) {
            words[4 * i + j] = bytes1(uint8(word >> (8 * j)));
        }
    }
}

function tileAt(Trace memory trace, uint256 index) pure returns (bytes memory) {
    return wordsAt(trace, 16 * index, 16);
}

/// @dev Node `index` of a height.
function nodeAt(Trace memory trace, uint256 height, uint256 index) view returns (bytes32) {
    Trace memory part = under(trace, height, index);
    if (part.entries.length == 0) return TraceTree.zero(height);
    if (height == 4) return Sha256.leafOf(tileAt(part, index));
    return Sha256.node(nodeAt(part, height - 1, 2 * index), nodeAt(part, height - 1, 2 * index + 1));
}

/// @dev What of a trace lies under a node and is not 0.
function under(Trace memory trace, uint256 height, uint256 index) pure returns (Trace memory part) {
    Entry[] memory entries = new Entry[](trace.entries.length);
    uint256 count;
    for (uint256 i; i < trace.entries.length; ++i) {
        Entry memory entry = trace.entries[i];
        if (entry.word != 0 && entry.position >> height == index) entries[count++] = entry;
    }
    part.levels = trace.levels;
    part.entries = new Entry[](count);
    for (uint256 i; i < count; ++i) {
        part.entries[i] = entries[i];
    }
}

function rootOf(Trace memory trace) view returns (bytes32) {
    return nodeAt(trace, heightOf(trace), 0);
}

/// @dev The 64 nodes six heights below node `index` of a height.
function childrenAt(Trace memory trace, uint256 height, uint256 index) view returns (bytes32[64] memory children) {
    bytes32 zero = TraceTree.zero(height - 6);
    Trace memory part = under(trace, height, index);
    for (uint256 i; i < 64; ++i) {
        children[i] = zero;
    }
    for (uint256 i; i < part.entries.length; ++i) {
        uint256 child = part.entries[i].position >> (height - 6);
        if (children[child % 64] == zero) children[child % 64] = nodeAt(part, height - 6, child);
    }
}

/// @dev The siblings on the way from a node to the height `top`.
function siblingsAt(Trace memory trace, uint256 height, uint256 index, uint256 top)
    view
    returns (bytes32[] memory siblings)
{
    siblings = new bytes32[](top - height);
    for (uint256 i; i < siblings.length; ++i) {
        siblings[i] = nodeAt(trace, height + i, (index >> i) ^ 1);
    }
}

/// @dev The same trace but for one word.
function withWord(Trace memory trace, uint256 position, uint32 word) pure returns (Trace memory other) {
    other.levels = trace.levels;
    other.entries = new Entry[](trace.entries.length + 1);
    // The first that is found counts.
    other.entries[0] = Entry(uint64(position), word);
    for (uint256 i; i < trace.entries.length; ++i) {
        other.entries[i + 1] = trace.entries[i];
        if (trace.entries[i].position == position) other.entries[i + 1] = other.entries[0];
    }
}

/// @dev The same trace with two digests in its last tile.
function withRoots(Trace memory trace, bytes32 states, bytes32 outputs) pure returns (Trace memory other) {
    other = trace;
    uint256 last = 2 ** heightOf(trace) - 16;
    for (uint256 i; i < 16; ++i) {
        bytes32 digest = i < 8 ? states : outputs;
        uint32 word;
        for (uint256 j; j < 4; ++j) {
            word |= uint32(uint8(digest[4 * (i % 8) + j])) << uint32(8 * j);
        }
        other = other.withWord(last + i, word);
    }
}
