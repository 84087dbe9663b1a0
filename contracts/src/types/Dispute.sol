// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {IChecker} from "../interfaces/IChecker.sol";
import {ChannelId, ReceiptId} from "./Ids.sol";

/// @dev Counts the disputes of a court, from 1.
type DisputeId is uint256;

/// @dev Which of a court's checkers knows a statement, from 0.
type StatementKind is uint8;

/// @notice The two sides of a dispute.
enum Side {
    /// It signed the statement.
    Host,
    /// It says that the statement is false.
    Challenger
}

/// @notice Why a dispute ended.
enum Reason {
    /// A side let its time pass.
    Silence,
    /// A step of the working was wrong.
    WorkerLied,
    /// The step that was called wrong is right.
    AccuserLied,
    /// The statement should not have been made, whatever the working.
    HostLied
}

/// @notice Where a dispute stands. The court keeps a hash of this and nothing else; every call brings it along.
/// @param receipt What it is about.
/// @param host Who signed that.
/// @param challenger Who says that it is false.
/// @param vault The stake behind the host.
/// @param channel The channel that pays for the answer; zero where none does.
/// @param total What the answer costs.
/// @param bond What each side has at stake, in the vault's asset.
/// @param checker Who computes the disputed step.
/// @param context What it needs of the statement, hashed.
/// @param levels How many nodes will lie open when words do.
/// @param isHostsTurn Whether the host is to move, and not the challenger.
/// @param deadline Until when, in seconds since 1970.
/// @param index The number of the last opened node among those of its height; once a word is worked out, that word's number.
/// @param endIndex The number of the tile that must hold what was signed.
/// @param endLeaf What the leaf of that tile must be.
/// @param nodes The opened nodes: the challenger's root, and then in turn.
/// @param workingRoot The root over the working of the disputed word; zero while there is none.
/// @param workingLength How many words that has.
/// @param word The disputed word, as the side that worked it out has it.
struct Dispute {
    ReceiptId receipt;
    address host;
    address challenger;
    address vault;
    ChannelId channel;
    uint128 total;
    uint128 bond;
    IChecker checker;
    bytes32 context;
    uint8 levels;
    bool isHostsTurn;
    uint40 deadline;
    uint64 index;
    uint64 endIndex;
    bytes32 endLeaf;
    bytes32[] nodes;
    bytes32 workingRoot;
    uint32 workingLength;
    uint32 word;
}

/// @dev Bytes of an encoded dispute without nodes: its members, and how many nodes there are.
uint256 constant DISPUTE_BYTES = 20 * 32;

using {commitment, winner, mover, isWorked, party} for Dispute global;

/// @dev What a court keeps of a dispute that goes on.
function commitment(Dispute memory dispute) pure returns (bytes32) {
    return keccak256(abi.encode(dispute));
}

/// @dev The same of a dispute that lies in calldata, whose bytes are hashed as they are: whatever is not encoded as `abi.encode` does
/// it has another hash, and is no dispute that goes on. Saves taking it apart and putting it together again, in the call that has
/// a bar. A fuzz test holds the two together.
function commitmentInCalldata(Dispute calldata dispute) pure returns (bytes32 hash) {
    uint256 size = DISPUTE_BYTES + 32 * dispute.nodes.length;
    assembly ("memory-safe") {
        // Behind the free memory, which stays free.
        let at := mload(0x40)
        mstore(at, 32)
        calldatacopy(add(at, 32), dispute, size)
        hash := keccak256(at, add(size, 32))
    }
}

/// @dev What a court keeps of one that was decided, from what it kept until then. No dispute encodes to 64 bytes, so this
/// commits to none that goes on.
function verdict(bytes32 committed, Reason reason) pure returns (bytes32) {
    return Hashes.efficientKeccak256(committed, bytes32(uint256(reason)));
}

/// @dev Who is to move.
function mover(Dispute memory dispute) pure returns (Side) {
    return dispute.isHostsTurn ? Side.Host : Side.Challenger;
}

/// @dev Who wins if the dispute ends now, for this reason. Who was to move is the one that was silent, or that accused.
function winner(Dispute memory dispute, Reason reason) pure returns (Side) {
    return winnerOf(dispute.isHostsTurn, reason);
}

/// @dev The same of any dispute in which the host is to move, or the challenger.
function winnerOf(bool isHostsTurn, Reason reason) pure returns (Side) {
    if (reason == Reason.HostLied) return Side.Challenger;
    bool isMovers = reason == Reason.WorkerLied;
    return isMovers == isHostsTurn ? Side.Host : Side.Challenger;
}

/// @dev Whether the disputed word is worked out, so that only an accusation can follow.
function isWorked(Dispute memory dispute) pure returns (bool) {
    return dispute.workingRoot != 0;
}

/// @dev The address of a side.
function party(Dispute memory dispute, Side side) pure returns (address) {
    return side == Side.Host ? dispute.host : dispute.challenger;
}
