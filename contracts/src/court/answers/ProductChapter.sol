// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Case} from "./Case.sol";
import {Chapter} from "./Chapter.sol";
import {Found} from "./Found.sol";
import {Part} from "./Layout.sol";
import {Products} from "./Products.sol";

/// @title The rules of products
contract ProductChapter is Chapter {
    /// @dev A bit for each part.
    uint256 private constant PARTS = (1 << uint256(Part.Query)) | (1 << uint256(Part.Key)) | (1 << uint256(Part.Value))
        | (1 << uint256(Part.AttentionOutput)) | (1 << uint256(Part.Gate)) | (1 << uint256(Part.Up))
        | (1 << uint256(Part.Down)) | (1 << uint256(Part.Logits));

    function _parts() internal pure override returns (uint256) {
        return PARTS;
    }

    function _evaluate(Case memory c, uint256 step) internal view override returns (Found memory) {
        return Products.evaluate(c, step);
    }
}
