// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IChapter} from "../../interfaces/IChapter.sol";
import {IChecker} from "../../interfaces/IChecker.sol";
import {Case} from "./Case.sol";
import {Findings, Found} from "./Found.sol";
import {Judging} from "./Judging.sol";
import {Part} from "./Layout.sol";
import {Statement} from "./Statement.sol";

/// @title Rules for some of the vectors of a trace
abstract contract Chapter is IChapter {
    /// @inheritdoc IChapter
    function judge(
        IChecker.Docket calldata docket,
        bytes calldata context,
        uint32 step,
        bytes calldata data,
        bytes32[] calldata path
    ) external view returns (IChecker.Ruling) {
        Case memory c;
        c.statement = abi.decode(context, (Statement));
        (c.wordAddress, c.claimed) = (docket.wordAddress, docket.word);
        (c.workingRoot, c.workingLength) = (docket.workingRoot, docket.workingLength);
        bytes32[] calldata nodes = docket.nodes;
        uint256 part = uint8(data[0]);
        data = data[1:];
        // Where all of it lies in this call's data: `Inputs` slices from there.
        (uint256 first, uint256 begin, uint256 from) = (0, 0, 0);
        assembly ("memory-safe") {
            first := nodes.offset
            begin := data.offset
            from := path.offset
        }
        (c.nodes, c.nodeCount) = (first, nodes.length);
        (c.data, c.dataEnd) = (begin, begin + data.length);
        (c.path, c.pathEnd) = (from, from + 32 * path.length);
        Judging.locate(c, part);
        if (Judging.isNothing(c)) return Judging.conclude(c, Findings.direct(c.workingLength, step, 0), step);
        require((_parts() >> uint256(c.part)) & 1 == 1, NotOfChapter(c.part));
        return Judging.conclude(c, _evaluate(c, step), step);
    }

    /// @dev The parts that the chapter has rules for, a bit each.
    function _parts() internal pure virtual returns (uint256);

    /// @dev Computes a step.
    function _evaluate(Case memory c, uint256 step) internal view virtual returns (Found memory);
}
