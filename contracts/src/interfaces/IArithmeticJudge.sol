// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Learning} from "../court/answers/Learning.sol";
import {Shape} from "../court/answers/Shape.sol";
import {ModelRoot} from "../types/Ids.sol";
import {IChecker} from "./IChecker.sol";

/// @title The judge of answers
/// @notice Recomputes one step of CA-1. `docs/dispute.md` says which steps there are.
interface IArithmeticJudge is IChecker {
    /// @notice The shape of a model is known from now on.
    /// @param root The model.
    /// @param shape Its shape.
    event ModelLearned(ModelRoot indexed root, Shape shape);

    /// @notice The shape of this model is not known: somebody has to call `learn`.
    /// @param root The model.
    error ModelUnknown(ModelRoot root);

    /// @notice The statement that was brought along is not the one that the dispute is about.
    /// @param expected The hash of the right one.
    /// @param found The hash of the one brought.
    error WrongContext(bytes32 expected, bytes32 found);

    /// @notice Stores the shape of a model, proved under its root. Anybody may call, once is enough.
    /// @param root The model.
    /// @param model Its hyper-parameters with their paths.
    function learn(ModelRoot root, Learning.Model calldata model) external;

    /// @notice The shape of a model; all zero where it is not known.
    /// @param root The model.
    function shapeOf(ModelRoot root) external view returns (Shape memory);
}
