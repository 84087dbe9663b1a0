// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IHostVault} from "./IHostVault.sol";

/// @title Makes vaults, for anybody
/// @notice A vault made here is known to be one: same code, same court, same times. Its address follows from what it is for.
interface IHostVaults {
    /// @notice A vault was made.
    /// @param vault The vault.
    /// @param host The host that it is behind.
    /// @param asset The token that it holds.
    /// @param series Tells vaults of one host and one token apart.
    event VaultCreated(IHostVault indexed vault, address indexed host, IERC20 indexed asset, uint256 series);

    /// @notice A vault behind nobody.
    error ZeroHost();

    /// @notice There is no code where the token should be.
    /// @param asset The address.
    error NotAToken(address asset);

    /// @notice Makes a vault. Anybody may; only the host can register it as its own.
    /// @param asset The token that it holds.
    /// @param host The host that it is behind.
    /// @param series Any number; vaults that differ in nothing else need different ones.
    /// @return vault The vault.
    function create(IERC20 asset, address host, uint256 series) external returns (IHostVault vault);

    /// @notice Where such a vault lies, or will lie.
    function vaultAt(IERC20 asset, address host, uint256 series) external view returns (address);

    /// @notice Whether this contract made that vault.
    function isVault(address vault) external view returns (bool);

    /// @notice The court that all its vaults answer to.
    function court() external view returns (address);

    /// @notice Seconds between asking for a withdrawal and claiming it.
    function withdrawalDelay() external view returns (uint256);

    /// @notice Seconds for which a lock is sure to be covered.
    function lockHorizon() external view returns (uint256);
}
