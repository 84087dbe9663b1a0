// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test, Vm} from "forge-std/Test.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Channels} from "../../src/Channels.sol";
import {IChannels} from "../../src/interfaces/IChannels.sol";
import {ChannelId, ModelRoot, ReceiptId} from "../../src/types/Ids.sol";
import {Charge, ChargeFields, PayerFields, Settlement, Voucher} from "../../src/types/Voucher.sol";
import {FeeToken, PlainToken} from "../tokens/Tokens.sol";

/// @dev Clients, hosts, a court and a thief, who do whatever the fuzzer likes in whatever order.
contract ChannelsActors is Test {
    uint256 public constant CHANNELS = 8;
    uint256 private constant CLIENTS = 3;
    ModelRoot private constant MODEL = ModelRoot.wrap("model");

    Channels public immutable CHANNELS_CONTRACT;
    address public immutable COURT;
    address public immutable THIEF = makeAddr("thief");
    PlainToken[2] public tokens;
    address[2] public hosts = [makeAddr("host 0"), makeAddr("host 1")];
    Vm.Wallet[CLIENTS] private _clients;
    uint256 private immutable THIEF_KEY = uint256(keccak256("thief"));
    ChannelId[CHANNELS] private _ids;

    /// @dev The largest amount that the client signed in each channel.
    uint256[CHANNELS] public signedMost;
    /// @dev What the contract said that it paid to the host of each channel, added up call by call.
    uint256[CHANNELS] public paid;
    /// @dev What came into each channel, and what went back to its client.
    uint256[CHANNELS] public received;
    uint256[CHANNELS] public returned;
    Voucher[] private _signed;
    uint256[] private _signedFor;

    constructor(Channels channels, address court) {
        CHANNELS_CONTRACT = channels;
        COURT = court;
        tokens = [new PlainToken(), PlainToken(new FeeToken())];
        for (uint256 i = 0; i < CLIENTS; ++i) {
            _clients[i] = vm.createWallet(string.concat("client ", vm.toString(i)));
        }
        for (uint256 i = 0; i < CHANNELS; ++i) {
            _ids[i] = channels.channelId(terms(i));
        }
    }

    function terms(uint256 index) public view returns (IChannels.Terms memory) {
        return IChannels.Terms({
            client: _clients[index % CLIENTS].addr,
            host: hosts[index % 2],
            token: IERC20(address(tokens[index / 4])),
            salt: uint96(index)
        });
    }

    function idOf(uint256 index) public view returns (ChannelId) {
        return _ids[index];
    }

    function fund(uint256 index, uint256 amount) external {
        index = bound(index, 0, CHANNELS - 1);
        IChannels.Terms memory t = terms(index);
        if (_state(index) == IChannels.State.Closed) {
            return;
        }
        amount = bound(amount, 1, 1e12);
        tokens[index / 4].mint(t.client, amount);
        vm.startPrank(t.client);
        t.token.approve(address(CHANNELS_CONTRACT), amount);
        uint256 before = t.token.balanceOf(address(CHANNELS_CONTRACT));
        CHANNELS_CONTRACT.fund(t, amount);
        received[index] += t.token.balanceOf(address(CHANNELS_CONTRACT)) - before;
        vm.stopPrank();
    }

    function sign(uint256 index, uint256 amount) external {
        index = bound(index, 0, CHANNELS - 1);
        amount = bound(amount, 0, 2e12);
        signedMost[index] = amount > signedMost[index] ? amount : signedMost[index];
        _signed.push(_sign(index, uint96(amount), _clients[index % CLIENTS].privateKey));
        _signedFor.push(index);
    }

    function settle(uint256 first, uint256 count) external {
        if (_signed.length == 0) {
            return;
        }
        uint256 host = first % 2;
        IERC20 token = IERC20(address(tokens[(first / 2) % 2]));
        Voucher[] memory batch = new Voucher[](bound(count, 1, 6));
        for (uint256 i = 0; i < batch.length; ++i) {
            batch[i] = _signed[(first % 1e6 + 7 * i) % _signed.length];
        }
        (uint256 total,) = CHANNELS_CONTRACT.settle(hosts[host], token, MODEL, batch);
        uint256 sum;
        for (uint256 i = 0; i < CHANNELS; ++i) {
            uint256 due = CHANNELS_CONTRACT.channel(_ids[i]).settled - paid[i];
            bool isOfBatch = i % 2 == host && address(tokens[i / 4]) == address(token);
            assertTrue(due == 0 || isOfBatch, "another host's or another token's channel paid");
            paid[i] += due;
            sum += due;
        }
        assertEq(sum, total, "the batch paid what its channels paid");
    }

    function requestClose(uint256 index) external {
        index = bound(index, 0, CHANNELS - 1);
        IChannels.Channel memory channel = CHANNELS_CONTRACT.channel(idOf(index));
        if (channel.state == IChannels.State.Open && channel.closableAt == 0) {
            vm.prank(terms(index).client);
            CHANNELS_CONTRACT.requestClose(terms(index));
        }
    }

    function close(uint256 index, bool asHost) external {
        index = bound(index, 0, CHANNELS - 1);
        IChannels.Channel memory channel = CHANNELS_CONTRACT.channel(idOf(index));
        bool mayClose = asHost || (channel.closableAt != 0 && block.timestamp >= channel.closableAt);
        if (channel.state == IChannels.State.Open && mayClose) {
            vm.prank(asHost ? terms(index).host : THIEF);
            returned[index] += CHANNELS_CONTRACT.close(terms(index));
        }
    }

    function refute(uint256 index, uint256 amount, bool isRightHost) external {
        index = bound(index, 0, CHANNELS - 1);
        ChannelId id = idOf(index);
        address host = isRightHost ? terms(index).host : THIEF;
        vm.prank(COURT);
        uint256 freed = CHANNELS_CONTRACT.refute(id, host, bound(amount, 0, 2e12));
        assertTrue(isRightHost || freed == 0, "a channel of another host was refuted");
    }

    function claimRefund(uint256 index) external {
        index = bound(index, 0, CHANNELS - 1);
        if (CHANNELS_CONTRACT.channel(idOf(index)).refundable > 0) {
            vm.prank(THIEF);
            returned[index] += CHANNELS_CONTRACT.claimRefund(terms(index));
        }
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1, 2 days));
    }

    /// @dev All that a thief can do with what it saw: change any word of a voucher, call anything in its own name.
    function steal(uint256 index, uint256 how, uint256 amount) external {
        index = bound(index, 0, CHANNELS - 1);
        IChannels.Terms memory t = terms(index);
        Voucher[] memory batch = new Voucher[](1);
        if (how % 2 == 0 || _signed.length == 0) {
            batch[0] = _sign(index, uint96(bound(amount, 1, 2e12)), THIEF_KEY);
        } else {
            batch[0] = _signed[amount % _signed.length];
            batch[0].charge = Charge.wrap(Charge.unwrap(batch[0].charge) + bound(amount, 1, 1e12));
        }
        vm.startPrank(THIEF);
        (uint256 total,) = CHANNELS_CONTRACT.settle(t.host, t.token, MODEL, batch);
        assertEq(total, 0, "a forged voucher was paid");
        _tryAll(t, index);
        vm.stopPrank();
    }

    function _tryAll(IChannels.Terms memory t, uint256 index) private {
        ChannelId id = _ids[index];
        bytes[4] memory calls = [
            abi.encodeCall(IChannels.refute, (id, t.host, 1)),
            abi.encodeCall(IChannels.requestClose, (t)),
            abi.encodeCall(IChannels.fund, (t, 1)),
            abi.encodeCall(
                IChannels.fundWithAuthorization, (t, IChannels.Authorization(1, 0, type(uint256).max, 0, 27, 0, 0))
            )
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool succeeded,) = address(CHANNELS_CONTRACT).call(calls[i]);
            assertFalse(succeeded, "a thief was let in");
        }
        IChannels.Channel memory channel = CHANNELS_CONTRACT.channel(idOf(index));
        if (channel.closableAt == 0 || block.timestamp < channel.closableAt) {
            (bool succeeded,) = address(CHANNELS_CONTRACT).call(abi.encodeCall(IChannels.close, (t)));
            assertFalse(succeeded, "a thief closed a channel");
        }
    }

    function _state(uint256 index) private view returns (IChannels.State) {
        return CHANNELS_CONTRACT.channel(idOf(index)).state;
    }

    function _sign(uint256 index, uint96 amount, uint256 key) private returns (Voucher memory) {
        bytes32 digest = CHANNELS_CONTRACT.voucherDigest(idOf(index), amount, MODEL, 1, 2, ReceiptId.wrap("receipt"));
        (bytes32 r, bytes32 vs) = vm.signCompact(key, digest);
        return Voucher({
            payer: PayerFields.pack(terms(index).client, uint96(index)),
            charge: ChargeFields.pack(amount, 1, 2),
            receipt: ReceiptId.wrap("receipt"),
            r: r,
            vs: vs
        });
    }
}

