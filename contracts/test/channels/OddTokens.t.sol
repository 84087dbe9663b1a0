// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IChannels} from "../../src/interfaces/IChannels.sol";
import {ChannelId} from "../../src/types/Ids.sol";
import {Settlement, Voucher} from "../../src/types/Voucher.sol";
import {BanningToken, FeeToken, HookedToken, PlainToken, QuietToken, ShrinkingToken} from "../tokens/Tokens.sol";
import {ChannelsFixture} from "./ChannelsFixture.sol";

contract ChannelsOddTokensTest is ChannelsFixture {
    function _termsIn(address token) private view returns (IChannels.Terms memory terms) {
        terms = _terms(0);
        terms.token = IERC20(token);
    }

    function _openIn(PlainToken token, uint256 amount) private returns (ChannelId id) {
        token.mint(client.addr, amount);
        vm.startPrank(client.addr);
        token.approve(address(channels), amount);
        id = channels.fund(_termsIn(address(token)), amount);
        vm.stopPrank();
    }

    function _settleIn(address token, uint96 amount) private returns (Settlement, uint256 paid) {
        Voucher[] memory batch = new Voucher[](1);
        batch[0] = _voucher(_termsIn(token), amount);
        bytes memory settlements;
        (paid, settlements) = channels.settle(host, IERC20(token), MODEL, batch);
        return (Settlement(uint8(settlements[0])), paid);
    }

    function test_fund_creditsWhatArrives_feeOnTransfer() public {
        FeeToken token = new FeeToken();
        ChannelId id = _openIn(token, 1_000);
        assertEq(channels.channel(id).deposited, 990);
        (Settlement settlement, uint256 paid) = _settleIn(address(token), 1_000);
        assertEq(settlement, Settlement.PaidInPart);
        assertEq(paid, 990);
        assertEq(token.balanceOf(address(channels)), 0);
    }

    function test_fund_reverts_tokenThatSaysNoQuietly() public {
        QuietToken token = new QuietToken();
        token.mint(client.addr, 1_000);
        token.turnOff();
        vm.prank(client.addr);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token)));
        channels.fund(_termsIn(address(token)), 1_000);
    }

    function test_fund_reverts_addressWithoutCode() public {
        vm.prank(client.addr);
        vm.expectRevert();
        channels.fund(_termsIn(makeAddr("nothing")), 1_000);
    }

    function test_settle_keepsTheVoucherGood_bannedHost() public {
        BanningToken token = new BanningToken();
        ChannelId id = _openIn(token, 1_000);
        token.ban(host);
        Voucher[] memory batch = new Voucher[](1);
        batch[0] = _voucher(_termsIn(address(token)), 400);
        vm.expectRevert(abi.encodeWithSelector(BanningToken.Banned.selector, host));
        channels.settle(host, IERC20(address(token)), MODEL, batch);
        assertEq(channels.channel(id).settled, 0);
        token.pardon(host);
        (, uint256 paid) = _settleIn(address(token), 400);
        assertEq(paid, 400);
    }

    function test_settle_harmsNoOtherToken_shrinkingToken() public {
        ShrinkingToken token = new ShrinkingToken();
        _openIn(token, 1_000);
        _open(_terms(0), DOLLAR);
        token.shrink(address(channels), 1_000);
        Voucher[] memory batch = new Voucher[](1);
        batch[0] = _voucher(_termsIn(address(token)), 400);
        vm.expectRevert();
        channels.settle(host, IERC20(address(token)), MODEL, batch);
        (Settlement settlement, uint256 paid) = _settle(_voucher(_terms(0), uint96(DOLLAR)));
        assertEq(settlement, Settlement.Paid);
        assertEq(paid, DOLLAR);
    }

    /// @dev Every way in that moves money, called again from the middle of each of the others.
    function test_everyWayIn_refusesToBeReentered_hookedToken() public {
        for (uint256 outer = 0; outer < 4; ++outer) {
            for (uint256 inner = 0; inner < 5; ++inner) {
                _reenter(outer, inner, true);
                _reenter(outer, inner, false);
            }
        }
    }

    function _reenter(uint256 outer, uint256 inner, bool isBefore) private {
        HookedToken token = new HookedToken();
        IChannels.Terms memory terms = _termsIn(address(token));
        ChannelId id = _openIn(token, 1_000);
        vm.prank(court);
        channels.refute(id, host, 100);
        token.mint(client.addr, 1_000);
        vm.prank(client.addr);
        token.approve(address(channels), 1_000);
        Voucher[] memory batch = new Voucher[](1);
        batch[0] = _voucher(terms, 400);
        bytes[5] memory calls = [
            abi.encodeCall(IChannels.fund, (terms, 1_000)),
            abi.encodeCall(IChannels.settle, (host, terms.token, MODEL, batch)),
            abi.encodeCall(IChannels.close, (terms)),
            abi.encodeCall(IChannels.claimRefund, (terms)),
            abi.encodeCall(IChannels.fundWithPermit, (terms, 1_000, 0, 27, 0, 0))
        ];
        token.arm(address(channels), calls[inner], isBefore);
        vm.prank(outer == 0 ? client.addr : host);
        (bool succeeded,) = address(channels).call(calls[outer]);
        assertTrue(succeeded, "the outer call succeeds");
        assertTrue(token.wasCalled(), "the hook was called");
        assertFalse(token.succeeded(), "the inner call fails");
        assertEq(token.answer(), abi.encodePacked(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector));
    }

    function test_refute_countsOnce_calledFromTheMiddleOfSettling() public {
        HookedToken token = new HookedToken();
        // The court itself as the one that is called: here the court is this test's own contract.
        ChannelId id = _openIn(token, 1_000);
        CourtInTheMiddle middle = new CourtInTheMiddle();
        vm.etch(court, address(middle).code);
        bytes memory call_ = abi.encodeCall(CourtInTheMiddle.refute, (channels, id, host, 300));
        token.arm(court, call_, true);
        (, uint256 paid) = _settleIn(address(token), 400);
        assertTrue(token.succeeded());
        assertEq(paid, 400);
        assertEq(channels.channel(id).deposited, 700);
        assertEq(channels.channel(id).settled, 400);
        vm.prank(host);
        assertEq(channels.close(_termsIn(address(token))), 600);
        assertEq(token.balanceOf(address(channels)), 0);
    }
}

contract CourtInTheMiddle {
    function refute(IChannels channels, ChannelId id, address host, uint256 amount) external {
        channels.refute(id, host, amount);
    }
}
