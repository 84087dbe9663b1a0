// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @dev The Merkle root over everything that decides a model's output.
type ModelRoot is bytes32;

/// @dev The EIP-712 digest of a receipt, which is what its host signed.
type ReceiptId is bytes32;

/// @dev Names a payment channel on this chain, in this contract, between these two.
type ChannelId is bytes32;

/// @dev Names what one registrant said about one model.
type RegistrationId is bytes32;

/// @dev Counts the withdrawals that were asked of one vault, from 0.
type WithdrawalId is uint256;
