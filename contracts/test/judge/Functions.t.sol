// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, fromBits} from "../../src/judge/Binary32.sol";
import {Functions} from "../../src/judge/Functions.sol";
import {VectorFile} from "./VectorFile.sol";

contract FunctionsTest is VectorFile {
    function test_functions_equalRust_onSpecialAndRandomNumbers() public view {
        F32[] memory x = numbers(".functions.x");
        checkAll(x, numbers(".functions.exp"), "exp", exp);
        checkAll(x, numbers(".functions.sigmoid"), "sigmoid", sigmoid);
        checkAll(x, numbers(".functions.silu"), "silu", silu);
        checkAll(x, numbers(".functions.tanh"), "tanh", tanh);
        checkAll(x, numbers(".functions.gelu"), "gelu", gelu);
    }

    /// @dev The numbers that CA-1 itself is pinned by.
    function test_functions_equalTheVectorsOfTheArithmetic() public view {
        string memory text = vm.readFile("../crates/arith/tests/vectors/ca1.json");
        checkLine(text, 0, "exp", exp);
        checkLine(text, 1, "sigmoid", sigmoid);
        checkLine(text, 2, "silu", silu);
        checkLine(text, 3, "tanh", tanh);
        checkLine(text, 4, "gelu", gelu);
    }

    function test_exp_equalsRust_onRandomNumbers() public view {
        checkRandom("exp", 10, randomExp);
    }

    function test_sigmoid_equalsRust_onRandomNumbers() public view {
        checkRandom("sigmoid", 11, randomSigmoid);
    }

    function test_silu_equalsRust_onRandomNumbers() public view {
        checkRandom("silu", 12, randomSilu);
    }

    function test_tanh_equalsRust_onRandomNumbers() public view {
        checkRandom("tanh", 13, randomTanh);
    }

    function test_gelu_equalsRust_onRandomNumbers() public view {
        checkRandom("gelu", 14, randomGelu);
    }

    function test_sampleWeight_equalsRust_atEveryTemperature() public view {
        F32[] memory logits = numbers(".sampling.logits");
        F32 largest = numbers(".sampling.largest")[0];
        string[5] memory names = ["cool", "mild", "hot", "freezing", "melting"];
        for (uint256 n; n < names.length; ++n) {
            string memory path = string.concat(".sampling.", names[n]);
            F32 temperature = numbers(string.concat(path, ".temperature"))[0];
            bytes memory weights = field(string.concat(path, ".weights"));
            for (uint256 i; i < logits.length; ++i) {
                uint256 expected = uint64(bytes8(bytes32(slice(weights, 8 * i, 8))));
                assertEq(Functions.sampleWeight(logits[i], largest, temperature), expected, names[n]);
            }
        }
    }

    function checkAll(
        F32[] memory x,
        F32[] memory y,
        string memory operation,
        function(F32) internal pure returns (F32) f
    ) private pure {
        assertEq(x.length, y.length, operation);
        for (uint256 i; i < x.length; ++i) {
            if (F32.unwrap(f(x[i])) == F32.unwrap(y[i])) continue;
            string memory where = string.concat(operation, " of ", vm.toString(F32.unwrap(x[i])));
            assertEq(F32.unwrap(f(x[i])), F32.unwrap(y[i]), where);
        }
    }

    function checkLine(
        string memory text,
        uint256 line,
        string memory operation,
        function(F32) internal pure returns (F32) f
    ) private pure {
        string memory path = string.concat("[", vm.toString(line), "].");
        assertEq(vm.parseJsonString(text, string.concat(path, "operation")), operation);
        checkAll(spaced(text, string.concat(path, "x")), spaced(text, string.concat(path, "y")), operation, f);
    }

    function exp(F32 x) private pure returns (F32) {
        return Functions.exp(x);
    }

    function sigmoid(F32 x) private pure returns (F32) {
        return Functions.sigmoid(x);
    }

    function silu(F32 x) private pure returns (F32) {
        return Functions.silu(x);
    }

    function tanh(F32 x) private pure returns (F32) {
        return canonical(Functions.tanh(x));
    }

    function gelu(F32 x) private pure returns (F32) {
        return Functions.gelu(x);
    }

    /// @dev A sign may be copied to NaN, too.
    function canonical(F32 x) private pure returns (F32) {
        return F32.unwrap(x) & 0x7fffffff > 0x7f800000 ? fromBits(0x7fc00000) : x;
    }

    function randomExp(Case memory drawn) private pure returns (uint256) {
        return F32.unwrap(Functions.exp(fromBits(drawn.a)));
    }

    function randomSigmoid(Case memory drawn) private pure returns (uint256) {
        return F32.unwrap(Functions.sigmoid(fromBits(drawn.a)));
    }

    function randomSilu(Case memory drawn) private pure returns (uint256) {
        return F32.unwrap(Functions.silu(fromBits(drawn.a)));
    }

    function randomTanh(Case memory drawn) private pure returns (uint256) {
        return F32.unwrap(canonical(Functions.tanh(fromBits(drawn.a))));
    }

    function randomGelu(Case memory drawn) private pure returns (uint256) {
        return F32.unwrap(Functions.gelu(fromBits(drawn.a)));
    }
}
