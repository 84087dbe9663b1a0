// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ModelRoot} from "../../types/Ids.sol";
import {CountedTree} from "../CountedTree.sol";
import {Domains} from "../Domains.sol";
import {Receipts} from "../Receipts.sol";
import {Hashes} from "./Hashes.sol";
import {Layout} from "./Layout.sol";
import {BIAS, GELU, HALVES, HEAD_NORM, KNOWN, POST_NORM, Shape, TIED, packSizes, packTraits} from "./Shape.sol";
import {Statement, packTerms} from "./Statement.sol";

/// @notice What opens the roots of a receipt as far as the judge needs it.
struct Opening {
    /// Tokens of the prompt, and the root of their tree before the count is bound to it.
    uint32 prompt;
    bytes32 promptTree;
    /// Tokens of the answer, the link before the last one, and the last one.
    uint32 output;
    bytes32 outputBefore;
    uint32 lastToken;
    /// The sampling as it is encoded to be hashed, without its domain.
    bytes sampling;
}

/// @title What the judge believes of models and receipts, after opening them
library Learning {
    /// @notice A part of a model and its path under the root.
    struct Opened {
        string name;
        bytes32 digest;
        uint64 index;
        uint64 count;
        bytes32[] path;
    }

    /// @notice A model's hyper-parameters, and whether it has a map to logits of its own.
    struct Model {
        string architecture;
        /// In the order of `Config::canonical_numbers`.
        uint64[17] numbers;
        Opened hyperParameters;
        /// The part `tensor/output.weight`, or the two neighbours between which it would lie.
        Opened[] head;
    }

    /// @notice The model is of an architecture that has no rules here.
    error UnknownArchitecture(string architecture);
    /// @notice A part leads to another root.
    error WrongModelRoot(bytes32 expected, bytes32 found);
    /// @notice The parts that were opened do not show whether the model has a map to logits of its own.
    error WrongHead(uint256 parts);
    /// @notice A number is larger than any model has it.
    error NumberTooLarge(uint256 index, uint256 number);
    /// @notice An opening leads to another root than the receipt has.
    error WrongOpening(bytes32 expected, bytes32 found);
    /// @notice The receipt is for nothing that can be traced.
    error EmptyAnswer(uint256 prompt, uint256 output);
    /// @notice More than the temperature decides the draws: byte `offset` of the sampling is not off.
    error SamplingNotJudged(uint256 offset);
    /// @notice The receipt is of an arithmetic, or a type of keys and values, that has no rules here.
    error EngineNotJudged(uint16 arithmetic, uint8 kv);

    string private constant HEAD = "tensor/output.weight";
    uint256 private constant SIZE_MAX = 1 << 24;
    uint256 private constant POSITIONS_MAX = 1 << 24;
    uint256 private constant NUMBERS = 17;

    /// @notice The shape of a model whose parts are opened under its root.
    function shapeOf(bytes32 root, Model calldata model) internal view returns (Shape memory shape) {
        uint64[17] calldata n = model.numbers;
        bytes memory encoded = abi.encodePacked(
            Hashes.text(Domains.MODEL_CONFIG), Hashes.le64(bytes(model.architecture).length), model.architecture
        );
        for (uint256 i; i < NUMBERS; ++i) {
            encoded = abi.encodePacked(encoded, Hashes.le64(n[i]));
        }
        _check(root, model.hyperParameters, "hyper-parameters", sha256(encoded));
        shape.sizes = packSizes(
            [
                _small(n, 1),
                _small(n, 2),
                _small(n, 7),
                _small(n, 6),
                _small(n, 0),
                _small(n, 3),
                _small(n, 4),
                _small(n, 5)
            ]
        );
        uint256 flags = KNOWN | _flags(model.architecture);
        if (n[12] != 0) flags |= HALVES;
        if (n[16] != 0) flags |= GELU;
        if (!_hasHead(root, model.head)) flags |= TIED;
        // Two of them are bits of binary32.
        shape.traits = packTraits([0, 0, 0, uint32(n[8]), uint32(n[13]), _small(n, 14), _small(n, 15), flags]);
        shape.places = Layout.places(shape.sizes, shape.traits);
    }

    /// @notice What a receipt states, once it is opened.
    function statementOf(Receipts.Receipt memory receipt, Opening memory opened)
        internal
        view
        returns (Statement memory stated)
    {
        require(receipt.arithmetic == 1 && receipt.kv < 2, EngineNotJudged(receipt.arithmetic, receipt.kv));
        bool isSome = opened.prompt > 0 && opened.output > 0;
        require(
            isSome && uint256(opened.prompt) + opened.output <= POSITIONS_MAX, EmptyAnswer(opened.prompt, opened.output)
        );
        bytes32 prompt = CountedTree.bind(Domains.PROMPT, opened.prompt, opened.promptTree);
        require(prompt == receipt.promptRoot, WrongOpening(receipt.promptRoot, prompt));
        bytes memory token = abi.encodePacked(Hashes.le32(opened.lastToken));
        bytes32 output = Hashes.link(Domains.OUTPUT_CHAIN, opened.outputBefore, token, opened.output - 1);
        require(output == receipt.outputRoot, WrongOpening(receipt.outputRoot, output));
        bytes32 sampling = sha256(abi.encodePacked(Hashes.text(Domains.SAMPLING), opened.sampling));
        require(sampling == receipt.sampling, WrongOpening(receipt.sampling, sampling));
        stated.modelRoot = ModelRoot.unwrap(receipt.modelRoot);
        stated.promptRoot = receipt.promptRoot;
        stated.seed = receipt.seed;
        stated.terms = packTerms(receipt.kv, opened.prompt, opened.output, _temperature(opened.sampling));
    }

    /// @dev The temperature of a sampling in which it alone decides the draws.
    function _temperature(bytes memory sampling) private pure returns (uint32 temperature) {
        // temperature, top_k, top_p, min_p, three penalties, how many biases, the grammar; all little-endian.
        bytes memory off = hex"00000000" hex"0000803f" hex"00000000" hex"0000803f" hex"00000000" hex"00000000"
            hex"0000000000000000" hex"00";
        require(sampling.length >= 4 + off.length, SamplingNotJudged(sampling.length));
        for (uint256 i; i < off.length; ++i) {
            require(sampling[4 + i] == off[i], SamplingNotJudged(4 + i));
        }
        for (uint256 i; i < 4; ++i) {
            temperature |= uint32(uint8(sampling[i])) << uint32(8 * i);
        }
    }

    function _flags(string calldata architecture) private pure returns (uint256) {
        bytes32 name = keccak256(bytes(architecture));
        if (name == keccak256("llama")) return 0;
        if (name == keccak256("qwen2")) return BIAS;
        if (name == keccak256("qwen3")) return HEAD_NORM;
        if (name == keccak256("gemma3")) return HEAD_NORM | POST_NORM;
        revert UnknownArchitecture(architecture);
    }

    function _small(uint64[17] calldata numbers, uint256 index) private pure returns (uint256 number) {
        number = numbers[index];
        require(number <= SIZE_MAX, NumberTooLarge(index, number));
    }

    function _hasHead(bytes32 root, Opened[] calldata head) private view returns (bool) {
        if (head.length == 1) {
            _check(root, head[0], HEAD, head[0].digest);
            return true;
        }
        bool isBetween = head.length == 2 && head[1].index == head[0].index + 1 && _isLess(head[0].name, HEAD)
            && _isLess(HEAD, head[1].name);
        require(isBetween, WrongHead(head.length));
        _check(root, head[0], head[0].name, head[0].digest);
        _check(root, head[1], head[1].name, head[1].digest);
        return false;
    }

    function _check(bytes32 root, Opened calldata part, string memory name, bytes32 digest) private view {
        bytes32 leaf = Hashes.partLeaf(name, digest);
        (bytes32 tree, uint256 next) = CountedTree.lead(leaf, part.index, part.count, part.path, 0);
        bytes32 found = CountedTree.bind(Domains.MODEL, part.count, tree);
        require(found == root && next == part.path.length, WrongModelRoot(root, found));
    }

    /// @dev Whether one name comes before another, byte by byte.
    function _isLess(string memory a, string memory b) private pure returns (bool) {
        bytes memory left = bytes(a);
        bytes memory right = bytes(b);
        uint256 shorter = left.length < right.length ? left.length : right.length;
        for (uint256 i; i < shorter; ++i) {
            if (left[i] != right[i]) return left[i] < right[i];
        }
        return left.length < right.length;
    }
}
