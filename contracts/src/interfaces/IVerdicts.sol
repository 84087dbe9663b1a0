// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ReceiptId} from "../types/Ids.sol";
import {IAgenticCommerce} from "./drafts/IAgenticCommerce.sol";

/// @title What the court found, in the words of drafts that are not settled
/// @notice Keeps each verdict, writes it to an ERC-8004 validation registry, and decides ERC-8183 jobs by it. Both drafts may
/// change; nothing but this contract knows them, and the court's own call touches neither.
interface IVerdicts {
    /// @notice What is known of a receipt.
    enum Verdict {
        /// The court has said nothing.
        None,
        /// A challenger lost.
        Held,
        /// A challenger won. That is final.
        Refuted
    }

    /// @notice The court has spoken.
    /// @param receipt The receipt.
    /// @param host Who signed it.
    /// @param verdict What the court found.
    event VerdictRecorded(ReceiptId indexed receipt, address indexed host, Verdict verdict);

    /// @notice A verdict was written to the validation registry.
    /// @param receipt The receipt.
    /// @param requestHash The registry's name for the request.
    /// @param response 100 for held, 0 for refuted.
    event VerdictPublished(ReceiptId indexed receipt, bytes32 indexed requestHash, uint8 response);

    /// @notice A job was decided.
    /// @param commerce The contract that holds the job.
    /// @param jobId The job.
    /// @param receipt The receipt that decided it; zero where the client accepted.
    /// @param completed Whether the provider was paid.
    event JobDecided(
        IAgenticCommerce indexed commerce, uint256 indexed jobId, ReceiptId indexed receipt, bool completed
    );

    /// @notice Only the court may do that.
    /// @param caller Who called.
    error NotCourt(address caller);

    /// @notice The court has said nothing about that receipt.
    /// @param receipt The receipt.
    error NotJudged(ReceiptId receipt);

    /// @notice No validation registry was named when this contract was deployed.
    error NoRegistry();

    /// @notice The validation was asked for by an agent that is not the receipt's host.
    /// @param agentOwner Who owns the agent.
    /// @param host The receipt's host.
    error ForeignAgent(address agentOwner, address host);

    /// @notice The receipt does not answer the job: another provider, another request, a choice other than the first, or an
    /// answer that was cut short.
    /// @param commerce The contract that holds the job.
    /// @param jobId The job.
    /// @param receipt The receipt.
    error ReceiptNotOfJob(IAgenticCommerce commerce, uint256 jobId, ReceiptId receipt);

    /// @notice Only the job's client may accept it.
    /// @param client The job's client.
    /// @param caller Who called.
    error NotJobClient(address client, address caller);

    /// @notice Keeps what the court found. Callable by the court only.
    /// @param receipt The receipt.
    /// @param host Who signed it.
    /// @param held Whether the challenger lost. A refuted receipt stays refuted, whatever follows.
    function record(ReceiptId receipt, address host, bool held) external;

    /// @notice Answers a validation request in the ERC-8004 registry by what the court found. Anybody may call.
    /// @dev The agent asks with `validationRequest(this, agentId, uri, validationRequestHash(receipt, salt))`. The salt is
    /// its own choice, so nobody can take the name before it.
    /// @param receipt The receipt.
    /// @param salt The salt.
    function publish(ReceiptId receipt, bytes32 salt) external;

    /// @notice Decides an ERC-8183 job whose evaluator is this contract: a held receipt completes it, a refuted one rejects
    /// it. Anybody may call.
    /// @dev The job's description is the receipt's request hash, as 0x and 64 lower-case digits. The client knows it before
    /// there is an answer, and with the nonce in it no other request has it.
    /// @param commerce The contract that holds the job.
    /// @param jobId The job.
    /// @param receipt The receipt's 23 fields, one word each, in the order in which EIP-712 has them.
    function decideJob(IAgenticCommerce commerce, uint256 jobId, bytes calldata receipt) external;

    /// @notice Completes a job whose evaluator is this contract, because its client is content.
    function acceptJob(IAgenticCommerce commerce, uint256 jobId) external;

    /// @notice What is known of a receipt.
    /// @param receipt The receipt.
    /// @return verdict What the court found.
    /// @return host Who signed it; zero where the court has said nothing.
    function verdictOf(ReceiptId receipt) external view returns (Verdict verdict, address host);

    /// @notice The hash under which a receipt's host asks the registry for a validation.
    function validationRequestHash(ReceiptId receipt, bytes32 salt) external pure returns (bytes32);

    /// @notice The court whose verdicts these are.
    function court() external view returns (address);

    /// @notice The ERC-8004 validation registry; zero where there is none.
    function registry() external view returns (address);
}
