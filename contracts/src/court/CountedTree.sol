// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Domain} from "./Domains.sol";
import {Sha256} from "./Sha256.sol";

/// @title Trees whose number of leaves is bound into what is signed
/// @notice Nodes pair from the left on each level, and a last one without a partner moves up unchanged: the shape of RFC 6962.
/// `crates/claim/src/merkle.rs` is the same in Rust.
library CountedTree {
    /// @notice There is no such leaf.
    /// @param index Its number.
    /// @param leafCount How many leaves there are.
    error LeafOutside(uint256 index, uint256 leafCount);

    /// @notice The path ends before the root.
    /// @param length How many hashes there are.
    error PathTooShort(uint256 length);

    /// @notice The root that a leaf leads to.
    /// @param leaf Its hash.
    /// @param index Its number, from 0.
    /// @param leafCount How many leaves the tree has.
    /// @param path Where the siblings are read from, from the leaf upwards.
    /// @param from The first of them.
    /// @return root The root.
    /// @return next What follows the last of them.
    function lead(bytes32 leaf, uint64 index, uint64 leafCount, bytes32[] calldata path, uint256 from)
        internal
        view
        returns (bytes32 root, uint256 next)
    {
        require(index < leafCount, LeafOutside(index, leafCount));
        root = leaf;
        next = from;
        uint256 place = index;
        uint256 width = leafCount;
        while (width > 1) {
            bool isRight = place & 1 == 1;
            // The last of an odd number moves up unchanged.
            if (isRight || place + 1 < width) {
                require(next < path.length, PathTooShort(path.length));
                root = isRight ? Sha256.node(path[next], root) : Sha256.node(root, path[next]);
                ++next;
            }
            place >>= 1;
            width = (width + 1) >> 1;
        }
    }

    /// @notice What is signed in place of a root: it fixes the number of leaves as well.
    /// @dev Assembly for the reasons of `Sha256`. `CountedTreeTest` holds it to the plain form.
    function bind(Domain domain, uint64 leafCount, bytes32 root) internal view returns (bytes32 bound) {
        uint256 size = domain.size();
        uint256 little = _swapped(leafCount);
        bool isDone;
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore(at, domain)
            mstore(add(at, size), shl(192, little))
            mstore(add(at, add(size, 8)), root)
            isDone := staticcall(gas(), 2, at, add(size, 40), 0, 32)
            bound := mload(0)
        }
        require(isDone, Sha256.Sha256Failed());
    }

    /// @dev The bytes of a number of 64 bits reversed.
    function _swapped(uint256 number) private pure returns (uint256) {
        number = ((number & 0x00ff00ff00ff00ff) << 8) | ((number >> 8) & 0x00ff00ff00ff00ff);
        number = ((number & 0x0000ffff0000ffff) << 16) | ((number >> 16) & 0x0000ffff0000ffff);
        return ((number & 0xffffffff) << 32) | (number >> 32);
    }
}
