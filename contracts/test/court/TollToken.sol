// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {PlainToken} from "../tokens/Tokens.sol";

/// @notice Begins to keep a part of every transfer once it is told to, when a vault has taken it for a plain one.
contract TollToken is PlainToken {
    uint256 private _percent;

    function setToll(uint256 percent) external {
        _percent = percent;
    }

    function _update(address from, address to, uint256 value) internal override {
        uint256 toll = from == address(0) || to == address(0) ? 0 : (value * _percent) / 100;
        super._update(from, to, value - toll);
        if (toll > 0) super._update(from, address(0), toll);
    }
}
