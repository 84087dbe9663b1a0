// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ChannelId, ModelRoot, ReceiptId} from "../types/Ids.sol";
import {Voucher} from "../types/Voucher.sol";

/// @title Prepaid channels from clients to hosts
/// @notice A client puts money into a channel and signs, off chain, one voucher after the other. Each says how much the host
/// has earned since the channel was opened, so only the newest counts, and a host settles thousands of answers at once.
///
/// Money leaves a channel in three ways only: to the host, by a voucher that the client signed; back to the client; and, if
/// the court refutes an answer, back to the client before the host.
///
/// The voucher that a client signs is EIP-712 data of the domain `Candor Channels`, version `1`, this chain and this contract:
///
///     Voucher(bytes32 channel,uint96 amount,bytes32 model,uint64 promptTokens,uint64 outputTokens,bytes32 receipt)
///
/// A client is a key, not a contract: asking contracts whether they signed would let one of them burn the gas of a batch.
///
/// Tokens that deliver less than they are told to are credited with what arrives. Each token's money is counted apart, so a
/// token that misbehaves harms nobody but those who chose it.
interface IChannels {
    /// @notice What a channel is between. Its id is a hash of this, so the chain keeps none of it but the host.
    /// @param client Who pays.
    /// @param host Who is paid.
    /// @param token In what.
    /// @param salt Tells channels of the same three apart. A closed channel never opens again, so a new one needs a new salt.
    struct Terms {
        address client;
        address host;
        IERC20 token;
        uint96 salt;
    }

    /// @notice Where a channel stands.
    enum State {
        /// It was never opened.
        None,
        /// It can be funded and settled.
        Open,
        /// It is empty, and it stays so.
        Closed
    }

    /// @notice What the chain knows of a channel.
    /// @param deposited What was paid in and not handed back: what vouchers can draw on, settled parts included.
    /// @param settled What was paid to the host.
    /// @param refuted What refuted answers take off every later voucher.
    /// @param refundable What refuted answers freed for the client to fetch.
    /// @param closableAt When the client may close it, in seconds since 1970; zero while it has not asked.
    /// @param state Where it stands.
    struct Channel {
        uint256 deposited;
        uint256 settled;
        uint256 refuted;
        uint256 refundable;
        uint256 closableAt;
        State state;
    }

    /// @notice A client's leave to take money by ERC-3009's `receiveWithAuthorization`.
    /// @param value How much.
    /// @param validAfter Not before this time.
    /// @param validBefore Not after this time.
    /// @param salt Any number. The nonce that the client signs is `authorizationNonce(id, salt)`, so that whoever brings the
    /// authorisation can put the money into this channel only.
    /// @param v The signature's parity.
    /// @param r Its first half.
    /// @param s Its second half.
    struct Authorization {
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 salt;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice A channel opened.
    /// @param id The channel.
    /// @param client Who pays.
    /// @param host Who is paid.
    /// @param token In what.
    /// @param salt Tells it apart.
    event ChannelOpened(ChannelId indexed id, address indexed client, address indexed host, IERC20 token, uint96 salt);

    /// @notice Money came in.
    /// @param id The channel.
    /// @param payer Where from.
    /// @param amount How much arrived.
    /// @param deposited What vouchers can draw on now.
    event ChannelFunded(ChannelId indexed id, address indexed payer, uint256 amount, uint256 deposited);

    /// @notice Vouchers of a host were settled. The vouchers themselves are in the call.
    /// @param host Who was paid.
    /// @param token In what.
    /// @param model The model that answered.
    /// @param paid How much, over all vouchers.
    /// @param settlements What became of each voucher: one byte each, a `Settlement`, in their order.
    event VouchersSettled(
        address indexed host, IERC20 indexed token, ModelRoot indexed model, uint256 paid, bytes settlements
    );

    /// @notice A client asked to close.
    /// @param id The channel.
    /// @param closableAt When it can.
    event CloseRequested(ChannelId indexed id, uint256 closableAt);

    /// @notice A channel closed.
    /// @param id The channel.
    /// @param settled What the host got over its life.
    /// @param returned What the client got back now.
    event ChannelClosed(ChannelId indexed id, uint256 settled, uint256 returned);

    /// @notice The court refuted an answer that the channel pays for.
    /// @param id The channel.
    /// @param amount The price of the answer.
    /// @param freed What of it was not settled, and goes back to the client.
    event ChannelRefuted(ChannelId indexed id, uint256 amount, uint256 freed);

    /// @notice A client fetched what refuted answers freed.
    /// @param id The channel.
    /// @param amount How much.
    event RefundClaimed(ChannelId indexed id, uint256 amount);

    /// @notice Only the client may do that.
    /// @param client The client.
    /// @param caller Who called.
    error NotClient(address client, address caller);

