// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @dev A domain-separation string of Candor, as it starts a hash.
///
///     first byte     length of the text, at most 31
///     then           the text in ASCII
///     then           zeros
type Domain is bytes32;

using {size} for Domain global;

/// @dev How many bytes of the word are hashed.
function size(Domain domain) pure returns (uint256) {
    // No string is longer than 31 bytes, so this is at most 32.
    return uint8(bytes1(Domain.unwrap(domain))) + uint256(1);
}

/// @title The domains of what a contract opens
/// @notice `crates/claim/src/domain.rs` has all of them and says what each is for.
library Domains {
    Domain internal constant PROMPT = Domain.wrap("\x0fcandor/1/prompt");
    Domain internal constant SAMPLING = Domain.wrap("\x11candor/1/sampling");
    Domain internal constant DRAW = Domain.wrap("\x0dcandor/1/draw");
    Domain internal constant OUTPUT_CHAIN = Domain.wrap("\x0fcandor/1/output");
    Domain internal constant STATE = Domain.wrap("\x0ecandor/1/state");
    Domain internal constant STATE_CHAIN = Domain.wrap("\x0fcandor/1/states");
    Domain internal constant MODEL = Domain.wrap("\x0ecandor/1/model");
    Domain internal constant MODEL_CONFIG = Domain.wrap("\x15candor/1/model/config");
    Domain internal constant MODEL_TENSOR = Domain.wrap("\x15candor/1/model/tensor");
    Domain internal constant MODEL_PART = Domain.wrap("\x13candor/1/model/part");
    Domain internal constant MODEL_ROTARY = Domain.wrap("\x15candor/1/model/rotary");
}
