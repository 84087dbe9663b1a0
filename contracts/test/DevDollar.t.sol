// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {DevDollar} from "../src/DevDollar.sol";
import {IDevDollar} from "../src/interfaces/IDevDollar.sol";

contract DevDollarTest is Test {
    function test_constructor_reverts_onMainnet() public {
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(IDevDollar.NotADevelopmentChain.selector, 1));
        new DevDollar();
    }
}
