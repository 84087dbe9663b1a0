// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ICourtStake} from "./ICourtStake.sol";
import {WithdrawalId} from "../types/Ids.sol";

/// @title The stake behind one host
/// @notice An ERC-4626 vault over one token. Anybody may deposit, and the share is an ERC-20 like any other. Leaving takes
/// time: `requestWithdrawal` hands the shares back to the vault, and `claim` pays for them once the delay is over.
///
/// Withdrawals mature in the order in which they were asked for, each after the same delay. Nothing stops a matured one: no
/// lock, no dispute, no other withdrawal and no missing receiver. Until it is claimed it keeps its shares, so it gains and
/// loses with everybody else.
///
/// The delay is longer than the lock horizon, and a lock only ever rests on stake that stays for the horizon. So whoever
/// leaves after a lie is still slashed for it, if the lie is challenged within `withdrawalDelay - lockHorizon`.
///
/// What the token pays into the vault by itself, or anybody sends to it, belongs to the shares. A vault whose shares have
/// lost all but a millionth of their value takes no more deposits; its host starts a new one.
interface IHostVault is IERC4626, ICourtStake {
    /// @notice Somebody wants to leave.
    /// @param id The withdrawal.
    /// @param owner Who will be paid.
    /// @param shares How many shares went back to the vault.
    /// @param matureAt When it can be claimed, in seconds since 1970.
    event WithdrawalRequested(WithdrawalId indexed id, address indexed owner, uint256 shares, uint256 matureAt);

    /// @notice A withdrawal was paid, together with ERC-4626's `Withdraw`.
    /// @param id The withdrawal.
    event WithdrawalClaimed(WithdrawalId indexed id);

    /// @notice A withdrawal of no shares, or a deposit that is worth none.
    error ZeroShares();

    /// @notice Shares reach the vault only by `requestWithdrawal`.
    error SharesSentToVault();

    /// @notice The token delivered another amount than it was told to. Such tokens are refused.
    /// @param expected What should have arrived.
    /// @param received What did.
    error InexactTransfer(uint256 expected, uint256 received);

    /// @notice The shares are worth next to nothing; a deposit would drown them.
    /// @param assets What the vault holds.
    /// @param shares How many shares there are.
    error VaultExhausted(uint256 assets, uint256 shares);

    /// @notice More shares than the vault can count.
    /// @param shares How many.
    /// @param sharesMax How many it could still take.
    error TooManyShares(uint256 shares, uint256 sharesMax);

    /// @notice There is no such withdrawal, or it was claimed.
    /// @param id The withdrawal.
    error UnknownWithdrawal(WithdrawalId id);

    /// @notice The withdrawal must wait.
    /// @param id The withdrawal.
    /// @param matureAt When it can be claimed.
    error WithdrawalNotMature(WithdrawalId id, uint256 matureAt);

    /// @notice Only its owner may send a withdrawal elsewhere.
    /// @param id The withdrawal.
    /// @param owner Its owner.
    /// @param caller Who called.
    error NotWithdrawalOwner(WithdrawalId id, address owner, address caller);

    /// @notice A delay or horizon outside what makes sense.
    /// @param withdrawalDelay The delay asked for.
    /// @param lockHorizon The horizon asked for.
    error BadTimes(uint256 withdrawalDelay, uint256 lockHorizon);

    /// @notice Hands shares of the caller back to the vault, to be paid after the delay.
    /// @param shares How many, at least one.
    /// @return id The withdrawal.
    function requestWithdrawal(uint256 shares) external returns (WithdrawalId id);

    /// @notice Pays a matured withdrawal to its owner. Anybody may call.
    /// @param id The withdrawal.
    /// @return assets What was paid: what the shares are worth now.
    function claim(WithdrawalId id) external returns (uint256 assets);

    /// @notice Pays a matured withdrawal of the caller to an address of its choice.
    /// @param id The withdrawal.
    /// @param receiver Where the assets go.
    /// @return assets What was paid.
    function claimTo(WithdrawalId id, address receiver) external returns (uint256 assets);

    /// @notice One withdrawal; all zero where there is none, or no more.
    /// @param id The withdrawal.
    /// @return owner Who will be paid.
    /// @return shares How many shares it holds.
    /// @return matureAt When it can be claimed.
    function withdrawal(WithdrawalId id) external view returns (address owner, uint256 shares, uint256 matureAt);

    /// @notice How many withdrawals were ever asked for; the next one gets this number.
    function withdrawalCount() external view returns (uint256);

    /// @notice Seconds between asking for a withdrawal and claiming it.
    function withdrawalDelay() external view returns (uint256);

    /// @notice The token that the stake is in.
    function asset() external view override(IERC4626, ICourtStake) returns (address);
}
