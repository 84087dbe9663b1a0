// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Part} from "../court/answers/Layout.sol";
import {IChecker} from "./IChecker.sol";

/// @title Rules for some of the vectors of a trace
/// @notice All rules together are more code than one contract can have, so the judge keeps them in several.
interface IChapter {
    /// @notice The disputed word is of a vector that another chapter has the rules of.
    /// @param part The vector.
    error NotOfChapter(Part part);

    /// @notice Computes a step of a working again. The judge hands on what it was called with, once it has compared the context.
    /// @param docket Where the dispute stands.
    /// @param context What it is about, and the shape of the model.
    /// @param step The step.
    /// @param data The number of the last part that begins at or before the disputed word, and the inputs of the step.
    /// @param path The hashes that prove them.
    function judge(
        IChecker.Docket calldata docket,
        bytes calldata context,
        uint32 step,
        bytes calldata data,
        bytes32[] calldata path
    ) external view returns (IChecker.Ruling);
}