    /// @notice Only the court may do that.
    /// @param caller Who called.
    error NotCourt(address caller);

    /// @notice The channel is not open.
    /// @param id The channel.
    /// @param state Where it stands.
    error NotOpen(ChannelId id, State state);

    /// @notice Nothing arrived.
    error ZeroDeposit();

    /// @notice A channel from nobody or to nobody.
    error ZeroAddress();

    /// @notice More than a channel can count.
    /// @param deposited What it would hold.
    /// @param depositedMax The limit.
    error DepositTooLarge(uint256 deposited, uint256 depositedMax);

    /// @notice The client has not asked to close, or has to wait. The host closes whenever it likes.
    /// @param id The channel.
    /// @param closableAt When the client may; zero while it has not asked.
    error NotClosable(ChannelId id, uint256 closableAt);

    /// @notice The client asked before.
    /// @param id The channel.
    /// @param closableAt When it may close.
    error AlreadyClosing(ChannelId id, uint256 closableAt);

    /// @notice Nothing was freed.
    /// @param id The channel.
    error NothingToRefund(ChannelId id);

    /// @notice A delay that gives the host no time to settle, or keeps the client's money for too long.
    /// @param closeDelay The delay asked for.
    error BadCloseDelay(uint256 closeDelay);

    /// @notice Pays into a channel from the caller's balance. The first payment opens it and comes from its client; later
    /// ones may come from anybody.
    /// @param terms The channel.
    /// @param amount How much.
    /// @return id The channel's id.
    function fund(Terms calldata terms, uint256 amount) external returns (ChannelId id);

    /// @notice The same, with an ERC-2612 permit of the caller in place of an earlier approval.
    function fundWithPermit(Terms calldata terms, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        returns (ChannelId id);

    /// @notice The same, from the client's balance, by an ERC-3009 authorisation that anybody may bring.
    function fundWithAuthorization(Terms calldata terms, Authorization calldata authorization)
        external
        returns (ChannelId id);

    /// @notice Settles vouchers of many channels of one host and one token; one bad voucher harms no other. Anybody may
    /// call, and the host is paid.
    /// @param host Who is paid.
    /// @param token In what.
    /// @param model The model that answered. Vouchers for another model go into another call.
    /// @param vouchers The vouchers.
    /// @return paid What the host got.
    /// @return settlements What became of each voucher: one byte each, a `Settlement`, in their order.
    function settle(address host, IERC20 token, ModelRoot model, Voucher[] calldata vouchers)
        external
        returns (uint256 paid, bytes memory settlements);

    /// @notice Starts the delay after which the client may close. The host has that long to settle.
    function requestClose(Terms calldata terms) external;

    /// @notice Pays the client all that is not settled. The host may at any time; anybody may once the delay is over.
    /// @return returned What the client got.
    function close(Terms calldata terms) external returns (uint256 returned);

    /// @notice Takes the price of a refuted answer off every later voucher, and frees it for the client, as far as the
    /// channel still holds it. Callable by the court only. Never reverts because of the channel: where it is closed, or
    /// unknown, or another host's, nothing happens.
    /// @dev The chain does not know which answers a settled voucher paid for. If this one is among them, its price comes off
    /// the host's next voucher of this channel.
    /// @param id The channel that the receipt names.
    /// @param host The host that signed the receipt.
    /// @param amount The price that the receipt states.
    /// @return freed What goes back to the client.
    function refute(ChannelId id, address host, uint256 amount) external returns (uint256 freed);

    /// @notice Pays the client what refuted answers freed. Anybody may call.
    /// @return amount How much.
    function claimRefund(Terms calldata terms) external returns (uint256 amount);

    /// @notice What the chain knows of a channel.
    function channel(ChannelId id) external view returns (Channel memory);

    /// @notice The host of a channel; zero where it was never opened.
    function hostOf(ChannelId id) external view returns (address);

    /// @notice What refuted answers take off every later voucher.
    function refutedTotal(ChannelId id) external view returns (uint256);

    /// @notice The id of a channel, whether it exists or not.
    function channelId(Terms calldata terms) external view returns (ChannelId);

    /// @notice The nonce that a client signs in an ERC-3009 authorisation for this channel.
    function authorizationNonce(ChannelId id, bytes32 salt) external pure returns (bytes32);

    /// @notice What a client signs as a voucher.
    function voucherDigest(
        ChannelId id,
        uint96 amount,
        ModelRoot model,
        uint64 promptTokens,
        uint64 outputTokens,
        ReceiptId receipt
    ) external view returns (bytes32);

    /// @notice Seconds between a client's request to close and the close.
    function closeDelay() external view returns (uint256);

    /// @notice The court whose verdicts count.
    function court() external view returns (address);
}
