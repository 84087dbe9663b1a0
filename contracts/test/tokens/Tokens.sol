// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @dev A token that anybody mints, and nothing else.
contract PlainToken is ERC20("Plain", "PLAIN") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @dev Keeps one part in a hundred of every transfer.
contract FeeToken is PlainToken {
    function _update(address from, address to, uint256 value) internal override {
        uint256 fee = from == address(0) || to == address(0) ? 0 : value / 100;
        super._update(from, to, value - fee);
        if (fee > 0) {
            super._update(from, address(0), fee);
        }
    }
}

/// @dev Refuses to move anything from or to those that it has banned.
contract BanningToken is PlainToken {
    mapping(address account => bool) public isBanned;

    error Banned(address account);

    function ban(address account) external {
        isBanned[account] = true;
    }

    function pardon(address account) external {
        isBanned[account] = false;
    }

    function _update(address from, address to, uint256 value) internal override {
        require(!isBanned[from], Banned(from));
        require(!isBanned[to], Banned(to));
        super._update(from, to, value);
    }
}

/// @dev Refuses to move nothing.
contract ZeroRefusingToken is PlainToken {
    error ZeroTransfer();

    function _update(address from, address to, uint256 value) internal override {
        require(value > 0, ZeroTransfer());
        super._update(from, to, value);
    }
}

/// @dev Says no by returning false, and never reverts.
contract QuietToken {
    mapping(address account => uint256) public balanceOf;
    bool public isOff;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function turnOff() external {
        isOff = true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        return _move(from, to, amount);
    }

    function decimals() external pure returns (uint8) {
        return 6;
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        if (isOff || balanceOf[from] < amount) {
            return false;
        }
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        return true;
    }
}

/// @dev Takes away from a holder what it likes, as tokens do whose issuer burns or whose supply follows a price.
contract ShrinkingToken is PlainToken {
    function shrink(address account, uint256 amount) external {
        _burn(account, amount);
    }
}

/// @dev Calls somebody in the middle of every transfer, once armed: before the balances move or after.
contract HookedToken is PlainToken {
    address private _target;
    bytes private _call;
    bool private _isBefore;
    /// @dev What the call in the middle returned or reverted with.
    bytes public answer;
    bool public succeeded;
    bool public wasCalled;

    function arm(address target, bytes calldata call_, bool isBefore) external {
        _target = target;
        _call = call_;
        _isBefore = isBefore;
        wasCalled = false;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (_isBefore) {
            _fire();
        }
        super._update(from, to, value);
        if (!_isBefore) {
            _fire();
        }
    }

    function _fire() private {
        address target = _target;
        if (target != address(0)) {
            _target = address(0);
            wasCalled = true;
            (succeeded, answer) = target.call(_call);
        }
    }
}
