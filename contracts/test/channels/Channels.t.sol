// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Channels} from "../../src/Channels.sol";
import {IChannels} from "../../src/interfaces/IChannels.sol";
import {ChannelId, ModelRoot, ReceiptId} from "../../src/types/Ids.sol";
import {Charge, ChargeFields, Payer, PayerFields, Settlement, Voucher} from "../../src/types/Voucher.sol";
import {ChannelsFixture} from "./ChannelsFixture.sol";

contract ChannelsFundTest is ChannelsFixture {
    function test_constructor_reverts_delayOutOfBounds() public {
        vm.expectRevert(abi.encodeWithSelector(IChannels.BadCloseDelay.selector, 10 minutes - 1));
        new Channels(court, 10 minutes - 1);
        vm.expectRevert(abi.encodeWithSelector(IChannels.BadCloseDelay.selector, 30 days + 1));
        new Channels(court, 30 days + 1);
        assertEq(new Channels(court, 30 days).closeDelay(), 30 days);
        assertEq(channels.court(), court);
    }

    function test_fund_opens_firstPaymentOfClient() public {
        IChannels.Terms memory terms = _terms(7);
        dollar.mint(client.addr, 5 * DOLLAR);
        vm.startPrank(client.addr);
        dollar.approve(address(channels), 5 * DOLLAR);
        ChannelId id = channels.channelId(terms);
        vm.expectEmit(address(channels));
        emit IChannels.ChannelOpened(id, client.addr, host, dollar, 7);
        vm.expectEmit(address(channels));
        emit IChannels.ChannelFunded(id, client.addr, 5 * DOLLAR, 5 * DOLLAR);
        assertTrue(_isSame(channels.fund(terms, 5 * DOLLAR), id));
        IChannels.Channel memory channel = channels.channel(id);
        assertEq(channel.deposited, 5 * DOLLAR);
        assertEq(uint256(channel.state), uint256(IChannels.State.Open));
        assertEq(channels.hostOf(id), host);
    }

    function test_fund_adds_laterPaymentOfAnybody() public {
        ChannelId id = _open(_terms(0), DOLLAR);
        address friend = makeAddr("friend");
        dollar.mint(friend, DOLLAR);
        vm.startPrank(friend);
        dollar.approve(address(channels), DOLLAR);
        channels.fund(_terms(0), DOLLAR);
        assertEq(channels.channel(id).deposited, 2 * DOLLAR);
    }

    function test_fund_reverts_firstPaymentOfStranger() public {
        address stranger = makeAddr("stranger");
        dollar.mint(stranger, DOLLAR);
        vm.startPrank(stranger);
        dollar.approve(address(channels), DOLLAR);
        vm.expectRevert(abi.encodeWithSelector(IChannels.NotClient.selector, client.addr, stranger));
        channels.fund(_terms(0), DOLLAR);
    }

    function test_fund_reverts_zeroAmountOrHost() public {
        vm.startPrank(client.addr);
        vm.expectRevert(IChannels.ZeroDeposit.selector);
        channels.fund(_terms(0), 0);
        dollar.mint(client.addr, DOLLAR);
        dollar.approve(address(channels), DOLLAR);
        IChannels.Terms memory terms = _terms(0);
        terms.host = address(0);
        vm.expectRevert(IChannels.ZeroAddress.selector);
        channels.fund(terms, DOLLAR);
    }

    function test_fund_reverts_moreThanAChannelCounts() public {
        uint256 most = type(uint96).max;
        _open(_terms(0), most);
        dollar.mint(client.addr, 1);
        vm.startPrank(client.addr);
        dollar.approve(address(channels), 1);
        vm.expectRevert(abi.encodeWithSelector(IChannels.DepositTooLarge.selector, most + 1, most));
        channels.fund(_terms(0), 1);
    }

    function test_fund_reverts_closedChannel() public {
        ChannelId id = _open(_terms(0), DOLLAR);
        vm.prank(host);
        channels.close(_terms(0));
        dollar.mint(client.addr, 1);
        vm.startPrank(client.addr);
        dollar.approve(address(channels), 1);
        vm.expectRevert(abi.encodeWithSelector(IChannels.NotOpen.selector, id, IChannels.State.Closed));
        channels.fund(_terms(0), 1);
    }

    function test_channelId_differs_eachPart() public {
        IChannels.Terms memory terms = _terms(1);
        ChannelId id = channels.channelId(terms);
        terms.salt = 2;
        assertFalse(_isSame(channels.channelId(terms), id));
        terms = _terms(1);
        terms.client = host;
        assertFalse(_isSame(channels.channelId(terms), id));
        terms = _terms(1);
        terms.host = court;
        assertFalse(_isSame(channels.channelId(terms), id));
        terms = _terms(1);
        terms.token = IERC20(court);
        assertFalse(_isSame(channels.channelId(terms), id));
        assertFalse(_isSame(new Channels(court, CLOSE_DELAY).channelId(_terms(1)), id));
        vm.chainId(1);
        assertFalse(_isSame(channels.channelId(_terms(1)), id));
    }
}

