// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ModelRoot, RegistrationId} from "../types/Ids.sol";

/// @title What is said about models
/// @notice Anybody may register any model, and nobody can take it out. A registration belongs to a model and a registrant
/// together, so nobody can keep a model from being registered by registering it first.
interface IModels {
    /// @notice What one registrant said about one model.
    /// @param root The model.
    /// @param registrant Who said it.
    /// @param registeredAt When, in seconds since 1970.
    /// @param revenueRecipient Who is to get the registrant's part of what the model earns.
    /// @param licence The SPDX identifier of its licence, in ASCII, zeros at the end.
    /// @param manifest The URI of its manifest.
    /// @param parents The registrations that it descends from.
    struct Registration {
        ModelRoot root;
        address registrant;
        uint64 registeredAt;
        address revenueRecipient;
        bytes32 licence;
        string manifest;
        RegistrationId[] parents;
    }

    /// @notice A model was registered.
    /// @param id The registration.
    /// @param root The model.
    /// @param registrant Who registered it.
    /// @param revenueRecipient Who is to get the registrant's part.
    /// @param licence The SPDX identifier of its licence.
    /// @param manifest The URI of its manifest.
    /// @param parents The registrations that it descends from.
    event ModelRegistered(
        RegistrationId indexed id,
        ModelRoot indexed root,
        address indexed registrant,
        address revenueRecipient,
        bytes32 licence,
        string manifest,
        RegistrationId[] parents
    );

    /// @notice A registrant named another recipient.
    /// @param id The registration.
    /// @param earlier Who it was.
    /// @param revenueRecipient Who it is now.
    event RevenueRecipientChanged(RegistrationId indexed id, address indexed earlier, address indexed revenueRecipient);

    /// @notice A model without a root, or a recipient without an address.
    error ZeroValue();

    /// @notice The registrant has said so before.
    /// @param id The registration.
    error AlreadyRegistered(RegistrationId id);

    /// @notice There is no such registration.
    /// @param id The registration.
    error UnknownRegistration(RegistrationId id);

    /// @notice Only the registrant may do that.
    /// @param registrant The registrant.
    /// @param caller Who called.
    error NotRegistrant(address registrant, address caller);

    /// @notice More parents than anybody wants to walk.
    /// @param count How many.
    /// @param countMax The limit.
    error TooManyParents(uint256 count, uint256 countMax);

    /// @notice The URI is empty or too long.
    /// @param length Its length in bytes.
    /// @param lengthMax The limit.
    error BadManifestLength(uint256 length, uint256 lengthMax);

    /// @notice Registers a model in the caller's name.
    /// @param root The model.
    /// @param revenueRecipient Who is to get the caller's part of what the model earns.
    /// @param licence The SPDX identifier of its licence, in ASCII, zeros at the end.
    /// @param manifest The URI of its manifest, 1 to 512 bytes.
    /// @param parents The registrations that it descends from, at most 16. They exist already, so lineage has no circles.
    /// @return id The registration.
    function register(
        ModelRoot root,
        address revenueRecipient,
        bytes32 licence,
        string calldata manifest,
        RegistrationId[] calldata parents
    ) external returns (RegistrationId id);

    /// @notice Names another recipient for a registration of the caller.
    function setRevenueRecipient(RegistrationId id, address revenueRecipient) external;

    /// @notice One registration.
    /// @dev Reverts with `UnknownRegistration` where there is none.
    function registration(RegistrationId id) external view returns (Registration memory);

    /// @notice The name of a registration, whether it exists or not.
    function registrationId(ModelRoot root, address registrant) external pure returns (RegistrationId);
}
