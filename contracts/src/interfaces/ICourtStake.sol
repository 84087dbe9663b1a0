// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Stake that a court can hold and take
/// @notice What the court needs of a host's vault. Only the court may lock, unlock and slash.
interface ICourtStake {
    /// @notice The court locked stake when a dispute began.
    /// @param amount How much.
    /// @param locked How much is locked now, over all disputes.
    event StakeLocked(uint256 amount, uint256 locked);

    /// @notice A dispute ended in the host's favour, and its stake is free again.
    /// @param amount How much.
    /// @param locked How much is locked now.
    event StakeUnlocked(uint256 amount, uint256 locked);

    /// @notice A dispute ended against the host, and its stake went to the winner.
    /// @param to The winner.
    /// @param amount What the court asked for.
    /// @param taken What the vault still held of it. Less only where the asset itself took tokens away, or where a dispute
    /// outlived the vault's horizon.
    /// @param locked How much is locked now.
    event StakeSlashed(address indexed to, uint256 amount, uint256 taken, uint256 locked);

    /// @notice The caller is not the court that this vault answers to.
    /// @param caller Who called.
    error NotCourt(address caller);

    /// @notice Less stake than that can be locked.
    /// @param available What can be locked now.
    /// @param requested What the court asked for.
    error InsufficientStake(uint256 available, uint256 requested);

    /// @notice The court wants to free or take more than it has locked.
    /// @param locked What is locked.
    /// @param requested What the court asked for.
    error InsufficientLock(uint256 locked, uint256 requested);

    /// @notice Takes `amount` of the stake out of reach of later disputes. Does not stand in the way of any withdrawal.
    /// @dev Reverts with `InsufficientStake` where `lockable()` is less.
    function lock(uint256 amount) external;

    /// @notice Frees what was locked.
    /// @dev Reverts with `InsufficientLock` where less is locked.
    function unlock(uint256 amount) external;

    /// @notice Takes locked stake from everybody who has a share in the vault, queued withdrawals included, pro rata.
    /// @dev Reverts with `InsufficientLock` where less is locked. Never reverts because of `to`: where the asset
    /// refuses to go there, `to` gets shares of the vault that are worth as much. Otherwise a host could have itself beaten by a
    /// friend whom the asset has banned, and no verdict against it could ever be carried out.
    /// @return taken What was taken: `amount`, or what is left of the vault.
    function slash(uint256 amount, address to) external returns (uint256 taken);

    /// @notice How much more could be locked now: all stake but what is locked, and but what could be gone before a dispute
    /// that begins now has ended.
    function lockable() external view returns (uint256);

    /// @notice How much is locked.
    function locked() external view returns (uint256);

    /// @notice The token that the stake is in.
    function asset() external view returns (address);

    /// @notice The host that the stake is behind.
    function host() external view returns (address);

    /// @notice The court that the vault answers to.
    function court() external view returns (address);

    /// @notice Seconds for which a lock is sure to be covered. A dispute, with every deadline used up, must be shorter.
    function lockHorizon() external view returns (uint256);
}
