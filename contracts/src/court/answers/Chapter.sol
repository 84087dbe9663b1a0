// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IChapter} from "../../interfaces/IChapter.sol";
import {IChecker} from "../../interfaces/IChecker.sol";
import {Case, Statement} from "./Case.sol";
import {Findings, Found} from "./Found.sol";
import {Judging} from "./Judging.sol";
import {Part} from "./Layout.sol";
import {Shape} from "./Shape.sol";

/// @title Rules for some of the vectors of a trace
abstract contract Chapter is IChapter {
    /// @inheritdoc IChapter
    function rule(
        Shape memory shape,
        IChecker.Docket calldata docket,
        Statement memory statement,
        uint32 step,
        bytes calldata data,
        bytes32[] calldata path
    ) external view returns (IChecker.Ruling) {
        Case memory c;
        (c.shape, c.statement) = (shape, statement);
        (c.claimed, c.wordAddress) = (docket.word, docket.wordAddress);
        c.nodes = docket.nodes;
        (c.workingRoot, c.workingLength) = (docket.workingRoot, docket.workingLength);
        uint256 begin;
        uint256 first;
        // Where the two lie in this call's data: `Inputs` slices from there.
        assembly ("memory-safe") {
            begin := data.offset
            first := path.offset
        }
        (c.data, c.dataEnd) = (begin, begin + data.length);
        (c.path, c.pathEnd) = (first, first + 32 * path.length);
        Judging.locate(c);
        if (Judging.isNothing(c)) return Judging.conclude(c, Findings.direct(c.workingLength, step, 0), step);
        require(_has(c.part), NotOfChapter(c.part));
        return Judging.conclude(c, _evaluate(c, step), step);
    }

    /// @dev Whether a part belongs to this chapter.
    function _has(Part part) internal pure virtual returns (bool);

    /// @dev Computes a step.
    function _evaluate(Case memory c, uint256 step) internal view virtual returns (Found memory);
}
