// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Domain, Domains} from "../Domains.sol";
import {Sha256} from "../Sha256.sol";

/// @title The hashes of docs/receipt-format.md: a domain, and little-endian fields
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
        bytes memory domain = text(Domains.MODEL_TENSOR);
        if (rows == 0) return sha256(abi.encodePacked(domain, le32(ggmlType), le32(1), le64(columns), root));
        return sha256(abi.encodePacked(domain, le32(ggmlType), le32(2), le64(columns), le64(rows), root));
    }

    /// @notice The hashed leaf of a part of a model.
    function partLeaf(string memory name, bytes32 digest) internal view returns (bytes32) {
        bytes memory domain = text(Domains.MODEL_PART);
        bytes32 part = sha256(abi.encodePacked(domain, le64(bytes(name).length), name, digest));
        return Sha256.leafOf(abi.encodePacked(part));
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
        uint256 size = domain.size();
        bytes_ = new bytes(size);
        bytes32 word = Domain.unwrap(domain);
        for (uint256 i; i < size; ++i) {
            bytes_[i] = word[i];
        }
    }
}
