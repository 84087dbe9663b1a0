// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ChannelId, ReceiptId} from "../types/Ids.sol";

/// @title Knows one kind of statement
/// @notice What the court does not know: what a statement says, who made it, and how one word of the computation that it
/// stands for comes about. The court asks it twice in a dispute, at the beginning and at the end.
/// @dev A checker must be a function of what it is given, and of what nobody can take back: what it admitted it has to judge.
interface IChecker {
    /// @notice What the court needs of a statement.
    /// @param id Names the statement.
    /// @param maker Who signed it, and answers for it with its stake.
    /// @param channel The channel that pays for what it states; zero where none does.
    /// @param total What that costs.
    /// @param context A hash of everything that `judge` will need of it.
    /// @param levels How many nodes lie on the way from the root of its trace to 64 words, the root and the last included.
    /// @param endIndex The number of the tile in which an honest trace holds what was signed.
    /// @param endLeaf The leaf that this tile must be.
    struct Admission {
        ReceiptId id;
        address maker;
        ChannelId channel;
        uint128 total;
        bytes32 context;
        uint8 levels;
        uint64 endIndex;
        bytes32 endLeaf;
    }

    /// @notice A dispute that has come down to one word.
    /// @param context What `admit` gave.
    /// @param wordAddress The number of the word in the trace.
    /// @param word What the worker says it is.
    /// @param nodes The nodes opened on the way to it, from a root on. Both sides agree on everything under each of them that
    /// lies left of the word.
    /// @param workingRoot The root over the worker's working.
    /// @param workingLength How many words that has.
    struct Docket {
        bytes32 context;
        uint64 wordAddress;
        uint32 word;
        bytes32[] nodes;
        bytes32 workingRoot;
        uint32 workingLength;
    }

    /// @notice Who is wrong.
    enum Ruling {
        /// The step is wrong: the side whose working it is.
        WorkerLies,
        /// The step is right: the side that named it.
        AccuserLies,
        /// There is no right step: the statement should not have been made.
        HostLies
    }

    /// @notice Takes a statement in. Reverts where nobody signed it, or where its kind of computation cannot be judged.
    /// @param statement The statement.
    /// @param signature The signature of its maker.
    /// @param opening What its hashes stand for, as far as the checker has to know.
    function admit(bytes calldata statement, bytes calldata signature, bytes calldata opening)
        external
        view
        returns (Admission memory);

    /// @notice Computes one step of a working again. Reverts where what was brought does not open what the step needs.
    /// @param docket Where the dispute stands.
    /// @param context What the context is a hash of.
    /// @param step The step.
    /// @param data The inputs of the step.
    /// @param path The hashes that prove them.
    function judge(
        Docket calldata docket,
        bytes calldata context,
        uint32 step,
        bytes calldata data,
        bytes32[] calldata path
    ) external view returns (Ruling);
}
