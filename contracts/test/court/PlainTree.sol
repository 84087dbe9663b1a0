// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice The court's trees as the specification has them: no assembly, a new array for each level.
library PlainTree {
    function leaf(bytes memory content) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(0), content));
    }

    function node(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(1), left, right));
    }

    function zero(uint256 height) internal pure returns (bytes32) {
        return height == 4 ? leaf(new bytes(64)) : node(zero(height - 1), zero(height - 1));
    }

    /// @notice The node over all of these words, every one of them written out.
    function nodeOf(bytes memory words, uint256 height) internal pure returns (bytes32) {
        bytes32[] memory level = new bytes32[](2 ** (height - 4));
        for (uint256 i; i < level.length; ++i) {
            bytes memory tile = new bytes(64);
            for (uint256 j; j < 64 && 64 * i + j < words.length; ++j) {
                tile[j] = words[64 * i + j];
            }
            level[i] = leaf(tile);
        }
        return rootOf(level);
    }

    /// @notice The root over a level, of any number of nodes but none: a last one without a partner moves up.
    function rootOf(bytes32[] memory level) internal pure returns (bytes32) {
        while (level.length > 1) {
            level = above(level);
        }
        return level[0];
    }

    /// @notice The siblings from a node of a level to the root over it.
    function path(bytes32[] memory level, uint256 index) internal pure returns (bytes32[] memory siblings) {
        bytes32[] memory found = new bytes32[](64);
        uint256 count;
        while (level.length > 1) {
            if (index ^ 1 < level.length) found[count++] = level[index ^ 1];
            level = above(level);
            index >>= 1;
        }
        siblings = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            siblings[i] = found[i];
        }
    }

    function climb(bytes32 start, uint256 index, bytes32[] memory siblings) internal pure returns (bytes32 found) {
        found = start;
        for (uint256 i; i < siblings.length; ++i) {
            found = index & 1 == 1 ? node(siblings[i], found) : node(found, siblings[i]);
            index >>= 1;
        }
    }

    function bind(string memory domain, uint64 leafCount, bytes32 root) internal pure returns (bytes32) {
        bytes memory little = new bytes(8);
        for (uint256 i; i < 8; ++i) {
            little[i] = bytes1(uint8(leafCount >> (8 * i)));
        }
        return sha256(abi.encodePacked(uint8(bytes(domain).length), domain, little, root));
    }

    function above(bytes32[] memory level) private pure returns (bytes32[] memory next) {
        next = new bytes32[]((level.length + 1) / 2);
        for (uint256 i; i < next.length; ++i) {
            next[i] = 2 * i + 1 < level.length ? node(level[2 * i], level[2 * i + 1]) : level[2 * i];
        }
    }
}
