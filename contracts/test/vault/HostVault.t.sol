// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {HostVault} from "../../src/HostVault.sol";
import {ICourtStake} from "../../src/interfaces/ICourtStake.sol";
import {IHostVault} from "../../src/interfaces/IHostVault.sol";
import {WithdrawalId} from "../../src/types/Ids.sol";
import {VaultFixture} from "./VaultFixture.sol";

contract HostVaultDepositTest is VaultFixture {
    function test_constructor_reverts_timesOutOfOrder() public {
        uint256[2][3] memory bad = [[uint256(7 days), 0], [uint256(7 days), 7 days + 1], [uint256(60 days + 1), 1 days]];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IHostVault.BadTimes.selector, bad[i][0], bad[i][1]));
            new HostVault(token, host, court, bad[i][0], bad[i][1]);
        }
        assertEq(vault.host(), host);
        assertEq(vault.court(), court);
        assertEq(vault.asset(), address(token));
        assertEq(vault.withdrawalDelay(), DELAY);
        assertEq(vault.lockHorizon(), HORIZON);
        assertEq(vault.decimals(), 24);
    }

    function test_deposit_mintsAtPar_firstDeposit() public {
        assertEq(_deposit(ann, 1_000), 1_000 * PAR);
        assertEq(vault.totalAssets(), 1_000);
        assertEq(vault.convertToAssets(1_000 * PAR), 1_000);
    }

    function test_deposit_reverts_worthNoShare() public {
        vm.startPrank(ann);
        vm.expectRevert(IHostVault.ZeroShares.selector);
        vault.deposit(0, ann);
        vm.expectRevert(IHostVault.ZeroShares.selector);
        vault.mint(0, ann);
    }

    function test_mint_takesTheAssets_roundedUp() public {
        _deposit(ann, 1_000);
        token.mint(address(vault), 1);
        token.mint(bob, 10);
        vm.startPrank(bob);
        token.approve(address(vault), 10);
        assertEq(vault.mint(5 * PAR, bob), 6);
        assertEq(vault.balanceOf(bob), 5 * PAR);
    }

    function test_transfer_movesShares_butNotIntoTheVault() public {
        _deposit(ann, 1_000);
        vm.startPrank(ann);
        vault.transfer(bob, 100);
        assertEq(vault.balanceOf(bob), 100);
        vm.expectRevert(IHostVault.SharesSentToVault.selector);
        vault.transfer(address(vault), 100);
        token.mint(ann, 1);
        token.approve(address(vault), 1);
        vm.expectRevert(IHostVault.SharesSentToVault.selector);
        vault.deposit(1, address(vault));
    }

    function test_redeem_reverts_always() public {
        uint256 shares = _deposit(ann, 1_000);
        vm.startPrank(ann);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxRedeem.selector, ann, shares, 0));
        vault.redeem(shares, ann, ann);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxWithdraw.selector, ann, 1, 0));
        vault.withdraw(1, ann, ann);
        assertEq(vault.maxRedeem(ann), 0);
        assertEq(vault.maxWithdraw(ann), 0);
    }

    /// @dev Whoever gives the vault a fortune before the first deposit loses it, and the depositor next to nothing.
    function testFuzz_deposit_keepsItsWorth_giftBeforeIt(uint256 seed, uint256 gift, uint256 assets) public {
        seed = bound(seed, 1, 1e6);
        gift = bound(gift, 0, 1e24);
        assets = bound(assets, 1, 1e24);
        _deposit(bob, seed);
        token.mint(address(vault), gift);
        vm.assume(vault.previewDeposit(assets) > 0);
        uint256 shares = _deposit(ann, assets);
        uint256 loss = assets - vault.previewRedeem(shares);
        assertLe(loss, gift / PAR + 2, "loses at most a millionth of the gift");
    }

    function testFuzz_maxDeposit_isTaken_anyHistory(uint256 first, uint256 slashed) public {
        first = bound(first, 1, 1e30);
        slashed = bound(slashed, 0, first);
        _deposit(bob, first);
        _lock(slashed);
        _slash(slashed);
        uint256 most = vault.maxDeposit(ann);
        if (most == 0) {
            token.mint(ann, 1e6);
            vm.startPrank(ann);
            token.approve(address(vault), 1e6);
            vm.expectPartialRevert(IHostVault.VaultExhausted.selector);
            vault.deposit(1e6, ann);
        } else {
            token.mint(ann, most);
            vm.startPrank(ann);
            token.approve(address(vault), most);
            vault.deposit(most, ann);
            assertGe(vault.convertToShares(most), 1);
        }
    }
}

