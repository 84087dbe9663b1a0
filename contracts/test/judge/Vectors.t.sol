// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts take words apart into bytes.
// forge-lint: disable-start(unsafe-typecast)

import {F32, ZERO} from "../../src/judge/Binary32.sol";
import {Quantise} from "../../src/judge/Quantise.sol";
import {Vectors} from "../../src/judge/Vectors.sol";
import {Harness} from "./Harness.sol";
import {VectorFile} from "./VectorFile.sol";

contract VectorsTest is VectorFile {
    Harness private harness = new Harness();

    function test_addProducts_equalsRust_overManyRuns() public view {
        bytes memory x = field(".vectors.x");
        bytes memory y = field(".vectors.y");
        bytes memory expected = field(".vectors.lanes");
        F32[] memory folds = numbers(".vectors.folds");
        uint256 low;
        uint256 high;
        for (uint256 i; i < folds.length; ++i) {
            (low, high,) = harness.addProducts(low, high, slice(x, 256 * i, 256), slice(y, 256 * i, 256));
            assertEq(abi.encode(low, high), slice(expected, 64 * i, 64));
            (F32 folded,) = harness.fold(low, high);
            assertEq(F32.unwrap(folded), F32.unwrap(folds[i]));
        }
    }

    /// @dev Lanes that get no term stay.
    function test_addProducts_equalsItsParts_whereverAVectorIsCut() public view {
        bytes memory x = slice(field(".vectors.x"), 0, 256);
        bytes memory y = slice(field(".vectors.y"), 0, 256);
        (uint256 low, uint256 high,) = harness.addProducts(1, 2, x, y);
        for (uint256 cut = 64; cut < 256; cut += 64) {
            (uint256 lowPart, uint256 highPart,) = harness.addProducts(1, 2, slice(x, 0, cut), slice(y, 0, cut));
            for (uint256 start = cut; start < 256; start += 64) {
                // The first words alone, then with the others: products with -0 change nothing.
                uint256 length = 4 * (1 + start / 64 * 5 % 15);
                bytes memory rest = slice(x, start, 64);
                (uint256 lowHalf, uint256 highHalf,) =
                    harness.addProducts(lowPart, highPart, slice(x, start, length), slice(y, start, length));
                for (uint256 i; i < length; ++i) {
                    rest[i] = 0;
                }
                (lowPart, highPart,) = harness.addProducts(lowHalf, highHalf, rest, slice(y, start, 64));
            }
            assertEq(abi.encode(lowPart, highPart), abi.encode(low, high));
        }
    }

    function test_addNumbers_equalsProductsWithOne() public view {
        bytes memory x = slice(field(".vectors.x"), 0, 4 * 83);
        bytes memory ones;
        for (uint256 i; i < 83; ++i) {
            ones = bytes.concat(ones, hex"0000803f");
        }
        (uint256 low, uint256 high,) = harness.addProducts(0, 0, x, ones);
        (uint256 lowFound, uint256 highFound) = harness.addNumbers(0, 0, x);
        assertEq(abi.encode(lowFound, highFound), abi.encode(low, high));
    }

    function test_maximum_equalsRust_overSixteenNumbers() public view {
        bytes memory x = field(".vectors.x");
        F32[] memory maxima = numbers(".vectors.maxima");
        for (uint256 i; i < maxima.length; ++i) {
            (F32 found,) = harness.maximum(Vectors.LEAST, slice(x, 64 * i, 64));
            assertEq(F32.unwrap(found), F32.unwrap(maxima[i]));
        }
    }

    function test_maximum_isPlusZero_amongZeros() public view {
        (F32 found,) = harness.maximum(Vectors.LEAST, hex"000000800000000000000080");
        assertEq(F32.unwrap(found), 0);
        (found,) = harness.maximum(Vectors.LEAST, hex"00000080");
        assertEq(F32.unwrap(found), 0);
    }

    function test_quantise_equalsRust_inBlocksOf32() public view {
        checkQuantise(".quantised.block_32", 32);
    }

    function test_quantise_equalsRust_inBlocksOf256() public view {
        checkQuantise(".quantised.block_256", 256);
    }

    function test_amax_isNotFinite_whereANumberIsNot() public view {
        (F32 found,) = harness.amax(hex"0000803f000080ff0000803f");
        assertFalse(found.isFinite());
        (found,) = harness.amax(hex"0000803f0000803f0000c0ff");
        assertFalse(found.isFinite());
    }

    function test_vectors_revert_onPartsOfWords() public {
        vm.expectRevert(abi.encodeWithSelector(Vectors.VectorLength.selector, 8, 4));
        harness.addProducts(0, 0, new bytes(8), new bytes(4));
        vm.expectRevert(abi.encodeWithSelector(Vectors.VectorLength.selector, 5, 5));
        harness.addProducts(0, 0, new bytes(5), new bytes(5));
        vm.expectRevert(abi.encodeWithSelector(Vectors.VectorLength.selector, 7, 0));
        harness.addNumbers(0, 0, new bytes(7));
        vm.expectRevert(abi.encodeWithSelector(Vectors.VectorLength.selector, 6, 0));
        harness.maximum(ZERO, new bytes(6));
        vm.expectRevert(abi.encodeWithSelector(Quantise.BlockLength.selector, 3));
        harness.amax(new bytes(3));
    }

    function testFuzz_load_equalsASlice(bytes calldata source, uint256 offset) public view {
        vm.assume(source.length >= 32);
        offset = bound(offset, 0, source.length - 32);
        assertEq(harness.load(source, offset), harness.loadBySlice(source, offset));
    }

    function testFuzz_number_readsLittleEndian(uint32 word, bytes calldata before) public view {
        bytes memory little = abi.encodePacked(uint8(word), uint8(word >> 8), uint8(word >> 16), uint8(word >> 24));
        assertEq(F32.unwrap(harness.number(bytes.concat(before, little), before.length)), word);
    }

    function checkQuantise(string memory path, uint256 length) private view {
        bytes memory x = field(string.concat(path, ".x"));
        bytes memory quants = field(string.concat(path, ".quants"));
        F32[] memory scales = numbers(string.concat(path, ".scales"));
        assertEq(x.length, 4 * length * scales.length);
        for (uint256 i; i < scales.length; ++i) {
            (bytes memory found, F32 scale) = harness.quantised(slice(x, 4 * length * i, 4 * length));
            assertEq(F32.unwrap(scale), F32.unwrap(scales[i]), path);
            assertEq(found, slice(quants, length * i, length), path);
        }
    }
}
