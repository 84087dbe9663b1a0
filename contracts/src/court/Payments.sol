// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ICourt} from "../interfaces/ICourt.sol";

/// @title What goes into the court and out of it
/// @notice A payment that a token refuses is kept, so that none can stand in the way of a settlement.
abstract contract Payments is ICourt, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    mapping(IERC20 token => mapping(address owner => uint256)) private _kept;

    /// @inheritdoc ICourt
    function withdraw(IERC20 token, address receiver) external nonReentrant returns (uint256 amount) {
        amount = _kept[token][msg.sender];
        require(amount > 0, NothingKept(token, msg.sender));
        _kept[token][msg.sender] = 0;
        emit PaymentWithdrawn(token, msg.sender, receiver, amount);
        token.safeTransfer(receiver, amount);
    }

    /// @inheritdoc ICourt
    function keptFor(IERC20 token, address owner) external view returns (uint256) {
        return _kept[token][owner];
    }

    /// @dev Takes from the caller, and counts what arrived, which is not always what was sent.
    function _receive(IERC20 token, uint256 amount) internal returns (uint128 received) {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        received = SafeCast.toUint128(token.balanceOf(address(this)) - before);
    }

    /// @dev Pays, or keeps. Callers have written down all that they change.
    function _pay(IERC20 token, address to, uint256 amount) internal {
        if (!token.trySafeTransfer(to, amount)) {
            _kept[token][to] += amount;
            emit PaymentKept(token, to, amount);
        }
    }
}
