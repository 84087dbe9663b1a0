// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The part of ERC-8183 (draft of February 2026) that an evaluator speaks
/// @notice The draft names no way to read a job; `getJob` is what its reference implementation has. Fields that it added
/// later come after these, where a decoder does not look.
interface IAgenticCommerce {
    /// @notice Where a job stands.
    enum JobStatus {
        Open,
        Funded,
        Submitted,
        Completed,
        Rejected,
        Expired
    }

    /// @notice A job.
    /// @param id Its number.
    /// @param client Who pays.
    /// @param provider Who works.
    /// @param evaluator Who decides.
    /// @param description What for.
    /// @param budget How much.
    /// @param expiredAt When the client can have its money back.
    /// @param status Where it stands.
    struct Job {
        uint256 id;
        address client;
        address provider;
        address evaluator;
        string description;
        uint256 budget;
        uint256 expiredAt;
        JobStatus status;
    }

    /// @notice Pays the provider.
    function complete(uint256 jobId, bytes32 reason, bytes calldata optParams) external;

    /// @notice Pays the client back.
    function reject(uint256 jobId, bytes32 reason, bytes calldata optParams) external;

    /// @notice Reads a job.
    function getJob(uint256 jobId) external view returns (Job memory);
}
