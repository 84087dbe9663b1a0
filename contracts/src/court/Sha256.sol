// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Leaves and nodes of the trees that a contract opens
/// @notice A leaf is `SHA-256(0x00 || bytes)`, a node `SHA-256(0x01 || left || right)`.
/// @dev Assembly, because `sha256(abi.encodePacked(..))` builds its input twice and keeps the memory: a node costs 313 gas here
/// and 438 there, memory not counted, and a dispute has hundreds. `Sha256Test` holds each function to that form.
///
/// What is hashed lies behind the free memory and is not allocated. A call of the precompile can only fail for want of gas,
/// and what the caller keeps then, a 64th, does not last for another operation; the flag is checked all the same.
library Sha256 {
    /// @notice The precompile did not answer.
    error Sha256Failed();

    /// @notice The node above two.
    function node(bytes32 left, bytes32 right) internal view returns (bytes32 hash) {
        bool isDone;
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore8(at, 1)
            mstore(add(at, 1), left)
            mstore(add(at, 33), right)
            isDone := staticcall(gas(), 2, at, 65, 0, 32)
            hash := mload(0)
        }
        require(isDone, Sha256Failed());
    }

    /// @notice The leaf that these bytes are.
    function leaf(bytes calldata content) internal view returns (bytes32 hash) {
        bool isDone;
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore8(at, 0)
            calldatacopy(add(at, 1), content.offset, content.length)
            isDone := staticcall(gas(), 2, at, add(content.length, 1), 0, 32)
            hash := mload(0)
        }
        require(isDone, Sha256Failed());
    }

    /// @notice The leaf that these bytes are.
    function leafOf(bytes memory content) internal view returns (bytes32 hash) {
        bool isDone;
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore8(at, 0)
            mcopy(add(at, 1), add(content, 32), mload(content))
            isDone := staticcall(gas(), 2, at, add(mload(content), 1), 0, 32)
            hash := mload(0)
        }
        require(isDone, Sha256Failed());
    }
}
