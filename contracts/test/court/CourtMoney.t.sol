// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Test.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {Court} from "../../src/court/Court.sol";
import {Receipts} from "../../src/court/Receipts.sol";
import {IChannels} from "../../src/interfaces/IChannels.sol";
import {IChecker} from "../../src/interfaces/IChecker.sol";
import {ICourt} from "../../src/interfaces/ICourt.sol";
import {ICourtStake} from "../../src/interfaces/ICourtStake.sol";
import {IHostVault} from "../../src/interfaces/IHostVault.sol";
import {IVerdicts} from "../../src/interfaces/IVerdicts.sol";
import {DisputeId, Reason, StatementKind} from "../../src/types/Dispute.sol";
import {ChannelId, ReceiptId} from "../../src/types/Ids.sol";
import {BanningToken, HookedToken, PlainToken} from "../tokens/Tokens.sol";
import {CourtFixture, Game} from "./CourtFixture.sol";
import {TollToken} from "./TollToken.sol";
import {Trace} from "./Traces.sol";

/// @notice What goes into a dispute, who may begin one, and where the money goes in the end.
contract CourtMoneyTest is CourtFixture {
    bytes32[64] private children;

    // --- the court itself ---

    function test_constructor_reverts_moveTimesThatHelpNobody() public {
        IChecker[] memory checkers = new IChecker[](1);
        vm.expectRevert(abi.encodeWithSelector(ICourt.BadMoveTime.selector, 59));
        new Court(hosts, channels, verdicts, 59, BOND_MIN, checkers);
        vm.expectRevert(abi.encodeWithSelector(ICourt.BadMoveTime.selector, 7 days + 1));
        new Court(hosts, channels, verdicts, 7 days + 1, BOND_MIN, checkers);
    }

    function test_constructor_reverts_noBondOrNoChecker() public {
        vm.expectRevert(ICourt.ZeroBond.selector);
        new Court(hosts, channels, verdicts, MOVE_TIME, 0, new IChecker[](1));
        vm.expectRevert(abi.encodeWithSelector(ICourt.BadCheckerCount.selector, 0, 256));
        new Court(hosts, channels, verdicts, MOVE_TIME, BOND_MIN, new IChecker[](0));
        vm.expectRevert(abi.encodeWithSelector(ICourt.BadCheckerCount.selector, 257, 256));
        new Court(hosts, channels, verdicts, MOVE_TIME, BOND_MIN, new IChecker[](257));
    }

    function test_getters_tellHowItWasDeployed() public view {
        assertEq(court.moveTime(), MOVE_TIME);
        assertEq(court.bondMin(), BOND_MIN);
        assertEq(court.hosts(), address(hosts));
        assertEq(court.channels(), address(channels));
        assertEq(court.verdicts(), address(verdicts));
        assertEq(address(court.checkerOf(POWERS)), address(checker));
    }

    // --- who may challenge what ---

    function test_challenge_locksAsMuchStakeAsItTakesBond() public {
        Game memory game = _challenge(_honest(2));
        assertEq(dollar.balanceOf(challenger), 9 * BOND);
        assertEq(dollar.balanceOf(address(court)), BOND);
        assertEq(vault.locked(), BOND);
        assertEq(DisputeId.unwrap(game.id), 1);
        assertEq(court.disputeCount(), 1);
        (ICourt.Status status,,) = court.standingOf(game.dispute.receipt);
        assertEq(uint256(status), uint256(ICourt.Status.Disputed));
    }

    function test_challenge_reverts_kindThatNobodyKnows() public {
        StatementKind kind = StatementKind.wrap(1);
        vm.expectRevert(abi.encodeWithSelector(ICourt.UnknownKind.selector, kind));
        vm.prank(challenger);
        court.challenge(kind, "", "", "", children, BOND);
    }

    function test_challenge_reverts_receiptThatItsHostDidNotSign() public {
        (bytes memory statement, bytes memory signature,) = _sign(_receipt(), vm.createWallet("somebody else"));
        vm.expectRevert(
            abi.encodeWithSelector(Receipts.WrongSigner.selector, host.addr, vm.createWallet("somebody else").addr)
        );
        _begin(challenger, statement, signature, 2, BOND);
    }

    function test_challenge_reverts_tracesTooLowOrTooHigh() public {
        (bytes memory statement, bytes memory signature,) = _sign(_receipt(), host);
        vm.expectRevert(abi.encodeWithSelector(ICourt.BadLevels.selector, 1));
        _begin(challenger, statement, signature, 1, BOND);
        vm.expectRevert(abi.encodeWithSelector(ICourt.BadLevels.selector, 11));
        _begin(challenger, statement, signature, 11, BOND);
    }

    function test_challenge_reverts_hostAgainstItself() public {
        _endow(host.addr);
        (bytes memory statement, bytes memory signature,) = _sign(_receipt(), host);
        vm.expectRevert(abi.encodeWithSelector(ICourt.OwnReceipt.selector, host.addr));
        _begin(host.addr, statement, signature, 2, BOND);
    }

    function test_challenge_reverts_hostWithoutAVault() public {
        Vm.Wallet memory stranger = vm.createWallet("stranger");
        Receipts.Receipt memory receipt = _receipt();
        receipt.host = stranger.addr;
        (bytes memory statement, bytes memory signature,) = _sign(receipt, stranger);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoVault.selector, stranger.addr));
        _begin(challenger, statement, signature, 2, BOND);
    }

    function test_challenge_reverts_vaultWithTooLittleStake() public {
        (bytes memory statement, bytes memory signature,) = _sign(_receipt(), host);
        uint128 bond = uint128(STAKE + 1);
        dollar.mint(challenger, bond);
        vm.expectRevert(abi.encodeWithSelector(ICourtStake.InsufficientStake.selector, STAKE, bond));
        _begin(challenger, statement, signature, 2, bond);
    }

    function test_challenge_reverts_stakeThatIsAboutToLeave() public {
        vm.startPrank(backer);
        vault.requestWithdrawal(vault.balanceOf(backer));
        vm.stopPrank();
        (bytes memory statement, bytes memory signature,) = _sign(_receipt(), host);
        vm.warp(block.timestamp + WITHDRAWAL_DELAY - LOCK_HORIZON + 1);
        vm.expectRevert(abi.encodeWithSelector(ICourtStake.InsufficientStake.selector, 0, BOND));
        _begin(challenger, statement, signature, 2, BOND);
    }

    function test_challenge_reverts_disputeThatOutlastsTheLock() public {
        // With moves of 4 hours, a trace of 4 levels takes up to 24, and one of 5 levels 28.
        Court slow = _redeploy(4 hours);
        (bytes memory statement, bytes memory signature,) = _sign(_receipt(), host);
        vm.expectRevert(abi.encodeWithSelector(ICourt.HorizonTooShort.selector, LOCK_HORIZON, 28 hours));
        vm.prank(challenger);
        slow.challenge(POWERS, statement, signature, _opening(5, 0), children, BOND);
        // Past that, it is the vault that refuses: it knows another court.
        vm.startPrank(challenger);
        dollar.approve(address(slow), BOND);
        vm.expectRevert(abi.encodeWithSelector(ICourtStake.NotCourt.selector, address(slow)));
        slow.challenge(POWERS, statement, signature, _opening(4, 0), children, BOND);
        vm.stopPrank();
    }

    function test_challenge_reverts_bondBelowTheLeast() public {
        (bytes memory statement, bytes memory signature,) = _sign(_receipt(), host);
        vm.expectRevert(abi.encodeWithSelector(ICourt.BondTooSmall.selector, BOND_MIN, BOND_MIN - 1));
        _begin(challenger, statement, signature, 2, BOND_MIN - 1);
    }

    function test_challenge_reverts_receiptThatFellBefore() public {
        Game memory game = _challenge(_honest(2));
        _silence(game);
        (bytes memory statement, bytes memory signature,) = _sign(_receipt(), host);
        vm.expectRevert(abi.encodeWithSelector(ICourt.AlreadyRefuted.selector, game.dispute.receipt));
        _begin(challenger, statement, signature, 2, BOND);
    }

    function test_challenge_succeeds_receiptThatStoodBefore() public {
        Trace memory honest = _honest(2);
        Trace memory lie = honest.withWord(5, 1);
        Game memory game = _challenge(lie);
        _silence(_descend(game, honest, lie));
        _assertVerdict(game.dispute.receipt, IVerdicts.Verdict.Held);
        Game memory second = _challenge(lie);
        assertEq(DisputeId.unwrap(second.id), 2);
    }

    // --- the end ---

    function test_settle_reverts_beforeTheVerdict() public {
        Game memory game = _challenge(_honest(2));
        vm.expectPartialRevert(ICourt.StaleDispute.selector);
        court.settle(game.id, game.dispute, Reason.Silence);
    }

    function test_settle_reverts_anotherReasonThanTheVerdict() public {
        Game memory game = _challenge(_honest(2));
        _timeout(game);
        for (uint256 i = 1; i <= uint256(type(Reason).max); ++i) {
            vm.expectPartialRevert(ICourt.StaleDispute.selector);
            court.settle(game.id, game.dispute, Reason(i));
        }
    }

    function test_settle_reverts_secondTime() public {
        Game memory game = _challenge(_honest(2));
        _silence(game);
        vm.expectRevert(abi.encodeWithSelector(ICourt.UnknownDispute.selector, game.id));
        court.settle(game.id, game.dispute, Reason.Silence);
        vm.expectRevert(abi.encodeWithSelector(ICourt.UnknownDispute.selector, game.id));
        court.timeout(game.id, game.dispute);
    }

    function test_settle_freesTheChannel_refutedAnswer() public {
        IChannels.Terms memory terms =
            IChannels.Terms({client: client, host: host.addr, token: IERC20(address(dollar)), salt: 0});
        ChannelId channel = _fund(terms);
        Game memory game = _challengePaidBy(channel);
        _timeout(game);
        vm.expectEmit(address(court));
        emit ICourt.Settled(game.id, game.dispute.receipt, challenger, host.addr, BOND, TOTAL);
        _settle(game, Reason.Silence);
        assertEq(channels.refutedTotal(channel), TOTAL);
        channels.claimRefund(terms);
        assertEq(dollar.balanceOf(client), TOTAL);
    }

    function test_settle_leavesTheChannelAlone_anotherHosts() public {
        // A liar names a channel to somebody else, to take from it.
        IChannels.Terms memory terms =
            IChannels.Terms({client: client, host: makeAddr("another host"), token: IERC20(address(dollar)), salt: 0});
        ChannelId channel = _fund(terms);
        _silence(_challengePaidBy(channel));
        assertEq(channels.refutedTotal(channel), 0);
        assertEq(channels.channel(channel).deposited, 2 * TOTAL);
    }

    function test_settle_succeeds_channelOfAnotherChain() public {
        IChannels.Terms memory terms =
            IChannels.Terms({client: client, host: host.addr, token: IERC20(address(dollar)), salt: 0});
        uint256 chain = block.chainid;
        ChannelId here = _fund(terms);
        vm.chainId(1);
        ChannelId there = channels.channelId(terms);
        vm.chainId(chain);
        assertTrue(ChannelId.unwrap(here) != ChannelId.unwrap(there));
        Game memory game = _challengePaidBy(there);
        _silence(game);
        assertEq(channels.refutedTotal(here), 0);
        _assertVerdict(game.dispute.receipt, IVerdicts.Verdict.Refuted);
    }

    function test_settle_keepsThePayment_tokenRefusesTheChallenger() public {
        BanningToken token = new BanningToken();
        (Game memory game, IHostVault vault_) = _challengeIn(PlainToken(address(token)));
        token.ban(challenger);
        _timeout(game);
        vm.expectEmit(address(court));
        emit ICourt.PaymentKept(token, challenger, BOND);
        _settle(game, Reason.Silence);
        _assertVerdict(game.dispute.receipt, IVerdicts.Verdict.Refuted);
        assertEq(court.keptFor(token, challenger), BOND);
        assertGt(vault_.balanceOf(challenger), 0);
        // The token still refuses; elsewhere it goes, once.
        vm.startPrank(challenger);
        vm.expectRevert(abi.encodeWithSelector(BanningToken.Banned.selector, challenger));
        court.withdraw(token, challenger);
        assertEq(court.withdraw(token, anybody), BOND);
        assertEq(token.balanceOf(anybody), BOND);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NothingKept.selector, token, challenger));
        court.withdraw(token, anybody);
        vm.stopPrank();
    }

    function test_settle_keepsThePayment_tokenRefusesTheHost() public {
        BanningToken token = new BanningToken();
        (Game memory game,) = _challengeIn(PlainToken(address(token)));
        game = _descend(game, _honest(2), _honest(2).withWord(5, 1));
        token.ban(host.addr);
        _silence(game);
        _assertVerdict(game.dispute.receipt, IVerdicts.Verdict.Held);
        assertEq(court.keptFor(token, host.addr), BOND);
    }

    function test_withdraw_reverts_nothingIsKept() public {
        vm.expectRevert(abi.encodeWithSelector(ICourt.NothingKept.selector, dollar, anybody));
        vm.prank(anybody);
        court.withdraw(dollar, anybody);
    }

    // --- tokens ---

    function test_challenge_countsWhatArrives_tokenWithAToll() public {
        TollToken token = new TollToken();
        IHostVault vault_ = _hostWith(PlainToken(address(token)));
        token.setToll(1);
        Game memory game = _challengeOnly(token);
        uint128 arrived = BOND - BOND / 100;
        assertEq(game.dispute.bond, arrived);
        assertEq(vault_.locked(), arrived);
        assertEq(token.balanceOf(address(court)), arrived);
        _silence(game);
        assertEq(token.balanceOf(address(court)), 0);
        assertEq(vault_.totalAssets(), STAKE - arrived);
    }

    function test_challenge_reverts_tokenThatDeliversNothing() public {
        TollToken token = new TollToken();
        _hostWith(PlainToken(address(token)));
        token.setToll(100);
        (bytes memory statement, bytes memory signature) = _endowed(token);
        vm.expectRevert(abi.encodeWithSelector(ICourt.BondTooSmall.selector, BOND_MIN, 0));
        _begin(challenger, statement, signature, 2, BOND);
    }

    function test_challenge_refusesReentry_tokenWithAHook() public {
        HookedToken token = new HookedToken();
        _hostWith(token);
        (bytes memory statement, bytes memory signature) = _endowed(token);
        bytes memory again =
            abi.encodeCall(court.challenge, (POWERS, statement, signature, _opening(2, 0), children, BOND));
        bytes[4] memory calls = [
            again,
            abi.encodeCall(court.queue, (ReceiptId.wrap(0), BOND)),
            abi.encodeCall(court.skip, (ReceiptId.wrap(0))),
            abi.encodeCall(court.withdraw, (IERC20(token), anybody))
        ];
        for (uint256 i; i < calls.length; ++i) {
            uint256 before = vm.snapshotState();
            token.arm(address(court), calls[i], i % 2 == 0);
            _begin(challenger, statement, signature, 2, BOND);
            _assertReentryRefused(token);
            vm.revertToState(before);
        }
    }

    function test_settle_refusesReentry_tokenWithAHook() public {
        HookedToken token = new HookedToken();
        (Game memory game, IHostVault vault_) = _challengeIn(token);
        _timeout(game);
        token.arm(address(court), abi.encodeCall(court.settle, (game.id, game.dispute, Reason.Silence)), false);
        court.settle(game.id, game.dispute, Reason.Silence);
        _assertReentryRefused(token);
        assertEq(token.balanceOf(address(court)), 0);
        assertEq(vault_.totalAssets(), STAKE - BOND);
    }

    function _assertReentryRefused(HookedToken token) private view {
        assertTrue(token.wasCalled());
        assertFalse(token.succeeded());
        assertEq(token.answer(), abi.encodeWithSelector(ReentrancyGuard.ReentrancyGuardReentrantCall.selector));
    }

    // --- setting the scene ---

    function _begin(address by, bytes memory statement, bytes memory signature, uint8 levels, uint128 bond) private {
        vm.prank(by);
        court.challenge(POWERS, statement, signature, _opening(levels, 0), children, bond);
    }

    /// @dev The same court with another time for moves, which no vault knows.
    function _redeploy(uint256 moveTime) private returns (Court) {
        IChecker[] memory checkers = new IChecker[](1);
        checkers[0] = checker;
        return new Court(hosts, channels, verdicts, moveTime, BOND_MIN, checkers);
    }

    function _fund(IChannels.Terms memory terms) private returns (ChannelId channel) {
        dollar.mint(client, 2 * TOTAL);
        vm.startPrank(client);
        dollar.approve(address(channels), 2 * TOTAL);
        channel = channels.fund(terms, 2 * TOTAL);
        vm.stopPrank();
    }

    function _challengePaidBy(ChannelId channel) private returns (Game memory) {
        Receipts.Receipt memory receipt = _receipt();
        receipt.channel = channel;
        (bytes memory statement, bytes memory signature,) = _sign(receipt, host);
        return _challengeAs(challenger, _honest(2), statement, signature, 0);
    }

    /// @dev Makes the host one that has its stake in another token.
    function _hostWith(PlainToken token) private returns (IHostVault vault_) {
        host = vm.createWallet("host with another token");
        vault_ = _enter(host.addr, token);
        token.mint(backer, STAKE);
        vm.startPrank(backer);
        token.approve(address(vault_), STAKE);
        vault_.deposit(STAKE, backer);
        vm.stopPrank();
    }

    function _endowed(PlainToken token) private returns (bytes memory statement, bytes memory signature) {
        token.mint(challenger, 10 * BOND);
        vm.prank(challenger);
        token.approve(address(court), type(uint256).max);
        (statement, signature,) = _sign(_receipt(), host);
    }

    function _challengeOnly(PlainToken token) private returns (Game memory) {
        (bytes memory statement, bytes memory signature) = _endowed(token);
        return _challengeAs(challenger, _honest(2).withWord(5, 1), statement, signature, 0);
    }

    function _challengeIn(PlainToken token) private returns (Game memory, IHostVault vault_) {
        vault_ = _hostWith(token);
        return (_challengeOnly(token), vault_);
    }
}
