// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Case} from "./Case.sol";
import {Layout, Part} from "./Layout.sol";

/// @title Which vector goes into which
library Streams {
    /// @notice The stream that enters the disputed word's layer.
    function entering(Case memory c) internal pure returns (uint256 layer, Part part) {
        unchecked {
            return c.layer == 0 ? (0, Part.Embedding) : (c.layer - 1, Part.FeedStream);
        }
    }

    /// @notice The first of two parts that the shape has.
    function firstOf(Case memory c, Part first, Part second) internal pure returns (Part) {
        return Layout.has(c.statement.shape, first) ? first : second;
    }

    /// @notice The first of three parts that the shape has.
    function firstOf(Case memory c, Part first, Part second, Part third) internal pure returns (Part) {
        return Layout.has(c.statement.shape, first) ? first : firstOf(c, second, third);
    }
}