contract ChannelsSignedFundTest is ChannelsFixture {
    bytes32 private constant PERMIT_TYPE =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 private constant RECEIVE_TYPE = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    address private relayer = makeAddr("relayer");

    function setUp() public override {
        super.setUp();
        dollar.mint(client.addr, 10 * DOLLAR);
    }

    function _permit(uint256 amount) private returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 structHash = keccak256(
            abi.encode(PERMIT_TYPE, client.addr, address(channels), amount, dollar.nonces(client.addr), block.timestamp)
        );
        return vm.sign(client, _typed(structHash));
    }

    function _authorization(IChannels.Terms memory terms, uint256 amount, bytes32 salt)
        private
        returns (IChannels.Authorization memory authorization)
    {
        bytes32 nonce = channels.authorizationNonce(channels.channelId(terms), salt);
        bytes32 structHash =
            keccak256(abi.encode(RECEIVE_TYPE, client.addr, address(channels), amount, 0, block.timestamp + 1, nonce));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(client, _typed(structHash));
        return IChannels.Authorization({
            value: amount, validAfter: 0, validBefore: block.timestamp + 1, salt: salt, v: v, r: r, s: s
        });
    }

    function _typed(bytes32 structHash) private view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", dollar.DOMAIN_SEPARATOR(), structHash));
    }

    function test_fundWithPermit_opens_withoutApproval() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(DOLLAR);
        vm.prank(client.addr);
        ChannelId id = channels.fundWithPermit(_terms(0), DOLLAR, block.timestamp, v, r, s);
        assertEq(channels.channel(id).deposited, DOLLAR);
    }

    function test_fundWithPermit_opens_permitUsedBefore() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(DOLLAR);
        vm.prank(relayer);
        dollar.permit(client.addr, address(channels), DOLLAR, block.timestamp, v, r, s);
        vm.prank(client.addr);
        ChannelId id = channels.fundWithPermit(_terms(0), DOLLAR, block.timestamp, v, r, s);
        assertEq(channels.channel(id).deposited, DOLLAR);
    }

    function test_fundWithPermit_reverts_permitOfAnother() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(DOLLAR);
        vm.prank(relayer);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(channels), 0, DOLLAR)
        );
        channels.fundWithPermit(_terms(0), DOLLAR, block.timestamp, v, r, s);
    }

    function test_fundWithAuthorization_opens_broughtByAnybody() public {
        IChannels.Authorization memory authorization = _authorization(_terms(0), DOLLAR, "a");
        vm.prank(relayer);
        ChannelId id = channels.fundWithAuthorization(_terms(0), authorization);
        assertEq(channels.channel(id).deposited, DOLLAR);
        assertEq(dollar.balanceOf(client.addr), 9 * DOLLAR);
    }

    function test_fundWithAuthorization_adds_secondSalt() public {
        channels.fundWithAuthorization(_terms(0), _authorization(_terms(0), DOLLAR, "a"));
        ChannelId id = channels.fundWithAuthorization(_terms(0), _authorization(_terms(0), DOLLAR, "b"));
        assertEq(channels.channel(id).deposited, 2 * DOLLAR);
    }

    function test_fundWithAuthorization_reverts_broughtTwice() public {
        IChannels.Authorization memory authorization = _authorization(_terms(0), DOLLAR, "a");
        channels.fundWithAuthorization(_terms(0), authorization);
        vm.expectPartialRevert(bytes4(keccak256("ERC3009UsedAuthorization(address,bytes32)")));
        channels.fundWithAuthorization(_terms(0), authorization);
    }

    function test_fundWithAuthorization_reverts_otherChannel() public {
        IChannels.Authorization memory authorization = _authorization(_terms(0), DOLLAR, "a");
        IChannels.Terms memory terms = _terms(0);
        terms.host = relayer;
        vm.prank(relayer);
        vm.expectRevert(bytes4(keccak256("ERC3009InvalidSignature()")));
        channels.fundWithAuthorization(terms, authorization);
    }
}

