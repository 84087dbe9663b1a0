// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, fromBits} from "./Binary32.sol";
import {Conversions} from "./Conversions.sol";
import {WeightType} from "./WeightType.sol";
import {Words} from "./Words.sol";

/// @notice Weights of F32, F16 and BF16 times activations as they are: `acc = acc + w * x`, one chain, section 2 of
/// `docs/arithmetic.md`.
library Floats {
    /// @notice `accumulator` and all products, upwards. The caller has compared the lengths.
    function run(WeightType kind, bytes calldata weights, bytes calldata activations, F32 accumulator)
        internal
        pure
        returns (F32)
    {
        unchecked {
            for (uint256 offset; offset < activations.length; offset += 32) {
                uint256 x = Words.swapped(Words.load(activations, offset));
                uint256 w = eight(kind, weights, offset);
                uint256 rest = activations.length - offset;
                uint256 last = rest < 32 ? 256 - 8 * rest : 0;
                for (uint256 shift = 256; shift > last;) {
                    shift -= 32;
                    accumulator = accumulator + fromBits(w >> shift) * fromBits(x >> shift);
                }
            }
            return accumulator;
        }
    }

    /// @dev The eight weights from the one of activation byte `offset` on, as words of binary32.
    function eight(WeightType kind, bytes calldata weights, uint256 offset) private pure returns (uint256 words) {
        unchecked {
            if (kind == WeightType.F32) return Words.swapped(Words.load(weights, offset));
            uint256 halves = Words.swappedPairs(Words.load(weights, offset >> 1));
            for (uint256 shift = 256; shift > 128;) {
                shift -= 16;
                uint256 half = (halves >> shift) & 0xffff;
                F32 w = kind == WeightType.F16 ? Conversions.fromF16(half) : Conversions.fromBf16(half);
                words = (words << 32) | F32.unwrap(w);
            }
        }
    }
}
