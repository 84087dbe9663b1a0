// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Verdicts} from "../src/Verdicts.sol";
import {Receipts} from "../src/court/Receipts.sol";
import {IVerdicts} from "../src/interfaces/IVerdicts.sol";
import {IAgenticCommerce} from "../src/interfaces/drafts/IAgenticCommerce.sol";
import {IValidationRegistry} from "../src/interfaces/drafts/IValidationRegistry.sol";
import {ReceiptId} from "../src/types/Ids.sol";

/// @dev Agents by number, as ERC-8004's identity registry has them.
contract Agents is ERC721("Agents", "AGENT") {
    function mint(address to, uint256 agentId) external {
        _mint(to, agentId);
    }
}

/// @dev ERC-8004's validation registry, as far as a validator and an agent see it.
contract Registry is IValidationRegistry {
    struct Status {
        address validator;
        uint256 agentId;
        uint8 response;
        bytes32 responseHash;
        string tag;
        uint256 lastUpdate;
    }

    Agents private immutable AGENTS;
    mapping(bytes32 requestHash => Status) private _statuses;

    constructor(Agents agents) {
        AGENTS = agents;
    }

    function validationRequest(address validator, uint256 agentId, string calldata, bytes32 requestHash) external {
        require(AGENTS.ownerOf(agentId) == msg.sender, "not the agent's owner");
        require(_statuses[requestHash].validator == address(0), "exists");
        _statuses[requestHash].validator = validator;
        _statuses[requestHash].agentId = agentId;
    }

    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata,
        bytes32 responseHash,
        string calldata tag
    ) external {
        Status storage status = _statuses[requestHash];
        require(status.validator == msg.sender, "not the validator");
        (status.response, status.responseHash, status.tag) = (response, responseHash, tag);
        status.lastUpdate = block.timestamp;
    }

    function getValidationStatus(bytes32 requestHash)
        external
        view
        returns (address, uint256, uint8, bytes32, string memory, uint256)
    {
        Status memory status = _statuses[requestHash];
        require(status.validator != address(0), "unknown");
        return (status.validator, status.agentId, status.response, status.responseHash, status.tag, status.lastUpdate);
    }

    function getIdentityRegistry() external view returns (address) {
        return address(AGENTS);
    }
}

/// @dev ERC-8183's jobs from the moment at which work was submitted, with the field that its reference implementation added.
contract Commerce {
    struct Job {
        uint256 id;
        address client;
        address provider;
        address evaluator;
        string description;
        uint256 budget;
        uint256 expiredAt;
        IAgenticCommerce.JobStatus status;
        address hook;
    }

    mapping(uint256 jobId => Job) private _jobs;
    bytes32 public reason;

    function submitted(uint256 jobId, address client, address provider, address evaluator, string calldata description)
        external
    {
        _jobs[jobId] = Job({
            id: jobId,
            client: client,
            provider: provider,
            evaluator: evaluator,
            description: description,
            budget: 1,
            expiredAt: block.timestamp + 1 days,
            status: IAgenticCommerce.JobStatus.Submitted,
            hook: address(this)
        });
    }

    function complete(uint256 jobId, bytes32 reason_, bytes calldata) external {
        _end(jobId, IAgenticCommerce.JobStatus.Completed, reason_);
    }

    function reject(uint256 jobId, bytes32 reason_, bytes calldata) external {
        _end(jobId, IAgenticCommerce.JobStatus.Rejected, reason_);
    }

    function getJob(uint256 jobId) external view returns (Job memory) {
        return _jobs[jobId];
    }

    function _end(uint256 jobId, IAgenticCommerce.JobStatus status, bytes32 reason_) private {
        require(_jobs[jobId].status == IAgenticCommerce.JobStatus.Submitted, "wrong status");
        require(_jobs[jobId].evaluator == msg.sender, "not the evaluator");
        _jobs[jobId].status = status;
        reason = reason_;
    }
}

