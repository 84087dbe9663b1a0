// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, fromBits} from "../../judge/Binary32.sol";

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
struct Found {
    Outcome outcome;
    /// Whether the words are the disputed word and not words of the working.
    bool isWord;
    /// First word of the working that they are.
    uint256 target;
    uint256 count;
    uint256[16] words;
}

/// @title Ways in which a step comes out
library Findings {
    function without(Outcome outcome) internal pure returns (Found memory found) {
        found.outcome = outcome;
    }

    /// @notice The disputed word.
    function word(uint256 x) internal pure returns (Found memory found) {
        found.isWord = true;
        found.count = 1;
        found.words[0] = x;
    }

    /// @notice The disputed word, as a number.
    function number(F32 x) internal pure returns (Found memory) {
        return x.isFinite() ? word(F32.unwrap(x)) : without(Outcome.NotFinite);
    }

    /// @notice One word of the working, as a number.
    function number(uint256 target, F32 x) internal pure returns (Found memory found) {
        if (!x.isFinite()) return without(Outcome.NotFinite);
        found.target = target;
        found.count = 1;
        found.words[0] = F32.unwrap(x);
    }

    /// @notice A tile of the working, as numbers: 16 lanes in two words, the lowest uppermost.
    function lanes(uint256 target, uint256 low, uint256 high) internal pure returns (Found memory found) {
        unchecked {
            found.target = target;
            found.count = 16;
            for (uint256 i; i < 16; ++i) {
                F32 lane = fromBits((i < 8 ? low : high) >> (224 - 32 * (i & 7)));
                if (!lane.isFinite()) return without(Outcome.NotFinite);
                found.words[i] = F32.unwrap(lane);
            }
        }
    }

    /// @notice The word of a rule without a working.
    function direct(uint256 workingLength, uint256 step, uint256 x) internal pure returns (Found memory) {
        if (workingLength != 0) return without(Outcome.Malformed);
        return step == 0 ? word(x) : without(Outcome.NoSuchStep);
    }

    /// @notice The number of a rule without a working.
    function direct(uint256 workingLength, uint256 step, F32 x) internal pure returns (Found memory found) {
        found = direct(workingLength, step, uint256(F32.unwrap(x)));
        if (found.outcome == Outcome.Words && !x.isFinite()) return without(Outcome.NotFinite);
    }
}
