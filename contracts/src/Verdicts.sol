// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC721} from "@openzeppelin/contracts/interfaces/IERC721.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {Receipts} from "./court/Receipts.sol";
import {IVerdicts} from "./interfaces/IVerdicts.sol";
import {IAgenticCommerce} from "./interfaces/drafts/IAgenticCommerce.sol";
import {IValidationRegistry} from "./interfaces/drafts/IValidationRegistry.sol";
import {ReceiptId} from "./types/Ids.sol";

/// @title What the court found, in the words of drafts that are not settled
contract Verdicts is IVerdicts {
    /// @dev One slot.
    struct Entry {
        address host;
        Verdict verdict;
    }

    /// @dev ERC-8004's marks for passed and failed.
    uint8 private constant RESPONSE_HELD = 100;
    uint8 private constant RESPONSE_REFUTED = 0;

    /// @dev What filters in the registry can look for.
    string private constant TAG = "candor-verdict";

    /// @dev Codes of `finish` with which an answer is not whole: a stream that is still open, and a client that went away.
    uint8 private constant FINISH_PREFIX = 0;
    uint8 private constant FINISH_CANCELLED = 6;

    address private immutable COURT;
    IValidationRegistry private immutable REGISTRY;

    mapping(ReceiptId receipt => Entry) private _entries;

    /// @param court_ The court whose verdicts these are. It may be deployed later.
    /// @param registry_ The ERC-8004 validation registry; zero where there is none.
    constructor(address court_, IValidationRegistry registry_) {
        COURT = court_;
        REGISTRY = registry_;
    }

    /// @inheritdoc IVerdicts
    function record(ReceiptId receipt, address host, bool held) external {
        require(msg.sender == COURT, NotCourt(msg.sender));
        if (_entries[receipt].verdict == Verdict.Refuted) {
            return;
        }
        Verdict verdict = held ? Verdict.Held : Verdict.Refuted;
        _entries[receipt] = Entry({host: host, verdict: verdict});
        emit VerdictRecorded(receipt, host, verdict);
    }

    /// @inheritdoc IVerdicts
    function publish(ReceiptId receipt, bytes32 salt) external {
        require(address(REGISTRY) != address(0), NoRegistry());
        Entry memory entry = _judged(receipt);
        bytes32 requestHash = validationRequestHash(receipt, salt);
        (, uint256 agentId,,,,) = REGISTRY.getValidationStatus(requestHash);
        address agentOwner = IERC721(REGISTRY.getIdentityRegistry()).ownerOf(agentId);
        require(agentOwner == entry.host, ForeignAgent(agentOwner, entry.host));
        uint8 response = entry.verdict == Verdict.Held ? RESPONSE_HELD : RESPONSE_REFUTED;
        emit VerdictPublished(receipt, requestHash, response);
        REGISTRY.validationResponse(requestHash, response, "", ReceiptId.unwrap(receipt), TAG);
    }

    /// @inheritdoc IVerdicts
    function decideJob(IAgenticCommerce commerce, uint256 jobId, bytes calldata receipt) external {
        Receipts.Receipt memory fields = Receipts.parse(receipt);
        ReceiptId id = Receipts.idOf(receipt);
        Entry memory entry = _judged(id);
        IAgenticCommerce.Job memory job = commerce.getJob(jobId);
        bool isWhole = fields.choice == 0 && fields.finish != FINISH_PREFIX && fields.finish != FINISH_CANCELLED;
        bool isOfJob = job.provider == entry.host && Strings.equal(job.description, _hex(fields.requestHash));
        require(isWhole && isOfJob, ReceiptNotOfJob(commerce, jobId, id));
        _decide(commerce, jobId, id, entry.verdict == Verdict.Held);
    }

    /// @inheritdoc IVerdicts
    function acceptJob(IAgenticCommerce commerce, uint256 jobId) external {
        address client = commerce.getJob(jobId).client;
        require(msg.sender == client, NotJobClient(client, msg.sender));
        _decide(commerce, jobId, ReceiptId.wrap(0), true);
    }

    /// @inheritdoc IVerdicts
    function verdictOf(ReceiptId receipt) external view returns (Verdict verdict, address host) {
        Entry memory entry = _entries[receipt];
        return (entry.verdict, entry.host);
    }

    /// @inheritdoc IVerdicts
    function court() external view returns (address) {
        return COURT;
    }

    /// @inheritdoc IVerdicts
    function registry() external view returns (address) {
        return address(REGISTRY);
    }

    /// @inheritdoc IVerdicts
    function validationRequestHash(ReceiptId receipt, bytes32 salt) public pure returns (bytes32) {
        return keccak256(abi.encode(receipt, salt));
    }

    function _decide(IAgenticCommerce commerce, uint256 jobId, ReceiptId receipt, bool completed) private {
        emit JobDecided(commerce, jobId, receipt, completed);
        // The draft's room for a reason holds the receipt, so that its readers find the verdict.
        bytes32 reason = ReceiptId.unwrap(receipt);
        if (completed) {
            commerce.complete(jobId, reason, "");
        } else {
            commerce.reject(jobId, reason, "");
        }
    }

    function _judged(ReceiptId receipt) private view returns (Entry memory entry) {
        entry = _entries[receipt];
        require(entry.verdict != Verdict.None, NotJudged(receipt));
    }

    function _hex(bytes32 word) private pure returns (string memory) {
        return Strings.toHexString(uint256(word), 32);
    }
}
