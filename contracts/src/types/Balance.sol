// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @dev What settling a voucher reads and writes of its channel: one storage slot, because a second one would cost as much as
/// half a signature.
///
///     bits 255 .. 248   1 once a refuted answer takes something off later vouchers
///     bits 247 .. 240   state: 0 never opened, 1 open, 2 closed
///     bits 239 .. 232   zero
///     bits 231 .. 192   when the client may close, in seconds since 1970; zero while it has not asked
///     bits 191 ..  96   settled: what was paid to the host
///     bits  95 ..   0   deposited: what vouchers can draw on, settled parts included
type Balance is uint256;

using BalanceFields for Balance global;

/// @title What a balance word holds
library BalanceFields {
    uint256 private constant AMOUNT_MASK = type(uint96).max;
    uint256 private constant SETTLED_OFFSET = 96;
    uint256 private constant CLOSABLE_OFFSET = 192;
    uint256 private constant STATE_OFFSET = 240;
    uint256 private constant STATE_OPEN = 1;
    uint256 private constant STATE_CLOSED = 2;
    uint256 private constant REFUTED_FLAG = 1 << 248;

    function deposited(Balance balance) internal pure returns (uint256) {
        return Balance.unwrap(balance) & AMOUNT_MASK;
    }

    function settled(Balance balance) internal pure returns (uint256) {
        return (Balance.unwrap(balance) >> SETTLED_OFFSET) & AMOUNT_MASK;
    }

    function closableAt(Balance balance) internal pure returns (uint256) {
        return uint40(Balance.unwrap(balance) >> CLOSABLE_OFFSET);
    }

    function state(Balance balance) internal pure returns (uint256) {
        return uint8(Balance.unwrap(balance) >> STATE_OFFSET);
    }

    function isOpen(Balance balance) internal pure returns (bool) {
        return state(balance) == STATE_OPEN;
    }

    function isClosed(Balance balance) internal pure returns (bool) {
        return state(balance) == STATE_CLOSED;
    }

    function isRefuted(Balance balance) internal pure returns (bool) {
        return Balance.unwrap(balance) & REFUTED_FLAG != 0;
    }

    function withDeposited(Balance balance, uint96 amount) internal pure returns (Balance) {
        return Balance.wrap(Balance.unwrap(balance) & ~AMOUNT_MASK | amount);
    }

    function withSettled(Balance balance, uint96 amount) internal pure returns (Balance) {
        uint256 others = Balance.unwrap(balance) & ~(AMOUNT_MASK << SETTLED_OFFSET);
        return Balance.wrap(others | uint256(amount) << SETTLED_OFFSET);
    }

    function withClosableAt(Balance balance, uint40 time) internal pure returns (Balance) {
        uint256 others = Balance.unwrap(balance) & ~(uint256(type(uint40).max) << CLOSABLE_OFFSET);
        return Balance.wrap(others | uint256(time) << CLOSABLE_OFFSET);
    }

    function withOpen(Balance balance) internal pure returns (Balance) {
        return withState(balance, STATE_OPEN);
    }

    function withClosed(Balance balance) internal pure returns (Balance) {
        return withState(balance, STATE_CLOSED);
    }

    function withRefuted(Balance balance) internal pure returns (Balance) {
        return Balance.wrap(Balance.unwrap(balance) | REFUTED_FLAG);
    }

    function withState(Balance balance, uint256 state_) private pure returns (Balance) {
        uint256 others = Balance.unwrap(balance) & ~(uint256(type(uint8).max) << STATE_OFFSET);
        return Balance.wrap(others | state_ << STATE_OFFSET);
    }
}
