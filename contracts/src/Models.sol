// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IModels} from "./interfaces/IModels.sol";
import {ModelRoot, RegistrationId} from "./types/Ids.sol";

/// @title What is said about models
contract Models is IModels {
    /// @dev Whoever follows a lineage meets at most that many branches at each step.
    uint256 private constant PARENTS_MAX = 16;

    /// @dev Room for any URI that names content by its hash, and no more for others to carry.
    uint256 private constant MANIFEST_BYTES_MAX = 512;

    mapping(RegistrationId id => Registration) private _registrations;

    /// @inheritdoc IModels
    function register(
        ModelRoot root,
        address revenueRecipient,
        bytes32 licence,
        string calldata manifest,
        RegistrationId[] calldata parents
    ) external returns (RegistrationId id) {
        require(ModelRoot.unwrap(root) != 0 && revenueRecipient != address(0), ZeroValue());
        uint256 length = bytes(manifest).length;
        require(length > 0 && length <= MANIFEST_BYTES_MAX, BadManifestLength(length, MANIFEST_BYTES_MAX));
        require(parents.length <= PARENTS_MAX, TooManyParents(parents.length, PARENTS_MAX));
        id = registrationId(root, msg.sender);
        require(_registrations[id].registrant == address(0), AlreadyRegistered(id));
        for (uint256 i = 0; i < parents.length; ++i) {
            require(_registrations[parents[i]].registrant != address(0), UnknownRegistration(parents[i]));
        }
        _registrations[id] = Registration({
            root: root,
            registrant: msg.sender,
            registeredAt: uint64(block.timestamp),
            revenueRecipient: revenueRecipient,
            licence: licence,
            manifest: manifest,
            parents: parents
        });
        emit ModelRegistered(id, root, msg.sender, revenueRecipient, licence, manifest, parents);
    }

    /// @inheritdoc IModels
    function setRevenueRecipient(RegistrationId id, address revenueRecipient) external {
        address registrant = _registrations[id].registrant;
        require(registrant != address(0), UnknownRegistration(id));
        require(msg.sender == registrant, NotRegistrant(registrant, msg.sender));
        require(revenueRecipient != address(0), ZeroValue());
        address earlier = _registrations[id].revenueRecipient;
        _registrations[id].revenueRecipient = revenueRecipient;
        emit RevenueRecipientChanged(id, earlier, revenueRecipient);
    }

    /// @inheritdoc IModels
    function registration(RegistrationId id) external view returns (Registration memory) {
        require(_registrations[id].registrant != address(0), UnknownRegistration(id));
        return _registrations[id];
    }

    /// @inheritdoc IModels
    function registrationId(ModelRoot root, address registrant) public pure returns (RegistrationId) {
        return RegistrationId.wrap(keccak256(abi.encode(root, registrant)));
    }
}