contract HostVaultQueueTest is VaultFixture {
    function test_requestWithdrawal_movesTheShares_intoTheVault() public {
        uint256 shares = _deposit(ann, 1_000);
        vm.expectEmit(address(vault));
        emit IHostVault.WithdrawalRequested(WithdrawalId.wrap(0), ann, shares, _now() + DELAY);
        WithdrawalId id = _request(ann, shares);
        (address owner, uint256 queued, uint256 matureAt) = vault.withdrawal(id);
        assertEq(owner, ann);
        assertEq(queued, shares);
        assertEq(matureAt, _now() + DELAY);
        assertEq(vault.balanceOf(address(vault)), shares);
        assertEq(vault.totalAssets(), 1_000);
        assertEq(vault.withdrawalCount(), 1);
    }

    function test_requestWithdrawal_reverts_noSharesOrTooMany() public {
        uint256 shares = _deposit(ann, 1_000);
        vm.startPrank(ann);
        vm.expectRevert(IHostVault.ZeroShares.selector);
        vault.requestWithdrawal(0);
        vm.expectPartialRevert(bytes4(keccak256("ERC20InsufficientBalance(address,uint256,uint256)")));
        vault.requestWithdrawal(shares + 1);
    }

    function test_claim_pays_calledByAnybody() public {
        uint256 shares = _deposit(ann, 1_000);
        WithdrawalId id = _request(ann, shares);
        _wait(DELAY);
        vm.expectEmit(address(vault));
        emit IHostVault.WithdrawalClaimed(id);
        vm.expectEmit(address(vault));
        emit IERC4626.Withdraw(bob, ann, ann, 1_000, shares);
        vm.prank(bob);
        assertEq(vault.claim(id), 1_000);
        assertEq(token.balanceOf(ann), 1_000);
        assertEq(vault.totalSupply(), 0);
    }

    function test_claim_reverts_tooEarlyOrTwiceOrUnknown() public {
        WithdrawalId id = _request(ann, _deposit(ann, 1_000));
        uint256 matureAt = _now() + DELAY;
        vm.warp(matureAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IHostVault.WithdrawalNotMature.selector, id, matureAt));
        vault.claim(id);
        vm.warp(matureAt);
        vault.claim(id);
        vm.expectRevert(abi.encodeWithSelector(IHostVault.UnknownWithdrawal.selector, id));
        vault.claim(id);
        vm.expectRevert(abi.encodeWithSelector(IHostVault.UnknownWithdrawal.selector, 7));
        vault.claimTo(WithdrawalId.wrap(7), ann);
    }

    function test_claimTo_paysElsewhere_ownerOnly() public {
        WithdrawalId id = _request(ann, _deposit(ann, 1_000));
        _wait(DELAY);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IHostVault.NotWithdrawalOwner.selector, id, ann, bob));
        vault.claimTo(id, bob);
        vm.prank(ann);
        vault.claimTo(id, winner);
        assertEq(token.balanceOf(winner), 1_000);
    }

    function test_claim_pays_whateverIsLocked() public {
        _deposit(ann, 1_000);
        _deposit(bob, 1_000);
        WithdrawalId id = _request(ann, 1_000 * PAR);
        _wait(DELAY - HORIZON);
        // All that will still be there when this dispute has ended.
        _lock(vault.lockable());
        assertEq(vault.locked(), 1_000);
        _wait(HORIZON);
        assertEq(vault.claim(id), 1_000);
        assertEq(_slash(1_000), 1_000);
        assertEq(token.balanceOf(winner), 1_000);
    }

    function test_claim_maturesInOrder_manyRequests() public {
        _deposit(ann, 1_000);
        for (uint256 i = 0; i < 5; ++i) {
            WithdrawalId id = _request(ann, 100 * PAR);
            assertEq(WithdrawalId.unwrap(id), i);
            _wait(1 hours);
        }
        uint256 last;
        for (uint256 i = 0; i < 5; ++i) {
            (,, uint256 matureAt) = vault.withdrawal(WithdrawalId.wrap(i));
            assertGt(matureAt, last);
            last = matureAt;
        }
        vm.warp(last);
        // In the other order: none waits for another.
        for (uint256 i = 5; i > 0; --i) {
            assertEq(vault.claim(WithdrawalId.wrap(i - 1)), 100);
        }
    }

    function test_claim_paysItsPart_slashedWhileQueued() public {
        _deposit(ann, 1_000);
        _deposit(bob, 1_000);
        WithdrawalId id = _request(ann, 1_000 * PAR);
        _lock(500);
        assertEq(_slash(500), 500);
        _wait(DELAY);
        assertEq(vault.claim(id), 750);
        assertEq(vault.previewRedeem(vault.balanceOf(bob)), 750);
    }

    function test_claim_paysNothingAndEnds_slashedToZero() public {
        WithdrawalId id = _request(ann, _deposit(ann, 1_000));
        _lock(1_000);
        _slash(1_000);
        _wait(DELAY);
        assertEq(vault.claim(id), 0);
        assertEq(vault.totalSupply(), 0);
        // Nobody has a share, so the vault is as good as new.
        _deposit(bob, 500);
        assertEq(vault.previewRedeem(vault.balanceOf(bob)), 500);
    }

    function test_deposit_reverts_slashedToZeroWithSharesLeft() public {
        uint256 shares = _deposit(ann, 1e9);
        _lock(1e9);
        _slash(1e9);
        assertEq(vault.maxDeposit(bob), 0);
        assertEq(vault.maxMint(bob), 0);
        token.mint(bob, 500);
        vm.startPrank(bob);
        token.approve(address(vault), 500);
        vm.expectRevert(abi.encodeWithSelector(IHostVault.VaultExhausted.selector, 0, shares));
        vault.deposit(500, bob);
        vm.expectRevert(abi.encodeWithSelector(IHostVault.VaultExhausted.selector, 0, shares));
        vault.mint(1e18, bob);
        vm.stopPrank();
        // What the shares hold is nothing, and it can still be had.
        WithdrawalId id = _request(ann, shares);
        _wait(DELAY);
        assertEq(vault.claim(id), 0);
    }
}

