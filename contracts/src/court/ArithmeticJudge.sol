// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IArithmeticJudge} from "../interfaces/IArithmeticJudge.sol";
import {IChapter} from "../interfaces/IChapter.sol";
import {IChecker} from "../interfaces/IChecker.sol";
import {ModelRoot} from "../types/Ids.sol";
import {Receipts} from "./Receipts.sol";
import {Sha256} from "./Sha256.sol";
import {Statement} from "./answers/Case.sol";
import {Layout} from "./answers/Layout.sol";
import {Learning, Opening} from "./answers/Learning.sol";
import {KNOWN, Shape} from "./answers/Shape.sol";

/// @title The judge of answers
/// @notice One tile of CA-1, computed again: binary32 arithmetic in Solidity over openings of a trace and of a model.
contract ArithmeticJudge is IArithmeticJudge {
    uint256 private constant MOVE_BITS = 6;
    uint256 private constant TILE_HEIGHT = 4;

    uint256 private constant CHAPTERS = 5;

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
        Opening memory opened = abi.decode(opening, (Opening));
        Statement memory stated = Learning.statementOf(receipt, opened);
        Shape memory shape = _shape(ModelRoot.wrap(stated.modelRoot));
        admission.context = keccak256(abi.encode(stated));
        uint256 bits = Layout.bitsOf(Layout.places(shape).words);
        uint256 positions = uint256(stated.prompt) + stated.output - 1;
        admission.levels = uint8((bits + Layout.bitsOf(positions) + MOVE_BITS - 1) / MOVE_BITS);
        uint256 end = ((positions - 1) << bits) + Learning.linksOf(shape);
        admission.endIndex = uint64(end >> TILE_HEIGHT);
        admission.endLeaf = Sha256.leafOf(abi.encodePacked(receipt.stateRoot, receipt.outputRoot));
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
        require(found == docket.context, WrongContext(docket.context, found));
        Statement memory stated = abi.decode(context, (Statement));
        // The first byte of the inputs says which chapter has the rule; a wrong one does not get far.
        uint256 number = data.length == 0 ? CHAPTERS : uint8(data[0]);
        return _chapter(number).rule(_shape(ModelRoot.wrap(stated.modelRoot)), docket, stated, step, data[1:], path);
    }

    function _chapter(uint256 number) private view returns (IChapter) {
        if (number == 0) return _words;
        if (number == 1) return _products;
        if (number == 2) return _norms;
        if (number == 3) return _attention;
        require(number < CHAPTERS, NoSuchChapter(number));
        return _draws;
    }

    function _shape(ModelRoot root) private view returns (Shape memory shape) {
        shape = _shapes[root];
        require(shape.has(KNOWN), ModelUnknown(root));
    }
}
