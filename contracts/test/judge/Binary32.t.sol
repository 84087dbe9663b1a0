// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts cut words to the width of what they carry.
// forge-lint: disable-start(unsafe-typecast)

import {F32, fromBits} from "../../src/judge/Binary32.sol";
import {Conversions} from "../../src/judge/Conversions.sol";
import {PlainBinary32} from "./PlainBinary32.sol";
import {VectorFile} from "./VectorFile.sol";

contract Binary32Test is VectorFile {
    function test_operators_equalRust_onAllPairsOfSpecialNumbers() public view {
        F32[] memory operands = numbers(".pairs.operands");
        checkPairs(operands, "add", sum);
        checkPairs(operands, "sub", difference);
        checkPairs(operands, "mul", product);
        checkPairs(operands, "div", quotient);
        checkPairs(operands, "maximum", larger);
    }

    function test_sqrt_equalsRust_onSpecialNumbers() public view {
        F32[] memory x = numbers(".functions.x");
        F32[] memory y = numbers(".functions.sqrt");
        for (uint256 i; i < x.length; ++i) {
            assertEq(F32.unwrap(x[i].sqrt()), F32.unwrap(y[i]), vm.toString(F32.unwrap(x[i])));
        }
    }

    function test_toF16_equalsRust_onSpecialNumbers() public view {
        F32[] memory x = numbers(".functions.x");
        F32[] memory y = numbers(".functions.to_f16");
        for (uint256 i; i < x.length; ++i) {
            assertEq(Conversions.toF16(x[i]), F32.unwrap(y[i]), vm.toString(F32.unwrap(x[i])));
        }
    }

    function test_fromF16_invertsToF16_onEveryHalf() public pure {
        for (uint256 half; half < 1 << 16; ++half) {
            if (!Conversions.isFiniteF16(half)) continue;
            assertEq(Conversions.toF16(Conversions.fromF16(half)), half);
        }
    }

    function test_add_equalsRust_onRandomOperands() public view {
        checkRandom("add", 0, randomAdd);
    }

    function test_sub_equalsRust_onRandomOperands() public view {
        checkRandom("sub", 1, randomSub);
    }

    function test_mul_equalsRust_onRandomOperands() public view {
        checkRandom("mul", 2, randomMul);
    }

    function test_div_equalsRust_onRandomOperands() public view {
        checkRandom("div", 3, randomDiv);
    }

    function test_maximum_equalsRust_onRandomOperands() public view {
        checkRandom("maximum", 4, randomMaximum);
    }

    function test_sqrt_equalsRust_onRandomOperands() public view {
        checkRandom("sqrt", 5, randomSqrt);
    }

    function test_fromInteger_equalsRust_onRandomOperands() public view {
        checkRandom("from_integer", 6, randomFromInteger);
    }

    function test_toInteger_equalsRust_onRandomOperands() public view {
        checkRandom("to_integer", 7, randomToInteger);
    }

    function test_fromF16_equalsRust_onRandomOperands() public view {
        checkRandom("from_f16", 8, randomFromF16);
    }

    function test_toF16_equalsRust_onRandomOperands() public view {
        checkRandom("to_f16", 9, randomToF16);
    }

    function testFuzz_operators_equalPlainArithmetic_onRawOperands(uint32 a, uint32 b) public pure {
        checkPlain(a, b);
    }

    /// @dev Exponents at random seldom lie close enough for carries and cancellation.
    function testFuzz_operators_equalPlainArithmetic_onNeighbours(uint32 a, uint32 b, uint8 distance) public pure {
        uint256 exponent = ((a >> 23) + uint256(distance % 64) + 224) % 256;
        checkPlain(a, (b & 0x807fffff) | (exponent << 23));
    }

    function testFuzz_operators_equalPlainArithmetic_aroundUnderflow(uint32 a, uint32 b, uint8 distance) public pure {
        uint256 exponent = (358 + uint256(distance % 32) - ((a >> 23) & 255)) % 256;
        checkPlain(a, (b & 0x807fffff) | (exponent << 23));
    }

    function testFuzz_fromInteger_equalsPlainRounding_onAnyInteger(uint32 magnitude, uint8 places, bool isNegative)
        public
        pure
    {
        magnitude >>= places % 32;
        int256 value = isNegative ? -int256(uint256(magnitude)) : int256(uint256(magnitude));
        assertEq(F32.unwrap(Conversions.fromInteger(value)), PlainBinary32.nearest(value < 0, magnitude, 1, 0));
    }

    function checkPlain(uint256 a, uint256 b) private pure {
        (F32 x, F32 y) = (fromBits(a), fromBits(b));
        assertEq(F32.unwrap(x + y), PlainBinary32.add(a, b), "add");
        uint256 negated = b ^ (1 << 31);
        assertEq(F32.unwrap(x - y), PlainBinary32.add(a, negated), "sub");
        assertEq(F32.unwrap(x * y), PlainBinary32.mul(a, b), "mul");
        assertEq(F32.unwrap(x / y), PlainBinary32.div(a, b), "div");
        if (a > 0 && a < PlainBinary32.INFINITY) assertTrue(PlainBinary32.isRoot(a, F32.unwrap(x.sqrt())), "sqrt");
    }

    function checkPairs(
        F32[] memory operands,
        string memory operation,
        function(F32, F32) internal pure returns (F32) f
    ) private view {
        F32[] memory results = numbers(string.concat(".pairs.", operation));
        assertEq(results.length, operands.length * operands.length);
        for (uint256 i; i < results.length; ++i) {
            (F32 a, F32 b) = (operands[i / operands.length], operands[i % operands.length]);
            if (F32.unwrap(f(a, b)) == F32.unwrap(results[i])) continue;
            string memory pair = string.concat(vm.toString(F32.unwrap(a)), " ", vm.toString(F32.unwrap(b)));
            assertEq(F32.unwrap(f(a, b)), F32.unwrap(results[i]), string.concat(operation, " ", pair));
        }
    }

    function sum(F32 a, F32 b) private pure returns (F32) {
        return a + b;
    }

    function difference(F32 a, F32 b) private pure returns (F32) {
        return a - b;
    }

    function product(F32 a, F32 b) private pure returns (F32) {
        return a * b;
    }

    function quotient(F32 a, F32 b) private pure returns (F32) {
        return a / b;
    }

    function larger(F32 a, F32 b) private pure returns (F32) {
        // NaN as the vectors have it.
        F32 y = a.maximum(b);
        return F32.unwrap(y) & 0x7fffffff > 0x7f800000 ? fromBits(0x7fc00000) : y;
    }

    function randomAdd(Case memory drawn) private pure returns (uint256) {
        return F32.unwrap(fromBits(drawn.a) + fromBits(drawn.b));
    }

    function randomSub(Case memory drawn) private pure returns (uint256) {
        return F32.unwrap(fromBits(drawn.a) - fromBits(drawn.b));
    }

    function randomMul(Case memory drawn) private pure returns (uint256) {
        return F32.unwrap(fromBits(drawn.a) * fromBits(drawn.b));
    }

    function randomDiv(Case memory drawn) private pure returns (uint256) {
        return F32.unwrap(fromBits(drawn.a) / fromBits(drawn.b));
    }

    function randomMaximum(Case memory drawn) private pure returns (uint256) {
        return F32.unwrap(larger(fromBits(drawn.a), fromBits(drawn.b)));
    }

    function randomSqrt(Case memory drawn) private pure returns (uint256) {
        return F32.unwrap(fromBits(drawn.a).absolute().sqrt());
    }

    function randomFromInteger(Case memory drawn) private pure returns (uint256) {
        return F32.unwrap(Conversions.fromInteger(drawn.integer));
    }

    function randomToInteger(Case memory drawn) private pure returns (uint256) {
        // Below 2^9 in magnitude: the vectors clear the exponent's upper bit and multiply by 256.
        F32 x = fromBits(drawn.a & 0xbfffffff) * fromBits(0x43800000);
        return uint32(int32(Conversions.toInteger(x)));
    }

    function randomFromF16(Case memory drawn) private pure returns (uint256) {
        return F32.unwrap(Conversions.fromF16(drawn.a & 0xffff));
    }

    function randomToF16(Case memory drawn) private pure returns (uint256) {
        return Conversions.toF16(fromBits(drawn.a));
    }
}