/// @dev Depositing again into what is left after a slash.
contract HostVaultAfterASlashTest is VaultFixture {
    function testFuzz_deposit_keepsItsWorth_afterAnySlash(uint256 first, uint256 left, uint256 again) public {
        first = bound(first, 1, 1e30);
        left = bound(left, 0, first);
        again = bound(again, 1, 1e30);
        _deposit(ann, first);
        _lock(first - left);
        _slash(first - left);
        if (vault.maxDeposit(bob) < again) {
            return;
        }
        uint256 shares = _deposit(bob, again);
        // Rounding takes from the newcomer at most what one share is worth, and from the others nothing.
        assertApproxEqAbs(vault.previewRedeem(shares), again, left / first + 2);
        assertGe(vault.previewRedeem(vault.balanceOf(ann)) + 1, left);
    }

    function test_deposit_worksFiveTimesOver_slashedAlmostToZero() public {
        for (uint256 i = 0; i < 5; ++i) {
            if (vault.maxDeposit(ann) < 1e15) {
                break;
            }
            _deposit(ann, 1e15);
            uint256 all = vault.totalAssets();
            _lock(all - 1);
            _slash(all - 1);
        }
        uint256 shares = vault.balanceOf(ann);
        WithdrawalId id = _request(ann, shares);
        _wait(DELAY);
        assertEq(vault.claim(id), 1);
    }
}

