// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IChecker} from "../../src/interfaces/IChecker.sol";
import {Receipts} from "../../src/court/Receipts.sol";
import {TraceTree} from "../../src/court/TraceTree.sol";
import {ReceiptId} from "../../src/types/Ids.sol";
import {PlainTree} from "./PlainTree.sol";

/// @notice Knows computations that say which numbers are powers of two: word a is a where a is one, and else 0. The last tile
/// of a trace holds the roots of the receipt.
///
/// The working of word a has two words: a, and a with its lowest bit taken off. Three steps: the first word, the second, and
/// the disputed word itself.
contract PowersChecker is IChecker {
    uint256 private constant WORKING_WORDS = 2;
    uint256 private constant STEPS = 3;

    /// @notice A step that is not one.
    error NoSuchStep(uint256 step);

    /// @notice Something does not hash to what it should.
    error WrongOpening(bytes32 expected, bytes32 found);

    /// @notice What there is to know of a receipt.
    /// @param levels Levels of its trace.
    /// @param poison A word that no answer should have come to; none where it is 0.
    struct Opening {
        uint8 levels;
        uint64 poison;
    }

    /// @inheritdoc IChecker
    function admit(bytes calldata statement, bytes calldata signature, bytes calldata opening)
        external
        pure
        returns (Admission memory)
    {
        Receipts.Receipt memory receipt = Receipts.parse(statement);
        ReceiptId id = Receipts.idOf(statement);
        Opening memory opened = abi.decode(opening, (Opening));
        return Admission({
            id: id,
            maker: Receipts.checkSignature(id, receipt.host, signature),
            channel: receipt.channel,
            total: receipt.total,
            context: keccak256(opening),
            levels: opened.levels,
            endIndex: uint64(2 ** (6 * uint256(opened.levels) - 4) - 1),
            endLeaf: PlainTree.leaf(abi.encodePacked(receipt.stateRoot, receipt.outputRoot))
        });
    }

    /// @inheritdoc IChecker
    function judge(
        Docket calldata docket,
        bytes calldata context,
        uint32 step,
        bytes calldata data,
        bytes32[] calldata path
    ) external view returns (Ruling) {
        bytes32 found = keccak256(context);
        require(found == docket.context, WrongOpening(docket.context, found));
        uint64 poison = abi.decode(context, (Opening)).poison;
        if (poison != 0 && docket.wordAddress == poison) return Ruling.HostLies;
        require(step < STEPS, NoSuchStep(step));
        if (docket.workingLength != WORKING_WORDS) return Ruling.WorkerLies;
        bytes32 root = TraceTree.climb(TraceTree.tileHash(data), 0, path);
        require(root == docket.workingRoot, WrongOpening(docket.workingRoot, root));
        (uint32 first, uint32 second) = (wordAt(data, 0), wordAt(data, 4));
        bool isRight = step == 0
            ? first == docket.wordAddress
            : step == 1 ? second == withoutLowestBit(first) : docket.word == (first != 0 && second == 0 ? first : 0);
        return isRight ? Ruling.AccuserLies : Ruling.WorkerLies;
    }

    function withoutLowestBit(uint32 word) private pure returns (uint32) {
        return word == 0 ? 0 : word & (word - 1);
    }

    function wordAt(bytes calldata data, uint256 offset) private pure returns (uint32 word) {
        for (uint256 i; i < 4; ++i) {
            word |= uint32(uint8(data[offset + i])) << uint32(8 * i);
        }
    }
}
