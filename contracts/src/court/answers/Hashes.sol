// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Domain, Domains} from "../Domains.sol";
import {Sha256} from "../Sha256.sol";
import {Label} from "./Labels.sol";

/// @title The hashes of docs/receipt-format.md: a domain, and little-endian fields
/// @dev Assembly where the plain form builds its input many times over; `HashesTest` holds it to that.
library Hashes {
    /// @notice A number of 32 bits, little-endian.
    function le32(uint256 x) internal pure returns (bytes4) {
        unchecked {
            x = ((x & 0x00ff00ff) << 8) | ((x >> 8) & 0x00ff00ff);
            // Two halves of 16 bits change places.
            return bytes4(uint32((x << 16) | (x >> 16)));
        }
    }

    /// @notice A number of 64 bits, little-endian.
    function le64(uint256 x) internal pure returns (bytes8) {
        unchecked {
            return bytes8(uint64(uint256(uint32(le32(x & 0xffffffff))) << 32 | uint32(le32(x >> 32 & 0xffffffff))));
        }
    }

    /// @notice The digest of a tensor whose leaves have the counted root `root`.
    function tensor(uint256 ggmlType, uint256 rows, uint256 columns, bytes32 root) internal pure returns (bytes32) {
        // As long as the domain's text is.
        bytes22 domain = bytes22(Domain.unwrap(Domains.MODEL_TENSOR));
        if (rows == 0) return sha256(abi.encodePacked(domain, le32(ggmlType), le32(1), le64(columns), root));
        return sha256(abi.encodePacked(domain, le32(ggmlType), le32(2), le64(columns), le64(rows), root));
    }

    /// @notice The hashed leaf of a part of a model.
    function partLeaf(string memory name, bytes32 digest) internal view returns (bytes32) {
        bytes memory domain = text(Domains.MODEL_PART);
        bytes32 part = sha256(abi.encodePacked(domain, le64(bytes(name).length), name, digest));
        return Sha256.leafOf(abi.encodePacked(part));
    }

    /// @notice The same of a part whose name is three labels.
    function partLeaf(Label first, Label second, Label third, bytes32 digest) internal view returns (bytes32 leaf) {
        Domain domain = Domains.MODEL_PART;
        uint256 size = domain.size();
        (uint256 firstSize, uint256 secondSize, uint256 thirdSize) = (first.size(), second.size(), third.size());
        bool isDone;
        assembly ("memory-safe") {
            // Each is written over the zeros behind the one before it. The length is below 256, so that it is the first of its bytes.
            let at := mload(0x40)
            mstore(at, domain)
            let next := add(at, size)
            mstore(next, shl(248, add(add(firstSize, secondSize), thirdSize)))
            next := add(next, 8)
            mstore(next, shl(8, first))
            next := add(next, firstSize)
            mstore(next, shl(8, second))
            next := add(next, secondSize)
            mstore(next, shl(8, third))
            next := add(next, thirdSize)
            mstore(next, digest)
            isDone := staticcall(gas(), 2, at, sub(add(next, 32), at), add(at, 1), 32)
            mstore8(at, 0)
            isDone := and(isDone, staticcall(gas(), 2, at, 33, 0, 32))
            leaf := mload(0)
        }
        require(isDone, Sha256.Sha256Failed());
    }

    /// @notice A chain's link after item `index`.
    function link(Domain domain, bytes32 previous, bytes memory item, uint256 index) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(text(domain), previous, item, le32(index)));
    }

    /// @notice A chain before its first item.
    function start(Domain domain) internal pure returns (bytes32) {
        return sha256(text(domain));
    }

    /// @notice The bytes of a domain that are hashed.
    function text(Domain domain) internal pure returns (bytes memory bytes_) {
        bytes_ = abi.encodePacked(Domain.unwrap(domain));
        uint256 size = domain.size();
        // At most the 32 bytes that are there.
        assembly ("memory-safe") {
            mstore(bytes_, size)
        }
    }
}
