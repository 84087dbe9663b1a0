// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {ArithmeticJudge} from "../../src/court/ArithmeticJudge.sol";
import {AttentionChapter} from "../../src/court/answers/AttentionChapter.sol";
import {DrawChapter} from "../../src/court/answers/DrawChapter.sol";
import {NormChapter} from "../../src/court/answers/NormChapter.sol";
import {ProductChapter} from "../../src/court/answers/ProductChapter.sol";
import {WordChapter} from "../../src/court/answers/WordChapter.sol";
import {IChecker} from "../../src/interfaces/IChecker.sol";

/// @notice Runs `judge-vectors.json`, which `cargo run -p ledger --example dispute_vectors` writes and the judge in Rust runs too.
contract JudgeVectorsTest is Test {
    /// @notice A step before the judge. Of the ways to hand it in there is one byte each: the ruling, or `REFUSED`.
    struct Vector {
        string name;
        uint32 answer;
        IChecker.Docket docket;
        bytes context;
        uint32 step;
        bytes data;
        bytes32[] path;
        bytes outcomes;
    }

    uint256 private constant WAYS = 6;
    uint8 private constant REFUSED = 255;

    IChecker private immutable _judge;

    constructor() {
        _judge = new ArithmeticJudge(
            new WordChapter(), new ProductChapter(), new NormChapter(), new AttentionChapter(), new DrawChapter()
        );
    }

    function test_judge_rulesAsTheOneInRust_everyVector() public view {
        bytes[] memory vectors = vm.parseJsonBytesArray(vm.readFile("test/court/judge-vectors.json"), ".vectors");
        assertGt(vectors.length, 0);
        for (uint256 i; i < vectors.length; ++i) {
            Vector memory vector = abi.decode(vectors[i], (Vector));
            assertEq(vector.outcomes.length, WAYS, vector.name);
            for (uint256 way; way < WAYS; ++way) {
                uint8 found = _outcome(_handedIn(abi.decode(vectors[i], (Vector)), way));
                string memory name = string.concat(vector.name, ", way ", vm.toString(way));
                assertEq(found, uint8(vector.outcomes[way]), name);
            }
        }
    }

    /// @dev As it is; with another word; with a longer working; with a bit of the inputs turned; without the first of them; without
    /// the first hash. The first byte of the data says which part the word is of.
    function _handedIn(Vector memory vector, uint256 way) private pure returns (Vector memory) {
        bytes memory data = vector.data;
        uint256 inputs = data.length - 1;
        if (way == 1) {
            vector.docket.word ^= 1;
        } else if (way == 2) {
            ++vector.docket.workingLength;
        } else if (way == 3 && inputs > 0) {
            data[1 + inputs / 2] ^= 0x04;
        } else if (way == 4 && inputs > 0) {
            vector.data = abi.encodePacked(data[0], _from(data, 2));
        } else if (way == 5 && vector.path.length > 0) {
            bytes32[] memory path = new bytes32[](vector.path.length - 1);
            for (uint256 i; i < path.length; ++i) {
                path[i] = vector.path[i + 1];
            }
            vector.path = path;
        }
        return vector;
    }

    function _from(bytes memory data, uint256 start) private pure returns (bytes memory rest) {
        rest = new bytes(data.length - start);
        for (uint256 i; i < rest.length; ++i) {
            rest[i] = data[start + i];
        }
    }

    function _outcome(Vector memory vector) private view returns (uint8) {
        try _judge.judge(vector.docket, vector.context, vector.step, vector.data, vector.path) returns (
            IChecker.Ruling ruling
        ) {
            return uint8(ruling);
        } catch {
            return REFUSED;
        }
    }
}
