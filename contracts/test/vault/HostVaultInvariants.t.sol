// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {HostVault} from "../../src/HostVault.sol";
import {ICourtStake} from "../../src/interfaces/ICourtStake.sol";
import {IHostVault} from "../../src/interfaces/IHostVault.sol";
import {WithdrawalId} from "../../src/types/Ids.sol";
import {BanningToken} from "../tokens/Tokens.sol";

/// @dev Backers, a court with its disputes, people whom the token bans, and a thief, in whatever order the fuzzer likes.
contract VaultActors is Test {
    struct Lock {
        uint256 amount;
        uint256 endsBy;
    }

    uint256 public constant BACKERS = 4;
    uint256 private constant HORIZON = 2 days;

    HostVault public immutable VAULT;
    BanningToken public immutable TOKEN;
    address public immutable COURT;
    address public immutable THIEF = makeAddr("thief");
    address[BACKERS] public backers;

    uint256 public paidIn;
    uint256 public paidOut;
    uint256 public lockedTotal;
    uint256[] private _queue;
    Lock[] private _locks;

    constructor(HostVault vault, BanningToken token, address court) {
        VAULT = vault;
        TOKEN = token;
        COURT = court;
        for (uint256 i = 0; i < BACKERS; ++i) {
            backers[i] = makeAddr(string.concat("backer ", vm.toString(i)));
        }
    }

    function queueLength() external view returns (uint256) {
        return _queue.length;
    }

    function queued(uint256 index) external view returns (WithdrawalId) {
        return WithdrawalId.wrap(_queue[index]);
    }

    function deposit(uint256 who, uint256 assets) external {
        address backer = _backer(who);
        uint256 most = VAULT.maxDeposit(backer);
        assets = bound(assets, 1, 1e15);
        if (assets > most || VAULT.previewDeposit(assets) == 0 || TOKEN.isBanned(backer)) {
            return;
        }
        TOKEN.mint(backer, assets);
        vm.startPrank(backer);
        TOKEN.approve(address(VAULT), assets);
        uint256 before = VAULT.balanceOf(backer);
        uint256 shares = VAULT.deposit(assets, backer);
        assertEq(VAULT.balanceOf(backer), before + shares);
        vm.stopPrank();
        paidIn += assets;
    }

    function give(uint256 amount) external {
        amount = bound(amount, 1, 1e12);
        TOKEN.mint(address(VAULT), amount);
        paidIn += amount;
    }

    function transfer(uint256 from, uint256 to, uint256 shares) external {
        uint256 most = VAULT.balanceOf(_backer(from));
        vm.prank(_backer(from));
        VAULT.transfer(_backer(to), bound(shares, 0, most));
    }

    function request(uint256 who, uint256 shares) external {
        address backer = _backer(who);
        uint256 most = VAULT.balanceOf(backer);
        if (most == 0) {
            return;
        }
        vm.prank(backer);
        _queue.push(WithdrawalId.unwrap(VAULT.requestWithdrawal(bound(shares, 1, most))));
    }

    /// @dev A matured claim is paid at any moment, whatever is locked and whoever is banned; one that is not is refused.
    function claim(uint256 which) external {
        if (_queue.length == 0) {
            return;
        }
        which = bound(which, 0, _queue.length - 1);
        WithdrawalId id = WithdrawalId.wrap(_queue[which]);
        (address owner, uint256 shares, uint256 matureAt) = VAULT.withdrawal(id);
        if (vm.getBlockTimestamp() < matureAt) {
            vm.prank(THIEF);
            vm.expectRevert(abi.encodeWithSelector(IHostVault.WithdrawalNotMature.selector, id, matureAt));
            VAULT.claim(id);
            return;
        }
        uint256 worth = VAULT.previewRedeem(shares);
        uint256 assets;
        if (TOKEN.isBanned(owner)) {
            vm.prank(owner);
            assets = VAULT.claimTo(id, makeAddr("somebody else"));
        } else {
            vm.prank(THIEF);
            assets = VAULT.claim(id);
        }
        assertEq(assets, worth, "a claim pays what its shares are worth");
        paidOut += assets;
        _queue[which] = _queue[_queue.length - 1];
        _queue.pop();
    }

    function lock(uint256 amount) external {
        _lock(bound(amount, 0, VAULT.lockable()));
    }

    function lockTooMuch(uint256 more) external {
        uint256 lockable = VAULT.lockable();
        uint256 amount = lockable + bound(more, 1, 1e30);
        vm.prank(COURT);
        vm.expectRevert(abi.encodeWithSelector(ICourtStake.InsufficientStake.selector, lockable, amount));
        VAULT.lock(amount);
    }

    function end(uint256 which, bool isGuilty, uint256 who) external {
        if (_locks.length > 0) {
            _end(bound(which, 0, _locks.length - 1), isGuilty, who);
        }
    }

    function wait(uint256 time, uint256 seed) external {
        _wait(bound(time, 1, 4 days), seed);
    }

    /// @dev A backer runs, the court locks all that it may while the runner is almost out, and the runner gets out before the
    /// dispute has ended. Rare in a random walk, so it is one step.
    function run(uint256 who, uint256 time, uint256 seed) external {
        uint256 shares = VAULT.balanceOf(_backer(who));
        if (shares == 0 || TOKEN.isBanned(_backer(who))) {
            return;
        }
        vm.prank(_backer(who));
        WithdrawalId id = VAULT.requestWithdrawal(shares);
        time = bound(time, 0, HORIZON - 1);
        _wait(VAULT.withdrawalDelay() - time, seed);
        _lock(VAULT.lockable());
        _wait(time, seed);
        paidOut += VAULT.claim(id);
        assertLe(VAULT.locked(), VAULT.totalAssets(), "a runner took what was locked");
    }

    function ban(uint256 who, bool isBanned) external {
        isBanned ? TOKEN.ban(_backer(who)) : TOKEN.pardon(_backer(who));
    }

    function steal(uint256 who, uint256 shares) external {
        address backer = _backer(who);
        bytes[7] memory calls = [
            abi.encodeCall(ICourtStake.lock, (0)),
            abi.encodeCall(ICourtStake.unlock, (0)),
            abi.encodeCall(ICourtStake.slash, (0, THIEF)),
            abi.encodeWithSignature("transferFrom(address,address,uint256)", backer, THIEF, bound(shares, 1, 1e30)),
            abi.encodeWithSignature("redeem(uint256,address,address)", bound(shares, 1, 1e30), THIEF, backer),
            abi.encodeWithSignature("withdraw(uint256,address,address)", bound(shares, 1, 1e30), THIEF, backer),
            abi.encodeCall(IHostVault.claimTo, (WithdrawalId.wrap(shares % (_queue.length + 1)), THIEF))
        ];
        vm.startPrank(THIEF);
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool succeeded,) = address(VAULT).call(calls[i]);
            assertFalse(succeeded, "a thief was let in");
        }
        vm.stopPrank();
    }

    /// @dev Everybody goes home: every lock ends, every share is queued, every claim is paid.
    function goHome() external {
        for (uint256 i = _locks.length; i > 0; --i) {
            _end(i - 1, false, 0);
        }
        for (uint256 i = 0; i < BACKERS; ++i) {
            uint256 shares = VAULT.balanceOf(backers[i]);
            if (shares > 0) {
                vm.prank(backers[i]);
                _queue.push(WithdrawalId.unwrap(VAULT.requestWithdrawal(shares)));
            }
        }
        vm.warp(vm.getBlockTimestamp() + VAULT.withdrawalDelay());
        while (_queue.length > 0) {
            this.claim(_queue.length - 1);
        }
    }

    function _lock(uint256 amount) private {
        vm.prank(COURT);
        VAULT.lock(amount);
        _locks.push(Lock({amount: amount, endsBy: vm.getBlockTimestamp() + HORIZON}));
        lockedTotal += amount;
    }

    /// @dev Time passes; the court ends each dispute before its time is up.
    function _wait(uint256 time, uint256 seed) private {
        uint256 later = vm.getBlockTimestamp() + time;
        for (uint256 i = _locks.length; i > 0; --i) {
            uint256 endsBy = _locks[i - 1].endsBy;
            if (endsBy <= later) {
                vm.warp(Math.max(endsBy, vm.getBlockTimestamp()));
                _end(i - 1, (seed >> (i % 200)) & 1 == 0, seed);
            }
        }
        vm.warp(Math.max(later, vm.getBlockTimestamp()));
    }

    function _end(uint256 which, bool isGuilty, uint256 who) private {
        uint256 amount = _locks[which].amount;
        _locks[which] = _locks[_locks.length - 1];
        _locks.pop();
        lockedTotal -= amount;
        vm.startPrank(COURT);
        if (isGuilty) {
            uint256 before = TOKEN.balanceOf(address(VAULT));
            assertEq(VAULT.slash(amount, _backer(who)), amount, "what was locked is there to be taken");
            paidOut += before - TOKEN.balanceOf(address(VAULT));
        } else {
            VAULT.unlock(amount);
        }
        vm.stopPrank();
    }

    function _backer(uint256 who) private view returns (address) {
        return backers[who % BACKERS];
    }
}

