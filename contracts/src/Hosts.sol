// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IHosts} from "./interfaces/IHosts.sol";
import {IHostVault} from "./interfaces/IHostVault.sol";
import {IHostVaults} from "./interfaces/IHostVaults.sol";

/// @title Who computes answers
contract Hosts is IHosts {
    /// @dev Room for any URL that a person would type, and no more for others to carry.
    uint256 private constant ENDPOINT_BYTES_MAX = 256;

    IHostVaults private immutable VAULTS;

    mapping(address host => Host) private _hosts;

    /// @param vaults_ The factory whose vaults count. It may be deployed later.
    constructor(IHostVaults vaults_) {
        VAULTS = vaults_;
    }

    /// @inheritdoc IHosts
    function register(address vault, bytes32 peerKey, bytes32 offerHash, string calldata endpoint) external {
        Host storage host = _hosts[msg.sender];
        require(host.vault == address(0), AlreadyRegistered(msg.sender));
        require(VAULTS.isVault(vault), NotAVault(vault));
        address backed = IHostVault(vault).host();
        require(backed == msg.sender, ForeignVault(vault, backed, msg.sender));
        host.vault = vault;
        host.registeredAt = uint64(block.timestamp);
        emit HostRegistered(msg.sender, vault);
        _describe(host, peerKey, offerHash, endpoint);
    }

    /// @inheritdoc IHosts
    function update(bytes32 peerKey, bytes32 offerHash, string calldata endpoint) external {
        Host storage host = _hosts[msg.sender];
        require(host.vault != address(0), NotRegistered(msg.sender));
        _describe(host, peerKey, offerHash, endpoint);
    }

    /// @inheritdoc IHosts
    function vaultOf(address host) external view returns (address) {
        return _hosts[host].vault;
    }

    /// @inheritdoc IHosts
    function hostOf(address host) external view returns (Host memory) {
        return _hosts[host];
    }

    /// @inheritdoc IHosts
    function vaults() external view returns (address) {
        return address(VAULTS);
    }

    function _describe(Host storage host, bytes32 peerKey, bytes32 offerHash, string calldata endpoint) private {
        uint256 length = bytes(endpoint).length;
        require(length <= ENDPOINT_BYTES_MAX, EndpointTooLong(length, ENDPOINT_BYTES_MAX));
        host.peerKey = peerKey;
        host.offerHash = offerHash;
        host.endpoint = endpoint;
        emit HostUpdated(msg.sender, peerKey, offerHash, endpoint);
    }
}
