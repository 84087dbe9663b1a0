// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {HostVault} from "../../src/HostVault.sol";
import {ICourtStake} from "../../src/interfaces/ICourtStake.sol";
import {IHostVault} from "../../src/interfaces/IHostVault.sol";
import {WithdrawalId} from "../../src/types/Ids.sol";
import {
    BanningToken,
    FeeToken,
    HookedToken,
    PlainToken,
    QuietToken,
    ShrinkingToken,
    ZeroRefusingToken
} from "../tokens/Tokens.sol";
import {VaultFixture} from "./VaultFixture.sol";

contract HostVaultOddTokensTest is VaultFixture {
    function _over(PlainToken asset) private {
        token = asset;
        vault = _vaultOver(asset);
    }

    function test_deposit_reverts_feeOnTransfer() public {
        _over(new FeeToken());
        token.mint(ann, 1_000);
        vm.startPrank(ann);
        token.approve(address(vault), 1_000);
        vm.expectRevert(abi.encodeWithSelector(IHostVault.InexactTransfer.selector, 1_000, 990));
        vault.deposit(1_000, ann);
    }

    function test_claim_pays_zeroOfATokenThatRefusesZero() public {
        _over(new ZeroRefusingToken());
        WithdrawalId id = _request(ann, _deposit(ann, 1_000));
        _lock(1_000);
        _slash(1_000);
        _lock(0);
        assertEq(_slash(0), 0);
        _wait(DELAY);
        assertEq(vault.claim(id), 0);
    }

    function test_claim_waits_bannedOwnerHarmsNobodyElse() public {
        BanningToken banning = new BanningToken();
        _over(banning);
        _deposit(ann, 1_000);
        _deposit(bob, 1_000);
        WithdrawalId first = _request(ann, 1_000 * PAR);
        WithdrawalId second = _request(bob, 1_000 * PAR);
        banning.ban(ann);
        _wait(DELAY);
        assertEq(vault.claim(second), 1_000);
        vm.expectRevert(abi.encodeWithSelector(BanningToken.Banned.selector, ann));
        vault.claim(first);
        // The owner is banned, not its withdrawal.
        vm.prank(ann);
        assertEq(vault.claimTo(first, winner), 1_000);
    }

    /// @dev A host that has a friend beat it, whom the token has banned, to keep the verdict from being carried out.
    function test_slash_givesShares_bannedWinner() public {
        BanningToken banning = new BanningToken();
        _over(banning);
        _deposit(ann, 1_000);
        banning.ban(winner);
        _lock(600);
        assertEq(_slash(600), 600);
        assertEq(vault.locked(), 0);
        assertEq(vault.totalAssets(), 1_000);
        assertApproxEqAbs(vault.previewRedeem(vault.balanceOf(winner)), 600, 1);
        assertApproxEqAbs(vault.previewRedeem(vault.balanceOf(ann)), 400, 1);
        WithdrawalId id = _request(winner, vault.balanceOf(winner));
        _wait(DELAY);
        vm.prank(winner);
        assertApproxEqAbs(vault.claimTo(id, bob), 600, 1);
    }

    function test_slash_givesAllButDust_bannedWinnerOfEverything() public {
        BanningToken banning = new BanningToken();
        _over(banning);
        _deposit(ann, 1e24);
        banning.ban(winner);
        _lock(1e24);
        assertEq(_slash(1e24), 1e24);
        // The vault counts 2^160 shares and no more, so the loser keeps one part in 10^18.
        assertGe(vault.previewRedeem(vault.balanceOf(winner)), 1e24 - 1e6);
        assertLe(vault.previewRedeem(vault.balanceOf(ann)), 1e6);
    }

    function testFuzz_slash_neverReverts_bannedWinner(uint256 stake, uint256 amount, uint8 rounds) public {
        BanningToken banning = new BanningToken();
        _over(banning);
        _deposit(ann, bound(stake, 1, 1e36));
        banning.ban(winner);
        for (uint256 i = 0; i < bound(rounds, 1, 6); ++i) {
            uint256 lockable = vault.lockable();
            uint256 part = bound(amount, 0, lockable);
            _lock(part);
            assertEq(_slash(part), part);
        }
        assertLe(vault.totalSupply(), 1 << 160);
    }

    function test_slash_givesShares_tokenThatSaysNoQuietly() public {
        QuietToken quiet = new QuietToken();
        vault = new HostVault(IERC20(address(quiet)), host, court, DELAY, HORIZON);
        quiet.mint(ann, 1_000);
        vm.prank(ann);
        vault.deposit(1_000, ann);
        quiet.turnOff();
        _lock(1_000);
        assertEq(_slash(1_000), 1_000);
        assertGt(vault.balanceOf(winner), 0);
    }

    function test_shrinkingToken_isSharedByAll_andEverythingStillEnds() public {
        ShrinkingToken shrinking = new ShrinkingToken();
        _over(shrinking);
        _deposit(ann, 1_000);
        _deposit(bob, 1_000);
        WithdrawalId id = _request(ann, 1_000 * PAR);
        _lock(2_000);
        shrinking.shrink(address(vault), 1_500);
        assertEq(vault.lockable(), 0);
        _wait(DELAY);
        assertEq(vault.claim(id), 250);
        assertEq(_slash(2_000), 250);
        assertEq(vault.locked(), 0);
    }

    /// @dev Every way in that moves money, called again from the middle of each of the others.
    function test_everyWayIn_refusesToBeReentered_hookedToken() public {
        for (uint256 outer = 0; outer < 3; ++outer) {
            for (uint256 inner = 0; inner < 7; ++inner) {
                _reenter(outer, inner, true);
                _reenter(outer, inner, false);
            }
        }
    }

    function _reenter(uint256 outer, uint256 inner, bool isBefore) private {
        HookedToken hooked = new HookedToken();
        _over(hooked);
        // The hook itself is the court and the backer here, so that only the guard can stop it.
        vault = new HostVault(IERC20(address(hooked)), host, address(hooked), DELAY, HORIZON);
        hooked.mint(address(hooked), 10_000);
        vm.startPrank(address(hooked));
        hooked.approve(address(vault), 10_000);
        vault.deposit(1_000, address(hooked));
        vault.lock(500);
        WithdrawalId id = vault.requestWithdrawal(100 * PAR);
        _wait(DELAY);
        bytes[7] memory calls = [
            abi.encodeCall(IERC4626.deposit, (100, address(hooked))),
            abi.encodeCall(IHostVault.claim, (id)),
            abi.encodeCall(ICourtStake.slash, (100, winner)),
            abi.encodeCall(ICourtStake.lock, (1)),
            abi.encodeCall(ICourtStake.unlock, (1)),
            abi.encodeCall(IHostVault.requestWithdrawal, (1)),
            abi.encodeCall(IERC4626.mint, (PAR, address(hooked)))
        ];
        hooked.arm(address(vault), calls[inner], isBefore);
        (bool succeeded,) = address(vault).call(calls[outer]);
        vm.stopPrank();
        assertTrue(succeeded, "the outer call succeeds");
        assertTrue(hooked.wasCalled(), "the hook was called");
        assertFalse(hooked.succeeded(), "the inner call fails");
        assertEq(hooked.answer(), abi.encodePacked(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector));
    }
}