contract HostVaultInvariants is Test {
    BanningToken private token;
    HostVault private vault;
    VaultActors private actors;

    function setUp() public {
        vm.warp(1_800_000_000);
        address court = makeAddr("court");
        token = new BanningToken();
        vault = new HostVault(IERC20(address(token)), makeAddr("host"), court, 7 days, 2 days);
        actors = new VaultActors(vault, token, court);
        targetContract(address(actors));
        bytes4[] memory never = new bytes4[](1);
        never[0] = VaultActors.goHome.selector;
        excludeSelector(FuzzSelector({addr: address(actors), selectors: never}));
    }

    /// @dev One walk for all sentences, because the walk is what takes the time.
    function invariant_theVaultOwesNoMoreThanItHoldsAndPaysAllOfIt() public view {
        _theVaultHoldsWhatCameInAndDidNotGoOut();
        _sharesAreHeldByBackersOrQueued();
        _allSharesTogetherAreWorthNoMoreThanTheVaultHolds();
        _whatIsLockedIsThere();
        _thievesAndTheCourtGetNothing();
    }

    /// @dev No claim is trapped: at the end of every walk everybody leaves, and what remains is dust.
    function afterInvariant() public {
        actors.goHome();
        assertEq(vault.totalSupply(), 0, "every share was claimed");
        assertEq(actors.queueLength(), 0);
        assertEq(vault.locked(), 0);
    }

    function _theVaultHoldsWhatCameInAndDidNotGoOut() private view {
        assertEq(token.balanceOf(address(vault)), actors.paidIn() - actors.paidOut());
    }

    function _sharesAreHeldByBackersOrQueued() private view {
        uint256 queued;
        for (uint256 i = 0; i < actors.queueLength(); ++i) {
            (, uint256 shares,) = vault.withdrawal(actors.queued(i));
            queued += shares;
        }
        assertEq(vault.balanceOf(address(vault)), queued);
        for (uint256 i = 0; i < actors.BACKERS(); ++i) {
            queued += vault.balanceOf(actors.backers(i));
        }
        assertEq(vault.totalSupply(), queued);
    }

    function _allSharesTogetherAreWorthNoMoreThanTheVaultHolds() private view {
        uint256 worth = vault.previewRedeem(vault.balanceOf(address(vault)));
        for (uint256 i = 0; i < actors.BACKERS(); ++i) {
            worth += vault.previewRedeem(vault.balanceOf(actors.backers(i)));
        }
        assertLe(worth, vault.totalAssets());
    }

    function _whatIsLockedIsThere() private view {
        assertEq(vault.locked(), actors.lockedTotal());
        assertLe(vault.locked() + vault.lockable(), vault.totalAssets());
    }

    function _thievesAndTheCourtGetNothing() private view {
        assertEq(token.balanceOf(actors.THIEF()) + token.balanceOf(actors.COURT()), 0);
        assertEq(vault.balanceOf(actors.THIEF()) + vault.balanceOf(actors.COURT()), 0);
    }
}
