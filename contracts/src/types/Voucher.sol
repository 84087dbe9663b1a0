// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ReceiptId} from "./Ids.sol";

/// @dev Who pays, and which of that client's channels with one host and one token.
///
///     bits 255 .. 96    address of the client
///     bits  95 ..  0    salt: the client's own number for the channel
type Payer is bytes32;

/// @dev What the client owes by a voucher. Every bit pattern means something, so none can stop a batch.
///
///     bits 255 .. 224   nothing; they are ignored
///     bits 223 .. 160   output tokens, of the channel's whole life
///     bits 159 ..  96   prompt tokens, of the channel's whole life
///     bits  95 ..   0   amount, of the channel's whole life, in the smallest unit of the token
type Charge is uint256;

/// @notice A voucher as the host brings it to be settled: packed, because calldata is a fifth of what settling costs.
/// @param payer Who pays, from which channel.
/// @param charge How much, for how many tokens, of which model.
/// @param receipt The receipt of the answer that the client had seen when it signed.
/// @param r The signature's first half.
/// @param vs Its second half with the parity in the top bit (EIP-2098).
struct Voucher {
    Payer payer;
    Charge charge;
    ReceiptId receipt;
    bytes32 r;
    bytes32 vs;
}

/// @notice What became of one voucher.
enum Settlement {
    /// All that it says is paid.
    Paid,
    /// The rest of the deposit is paid, which was less.
    PaidInPart,
    /// Nothing is due: an equal or later one was settled, or what it asks for was refuted.
    NothingDue,
    /// It is due, but the deposit is used up.
    Empty,
    /// There is no such channel between this client, this host and this token.
    UnknownChannel,
    /// The channel is closed.
    Closed,
    /// The client did not sign this for this model, this channel, this chain and this contract.
    BadSignature
}

using PayerFields for Payer global;
using ChargeFields for Charge global;

/// @title What a payer word holds
library PayerFields {
    function pack(address client_, uint96 salt_) internal pure returns (Payer) {
        return Payer.wrap(bytes32(uint256(uint160(client_)) << 96 | salt_));
    }

    function client(Payer payer) internal pure returns (address) {
        return address(bytes20(Payer.unwrap(payer)));
    }

    function salt(Payer payer) internal pure returns (uint96) {
        return uint96(uint256(Payer.unwrap(payer)));
    }
}

/// @title What a charge word holds
library ChargeFields {
    function pack(uint96 amount_, uint64 promptTokens_, uint64 outputTokens_) internal pure returns (Charge) {
        return Charge.wrap(uint256(outputTokens_) << 160 | uint256(promptTokens_) << 96 | amount_);
    }

    function amount(Charge charge) internal pure returns (uint96) {
        return uint96(Charge.unwrap(charge));
    }

    function promptTokens(Charge charge) internal pure returns (uint64) {
        return uint64(Charge.unwrap(charge) >> 96);
    }

    function outputTokens(Charge charge) internal pure returns (uint64) {
        return uint64(Charge.unwrap(charge) >> 160);
    }
}