contract ChannelsInvariants is Test {
    Channels private channels;
    ChannelsActors private actors;

    function setUp() public {
        vm.warp(1_800_000_000);
        address court = makeAddr("court");
        channels = new Channels(court, 1 days);
        actors = new ChannelsActors(channels, court);
        targetContract(address(actors));
    }

    /// @dev One walk for all sentences, because the walk is what takes the time.
    function invariant_everyCoinIsWhereItsOwnerLeftIt() public view {
        uint256[2] memory owed;
        for (uint256 i = 0; i < actors.CHANNELS(); ++i) {
            IChannels.Channel memory channel = channels.channel(actors.idOf(i));
            uint256 left = channel.deposited - channel.settled + channel.refundable;
            owed[i / 4] += left;
            _whatCameInIsPaidOutOrStillThere(i, left);
            _noHostGetsMoreThanItsClientSigned(i, channel);
            _noChannelPaysMoreThanItHolds(channel);
        }
        _theContractHoldsExactlyWhatItOwes(owed);
        _thievesAndTheCourtGetNothing();
    }

    function _whatCameInIsPaidOutOrStillThere(uint256 i, uint256 left) private view {
        assertEq(actors.received(i), actors.paid(i) + actors.returned(i) + left);
    }

    function _noHostGetsMoreThanItsClientSigned(uint256 i, IChannels.Channel memory channel) private view {
        assertEq(channel.settled, actors.paid(i));
        assertLe(channel.settled, actors.signedMost(i));
    }

    function _noChannelPaysMoreThanItHolds(IChannels.Channel memory channel) private pure {
        assertLe(channel.settled, channel.deposited);
        assertTrue(channel.state != IChannels.State.Closed || channel.settled == channel.deposited);
    }

    function _theContractHoldsExactlyWhatItOwes(uint256[2] memory owed) private view {
        assertEq(actors.tokens(0).balanceOf(address(channels)), owed[0]);
        assertEq(actors.tokens(1).balanceOf(address(channels)), owed[1]);
    }

    function _thievesAndTheCourtGetNothing() private view {
        for (uint256 i = 0; i < 2; ++i) {
            assertEq(actors.tokens(i).balanceOf(actors.THIEF()), 0);
            assertEq(actors.tokens(i).balanceOf(actors.COURT()), 0);
        }
    }
}
