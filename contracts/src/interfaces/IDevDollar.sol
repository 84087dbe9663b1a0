// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC3009, IERC3009Cancel} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";

/// @title A dollar for development chains
/// @notice A token of 6 decimals with permits (ERC-2612) and transfer authorisations (ERC-3009), as a dollar stablecoin
/// has them. Anybody may mint it, so it is worth nothing: its constructor refuses every chain that is not a development
/// chain.
interface IDevDollar is IERC20Metadata, IERC20Permit, IERC3009, IERC3009Cancel {
    /// @notice Tokens came out of the faucet.
    /// @param to Who got them.
    /// @param amount How many of the smallest unit.
    event FaucetOpened(address indexed to, uint256 amount);

    /// @notice The constructor ran on a chain where a token that anybody mints could be taken for money.
    /// @param chainId That chain.
    error NotADevelopmentChain(uint256 chainId);

    /// @notice Makes tokens out of nothing. Open to anybody.
    /// @param to Who gets them.
    /// @param amount How many of the smallest unit.
    function mint(address to, uint256 amount) external;
}
