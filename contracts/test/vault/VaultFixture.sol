// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {HostVault} from "../../src/HostVault.sol";
import {WithdrawalId} from "../../src/types/Ids.sol";
import {PlainToken} from "../tokens/Tokens.sol";

/// @dev A vault over a plain token, two backers, a court and somebody who wins in it.
abstract contract VaultFixture is Test {
    uint256 internal constant DELAY = 7 days;
    uint256 internal constant HORIZON = 2 days;
    /// @dev Shares for the smallest unit of the asset, as long as nothing was slashed or given.
    uint256 internal constant PAR = 1e6;

    address internal host = makeAddr("host");
    address internal court = makeAddr("court");
    address internal winner = makeAddr("winner");
    address internal ann = makeAddr("ann");
    address internal bob = makeAddr("bob");
    PlainToken internal token;
    HostVault internal vault;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        token = new PlainToken();
        vault = _vaultOver(token);
    }

    function _vaultOver(PlainToken asset) internal returns (HostVault) {
        return new HostVault(IERC20(address(asset)), host, court, DELAY, HORIZON);
    }

    function _deposit(address backer, uint256 assets) internal returns (uint256 shares) {
        return _depositInto(vault, token, backer, assets);
    }

    function _depositInto(HostVault into, PlainToken asset, address backer, uint256 assets)
        internal
        returns (uint256 shares)
    {
        asset.mint(backer, assets);
        vm.startPrank(backer);
        asset.approve(address(into), assets);
        shares = into.deposit(assets, backer);
        vm.stopPrank();
    }

    function _request(address backer, uint256 shares) internal returns (WithdrawalId) {
        vm.prank(backer);
        return vault.requestWithdrawal(shares);
    }

    function _lock(uint256 amount) internal {
        vm.prank(court);
        vault.lock(amount);
    }

    function _slash(uint256 amount) internal returns (uint256) {
        vm.prank(court);
        return vault.slash(amount, winner);
    }

    /// @dev The optimiser takes `block.timestamp` for the same all through a test; the chain does not.
    function _now() internal view returns (uint256) {
        return vm.getBlockTimestamp();
    }

    function _wait(uint256 time) internal {
        vm.warp(_now() + time);
    }
}
