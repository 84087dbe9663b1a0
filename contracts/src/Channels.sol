// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IChannels} from "./interfaces/IChannels.sol";
import {ChannelId, ModelRoot, ReceiptId} from "./types/Ids.sol";
import {VoucherSignature, Workspace} from "./VoucherSignature.sol";
import {Balance} from "./types/Balance.sol";
import {Payer, PayerFields, Settlement, Voucher} from "./types/Voucher.sol";

/// @title Prepaid channels from clients to hosts
contract Channels is IChannels, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using VoucherSignature for Workspace;

    /// @dev Lets one look-up serve the read and the write.
    struct Slot {
        Balance balance;
    }

    /// @dev What only the court and what follows it need.
    struct Refutation {
        address host;
        uint96 refuted;
        uint96 refundable;
    }

    /// @dev Below, a host that is offline for a moment loses what it has earned.
    uint256 private constant CLOSE_DELAY_MIN = 10 minutes;

    /// @dev Above, a client whose host is gone waits too long for its own money.
    uint256 private constant CLOSE_DELAY_MAX = 30 days;

    address private immutable COURT;
    uint256 private immutable CLOSE_DELAY;

    mapping(ChannelId id => Slot) private _slots;
    mapping(ChannelId id => Refutation) private _refutations;

    /// @param court_ Whose verdicts count. It may be deployed later.
    /// @param closeDelay_ Seconds between a client's request to close and the close.
    constructor(address court_, uint256 closeDelay_) EIP712("Candor Channels", "1") {
        require(closeDelay_ >= CLOSE_DELAY_MIN && closeDelay_ <= CLOSE_DELAY_MAX, BadCloseDelay(closeDelay_));
        COURT = court_;
        CLOSE_DELAY = closeDelay_;
    }

    /// @inheritdoc IChannels
    function fund(Terms calldata terms, uint256 amount) external nonReentrant returns (ChannelId id) {
        return _fundFromCaller(terms, amount);
    }

    /// @inheritdoc IChannels
    function fundWithPermit(Terms calldata terms, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
        returns (ChannelId id)
    {
        // Whoever saw the permit in flight may have used it already. Then the allowance is there and the payment succeeds;
        // without one, the payment fails and says so.
        try IERC20Permit(address(terms.token)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        return _fundFromCaller(terms, amount);
    }

    /// @inheritdoc IChannels
    function fundWithAuthorization(Terms calldata terms, Authorization calldata authorization)
        external
        nonReentrant
        returns (ChannelId id)
    {
        id = channelId(terms);
        uint256 before = terms.token.balanceOf(address(this));
        IERC3009(address(terms.token))
            .receiveWithAuthorization(
                terms.client,
                address(this),
                authorization.value,
                authorization.validAfter,
                authorization.validBefore,
                authorizationNonce(id, authorization.salt),
                authorization.v,
                authorization.r,
                authorization.s
            );
        _credit(id, terms, terms.client, terms.token.balanceOf(address(this)) - before);
    }

    /// @inheritdoc IChannels
    function settle(address host, IERC20 token, ModelRoot model, Voucher[] calldata vouchers)
        external
        nonReentrant
        returns (uint256 paid, bytes memory settlements)
    {
        bytes32 domain = _domainSeparatorV4();
        bytes32 line = _line(domain, host, token);
        Workspace workspace = VoucherSignature.prepare(domain, model);
        settlements = new bytes(vouchers.length);
        for (uint256 i = 0; i < vouchers.length; ++i) {
            (Settlement settlement, uint256 due) = _settleOne(workspace, line, vouchers[i]);
            settlements[i] = bytes1(uint8(settlement));
            // Each is below 2^96, and no call carries 2^160 vouchers.
            unchecked {
                paid += due;
            }
        }
        emit VouchersSettled(host, token, model, paid, settlements);
        if (paid > 0) {
            token.safeTransfer(host, paid);
        }
    }

    function _settleOne(Workspace workspace, bytes32 line, Voucher calldata voucher)
        private
        returns (Settlement, uint256 due)
    {
        ChannelId id = _channelId(line, voucher.payer);
        Slot storage slot = _slots[id];
        Balance balance = slot.balance;
        uint256 owed = voucher.charge.amount();
        if (balance.isRefuted()) {
            owed = Math.saturatingSub(owed, _refutations[id].refuted);
        }
        // A channel that was never opened has nothing deposited, and a closed one nothing that is not settled.
        uint256 deposited = balance.deposited();
        uint256 reach = owed < deposited ? owed : deposited;
        uint256 settled = balance.settled();
        if (reach <= settled) {
            return (_whyNothing(balance, owed), 0);
        }
        // A signature that recovers nothing gives the zero address, which has no channels.
        if (workspace.signer(id, voucher) != voucher.payer.client()) {
            return (Settlement.BadSignature, 0);
        }
        slot.balance = balance.withSettled(uint96(reach));
        // `reach` is more than `settled`, as checked above.
        unchecked {
            due = reach - settled;
        }
        return (reach == owed ? Settlement.Paid : Settlement.PaidInPart, due);
    }

    function _whyNothing(Balance balance, uint256 owed) private pure returns (Settlement) {
        if (balance.isOpen()) {
            return owed > balance.settled() ? Settlement.Empty : Settlement.NothingDue;
        }
        return balance.isClosed() ? Settlement.Closed : Settlement.UnknownChannel;
    }

    /// @inheritdoc IChannels
    function requestClose(Terms calldata terms) external {
        ChannelId id = channelId(terms);
        Balance balance = _openBalance(id);
        require(msg.sender == terms.client, NotClient(terms.client, msg.sender));
        require(balance.closableAt() == 0, AlreadyClosing(id, balance.closableAt()));
        uint256 closableAt = block.timestamp + CLOSE_DELAY;
        _slots[id].balance = balance.withClosableAt(SafeCast.toUint40(closableAt));
        emit CloseRequested(id, closableAt);
    }

    /// @inheritdoc IChannels
    function close(Terms calldata terms) external nonReentrant returns (uint256 returned) {
        ChannelId id = channelId(terms);
        Balance balance = _openBalance(id);
        uint256 closableAt = balance.closableAt();
        bool mayClose = msg.sender == terms.host || (closableAt != 0 && block.timestamp >= closableAt);
        require(mayClose, NotClosable(id, closableAt));
        uint256 settled = balance.settled();
        returned = balance.deposited() - settled;
        if (balance.isRefuted()) {
            returned += _refutations[id].refundable;
            _refutations[id].refundable = 0;
        }
        _slots[id].balance = balance.withDeposited(uint96(settled)).withClosed();
        emit ChannelClosed(id, settled, returned);
        if (returned > 0) {
            terms.token.safeTransfer(terms.client, returned);
        }
    }

    /// @inheritdoc IChannels
    function refute(ChannelId id, address host, uint256 amount) external returns (uint256 freed) {
        require(msg.sender == COURT, NotCourt(msg.sender));
        Balance balance = _slots[id].balance;
        Refutation storage refutation = _refutations[id];
        if (!balance.isOpen() || refutation.host != host) {
            return 0;
        }
        // Money that was freed may be paid in and freed again, so the total has to be kept from running over.
        uint256 room = type(uint96).max - refutation.refuted;
        freed = Math.min(Math.min(amount, balance.deposited() - balance.settled()), room);
        if (freed == 0) {
            return 0;
        }
        _slots[id].balance = balance.withDeposited(uint96(balance.deposited() - freed)).withRefuted();
        refutation.refuted += uint96(freed);
        refutation.refundable += uint96(freed);
        emit ChannelRefuted(id, amount, freed);
    }

    /// @inheritdoc IChannels
    function claimRefund(Terms calldata terms) external nonReentrant returns (uint256 amount) {
        ChannelId id = channelId(terms);
        amount = _refutations[id].refundable;
        require(amount > 0, NothingToRefund(id));
        _refutations[id].refundable = 0;
        emit RefundClaimed(id, amount);
        terms.token.safeTransfer(terms.client, amount);
    }

    /// @inheritdoc IChannels
    function channel(ChannelId id) external view returns (Channel memory) {
        Balance balance = _slots[id].balance;
        Refutation memory refutation = _refutations[id];
        return Channel({
            deposited: balance.deposited(),
            settled: balance.settled(),
            refuted: refutation.refuted,
            refundable: refutation.refundable,
            closableAt: balance.closableAt(),
            state: State(balance.state())
        });
    }

    /// @inheritdoc IChannels
    function hostOf(ChannelId id) external view returns (address) {
        return _refutations[id].host;
    }

    /// @inheritdoc IChannels
    function refutedTotal(ChannelId id) external view returns (uint256) {
        return _refutations[id].refuted;
    }

    /// @inheritdoc IChannels
    function closeDelay() external view returns (uint256) {
        return CLOSE_DELAY;
    }

    /// @inheritdoc IChannels
    function court() external view returns (address) {
        return COURT;
    }

    /// @inheritdoc IChannels
    function voucherDigest(
        ChannelId id,
        uint96 amount,
        ModelRoot model,
        uint64 promptTokens,
        uint64 outputTokens,
        ReceiptId receipt
    ) external view returns (bytes32) {
        return _voucherDigest(_domainSeparatorV4(), id, amount, model, promptTokens, outputTokens, receipt);
    }

    /// @inheritdoc IChannels
    function channelId(Terms calldata terms) public view returns (ChannelId) {
        bytes32 line = _line(_domainSeparatorV4(), terms.host, terms.token);
        return _channelId(line, PayerFields.pack(terms.client, terms.salt));
    }

    /// @inheritdoc IChannels
    function authorizationNonce(ChannelId id, bytes32 salt) public pure returns (bytes32) {
        return Hashes.efficientKeccak256(ChannelId.unwrap(id), salt);
    }

    function _fundFromCaller(Terms calldata terms, uint256 amount) private returns (ChannelId id) {
        id = channelId(terms);
        uint256 before = terms.token.balanceOf(address(this));
        terms.token.safeTransferFrom(msg.sender, address(this), amount);
        _credit(id, terms, msg.sender, terms.token.balanceOf(address(this)) - before);
    }

    /// @dev Counts what arrived, which is not always what was sent.
    function _credit(ChannelId id, Terms calldata terms, address payer, uint256 received) private {
        Balance balance = _slots[id].balance;
        require(!balance.isClosed(), NotOpen(id, State.Closed));
        require(received > 0, ZeroDeposit());
        uint256 deposited = balance.deposited() + received;
        require(deposited <= type(uint96).max, DepositTooLarge(deposited, type(uint96).max));
        if (!balance.isOpen()) {
            // Only the client opens: whoever else could, could also have the host close it, and the salt would be burnt.
            require(payer == terms.client, NotClient(terms.client, payer));
            require(terms.client != address(0) && terms.host != address(0), ZeroAddress());
            balance = balance.withOpen();
            _refutations[id].host = terms.host;
            emit ChannelOpened(id, terms.client, terms.host, terms.token, terms.salt);
        }
        _slots[id].balance = balance.withDeposited(uint96(deposited));
        emit ChannelFunded(id, payer, received, deposited);
    }

    function _openBalance(ChannelId id) private view returns (Balance balance) {
        balance = _slots[id].balance;
        require(balance.isOpen(), NotOpen(id, State(balance.state())));
    }

    /// @dev What all channels of one host and one token on this chain and in this contract have in common.
    function _line(bytes32 domain, address host, IERC20 token) private pure returns (bytes32) {
        return keccak256(abi.encode(domain, host, token));
    }

    function _channelId(bytes32 line, Payer payer) private pure returns (ChannelId) {
        return ChannelId.wrap(Hashes.efficientKeccak256(line, Payer.unwrap(payer)));
    }

    function _voucherDigest(
        bytes32 domain,
        ChannelId id,
        uint96 amount,
        ModelRoot model,
        uint64 promptTokens,
        uint64 outputTokens,
        ReceiptId receipt
    ) private pure returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(VoucherSignature.VOUCHER_TYPE, id, amount, model, promptTokens, outputTokens, receipt)
        );
        return MessageHashUtils.toTypedDataHash(domain, structHash);
    }
}
