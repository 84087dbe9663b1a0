// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Statement} from "../court/answers/Case.sol";
import {Part} from "../court/answers/Layout.sol";
import {Shape} from "../court/answers/Shape.sol";
import {IChecker} from "./IChecker.sol";

/// @title Rules for some of the vectors of a trace
/// @notice All rules together are more code than one contract can have, so the judge keeps them in several.
interface IChapter {
    /// @notice The disputed word is of a vector that another chapter has the rules of.
    /// @param part The vector.
    error NotOfChapter(Part part);

    /// @notice Computes a step of a working again.
    /// @param shape The model's.
    /// @param docket Where the dispute stands.
    /// @param statement What it is about.
    /// @param step The step.
    /// @param data The inputs of the step.
    /// @param path The hashes that prove them.
    function rule(
        Shape memory shape,
        IChecker.Docket calldata docket,
        Statement memory statement,
        uint32 step,
        bytes calldata data,
        bytes32[] calldata path
    ) external view returns (IChecker.Ruling);
}