contract ChannelsSettleTest is ChannelsFixture {
    ChannelId private id;

    function setUp() public override {
        super.setUp();
        id = _open(_terms(0), 10 * DOLLAR);
    }

    function test_settle_paysTheHost_validVoucher() public {
        Voucher[] memory batch = new Voucher[](1);
        batch[0] = _voucher(_terms(0), uint96(3 * DOLLAR));
        vm.expectEmit(address(channels));
        emit IChannels.VouchersSettled(host, dollar, MODEL, 3 * DOLLAR, hex"00");
        channels.settle(host, dollar, MODEL, batch);
        assertEq(dollar.balanceOf(host), 3 * DOLLAR);
        assertEq(channels.channel(id).settled, 3 * DOLLAR);
    }

    function test_settle_paysTheDifference_laterVoucher() public {
        _settle(_voucher(_terms(0), uint96(3 * DOLLAR)));
        (Settlement settlement, uint256 paid) = _settle(_voucher(_terms(0), uint96(4 * DOLLAR)));
        assertEq(settlement, Settlement.Paid);
        assertEq(paid, DOLLAR);
    }

    function test_settle_paysNothing_replayedOrEarlierVoucher() public {
        Voucher memory later = _voucher(_terms(0), uint96(3 * DOLLAR));
        _settle(later);
        (Settlement settlement, uint256 paid) = _settle(later);
        assertEq(settlement, Settlement.NothingDue);
        assertEq(paid, 0);
        (settlement,) = _settle(_voucher(_terms(0), uint96(2 * DOLLAR)));
        assertEq(settlement, Settlement.NothingDue);
        (settlement,) = _settle(_voucher(_terms(0), 0));
        assertEq(settlement, Settlement.NothingDue);
    }

    function test_settle_paysWhatIsThere_maximalAmount() public {
        Voucher memory voucher = _voucher(_terms(0), type(uint96).max);
        (Settlement settlement, uint256 paid) = _settle(voucher);
        assertEq(settlement, Settlement.PaidInPart);
        assertEq(paid, 10 * DOLLAR);
        (settlement,) = _settle(voucher);
        assertEq(settlement, Settlement.Empty);
        // The rest of it is paid from what comes in later.
        _open(_terms(0), DOLLAR);
        (settlement, paid) = _settle(voucher);
        assertEq(settlement, Settlement.PaidInPart);
        assertEq(paid, DOLLAR);
    }

    function test_settle_saysWhy_foreignVouchers() public {
        Voucher memory good = _voucher(_terms(0), uint96(DOLLAR));
        Voucher memory bad = good;
        bad.payer = PayerFields.pack(client.addr, 1);
        (Settlement settlement,) = _settle(bad);
        assertEq(settlement, Settlement.UnknownChannel);
        bad = _signed(client, channels, _terms(0), uint96(DOLLAR), ModelRoot.wrap("another model"));
        (settlement,) = _settle(bad);
        assertEq(settlement, Settlement.BadSignature);
        bad = _signed(vm.createWallet("thief"), channels, _terms(0), uint96(DOLLAR), MODEL);
        (settlement,) = _settle(bad);
        assertEq(settlement, Settlement.BadSignature);
        bad = _signed(client, new Channels(court, CLOSE_DELAY), _terms(0), uint96(DOLLAR), MODEL);
        (settlement,) = _settle(bad);
        assertEq(settlement, Settlement.BadSignature);
    }

    function test_settle_findsNoChannel_otherChainAfterAFork() public {
        Voucher memory voucher = _voucher(_terms(0), uint96(DOLLAR));
        vm.chainId(1337);
        (Settlement settlement, uint256 paid) = _settle(voucher);
        assertEq(settlement, Settlement.UnknownChannel);
        assertEq(paid, 0);
    }

    function test_settle_findsNoChannel_otherHostOrToken() public {
        Voucher[] memory batch = new Voucher[](1);
        batch[0] = _voucher(_terms(0), uint96(DOLLAR));
        (uint256 paid, bytes memory settlements) = channels.settle(makeAddr("other host"), dollar, MODEL, batch);
        assertEq(settlements, abi.encodePacked(uint8(Settlement.UnknownChannel)));
        (paid, settlements) = channels.settle(host, IERC20(makeAddr("other token")), MODEL, batch);
        assertEq(settlements, abi.encodePacked(uint8(Settlement.UnknownChannel)));
        assertEq(paid, 0);
    }

    function test_settle_paysTheGoodOnes_badOnesAmongThem() public {
        _open(_terms(1), DOLLAR);
        _open(_terms(2), DOLLAR);
        Voucher[] memory batch = new Voucher[](5);
        batch[0] = _voucher(_terms(0), uint96(DOLLAR));
        batch[1] = _voucher(_terms(1), uint96(DOLLAR));
        batch[1].r = bytes32(uint256(batch[1].r) + 1);
        batch[2] = _voucher(_terms(2), uint96(2 * DOLLAR));
        batch[3] = _voucher(_terms(3), uint96(DOLLAR));
        batch[4] = batch[0];
        (uint256 paid, bytes memory settlements) = channels.settle(host, dollar, MODEL, batch);
        assertEq(
            settlements,
            abi.encodePacked(
                uint8(Settlement.Paid),
                uint8(Settlement.BadSignature),
                uint8(Settlement.PaidInPart),
                uint8(Settlement.UnknownChannel),
                uint8(Settlement.NothingDue)
            )
        );
        assertEq(paid, 2 * DOLLAR);
        assertEq(dollar.balanceOf(host), 2 * DOLLAR);
    }

    function test_settle_doesNothing_emptyBatch() public {
        (uint256 paid, bytes memory settlements) = channels.settle(host, dollar, MODEL, new Voucher[](0));
        assertEq(paid, 0);
        assertEq(settlements.length, 0);
    }

    function testFuzz_settle_neverReverts_randomVouchers(uint256 count, bytes32 seed) public {
        Voucher[] memory batch = new Voucher[](bound(count, 0, 8));
        for (uint256 i = 0; i < batch.length; ++i) {
            batch[i] = Voucher({
                payer: Payer.wrap(keccak256(abi.encode(seed, i, "payer"))),
                charge: Charge.wrap(uint256(keccak256(abi.encode(seed, i, "charge")))),
                receipt: ReceiptId.wrap(seed),
                r: keccak256(abi.encode(seed, i, "r")),
                vs: keccak256(abi.encode(seed, i, "vs"))
            });
            if (i % 2 == 0) {
                batch[i].payer = PayerFields.pack(client.addr, 0);
            }
        }
        (uint256 paid,) = channels.settle(host, dollar, MODEL, batch);
        assertEq(paid, 0);
    }

    function testFuzz_settle_paysTheLargest_anyOrder(uint96[5] memory amounts) public {
        uint256 largest;
        Voucher[] memory batch = new Voucher[](amounts.length);
        for (uint256 i = 0; i < amounts.length; ++i) {
            amounts[i] = uint96(bound(amounts[i], 0, 12 * DOLLAR));
            batch[i] = _voucher(_terms(0), amounts[i]);
            largest = amounts[i] > largest ? amounts[i] : largest;
        }
        (uint256 paid,) = channels.settle(host, dollar, MODEL, batch);
        assertEq(paid, largest > 10 * DOLLAR ? 10 * DOLLAR : largest);
        assertEq(dollar.balanceOf(host), paid);
        assertEq(channels.channel(id).settled, paid);
    }

    function testFuzz_charge_keepsItsParts_packed(uint96 amount, uint64 promptTokens, uint64 outputTokens, uint96 salt)
        public
        view
    {
        Charge charge = ChargeFields.pack(amount, promptTokens, outputTokens);
        assertEq(charge.amount(), amount);
        assertEq(charge.promptTokens(), promptTokens);
        assertEq(charge.outputTokens(), outputTokens);
        Payer payer = PayerFields.pack(client.addr, salt);
        assertEq(payer.client(), client.addr);
        assertEq(payer.salt(), salt);
    }
}

