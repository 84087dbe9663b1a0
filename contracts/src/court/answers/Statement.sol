// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Shape} from "./Shape.sol";

/// @notice What an answer states besides hashes.
///
/// | bits     | meaning                                    |
/// |----------|--------------------------------------------|
/// | 103..96  | how keys and values are kept: 0 f16, 1 f32 |
/// | 95..64   | tokens of the prompt                       |
/// | 63..32   | tokens of the answer                       |
/// | 31..0    | the temperature, binary32                  |
type Terms is uint256;

using {kv, prompt, output, temperature, positions} for Terms global;

/// @notice What a disputed answer states, and what the judge knows of the model: `court::judge::Statement`.
/// @param modelRoot The model.
/// @param promptRoot The prompt.
/// @param seed What the draws hang on.
/// @param terms What else it states.
/// @param shape The model's.
struct Statement {
    bytes32 modelRoot;
    bytes32 promptRoot;
    bytes32 seed;
    Terms terms;
    Shape shape;
}

/// @dev Packs the terms, in the order of the table.
function packTerms(uint8 kv_, uint32 prompt_, uint32 output_, uint32 temperature_) pure returns (Terms) {
    return Terms.wrap((uint256(kv_) << 96) | (uint256(prompt_) << 64) | (uint256(output_) << 32) | temperature_);
}

/// @dev How keys and values are kept.
function kv(Terms terms) pure returns (uint256) {
    return Terms.unwrap(terms) >> 96;
}

/// @dev Tokens of the prompt.
function prompt(Terms terms) pure returns (uint256) {
    return (Terms.unwrap(terms) >> 64) & 0xffffffff;
}

/// @dev Tokens of the answer.
function output(Terms terms) pure returns (uint256) {
    return (Terms.unwrap(terms) >> 32) & 0xffffffff;
}

/// @dev The temperature.
function temperature(Terms terms) pure returns (uint256) {
    return Terms.unwrap(terms) & 0xffffffff;
}

/// @dev Positions of the trace: every token but the last, which the model never consumed.
function positions(Terms terms) pure returns (uint256) {
    unchecked {
        // There is a token of each kind: `Learning` has seen to it.
        return terms.prompt() + terms.output() - 1;
    }
}
