// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {console, Vm} from "forge-std/Test.sol";
import {IChannels} from "../../src/interfaces/IChannels.sol";
import {Voucher} from "../../src/types/Voucher.sol";
import {ChannelsFixture} from "./ChannelsFixture.sol";

/// @dev Gas as a transaction pays it: with its 21,000, its calldata and what it gets back.
contract ChannelsGasTest is ChannelsFixture {
    uint256 private constant VOUCHERS = 100;

    /// @dev The bar of the issue.
    uint256 private constant GAS_PER_VOUCHER_MAX = 12_000;

    function _batch() private returns (Voucher[] memory batch) {
        batch = new Voucher[](VOUCHERS);
        for (uint256 i = 0; i < VOUCHERS; ++i) {
            Vm.Wallet memory one = vm.createWallet(string.concat("client ", vm.toString(i)));
            IChannels.Terms memory terms = _terms(uint96(300 + i));
            terms.client = one.addr;
            _open(terms, 20 * DOLLAR);
            batch[i] = _signed(one, channels, terms, uint96(12_345_678 + i), MODEL);
        }
    }

    function test_settle_staysUnderTheBar_hundredClients() public {
        Voucher[] memory batch = _batch();
        channels.settle(host, dollar, MODEL, batch);
        uint256 perVoucher = vm.lastCallGas().gasTotalUsed / VOUCHERS;
        console.log("gas a voucher, 100 clients, a host without dollars:", perVoucher);
        vm.snapshotValue("channels", "settle: one of 100 vouchers", perVoucher);
        assertLe(perVoucher, GAS_PER_VOUCHER_MAX);
        assertEq(dollar.balanceOf(host), VOUCHERS * 12_345_678 + VOUCHERS * (VOUCHERS - 1) / 2);
    }

    function test_eachCall_isMeasured() public {
        IChannels.Terms memory terms = _terms(1);
        _open(terms, 10 * DOLLAR);
        dollar.mint(client.addr, DOLLAR);
        vm.startPrank(client.addr);
        dollar.approve(address(channels), 2 * DOLLAR);
        channels.fund(terms, DOLLAR);
        vm.snapshotGasLastCall("channels", "fund: top up");
        dollar.mint(client.addr, DOLLAR);
        channels.fund(_terms(2), DOLLAR);
        vm.snapshotGasLastCall("channels", "fund: open");
        channels.requestClose(terms);
        vm.snapshotGasLastCall("channels", "requestClose");
        vm.stopPrank();
        Voucher[] memory batch = new Voucher[](1);
        batch[0] = _voucher(terms, uint96(2 * DOLLAR));
        vm.prank(host);
        channels.settle(host, dollar, MODEL, batch);
        vm.snapshotGasLastCall("channels", "settle: one voucher");
        vm.startPrank(court);
        channels.refute(channels.channelId(terms), host, DOLLAR);
        vm.snapshotGasLastCall("channels", "refute");
        vm.stopPrank();
        channels.claimRefund(terms);
        vm.snapshotGasLastCall("channels", "claimRefund");
        vm.prank(host);
        channels.close(terms);
        vm.snapshotGasLastCall("channels", "close");
    }
}
