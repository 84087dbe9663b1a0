// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32} from "../../judge/Binary32.sol";

/// @notice How a step came out.
enum Outcome {
    /// Its words were computed.
    Words,
    /// The disputed word cannot be what it is, whatever the right one may be.
    Impossible,
    /// The computation leaves the finite numbers.
    NotFinite,
    /// The working has not as many words as it must have.
    Malformed,
    /// There is no such step.
    NoSuchStep
}

/// @notice What a step computes: `court::judge::Step`.
/// @param outcome How it came out.
/// @param isWord Whether the words are the disputed word and not words of the working.
/// @param target First word of the working that they are: a multiple of their number, which is a power of two up to 16.
/// @param count How many they are.
/// @param low The first eight of them, the first one uppermost.
/// @param high The others.
struct Found {
    Outcome outcome;
    bool isWord;
    uint256 target;
    uint256 count;
    uint256 low;
    uint256 high;
}

/// @title Ways in which a step comes out
/// @dev Unchecked: shifts stay within a word.
library Findings {
    uint256 private constant INFINITIES = 0x7f8000007f8000007f8000007f8000007f8000007f8000007f8000007f800000;
    uint256 private constant LAST_EXPONENT_BITS = 0x0080000000800000008000000080000000800000008000000080000000800000;
    uint256 private constant SIGNS = 0x8000000080000000800000008000000080000000800000008000000080000000;

    /// @notice No words.
    function without(Outcome outcome) internal pure returns (Found memory found) {
        found.outcome = outcome;
    }

    /// @notice The disputed word.
    function word(uint256 x) internal pure returns (Found memory found) {
        found.isWord = true;
        found.count = 1;
        found.low = x << 224;
    }

    /// @notice Words of the working that are no numbers, or numbers known to be finite: at most eight, the first one uppermost.
    function words(uint256 target, uint256 count, uint256 all) internal pure returns (Found memory found) {
        (found.target, found.count, found.low) = (target, count, all);
    }

    /// @notice The disputed word, as a number.
    function number(F32 x) internal pure returns (Found memory found) {
        found = word(F32.unwrap(x));
        if (!x.isFinite()) found.outcome = Outcome.NotFinite;
    }

    /// @notice Words of the working, as numbers: the first `count` of 16 lanes in two words, the lowest uppermost.
    function numbers(uint256 target, uint256 count, uint256 low, uint256 high)
        internal
        pure
        returns (Found memory found)
    {
        unchecked {
            found = words(target, count, low);
            found.high = high;
            // The exponent of what is not finite is all ones: one more in its last place carries into the sign, which was taken off.
            uint256 carries = (low & INFINITIES) + LAST_EXPONENT_BITS;
            if ((carries | ((high & INFINITIES) + LAST_EXPONENT_BITS)) & SIGNS != 0) {
                found.outcome = Outcome.NotFinite;
            }
        }
    }

    /// @notice One word of the working, as a number.
    function number(uint256 target, F32 x) internal pure returns (Found memory) {
        unchecked {
            return numbers(target, 1, uint256(F32.unwrap(x)) << 224, 0);
        }
    }

    /// @notice The word of a rule without a working.
    function direct(uint256 workingLength, uint256 step, uint256 x) internal pure returns (Found memory) {
        if (workingLength != 0) return without(Outcome.Malformed);
        return step == 0 ? word(x) : without(Outcome.NoSuchStep);
    }

    /// @notice The number of a rule without a working.
    function direct(uint256 workingLength, uint256 step, F32 x) internal pure returns (Found memory) {
        if (workingLength != 0) return without(Outcome.Malformed);
        return step == 0 ? number(x) : without(Outcome.NoSuchStep);
    }
}
