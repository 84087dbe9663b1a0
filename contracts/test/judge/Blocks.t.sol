// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts cut words to the width of what they carry.
// forge-lint: disable-start(unsafe-typecast)

import {F32, ZERO} from "../../src/judge/Binary32.sol";
import {Blocks} from "../../src/judge/Blocks.sol";
import {WeightType} from "../../src/judge/WeightType.sol";
import {Conversions} from "../../src/judge/Conversions.sol";
import {Harness} from "./Harness.sol";
import {PlainBlocks} from "./PlainBlocks.sol";
import {VectorFile} from "./VectorFile.sol";

contract BlocksTest is VectorFile {
    Harness private harness = new Harness();
    PlainBlocks private plain = new PlainBlocks();

    function test_run_equalsRust_forEveryWeightType() public view {
        for (uint256 k; k <= uint256(type(WeightType).max); ++k) {
            WeightType kind = WeightType(k);
            string memory path = string.concat(".runs.", name(kind));
            bytes memory weights = field(string.concat(path, ".weights"));
            bytes memory activations = field(string.concat(path, ".activations"));
            bytes memory scales = field(string.concat(path, ".scales"));
            F32[] memory before = numbers(string.concat(path, ".before"));
            F32[] memory expected = numbers(string.concat(path, ".after"));
            uint256 count = expected.length;
            assertGt(count, 0);
            for (uint256 i; i < count; ++i) {
                (F32 found,) = harness.run(
                    kind, part(weights, i, count), part(activations, i, count), part(scales, i, count), before[i]
                );
                assertEq(F32.unwrap(found), F32.unwrap(expected[i]), string.concat(name(kind), " ", vm.toString(i)));
            }
        }
    }

    function test_element_equalsRust_forEveryWeightOfEveryType() public view {
        for (uint256 k; k <= uint256(type(WeightType).max); ++k) {
            WeightType kind = WeightType(k);
            bytes memory weights = field(string.concat(".rows.", name(kind), ".weights"));
            F32[] memory values = numbers(string.concat(".rows.", name(kind), ".values"));
            uint256 length = kind.blockLength();
            uint256 size = kind.blockBytes();
            assertEq(weights.length * length, values.length * size, name(kind));
            for (uint256 i; i < values.length; ++i) {
                (F32 found,) = harness.element(kind, slice(weights, i / length * size, size), i % length);
                assertEq(F32.unwrap(found), F32.unwrap(values[i]), string.concat(name(kind), " ", vm.toString(i)));
            }
        }
    }

    /// @dev All but the sums' order is quantised here, too: rows of `ca1.json` from weights and numbers to the product.
    function test_run_equalsTheVectorsOfTheArithmetic() public view {
        string memory text = vm.readFile("../crates/arith/tests/vectors/ca1.json");
        for (uint256 k; k <= uint256(type(WeightType).max); ++k) {
            WeightType kind = WeightType(k);
            string memory path = string.concat("[", vm.toString(10 + k), "].");
            assertEq(vm.parseJsonString(text, string.concat(path, "weights")), name(kind));
            bytes memory row = vm.parseBytes(string.concat("0x", vm.parseJsonString(text, string.concat(path, "row"))));
            (bytes memory activations, bytes memory scales) =
                activate(spaced(text, string.concat(path, "x")), kind.isFloat() ? 0 : kind.blockLength());
            (F32 found,) = harness.run(kind, row, activations, scales, ZERO);
            assertEq(F32.unwrap(found), F32.unwrap(spaced(text, string.concat(path, "y"))[0]), name(kind));
        }
    }

    function testFuzz_run_equalsPlainProducts_onArbitraryBytes(uint8 choice, bytes32 seed, uint32 accumulator)
        public
        view
    {
        WeightType kind = WeightType(bound(choice, uint256(WeightType.Q8_0), uint256(type(WeightType).max)));
        uint256 count = kind < WeightType.Q4_K ? 3 : 1;
        bytes memory weights = randomBytes(seed, count * kind.blockBytes());
        bytes memory quants = randomBytes(keccak256(abi.encode(seed, 1)), count * kind.blockLength());
        bytes memory scales = randomBytes(keccak256(abi.encode(seed, 2)), count * 4);
        checkPlain(kind, weights, quants, scales, F32.wrap(accumulator));
    }

    /// @dev The ends of the lanes' ranges: every weight and every activation at one of its own.
    function test_run_equalsPlainProducts_onExtremeBytes() public view {
        bytes1[6] memory fills = [bytes1(0x00), 0x7f, 0x80, 0x81, 0xff, 0x0f];
        for (uint256 k = uint256(WeightType.Q8_0); k <= uint256(type(WeightType).max); ++k) {
            WeightType kind = WeightType(k);
            for (uint256 i; i < 36; ++i) {
                bytes memory weights = filled(fills[i / 6], kind.blockBytes());
                // Half scales of one, so that the sums show.
                uint256 start = kind == WeightType.Q6_K ? 208 : 0;
                (weights[start], weights[start + 1]) = (0x00, 0x3c);
                if (kind != WeightType.Q6_K) (weights[2], weights[3]) = (0x00, 0x3c);
                checkPlain(kind, weights, filled(fills[i % 6], kind.blockLength()), hex"0000803f", ZERO);
            }
        }
    }

    /// @dev Eight halves are widened together or one by one: every half with seven normal ones, and with seven others.
    function test_run_widensEveryHalf_inAnyCompany() public view {
        bytes memory ones;
        for (uint256 i; i < 8; ++i) {
            ones = bytes.concat(ones, i == 3 ? bytes4(0x0000803f) : bytes4(0));
        }
        for (uint256 half; half < 1 << 16; half += 1 + half % 7) {
            if (!Conversions.isFiniteF16(half)) continue;
            bytes2 little = bytes2(uint16((half >> 8) | (half << 8)));
            for (uint256 company; company < 2; ++company) {
                bytes2 other = company == 0 ? bytes2(0x003c) : bytes2(0x0100);
                bytes memory row = bytes.concat(other, other, other, little, other, other, other, other);
                (F32 found,) = harness.run(WeightType.F16, row, ones, "", ZERO);
                assertEq(F32.unwrap(found), F32.unwrap(Conversions.fromF16(half) + ZERO));
            }
        }
    }

    function test_run_reverts_whereLengthsDoNotFit() public {
        bytes memory expected = abi.encodeWithSelector(Blocks.RunLength.selector, WeightType.Q4_0, 17, 32, 4);
        vm.expectRevert(expected);
        harness.run(WeightType.Q4_0, new bytes(17), new bytes(32), new bytes(4), ZERO);
        expected = abi.encodeWithSelector(Blocks.RunLength.selector, WeightType.Q4_0, 18, 33, 4);
        vm.expectRevert(expected);
        harness.run(WeightType.Q4_0, new bytes(18), new bytes(33), new bytes(4), ZERO);
        expected = abi.encodeWithSelector(Blocks.RunLength.selector, WeightType.Q4_0, 18, 32, 8);
        vm.expectRevert(expected);
        harness.run(WeightType.Q4_0, new bytes(18), new bytes(32), new bytes(8), ZERO);
        expected = abi.encodeWithSelector(Blocks.RunLength.selector, WeightType.F16, 4, 8, 4);
        vm.expectRevert(expected);
        harness.run(WeightType.F16, new bytes(4), new bytes(8), new bytes(4), ZERO);
    }

    function test_element_reverts_beyondTheBlock() public {
        bytes memory expected = abi.encodeWithSelector(Blocks.NoSuchElement.selector, WeightType.Q6_K, 210, 256);
        vm.expectRevert(expected);
        harness.element(WeightType.Q6_K, new bytes(210), 256);
        expected = abi.encodeWithSelector(Blocks.NoSuchElement.selector, WeightType.Q6_K, 209, 0);
        vm.expectRevert(expected);
        harness.element(WeightType.Q6_K, new bytes(209), 0);
    }

    function checkPlain(
        WeightType kind,
        bytes memory weights,
        bytes memory quants,
        bytes memory scales,
        F32 accumulator
    ) private view {
        (F32 found,) = harness.run(kind, weights, quants, scales, accumulator);
        F32 expected = plain.run(kind, weights, quants, scales, accumulator);
        assertEq(F32.unwrap(found), F32.unwrap(expected), name(kind));
    }

    /// @notice The activations of a row in blocks, through the judge's own quantiser; as they are where `length` is 0.
    function activate(F32[] memory x, uint256 length) private view returns (bytes memory quants, bytes memory scales) {
        bytes memory little;
        for (uint256 i; i < x.length; ++i) {
            little = bytes.concat(little, reversed(F32.unwrap(x[i])));
        }
        if (length == 0) return (little, "");
        for (uint256 start; start < little.length; start += 4 * length) {
            (bytes memory bytes_, F32 scale) = harness.quantised(slice(little, start, 4 * length));
            quants = bytes.concat(quants, bytes_);
            scales = bytes.concat(scales, reversed(F32.unwrap(scale)));
        }
    }

    function reversed(uint32 word) private pure returns (bytes4) {
        return bytes4((word << 24) | ((word & 0xff00) << 8) | ((word >> 8) & 0xff00) | (word >> 24));
    }

    function part(bytes memory all, uint256 index, uint256 count) private pure returns (bytes memory) {
        return slice(all, index * (all.length / count), all.length / count);
    }

    function filled(bytes1 fill, uint256 length) private pure returns (bytes memory bytes_) {
        bytes_ = new bytes(length);
        for (uint256 i; i < length; ++i) {
            bytes_[i] = fill;
        }
    }

    function randomBytes(bytes32 seed, uint256 length) private pure returns (bytes memory bytes_) {
        bytes_ = new bytes(length);
        for (uint256 i; i < length; ++i) {
            if (i % 32 == 0) seed = keccak256(abi.encode(seed));
            bytes_[i] = seed[i % 32];
        }
    }
}
