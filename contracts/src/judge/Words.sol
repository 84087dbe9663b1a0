// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, fromBits} from "./Binary32.sol";

/// @notice Words of 32 bits as they lie in calldata, little-endian, read eight at a time.
library Words {
    uint256 private constant ODD_BYTES = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
    uint256 private constant ODD_PAIRS = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;

    /// @notice The 32 bytes from `offset` on, the first one uppermost. Bytes past the end of `source` are of no meaning: callers
    /// compare its length with what they will read beforehand, once.
    /// @dev Assembly, because a slice checks both its ends each time: a few gas against a hundred. A fuzz test holds it to the slice.
    function load(bytes calldata source, uint256 offset) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(source.offset, offset))
        }
    }

    /// @notice The bytes of each of eight words reversed.
    function swapped(uint256 eight) internal pure returns (uint256) {
        eight = ((eight & ODD_BYTES) << 8) | ((eight >> 8) & ODD_BYTES);
        return ((eight & ODD_PAIRS) << 16) | ((eight >> 16) & ODD_PAIRS);
    }

    /// @notice The bytes of each of sixteen pairs reversed.
    function swappedPairs(uint256 sixteen) internal pure returns (uint256) {
        return ((sixteen & ODD_BYTES) << 8) | ((sixteen >> 8) & ODD_BYTES);
    }

    /// @notice The two bytes that are uppermost, as a little-endian number.
    function firstPair(uint256 word) internal pure returns (uint256) {
        return (word >> 248) | ((word >> 232) & 0xff00);
    }

    /// @notice The little-endian word at `offset`.
    function number(bytes calldata source, uint256 offset) internal pure returns (F32) {
        uint256 word = load(source, offset) >> 224;
        word = ((word & 0xff00ff) << 8) | ((word >> 8) & 0xff00ff);
        return fromBits((word << 16) | (word >> 16));
    }
}
