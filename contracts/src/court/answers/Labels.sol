// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @dev A piece of the name of a part of a model.
///
///     first byte     length of the text, at most 31
///     then           the text in ASCII
///     then           zeros
type Label is bytes32;

using {size} for Label global;

/// @dev Bytes of the text.
function size(Label label) pure returns (uint256) {
    return uint8(bytes1(Label.unwrap(label)));
}

/// @title Pieces of names of parts
library Labels {
    Label internal constant NONE = Label.wrap(0);
    Label internal constant TENSOR = Label.wrap("\x07tensor/");
    Label internal constant LAYER = Label.wrap("\x0btensor/blk.");

    Label internal constant EMBEDDING = Label.wrap("\x11token_embd.weight");
    Label internal constant OUTPUT = Label.wrap("\x0doutput.weight");
    Label internal constant FINAL_NORM = Label.wrap("\x12output_norm.weight");
    Label internal constant ROTARY = Label.wrap("\x06rotary");
    Label internal constant ROTARY_LOCAL = Label.wrap("\x0crotary-local");

    Label internal constant QUERY = Label.wrap("\x0e.attn_q.weight");
    Label internal constant KEY = Label.wrap("\x0e.attn_k.weight");
    Label internal constant VALUE = Label.wrap("\x0e.attn_v.weight");
    Label internal constant QUERY_BIAS = Label.wrap("\x0c.attn_q.bias");
    Label internal constant KEY_BIAS = Label.wrap("\x0c.attn_k.bias");
    Label internal constant VALUE_BIAS = Label.wrap("\x0c.attn_v.bias");
    Label internal constant ATTENTION_OUTPUT = Label.wrap("\x13.attn_output.weight");
    Label internal constant GATE = Label.wrap("\x10.ffn_gate.weight");
    Label internal constant UP = Label.wrap("\x0e.ffn_up.weight");
    Label internal constant DOWN = Label.wrap("\x10.ffn_down.weight");
    Label internal constant ATTENTION_NORM = Label.wrap("\x11.attn_norm.weight");
    Label internal constant ATTENTION_POST_NORM = Label.wrap("\x1b.post_attention_norm.weight");
    Label internal constant QUERY_NORM = Label.wrap("\x13.attn_q_norm.weight");
    Label internal constant KEY_NORM = Label.wrap("\x13.attn_k_norm.weight");
    Label internal constant FEED_NORM = Label.wrap("\x10.ffn_norm.weight");
    Label internal constant FEED_POST_NORM = Label.wrap("\x15.post_ffw_norm.weight");

    /// @notice A number below 1000 in decimal digits.
    function decimal(uint256 number) internal pure returns (Label) {
        unchecked {
            uint256 digits = 48 + number % 10;
            uint256 count = 1;
            if (number > 9) {
                digits |= (48 + number / 10 % 10) << 8;
                count = 2;
            }
            if (number > 99) {
                digits |= (48 + number / 100) << 16;
                count = 3;
            }
            return Label.wrap(bytes32((count << 248) | (digits << (248 - 8 * count))));
        }
    }
}
