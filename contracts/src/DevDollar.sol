// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {IDevDollar} from "./interfaces/IDevDollar.sol";

/// @title A dollar for development chains
contract DevDollar is ERC20, ERC20Permit, ERC3009, IDevDollar {
    /// @dev The chain id of anvil, Hardhat and Candor's embedded chain.
    uint256 private constant ANVIL_CHAIN = 31337;

    /// @dev The chain id of `geth --dev` and Ganache.
    uint256 private constant GETH_DEV_CHAIN = 1337;

    constructor() ERC20("Dev Dollar", "DEVUSD") ERC20Permit("Dev Dollar") {
        require(block.chainid == ANVIL_CHAIN || block.chainid == GETH_DEV_CHAIN, NotADevelopmentChain(block.chainid));
    }

    /// @inheritdoc IDevDollar
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
        emit FaucetOpened(to, amount);
    }

    /// @inheritdoc IERC20Metadata
    function decimals() public pure override(ERC20, IERC20Metadata) returns (uint8) {
        return 6;
    }

    /// @inheritdoc IERC20Permit
    function nonces(address owner) public view override(ERC20Permit, IERC20Permit) returns (uint256) {
        return super.nonces(owner);
    }
}
