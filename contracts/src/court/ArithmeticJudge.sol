// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {IArithmeticJudge} from "../interfaces/IArithmeticJudge.sol";
import {IChapter} from "../interfaces/IChapter.sol";
import {IChecker} from "../interfaces/IChecker.sol";
import {ModelRoot} from "../types/Ids.sol";
import {Receipts} from "./Receipts.sol";
import {Sha256} from "./Sha256.sol";
import {Layout, Part} from "./answers/Layout.sol";
import {Learning, Opening} from "./answers/Learning.sol";
import {KNOWN, Shape} from "./answers/Shape.sol";
import {Statement} from "./answers/Statement.sol";

/// @title The judge of answers
/// @notice One tile of CA-1, computed again: binary32 arithmetic in Solidity over openings of a trace and of a model.
contract ArithmeticJudge is IArithmeticJudge {
    using Address for address;

    uint256 private constant MOVE_BITS = 6;
    uint256 private constant TILE_HEIGHT = 4;

    /// @dev The number of the chapter that has the rule of each part, four bits each, the first one lowest.
    uint256 private constant CHAPTERS = 0x24444410000420210000011000020210000300002222211100002;

    IChapter private immutable _words;
    IChapter private immutable _products;
    IChapter private immutable _norms;
    IChapter private immutable _attention;
    IChapter private immutable _draws;

    mapping(ModelRoot => Shape) private _shapes;

    /// @param words The rules of words that follow in one step.
    /// @param products The rules of products.
    /// @param norms The rules of norms, and of words that follow from one weight.
    /// @param attention The rules of attention.
    /// @param draws The rules of draws and of the chains over tokens and states.
    constructor(IChapter words, IChapter products, IChapter norms, IChapter attention, IChapter draws) {
        (_words, _products, _norms, _attention, _draws) = (words, products, norms, attention, draws);
    }

    /// @inheritdoc IArithmeticJudge
    function learn(ModelRoot root, Learning.Model calldata model) external {
        Shape memory shape = Learning.shapeOf(ModelRoot.unwrap(root), model);
        _shapes[root] = shape;
        emit ModelLearned(root, shape);
    }

    /// @inheritdoc IArithmeticJudge
    function shapeOf(ModelRoot root) external view returns (Shape memory) {
        return _shapes[root];
    }

    /// @inheritdoc IChecker
    function admit(bytes calldata statement, bytes calldata signature, bytes calldata opening)
        external
        view
        returns (Admission memory admission)
    {
        Receipts.Receipt memory receipt = Receipts.parse(statement);
        admission.id = Receipts.idOf(statement);
        admission.maker = Receipts.checkSignature(admission.id, receipt.host, signature);
        admission.channel = receipt.channel;
        admission.total = receipt.total;
        Statement memory stated = Learning.statementOf(receipt, abi.decode(opening, (Opening)));
        // The context has the shape in it, so that the judgement reads nothing from storage.
        stated.shape = _shapes[receipt.modelRoot];
        require(stated.shape.traits.has(KNOWN), ModelUnknown(receipt.modelRoot));
        admission.context = keccak256(abi.encode(stated));
        uint256 bits = Layout.bits(stated.shape);
        uint256 positions = stated.terms.positions();
        admission.levels = uint8((bits + Layout.bitsOf(positions) + MOVE_BITS - 1) / MOVE_BITS);
        uint256 links = Layout.start(stated.shape, stated.shape.sizes.layers(), Part.Links);
        admission.endIndex = uint64((((positions - 1) << bits) + links) >> TILE_HEIGHT);
        admission.endLeaf = Sha256.leafOf(abi.encodePacked(receipt.stateRoot, receipt.outputRoot));
    }

    /// @inheritdoc IChecker
    /// @dev The chapter is called with what this was called with.
    function judge(Docket calldata docket, bytes calldata context, uint32, bytes calldata data, bytes32[] calldata)
        external
        view
        returns (Ruling)
    {
        bytes32 found = keccak256(context);
        require(found == docket.context, WrongContext(docket.context, found));
        return abi.decode(address(_chapterOf(uint8(data[0]))).functionStaticCall(msg.data), (Ruling));
    }

    function _chapterOf(uint256 part) private view returns (IChapter) {
        unchecked {
            // A number that is no part has the first chapter, where it does not get far.
            uint256 number = part < 64 ? (CHAPTERS >> (4 * part)) & 15 : 0;
            if (number == 0) return _words;
            if (number == 1) return _products;
            if (number == 2) return _norms;
            return number == 3 ? _attention : _draws;
        }
    }
}
