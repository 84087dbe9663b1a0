// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts cut words where the generator in crates/arith/examples/judge_vectors.rs does.
// forge-lint: disable-start(unsafe-typecast, incorrect-shift)

import {Test} from "forge-std/Test.sol";

import {F32} from "../../src/judge/Binary32.sol";
import {WeightType} from "../../src/judge/WeightType.sol";

/// @notice Reads `vectors.json`, which `cargo run -p arith --example judge_vectors` writes and both judges answer.
abstract contract VectorFile is Test {
    uint256 internal constant CASES = 1024;

    /// @notice Two operands and an integer, as the generator's `Case`.
    struct Case {
        uint256 a;
        uint256 b;
        int256 integer;
    }

    string private text = vm.readFile("test/judge/vectors.json");

    function field(string memory path) internal view returns (bytes memory) {
        return vm.parseJsonBytes(text, path);
    }

    function numbers(string memory path) internal view returns (F32[] memory values) {
        bytes memory packed = field(path);
        values = new F32[](packed.length / 4);
        for (uint256 i; i < values.length; ++i) {
            values[i] = numberAt(packed, i);
        }
    }

    /// @notice Big-endian word `index`.
    function numberAt(bytes memory packed, uint256 index) internal pure returns (F32) {
        uint256 word;
        for (uint256 i; i < 4; ++i) {
            word = (word << 8) | uint8(packed[4 * index + i]);
        }
        return F32.wrap(uint32(word));
    }

    /// @notice Numbers that `ca1.json` writes as words with blanks between them.
    function spaced(string memory json, string memory path) internal pure returns (F32[] memory values) {
        bytes memory packed = vm.parseBytes(string.concat("0x", vm.replace(vm.parseJsonString(json, path), " ", "")));
        values = new F32[](packed.length / 4);
        for (uint256 i; i < values.length; ++i) {
            values[i] = numberAt(packed, i);
        }
    }

    function slice(bytes memory source, uint256 start, uint256 length) internal pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i; i < length; ++i) {
            part[i] = source[start + i];
        }
    }

    function name(WeightType kind) internal pure returns (string memory) {
        return ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"][uint256(kind)];
    }

    /// @notice SplitMix64: the state after, and 64 bits.
    function splitMix(uint256 state) internal pure returns (uint256, uint256) {
        unchecked {
            uint256 mask = type(uint64).max;
            state = (state + 0x9e3779b97f4a7c15) & mask;
            uint256 z = ((state ^ (state >> 30)) * 0xbf58476d1ce4e5b9) & mask;
            z = ((z ^ (z >> 27)) * 0x94d049bb133111eb) & mask;
            return (state, z ^ (z >> 31));
        }
    }

    /// @notice The operands of the generator's `Case::draw`.
    function draw(uint256 state) internal pure returns (uint256, Case memory drawn) {
        unchecked {
            uint256 operands;
            uint256 mode;
            (state, operands) = splitMix(state);
            (state, mode) = splitMix(state);
            uint256 a = uint32(operands);
            uint256 b = operands >> 32;
            uint256 exponent = (a >> 23) & 255;
            uint256 near = (mode >> 8) & 31;
            uint256 kind = mode & 7;
            if (kind == 2 || kind == 3) {
                b = withExponent(b, exponent + near - 16);
            } else if (kind == 4) {
                a = withExponent(a, 96 + ((mode >> 8) & 63));
                b = withExponent(b, 96 + ((mode >> 16) & 63));
            } else if (kind == 5) {
                a &= 0xff800000 | (uint32(mode >> 16) & (mode >> 32));
                b = withExponent(b, exponent + near - 16) | ((mode >> 40) & 0x7fffff);
            } else if (kind == 6) {
                b = withExponent(b, 112 - exponent + near);
            } else if (kind == 7) {
                a = withExponent(a, 0);
                b = withExponent(b, mode >> 8);
            }
            drawn = Case(a, b, int256(int32(uint32(operands))) >> ((mode >> 3) & 31));
            return (state, drawn);
        }
    }

    function withExponent(uint256 x, uint256 exponent) private pure returns (uint256) {
        return (x & 0x807fffff) | ((exponent & 255) << 23);
    }

    /// @notice Holds the results of `operation` against the digests in `random`.
    function checkRandom(
        string memory operation,
        uint256 seed,
        function(Case memory) internal pure returns (uint256) answer
    ) internal view {
        bytes memory digests = field(string.concat(".random.", operation));
        assertGt(digests.length, 0, operation);
        uint256 state = seed;
        bytes memory results = new bytes(4 * CASES);
        for (uint256 block_; block_ < digests.length / 32; ++block_) {
            for (uint256 i; i < CASES; ++i) {
                Case memory drawn;
                (state, drawn) = draw(state);
                uint256 word = answer(drawn);
                for (uint256 j; j < 4; ++j) {
                    results[4 * i + j] = bytes1(uint8(word >> (24 - 8 * j)));
                }
            }
            assertEq(
                sha256(results),
                bytes32(slice(digests, 32 * block_, 32)),
                string.concat(operation, ", block ", vm.toString(block_))
            );
        }
    }
}