contract HostVaultCourtTest is VaultFixture {
    function test_court_isTheOnlyOne_thatLocksUnlocksAndSlashes() public {
        vm.startPrank(host);
        vm.expectRevert(abi.encodeWithSelector(ICourtStake.NotCourt.selector, host));
        vault.lock(0);
        vm.expectRevert(abi.encodeWithSelector(ICourtStake.NotCourt.selector, host));
        vault.unlock(0);
        vm.expectRevert(abi.encodeWithSelector(ICourtStake.NotCourt.selector, host));
        vault.slash(0, host);
    }

    function test_lock_reverts_moreThanIsThere() public {
        _deposit(ann, 1_000);
        _lock(600);
        vm.prank(court);
        vm.expectRevert(abi.encodeWithSelector(ICourtStake.InsufficientStake.selector, 400, 401));
        vault.lock(401);
        vm.prank(court);
        vm.expectEmit(address(vault));
        emit ICourtStake.StakeLocked(400, 1_000);
        vault.lock(400);
        assertEq(vault.lockable(), 0);
    }

    function test_unlock_freesTheStake_forTheNext() public {
        _deposit(ann, 1_000);
        _lock(1_000);
        vm.startPrank(court);
        vm.expectEmit(address(vault));
        emit ICourtStake.StakeUnlocked(700, 300);
        vault.unlock(700);
        assertEq(vault.lockable(), 700);
        vm.expectRevert(abi.encodeWithSelector(ICourtStake.InsufficientLock.selector, 300, 301));
        vault.unlock(301);
        vm.expectRevert(abi.encodeWithSelector(ICourtStake.InsufficientLock.selector, 300, 301));
        vault.slash(301, winner);
    }

    function test_slash_takesFromAll_proRata() public {
        _deposit(ann, 3_000);
        _deposit(bob, 1_000);
        WithdrawalId id = _request(ann, 2_000 * PAR);
        _lock(1_000);
        vm.prank(court);
        vm.expectEmit(address(vault));
        emit ICourtStake.StakeSlashed(winner, 1_000, 1_000, 0);
        assertEq(vault.slash(1_000, winner), 1_000);
        assertEq(token.balanceOf(winner), 1_000);
        assertEq(vault.previewRedeem(vault.balanceOf(ann)), 750);
        assertEq(vault.previewRedeem(vault.balanceOf(bob)), 750);
        _wait(DELAY);
        assertEq(vault.claim(id), 1_500);
    }

    /// @dev Stake that asked to leave is lockable until it could be gone before the dispute has ended, and not after.
    function test_lockable_shrinks_asWithdrawalsComeNear() public {
        _deposit(ann, 1_000);
        _deposit(bob, 1_000);
        _request(ann, 400 * PAR);
        assertEq(vault.lockable(), 2_000);
        _wait(DELAY - HORIZON - 1);
        assertEq(vault.lockable(), 2_000);
        _wait(1);
        assertEq(vault.lockable(), 1_600);
        _request(bob, 1_000 * PAR);
        assertEq(vault.lockable(), 1_600);
        _wait(HORIZON);
        vault.claim(WithdrawalId.wrap(0));
        assertEq(vault.lockable(), 1_600);
        _wait(DELAY - 2 * HORIZON);
        assertEq(vault.lockable(), 600);
        _wait(30 days);
        assertEq(vault.lockable(), 600);
    }

    /// @dev A host that runs after its lie is caught, if the lie is challenged in time.
    function test_lock_reachesARunner_challengedWithinTheWindow() public {
        _deposit(host, 1_000);
        _request(host, 1_000 * PAR);
        _wait(DELAY - HORIZON - 1);
        _lock(1_000);
        _wait(HORIZON);
        assertEq(_slash(1_000), 1_000);
        assertEq(token.balanceOf(winner), 1_000);
    }

    function test_slash_takesWhatIsLeft_disputeThatOutlivedTheHorizon() public {
        _deposit(ann, 1_000);
        WithdrawalId id = _request(ann, 900 * PAR);
        _lock(1_000);
        _wait(DELAY);
        vault.claim(id);
        assertEq(_slash(1_000), 100);
        assertEq(vault.locked(), 0);
        assertEq(vault.totalAssets(), 0);
    }

    function test_gift_belongsToTheShares() public {
        _deposit(ann, 1_000);
        token.mint(address(vault), 1_000);
        assertEq(vault.previewRedeem(vault.balanceOf(ann)), 1_999);
        assertEq(vault.lockable(), 2_000);
    }

    /// @dev The two sides of one slash, whatever came before: nobody is paid twice and nobody pays for another.
    function testFuzz_slash_isProRata_anyAmounts(uint256 a, uint256 b, uint256 queued, uint256 amount) public {
        a = bound(a, 1, 1e30);
        b = bound(b, 1, 1e30);
        _deposit(ann, a);
        _deposit(bob, b);
        queued = bound(queued, 1, a * PAR);
        WithdrawalId id = _request(ann, queued);
        amount = bound(amount, 0, a + b);
        _lock(amount);
        assertEq(_slash(amount), amount);
        uint256 left = a + b - amount;
        uint256 worthOfBob = vault.previewRedeem(vault.balanceOf(bob));
        assertApproxEqAbs(worthOfBob, left * b / (a + b), 2);
        uint256 restOfAnn = vault.previewRedeem(vault.balanceOf(ann));
        _wait(DELAY);
        uint256 paid = vault.claim(id);
        assertApproxEqAbs(paid + restOfAnn, left * a / (a + b), 3);
        assertLe(paid + restOfAnn + worthOfBob, left);
    }
}