contract ChannelsCloseTest is ChannelsFixture {
    ChannelId private id;

    function setUp() public override {
        super.setUp();
        id = _open(_terms(0), 10 * DOLLAR);
    }

    function test_close_returnsTheRest_hostAtOnce() public {
        _settle(_voucher(_terms(0), uint96(4 * DOLLAR)));
        vm.expectEmit(address(channels));
        emit IChannels.ChannelClosed(id, 4 * DOLLAR, 6 * DOLLAR);
        vm.prank(host);
        assertEq(channels.close(_terms(0)), 6 * DOLLAR);
        assertEq(dollar.balanceOf(client.addr), 6 * DOLLAR);
        assertEq(dollar.balanceOf(address(channels)), 0);
        (Settlement settlement,) = _settle(_voucher(_terms(0), uint96(5 * DOLLAR)));
        assertEq(settlement, Settlement.Closed);
    }

    function test_close_returnsTheRest_anybodyAfterTheDelay() public {
        vm.expectEmit(address(channels));
        emit IChannels.CloseRequested(id, block.timestamp + CLOSE_DELAY);
        vm.prank(client.addr);
        channels.requestClose(_terms(0));
        uint256 closableAt = block.timestamp + CLOSE_DELAY;
        vm.warp(closableAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IChannels.NotClosable.selector, id, closableAt));
        channels.close(_terms(0));
        _settle(_voucher(_terms(0), uint96(DOLLAR)));
        vm.warp(closableAt);
        assertEq(channels.close(_terms(0)), 9 * DOLLAR);
        assertEq(dollar.balanceOf(client.addr), 9 * DOLLAR);
    }

    function test_close_reverts_clientWhoDidNotAsk() public {
        vm.prank(client.addr);
        vm.expectRevert(abi.encodeWithSelector(IChannels.NotClosable.selector, id, 0));
        channels.close(_terms(0));
    }

    function test_close_reverts_secondTimeOrUnknown() public {
        vm.startPrank(host);
        channels.close(_terms(0));
        vm.expectRevert(abi.encodeWithSelector(IChannels.NotOpen.selector, id, IChannels.State.Closed));
        channels.close(_terms(0));
        ChannelId other = channels.channelId(_terms(1));
        vm.expectRevert(abi.encodeWithSelector(IChannels.NotOpen.selector, other, IChannels.State.None));
        channels.close(_terms(1));
    }

    function test_requestClose_reverts_strangerOrSecondTime() public {
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(IChannels.NotClient.selector, client.addr, host));
        channels.requestClose(_terms(0));
        vm.startPrank(client.addr);
        channels.requestClose(_terms(0));
        uint256 closableAt = block.timestamp + CLOSE_DELAY;
        vm.warp(block.timestamp + 1);
        vm.expectRevert(abi.encodeWithSelector(IChannels.AlreadyClosing.selector, id, closableAt));
        channels.requestClose(_terms(0));
    }
}

