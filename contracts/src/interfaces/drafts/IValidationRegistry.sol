// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The part of ERC-8004's validation registry that a validator speaks
/// @notice As the registries that are deployed have it, with a tag of type `string`; the text of the draft still says
/// `bytes32`.
interface IValidationRegistry {
    /// @notice Answers a request that named the caller as its validator.
    /// @param requestHash The request.
    /// @param response 0 for failed to 100 for passed.
    /// @param responseURI Where evidence lies.
    /// @param responseHash What it hashes to.
    /// @param tag A word for filters.
    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata responseURI,
        bytes32 responseHash,
        string calldata tag
    ) external;

    /// @notice What is known of a request. Reverts where there is none.
    function getValidationStatus(bytes32 requestHash)
        external
        view
        returns (
            address validatorAddress,
            uint256 agentId,
            uint8 response,
            bytes32 responseHash,
            string memory tag,
            uint256 lastUpdate
        );

    /// @notice The registry of agents, an ERC-721.
    function getIdentityRegistry() external view returns (address);
}
