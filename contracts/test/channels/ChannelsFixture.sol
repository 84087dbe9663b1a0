// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test, Vm} from "forge-std/Test.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Channels} from "../../src/Channels.sol";
import {DevDollar} from "../../src/DevDollar.sol";
import {IChannels} from "../../src/interfaces/IChannels.sol";
import {ChannelId, ModelRoot, ReceiptId} from "../../src/types/Ids.sol";
import {ChargeFields, PayerFields, Settlement, Voucher} from "../../src/types/Voucher.sol";

/// @dev A chain with dollars, channels, a host and a client who can sign.
abstract contract ChannelsFixture is Test {
    uint256 internal constant DOLLAR = 1e6;
    uint256 internal constant CLOSE_DELAY = 1 days;
    ModelRoot internal constant MODEL = ModelRoot.wrap(keccak256("a model"));

    DevDollar internal dollar;
    Channels internal channels;
    address internal court = makeAddr("court");
    address internal host = makeAddr("host");
    Vm.Wallet internal client;

    function setUp() public virtual {
        vm.chainId(31337);
        vm.warp(1_800_000_000);
        dollar = new DevDollar();
        channels = new Channels(court, CLOSE_DELAY);
        client = vm.createWallet("client");
    }

    function _terms(uint96 salt) internal view returns (IChannels.Terms memory) {
        return IChannels.Terms({client: client.addr, host: host, token: dollar, salt: salt});
    }

    /// @dev Opens that channel with so much of the client's money.
    function _open(IChannels.Terms memory terms, uint256 amount) internal returns (ChannelId) {
        dollar.mint(terms.client, amount);
        vm.startPrank(terms.client);
        dollar.approve(address(channels), amount);
        ChannelId id = channels.fund(terms, amount);
        vm.stopPrank();
        return id;
    }

    /// @dev A voucher for 100 prompt tokens and 20 output tokens.
    function _voucher(IChannels.Terms memory terms, uint96 amount) internal returns (Voucher memory) {
        return _signed(client, channels, terms, amount, MODEL);
    }

    function _signed(
        Vm.Wallet memory signer,
        Channels where,
        IChannels.Terms memory terms,
        uint96 amount,
        ModelRoot model
    ) internal returns (Voucher memory) {
        ReceiptId receipt = ReceiptId.wrap(keccak256(abi.encode("receipt", amount)));
        bytes32 digest = where.voucherDigest(where.channelId(terms), amount, model, 100, 20, receipt);
        (bytes32 r, bytes32 vs) = vm.signCompact(signer, digest);
        return Voucher({
            payer: PayerFields.pack(terms.client, terms.salt),
            charge: ChargeFields.pack(amount, 100, 20),
            receipt: receipt,
            r: r,
            vs: vs
        });
    }

    function _settle(Voucher memory voucher) internal returns (Settlement settlement, uint256 paid) {
        Voucher[] memory batch = new Voucher[](1);
        batch[0] = voucher;
        bytes memory settlements;
        (paid, settlements) = channels.settle(host, IERC20(dollar), MODEL, batch);
        assertEq(settlements.length, 1, "one settlement for one voucher");
        settlement = Settlement(uint8(settlements[0]));
    }

    function _isSame(ChannelId left, ChannelId right) internal pure returns (bool) {
        return ChannelId.unwrap(left) == ChannelId.unwrap(right);
    }

    function assertEq(Settlement left, Settlement right) internal pure {
        assertEq(uint256(left), uint256(right), "settlement");
    }
}