contract ChannelsRefuteTest is ChannelsFixture {
    ChannelId private id;

    function setUp() public override {
        super.setUp();
        id = _open(_terms(0), 10 * DOLLAR);
    }

    function _refute(uint256 amount) private returns (uint256) {
        vm.prank(court);
        return channels.refute(id, host, amount);
    }

    function test_refute_reverts_anybodyButTheCourt() public {
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(IChannels.NotCourt.selector, host));
        channels.refute(id, host, DOLLAR);
    }

    function test_refute_takesThePriceOff_unsettledAnswer() public {
        vm.expectEmit(address(channels));
        emit IChannels.ChannelRefuted(id, 2 * DOLLAR, 2 * DOLLAR);
        assertEq(_refute(2 * DOLLAR), 2 * DOLLAR);
        // 3 dollars of answers, 2 of them refuted.
        (Settlement settlement, uint256 paid) = _settle(_voucher(_terms(0), uint96(3 * DOLLAR)));
        assertEq(settlement, Settlement.Paid);
        assertEq(paid, DOLLAR);
        assertEq(channels.refutedTotal(id), 2 * DOLLAR);
        assertEq(channels.claimRefund(_terms(0)), 2 * DOLLAR);
        assertEq(dollar.balanceOf(client.addr), 2 * DOLLAR);
        vm.prank(host);
        assertEq(channels.close(_terms(0)), 7 * DOLLAR);
        assertEq(dollar.balanceOf(address(channels)), 0);
    }

    function test_refute_takesThePriceOffTheNext_settledAnswer() public {
        _settle(_voucher(_terms(0), uint96(3 * DOLLAR)));
        assertEq(_refute(2 * DOLLAR), 2 * DOLLAR);
        (Settlement settlement, uint256 paid) = _settle(_voucher(_terms(0), uint96(5 * DOLLAR)));
        assertEq(settlement, Settlement.NothingDue);
        (settlement, paid) = _settle(_voucher(_terms(0), uint96(6 * DOLLAR)));
        assertEq(paid, DOLLAR);
        // The deposit still covers what 10 dollars of vouchers say, less what was refuted.
        (settlement, paid) = _settle(_voucher(_terms(0), uint96(10 * DOLLAR)));
        assertEq(settlement, Settlement.Paid);
        assertEq(dollar.balanceOf(host), 8 * DOLLAR);
    }

    function test_refute_freesWhatIsLeft_moreThanTheChannelHolds() public {
        _settle(_voucher(_terms(0), uint96(9 * DOLLAR)));
        assertEq(_refute(type(uint256).max), DOLLAR);
        assertEq(_refute(DOLLAR), 0);
        assertEq(channels.refutedTotal(id), DOLLAR);
    }

    function test_refute_doesNothing_foreignUnknownOrClosedChannel() public {
        vm.startPrank(court);
        assertEq(channels.refute(id, makeAddr("liar"), DOLLAR), 0);
        assertEq(channels.refute(ChannelId.wrap("nowhere"), host, DOLLAR), 0);
        assertEq(channels.refute(ChannelId.wrap(0), address(0), DOLLAR), 0);
        vm.stopPrank();
        vm.prank(host);
        channels.close(_terms(0));
        assertEq(_refute(DOLLAR), 0);
        assertEq(channels.refutedTotal(id), 0);
    }

    function test_refute_neverRunsOver_moneyThatComesBack() public {
        IChannels.Terms memory terms = _terms(9);
        uint256 most = type(uint96).max;
        ChannelId full = _open(terms, most);
        vm.startPrank(court);
        assertEq(channels.refute(full, host, most), most);
        vm.stopPrank();
        channels.claimRefund(terms);
        vm.startPrank(client.addr);
        dollar.approve(address(channels), most);
        channels.fund(terms, most);
        vm.stopPrank();
        vm.prank(court);
        assertEq(channels.refute(full, host, most), 0);
    }

    function test_close_returnsTheRefundToo_notClaimed() public {
        _refute(2 * DOLLAR);
        vm.prank(host);
        assertEq(channels.close(_terms(0)), 10 * DOLLAR);
        vm.expectRevert(abi.encodeWithSelector(IChannels.NothingToRefund.selector, id));
        channels.claimRefund(_terms(0));
    }
}
