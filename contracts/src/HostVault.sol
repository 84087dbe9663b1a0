// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {ICourtStake} from "./interfaces/ICourtStake.sol";
import {IHostVault} from "./interfaces/IHostVault.sol";
import {WithdrawalId} from "./types/Ids.sol";

/// @title The stake behind one host
contract HostVault is ERC4626, ReentrancyGuardTransient, IHostVault {
    using Math for uint256;
    using SafeERC20 for IERC20;
    using Checkpoints for Checkpoints.Trace208;

    /// @dev Two slots, both cleared when it is claimed.
    struct Withdrawal {
        address owner;
        uint48 matureAt;
        uint256 shares;
    }

    /// @dev A million shares for the smallest unit. Whoever wants to blow up the price before the first deposit has to give
    /// away a million times what the victim loses.
    uint8 private constant SHARE_DECIMALS = 6;

    /// @dev Once a share is worth less than a millionth of what it began with, new deposits would mint so many shares that a
    /// few more slashes could run over 256 bits.
    uint256 private constant SHARES_PER_ASSET_MAX = 1e12;

    /// @dev Leaves room for 2^48 withdrawals of everything in the 208 bits that count them.
    uint256 private constant SHARES_MAX = 1 << 160;

    /// @dev Above, backing a host is a prison.
    uint256 private constant WITHDRAWAL_DELAY_MAX = 60 days;

    address private immutable HOST;
    address private immutable COURT;
    uint256 private immutable WITHDRAWAL_DELAY;
    uint256 private immutable LOCK_HORIZON;

    uint256 private _locked;
    uint256 private _withdrawalCount;
    mapping(WithdrawalId id => Withdrawal) private _withdrawals;
    /// @dev All shares ever queued, by the time of asking.
    Checkpoints.Trace208 private _queuedTotals;

    modifier onlyCourt() {
        require(msg.sender == COURT, NotCourt(msg.sender));
        _;
    }

    /// @param asset_ The token that the stake is in.
    /// @param host_ The host that it is behind.
    /// @param court_ The court that may lock and take it.
    /// @param withdrawalDelay_ Seconds between asking for a withdrawal and claiming it.
    /// @param lockHorizon_ Seconds for which a lock is sure to be covered: at least what the longest dispute takes.
    constructor(IERC20 asset_, address host_, address court_, uint256 withdrawalDelay_, uint256 lockHorizon_)
        ERC20("Candor Host Stake", "CSTAKE")
        ERC4626(asset_)
    {
        // With a horizon beyond the delay, stake could leave under a lock that was taken before it asked to.
        bool isOrdered = lockHorizon_ > 0 && lockHorizon_ <= withdrawalDelay_;
        require(isOrdered && withdrawalDelay_ <= WITHDRAWAL_DELAY_MAX, BadTimes(withdrawalDelay_, lockHorizon_));
        HOST = host_;
        COURT = court_;
        WITHDRAWAL_DELAY = withdrawalDelay_;
        LOCK_HORIZON = lockHorizon_;
    }

    /// @inheritdoc IHostVault
    function requestWithdrawal(uint256 shares) external nonReentrant returns (WithdrawalId id) {
        require(shares > 0, ZeroShares());
        id = WithdrawalId.wrap(_withdrawalCount++);
        uint48 matureAt = SafeCast.toUint48(block.timestamp + WITHDRAWAL_DELAY);
        _withdrawals[id] = Withdrawal({owner: msg.sender, matureAt: matureAt, shares: shares});
        _queuedTotals.push(SafeCast.toUint48(block.timestamp), _queuedTotals.latest() + SafeCast.toUint208(shares));
        // Past the check of this contract's own `_update`: this is the one way in for shares.
        super._update(msg.sender, address(this), shares);
        emit WithdrawalRequested(id, msg.sender, shares, matureAt);
    }

    /// @inheritdoc IHostVault
    function claim(WithdrawalId id) external nonReentrant returns (uint256 assets) {
        Withdrawal memory entry = _take(id);
        return _pay(id, entry, entry.owner);
    }

    /// @inheritdoc IHostVault
    function claimTo(WithdrawalId id, address receiver) external nonReentrant returns (uint256 assets) {
        Withdrawal memory entry = _take(id);
        require(msg.sender == entry.owner, NotWithdrawalOwner(id, entry.owner, msg.sender));
        return _pay(id, entry, receiver);
    }

    /// @inheritdoc ICourtStake
    function lock(uint256 amount) external onlyCourt nonReentrant {
        uint256 available = lockable();
        require(amount <= available, InsufficientStake(available, amount));
        uint256 locked_ = _locked + amount;
        _locked = locked_;
        emit StakeLocked(amount, locked_);
    }

    /// @inheritdoc ICourtStake
    function unlock(uint256 amount) external onlyCourt nonReentrant {
        emit StakeUnlocked(amount, _release(amount));
    }

    /// @inheritdoc ICourtStake
    function slash(uint256 amount, address to) external onlyCourt nonReentrant returns (uint256 taken) {
        uint256 locked_ = _release(amount);
        uint256 assets = totalAssets();
        taken = Math.min(amount, assets);
        emit StakeSlashed(to, amount, taken, locked_);
        if (taken > 0 && !IERC20(asset()).trySafeTransfer(to, taken)) {
            // The token does not let the winner have it, so it gets the part of the vault that is worth as much.
            uint256 supply = totalSupply();
            uint256 shares = taken.saturatingMul(supply + 10 ** SHARE_DECIMALS) / (assets - taken + 1);
            _mint(to, Math.min(shares, SHARES_MAX - supply));
        }
    }

    /// @inheritdoc ICourtStake
    function locked() external view returns (uint256) {
        return _locked;
    }

    /// @inheritdoc ICourtStake
    function host() external view returns (address) {
        return HOST;
    }

    /// @inheritdoc ICourtStake
    function court() external view returns (address) {
        return COURT;
    }

    /// @inheritdoc ICourtStake
    function lockHorizon() external view returns (uint256) {
        return LOCK_HORIZON;
    }

    /// @inheritdoc IHostVault
    function withdrawalDelay() external view returns (uint256) {
        return WITHDRAWAL_DELAY;
    }

    /// @inheritdoc IHostVault
    function withdrawal(WithdrawalId id) external view returns (address owner, uint256 shares, uint256 matureAt) {
        Withdrawal memory entry = _withdrawals[id];
        return (entry.owner, entry.shares, entry.matureAt);
    }

    /// @inheritdoc IHostVault
    function withdrawalCount() external view returns (uint256) {
        return _withdrawalCount;
    }

    /// @inheritdoc ICourtStake
    function lockable() public view returns (uint256) {
        uint256 leaving = _convertToAssets(_leavingShares(), Math.Rounding.Ceil);
        return Math.saturatingSub(totalAssets(), Math.saturatingAdd(leaving, _locked));
    }

    /// @inheritdoc IHostVault
    function asset() public view override(ERC4626, IHostVault) returns (address) {
        return super.asset();
    }

    /// @inheritdoc IERC4626
    function deposit(uint256 assets, address receiver) public override(ERC4626, IERC4626) returns (uint256 shares) {
        shares = previewDeposit(assets);
        _deposit(msg.sender, receiver, assets, shares);
    }

    /// @inheritdoc IERC4626
    function mint(uint256 shares, address receiver) public override(ERC4626, IERC4626) returns (uint256 assets) {
        assets = previewMint(shares);
        _deposit(msg.sender, receiver, assets, shares);
    }

    /// @inheritdoc IERC4626
    function maxDeposit(address receiver) public view override(ERC4626, IERC4626) returns (uint256) {
        return _convertToAssets(maxMint(receiver), Math.Rounding.Floor);
    }

    /// @inheritdoc IERC4626
    function maxMint(address) public view override(ERC4626, IERC4626) returns (uint256) {
        uint256 supply = totalSupply();
        bool isExhausted = (supply + 10 ** SHARE_DECIMALS) / SHARES_PER_ASSET_MAX > totalAssets();
        return isExhausted ? 0 : SHARES_MAX - supply;
    }

    /// @inheritdoc IERC4626
    /// @dev Always zero: shares leave by `requestWithdrawal`.
    function maxRedeem(address) public pure override(ERC4626, IERC4626) returns (uint256) {
        return 0;
    }

    /// @dev `deposit` and `mint` come straight here. What `maxDeposit` and `maxMint` say is held by the two checks on shares.
    function _deposit(address caller, address receiver, uint256 assets, uint256 shares) internal override nonReentrant {
        require(shares > 0, ZeroShares());
        require(shares / SHARES_PER_ASSET_MAX <= assets, VaultExhausted(totalAssets(), totalSupply()));
        require(shares <= SHARES_MAX - totalSupply(), TooManyShares(shares, SHARES_MAX - totalSupply()));
        super._deposit(caller, receiver, assets, shares);
    }

    function _transferIn(address from, uint256 assets) internal override {
        uint256 before = IERC20(asset()).balanceOf(address(this));
        super._transferIn(from, assets);
        uint256 received = Math.saturatingSub(IERC20(asset()).balanceOf(address(this)), before);
        // Shares were reckoned for `assets`; a token that keeps a part would have the others pay for it.
        require(received == assets, InexactTransfer(assets, received));
    }

    /// @dev The vault's own shares are the queued ones and no others.
    function _update(address from, address to, uint256 value) internal override {
        require(to != address(this), SharesSentToVault());
        super._update(from, to, value);
    }

    function _decimalsOffset() internal pure override returns (uint8) {
        return SHARE_DECIMALS;
    }

    /// @dev Takes a matured withdrawal off the list.
    function _take(WithdrawalId id) private returns (Withdrawal memory entry) {
        entry = _withdrawals[id];
        require(entry.owner != address(0), UnknownWithdrawal(id));
        require(block.timestamp >= entry.matureAt, WithdrawalNotMature(id, entry.matureAt));
        delete _withdrawals[id];
    }

    function _pay(WithdrawalId id, Withdrawal memory entry, address receiver) private returns (uint256 assets) {
        assets = previewRedeem(entry.shares);
        _burn(address(this), entry.shares);
        emit WithdrawalClaimed(id);
        emit Withdraw(msg.sender, receiver, entry.owner, assets, entry.shares);
        // Shares can be worth nothing, and some tokens refuse to send nothing.
        if (assets > 0) {
            _transferOut(receiver, assets);
        }
    }

    function _release(uint256 amount) private returns (uint256 locked_) {
        locked_ = _locked;
        require(amount <= locked_, InsufficientLock(locked_, amount));
        locked_ -= amount;
        _locked = locked_;
    }

    /// @dev Queued shares that can be claimed before a dispute that begins now has ended.
    function _leavingShares() private view returns (uint256) {
        // Asked for later than that, and so maturing after the horizon. None of these can have been claimed.
        uint256 cutoff = Math.saturatingSub(block.timestamp + LOCK_HORIZON, WITHDRAWAL_DELAY);
        uint256 staying = _queuedTotals.latest() - _queuedTotals.upperLookupRecent(SafeCast.toUint48(cutoff));
        return balanceOf(address(this)) - staying;
    }
}
