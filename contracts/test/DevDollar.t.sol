// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test, Vm} from "forge-std/Test.sol";
import {DevDollar} from "../src/DevDollar.sol";
import {IDevDollar} from "../src/interfaces/IDevDollar.sol";

contract DevDollarTest is Test {
    bytes32 private constant PERMIT_TYPE =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    string private constant AUTHORIZATION =
        "WithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";

    DevDollar private dollar;
    Vm.Wallet private ann;
    address private bob = makeAddr("bob");

    function setUp() public {
        vm.chainId(31337);
        vm.warp(1_800_000_000);
        dollar = new DevDollar();
        ann = vm.createWallet("ann");
        dollar.mint(ann.addr, 1_000);
    }

    function _sign(bytes32 structHash) private returns (uint8 v, bytes32 r, bytes32 s) {
        return vm.sign(ann, keccak256(abi.encodePacked(hex"1901", dollar.DOMAIN_SEPARATOR(), structHash)));
    }

    function testFuzz_constructor_reverts_onAnyOtherChain(uint64 chainId) public {
        vm.assume(chainId != 31337 && chainId != 1337);
        vm.chainId(chainId);
        vm.expectRevert(abi.encodeWithSelector(IDevDollar.NotADevelopmentChain.selector, chainId));
        new DevDollar();
    }

    function test_constructor_works_onDevelopmentChains() public {
        vm.chainId(1337);
        assertEq(new DevDollar().decimals(), 6);
        assertEq(dollar.name(), "Dev Dollar");
        assertEq(dollar.symbol(), "DEVUSD");
    }

    function test_mint_isOpen_toAnybody() public {
        vm.expectEmit(address(dollar));
        emit IDevDollar.FaucetOpened(bob, 5);
        vm.prank(bob);
        dollar.mint(bob, 5);
        assertEq(dollar.balanceOf(bob), 5);
    }

    function test_permit_approves_bySignature() public {
        (uint8 v, bytes32 r, bytes32 s) =
            _sign(keccak256(abi.encode(PERMIT_TYPE, ann.addr, bob, 70, 0, block.timestamp)));
        dollar.permit(ann.addr, bob, 70, block.timestamp, v, r, s);
        assertEq(dollar.allowance(ann.addr, bob), 70);
        assertEq(dollar.nonces(ann.addr), 1);
        vm.expectPartialRevert(bytes4(keccak256("ERC2612InvalidSigner(address,address)")));
        dollar.permit(ann.addr, bob, 70, block.timestamp, v, r, s);
    }

    function test_transferWithAuthorization_moves_once() public {
        (uint8 v, bytes32 r, bytes32 s) = _authorize("Transfer", 0, block.timestamp + 1);
        dollar.transferWithAuthorization(ann.addr, bob, 70, 0, block.timestamp + 1, "nonce", v, r, s);
        assertEq(dollar.balanceOf(bob), 70);
        assertTrue(dollar.authorizationState(ann.addr, "nonce"));
        vm.expectPartialRevert(bytes4(keccak256("ERC3009UsedAuthorization(address,bytes32)")));
        dollar.transferWithAuthorization(ann.addr, bob, 70, 0, block.timestamp + 1, "nonce", v, r, s);
    }

    function test_transferWithAuthorization_reverts_outsideItsTime() public {
        (uint8 v, bytes32 r, bytes32 s) = _authorize("Transfer", block.timestamp, block.timestamp + 9);
        vm.expectPartialRevert(bytes4(keccak256("ERC3009InvalidAuthorizationTime(uint256,uint256)")));
        dollar.transferWithAuthorization(ann.addr, bob, 70, block.timestamp, block.timestamp + 9, "nonce", v, r, s);
    }

    function test_receiveWithAuthorization_moves_forTheReceiverOnly() public {
        (uint8 v, bytes32 r, bytes32 s) = _authorize("Receive", 0, block.timestamp + 1);
        vm.expectPartialRevert(bytes4(keccak256("ERC20InvalidReceiver(address)")));
        dollar.receiveWithAuthorization(ann.addr, bob, 70, 0, block.timestamp + 1, "nonce", v, r, s);
        vm.prank(bob);
        dollar.receiveWithAuthorization(ann.addr, bob, 70, 0, block.timestamp + 1, "nonce", v, r, s);
        assertEq(dollar.balanceOf(bob), 70);
    }

    function test_cancelAuthorization_spendsTheNonce() public {
        bytes32 kind = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
        (uint8 v, bytes32 r, bytes32 s) = _sign(keccak256(abi.encode(kind, ann.addr, bytes32("nonce"))));
        dollar.cancelAuthorization(ann.addr, "nonce", v, r, s);
        (v, r, s) = _authorize("Transfer", 0, block.timestamp + 1);
        vm.expectPartialRevert(bytes4(keccak256("ERC3009UsedAuthorization(address,bytes32)")));
        dollar.transferWithAuthorization(ann.addr, bob, 70, 0, block.timestamp + 1, "nonce", v, r, s);
    }

    function _authorize(string memory kind, uint256 validAfter, uint256 validBefore)
        private
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        bytes32 typeHash = keccak256(bytes(string.concat(kind, AUTHORIZATION)));
        return _sign(keccak256(abi.encode(typeHash, ann.addr, bob, 70, validAfter, validBefore, bytes32("nonce"))));
    }
}
