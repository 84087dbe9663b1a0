// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts take words apart into bytes.
// forge-lint: disable-start(unsafe-typecast)

import {F32} from "../../src/judge/Binary32.sol";
import {Blocks} from "../../src/judge/Blocks.sol";
import {Quantise} from "../../src/judge/Quantise.sol";
import {Vectors} from "../../src/judge/Vectors.sol";
import {WeightType} from "../../src/judge/WeightType.sol";
import {Words} from "../../src/judge/Words.sol";

/// @notice The functions of the judge that read calldata, behind calls that give them some. Each also tells the gas that it took.
contract Harness {
    function run(
        WeightType kind,
        bytes calldata weights,
        bytes calldata activations,
        bytes calldata scales,
        F32 accumulator
    ) external view returns (F32 result, uint256 gas) {
        gas = gasleft();
        result = Blocks.run(kind, weights, activations, scales, accumulator);
        gas -= gasleft();
    }

    function element(WeightType kind, bytes calldata block_, uint256 index)
        external
        view
        returns (F32 result, uint256 gas)
    {
        gas = gasleft();
        result = Blocks.element(kind, block_, index);
        gas -= gasleft();
    }

    function addProducts(uint256 low, uint256 high, bytes calldata x, bytes calldata y)
        external
        view
        returns (uint256, uint256, uint256 gas)
    {
        gas = gasleft();
        (low, high) = Vectors.addProducts(low, high, x, y);
        gas -= gasleft();
        return (low, high, gas);
    }

    function addNumbers(uint256 low, uint256 high, bytes calldata x) external pure returns (uint256, uint256) {
        return Vectors.addNumbers(low, high, x);
    }

    function fold(uint256 low, uint256 high) external view returns (F32 result, uint256 gas) {
        gas = gasleft();
        result = Vectors.fold(low, high);
        gas -= gasleft();
    }

    function maximum(F32 before, bytes calldata x) external view returns (F32 result, uint256 gas) {
        gas = gasleft();
        result = Vectors.maximum(before, x);
        gas -= gasleft();
    }

    function amax(bytes calldata x) external view returns (F32 result, uint256 gas) {
        gas = gasleft();
        result = Quantise.amax(x);
        gas -= gasleft();
    }

    function quantise(bytes calldata x, F32 inverse) external view returns (uint32 word, uint256 gas) {
        gas = gasleft();
        word = Quantise.word(Words.load(x, 0), inverse);
        gas -= gasleft();
    }

    /// @notice A whole block through the quantiser: signed bytes as they lie in calldata, and the scale.
    function quantised(bytes calldata x) external pure returns (bytes memory quants, F32 scale) {
        F32 largest = Quantise.amax(x);
        F32 inverse = Quantise.inverse(largest);
        for (uint256 offset; offset < x.length; offset += 16) {
            uint32 word = Quantise.word(Words.load(x, offset), inverse);
            quants = abi.encodePacked(quants, uint8(word), uint8(word >> 8), uint8(word >> 16), uint8(word >> 24));
        }
        scale = Quantise.scale(largest);
    }

    function load(bytes calldata source, uint256 offset) external pure returns (uint256) {
        return Words.load(source, offset);
    }

    function loadBySlice(bytes calldata source, uint256 offset) external pure returns (uint256) {
        return uint256(bytes32(source[offset:offset + 32]));
    }

    function number(bytes calldata source, uint256 offset) external pure returns (F32) {
        return Words.number(source, offset);
    }
}