contract VerdictsTest is Test {
    ReceiptId private constant RECEIPT = ReceiptId.wrap("receipt");
    bytes32 private constant REQUEST_HASH = keccak256("request");
    uint256 private constant AGENT = 22;
    uint256 private constant JOB = 5;

    address private court = makeAddr("court");
    address private host = makeAddr("host");
    address private client = makeAddr("client");
    Agents private agents;
    Registry private registry;
    Verdicts private verdicts;
    Commerce private commerce;
    IAgenticCommerce private jobs;

    function setUp() public {
        agents = new Agents();
        registry = new Registry(agents);
        verdicts = new Verdicts(court, registry);
        commerce = new Commerce();
        jobs = IAgenticCommerce(address(commerce));
        agents.mint(host, AGENT);
    }

    function _record(ReceiptId receipt, bool held) private {
        vm.prank(court);
        verdicts.record(receipt, host, held);
    }

    function _words(uint8 finish, uint32 choice) private view returns (bytes memory words, ReceiptId id) {
        Receipts.Receipt memory receipt;
        receipt.version = 1;
        receipt.requestHash = REQUEST_HASH;
        receipt.choice = choice;
        receipt.finish = finish;
        receipt.host = host;
        receipt.client = client;
        words = abi.encode(receipt);
        id = this.idOf(words);
    }

    function idOf(bytes calldata words) external pure returns (ReceiptId) {
        return Receipts.idOf(words);
    }

    function test_record_keepsTheVerdict_courtOnly() public {
        vm.expectRevert(abi.encodeWithSelector(IVerdicts.NotCourt.selector, address(this)));
        verdicts.record(RECEIPT, host, true);
        vm.expectEmit(address(verdicts));
        emit IVerdicts.VerdictRecorded(RECEIPT, host, IVerdicts.Verdict.Held);
        _record(RECEIPT, true);
        (IVerdicts.Verdict verdict, address found) = verdicts.verdictOf(RECEIPT);
        assertTrue(verdict == IVerdicts.Verdict.Held && found == host);
        assertEq(verdicts.court(), court);
        assertEq(verdicts.registry(), address(registry));
    }

    function test_record_keepsRefuted_whateverFollows() public {
        _record(RECEIPT, true);
        _record(RECEIPT, false);
        _record(RECEIPT, true);
        (IVerdicts.Verdict verdict,) = verdicts.verdictOf(RECEIPT);
        assertTrue(verdict == IVerdicts.Verdict.Refuted);
    }

    function test_publish_writesTheEntry_heldThenRefuted() public {
        bytes32 requestHash = verdicts.validationRequestHash(RECEIPT, "salt");
        vm.prank(host);
        registry.validationRequest(address(verdicts), AGENT, "", requestHash);
        _record(RECEIPT, true);
        vm.expectEmit(address(verdicts));
        emit IVerdicts.VerdictPublished(RECEIPT, requestHash, 100);
        verdicts.publish(RECEIPT, "salt");
        (,, uint8 response, bytes32 responseHash, string memory tag,) = registry.getValidationStatus(requestHash);
        assertEq(response, 100);
        assertEq(responseHash, ReceiptId.unwrap(RECEIPT));
        assertEq(tag, "candor-verdict");
        _record(RECEIPT, false);
        verdicts.publish(RECEIPT, "salt");
        (,, response,,,) = registry.getValidationStatus(requestHash);
        assertEq(response, 0);
    }

    function test_publish_reverts_nothingSaidNobodyAskedOrNoRegistry() public {
        vm.expectRevert(abi.encodeWithSelector(IVerdicts.NotJudged.selector, RECEIPT));
        verdicts.publish(RECEIPT, 0);
        _record(RECEIPT, true);
        vm.expectRevert("unknown");
        verdicts.publish(RECEIPT, 0);
        Verdicts alone = new Verdicts(court, IValidationRegistry(address(0)));
        vm.expectRevert(IVerdicts.NoRegistry.selector);
        alone.publish(RECEIPT, 0);
    }

    /// @dev Another agent asks for the validation of a good receipt, to shine with it or to stand in its way.
    function test_publish_reverts_agentOfAnother() public {
        address thief = makeAddr("thief");
        agents.mint(thief, 666);
        bytes32 requestHash = verdicts.validationRequestHash(RECEIPT, 0);
        vm.prank(thief);
        registry.validationRequest(address(verdicts), 666, "", requestHash);
        _record(RECEIPT, true);
        vm.expectRevert(abi.encodeWithSelector(IVerdicts.ForeignAgent.selector, thief, host));
        verdicts.publish(RECEIPT, 0);
        // The host takes another salt.
        bytes32 other = verdicts.validationRequestHash(RECEIPT, "1");
        vm.prank(host);
        registry.validationRequest(address(verdicts), AGENT, "", other);
        verdicts.publish(RECEIPT, "1");
    }

    function _submit(string memory description) private {
        commerce.submitted(JOB, client, host, address(verdicts), description);
    }

    function test_decideJob_paysTheProvider_heldReceipt() public {
        (bytes memory words, ReceiptId id) = _words(1, 0);
        _submit(vm.toString(REQUEST_HASH));
        vm.expectRevert(abi.encodeWithSelector(IVerdicts.NotJudged.selector, id));
        verdicts.decideJob(jobs, JOB, words);
        _record(id, true);
        vm.expectEmit(address(verdicts));
        emit IVerdicts.JobDecided(jobs, JOB, id, true);
        verdicts.decideJob(jobs, JOB, words);
        assertTrue(commerce.getJob(JOB).status == IAgenticCommerce.JobStatus.Completed);
        assertEq(commerce.reason(), ReceiptId.unwrap(id));
    }

    function test_decideJob_paysTheClientBack_refutedReceipt() public {
        (bytes memory words, ReceiptId id) = _words(1, 0);
        _submit(vm.toString(REQUEST_HASH));
        _record(id, false);
        verdicts.decideJob(jobs, JOB, words);
        assertTrue(commerce.getJob(JOB).status == IAgenticCommerce.JobStatus.Rejected);
    }

    function test_decideJob_reverts_receiptOfSomethingElse() public {
        uint8[3] memory finishes = [1, 0, 6];
        uint32[3] memory choices = [uint32(1), 0, 0];
        _submit(vm.toString(REQUEST_HASH));
        for (uint256 i = 0; i < finishes.length; ++i) {
            _expectNotOfJob(finishes[i], choices[i]);
        }
        _submit(vm.toString(keccak256("another request")));
        _expectNotOfJob(1, 0);
        commerce.submitted(JOB, client, makeAddr("another"), address(verdicts), vm.toString(REQUEST_HASH));
        _expectNotOfJob(1, 0);
    }

    function _expectNotOfJob(uint8 finish, uint32 choice) private {
        (bytes memory words, ReceiptId id) = _words(finish, choice);
        _record(id, true);
        vm.expectRevert(abi.encodeWithSelector(IVerdicts.ReceiptNotOfJob.selector, jobs, JOB, id));
        verdicts.decideJob(jobs, JOB, words);
    }

    function test_acceptJob_paysTheProvider_clientOnly() public {
        _submit(vm.toString(REQUEST_HASH));
        vm.expectRevert(abi.encodeWithSelector(IVerdicts.NotJobClient.selector, client, address(this)));
        verdicts.acceptJob(jobs, JOB);
        vm.prank(client);
        verdicts.acceptJob(jobs, JOB);
        assertTrue(commerce.getJob(JOB).status == IAgenticCommerce.JobStatus.Completed);
    }
}
