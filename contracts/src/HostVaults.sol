// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {HostVault} from "./HostVault.sol";
import {IHostVault} from "./interfaces/IHostVault.sol";
import {IHostVaults} from "./interfaces/IHostVaults.sol";

/// @title Makes vaults, for anybody
contract HostVaults is IHostVaults {
    address private immutable COURT;
    uint256 private immutable WITHDRAWAL_DELAY;
    uint256 private immutable LOCK_HORIZON;

    mapping(address vault => bool) private _isVault;

    /// @param court_ The court that all vaults answer to. It may be deployed later.
    /// @param withdrawalDelay_ Seconds between asking for a withdrawal and claiming it.
    /// @param lockHorizon_ Seconds for which a lock is sure to be covered. The vaults check both.
    constructor(address court_, uint256 withdrawalDelay_, uint256 lockHorizon_) {
        COURT = court_;
        WITHDRAWAL_DELAY = withdrawalDelay_;
        LOCK_HORIZON = lockHorizon_;
    }

    /// @inheritdoc IHostVaults
    function create(IERC20 asset, address host, uint256 series) external returns (IHostVault vault) {
        require(host != address(0), ZeroHost());
        // A vault takes 18 decimals where it cannot ask for them, but one without a token could never hold anything.
        require(address(asset).code.length > 0, NotAToken(address(asset)));
        vault = new HostVault{salt: bytes32(series)}(asset, host, COURT, WITHDRAWAL_DELAY, LOCK_HORIZON);
        _isVault[address(vault)] = true;
        emit VaultCreated(vault, host, asset, series);
    }

    /// @inheritdoc IHostVaults
    function vaultAt(IERC20 asset, address host, uint256 series) external view returns (address) {
        bytes memory arguments = abi.encode(asset, host, COURT, WITHDRAWAL_DELAY, LOCK_HORIZON);
        bytes32 codeHash = keccak256(abi.encodePacked(type(HostVault).creationCode, arguments));
        return Create2.computeAddress(bytes32(series), codeHash);
    }

    /// @inheritdoc IHostVaults
    function isVault(address vault) external view returns (bool) {
        return _isVault[vault];
    }

    /// @inheritdoc IHostVaults
    function court() external view returns (address) {
        return COURT;
    }

    /// @inheritdoc IHostVaults
    function withdrawalDelay() external view returns (uint256) {
        return WITHDRAWAL_DELAY;
    }

    /// @inheritdoc IHostVaults
    function lockHorizon() external view returns (uint256) {
        return LOCK_HORIZON;
    }
}
