// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts cut words to the width of what they carry.
// forge-lint: disable-start(unsafe-typecast)

import {F32, ONE, ZERO, fromBits} from "../../src/judge/Binary32.sol";
import {Conversions} from "../../src/judge/Conversions.sol";
import {Functions} from "../../src/judge/Functions.sol";
import {WeightType} from "../../src/judge/WeightType.sol";
import {Harness} from "./Harness.sol";
import {VectorFile} from "./VectorFile.sol";

/// @notice Gas of each operation of the judge: the mean over operands of a model's size in a loop, the loop itself taken off, and
/// whole runs of each weight type. `cargo xtask contracts` keeps the numbers.
contract JudgeGasTest is VectorFile {
    uint256 private constant COUNT = 256;

    Harness private harness = new Harness();

    function test_gas_ofOperations() public {
        snapshot("add", 0);
        snapshot("sub", 1);
        snapshot("mul", 2);
        snapshot("div", 3);
        snapshot("sqrt", 4);
        snapshot("maximum", 5);
        snapshot("fromInteger", 6);
        snapshot("toInteger", 7);
        snapshot("fromF16", 8);
        snapshot("toF16", 9);
        snapshot("exp", 10);
        snapshot("silu", 11);
        snapshot("gelu", 12);
        snapshot("sampleWeight", 13);
    }

    function test_gas_ofRuns() public {
        for (uint256 k; k <= uint256(type(WeightType).max); ++k) {
            WeightType kind = WeightType(k);
            string memory columns = kind.isFloat() ? ", run of 64" : ", run of 256";
            (bytes memory weights, bytes memory activations, bytes memory scales) = ordinary(kind);
            (, uint256 gas) = harness.run(kind, weights, activations, scales, ONE);
            vm.snapshotValue("judge", string.concat(name(kind), columns), gas);
            vm.snapshotValue("judge", string.concat(name(kind), columns, ", worst vector"), worst(kind));
        }
    }

    function test_gas_ofVectors() public {
        bytes memory x = littleNumbers(256);
        bytes memory y = slice(x, 256, 256);
        (uint256 low, uint256 high, uint256 gas) = harness.addProducts(0, 0, slice(x, 512, 256), y);
        (low, high, gas) = harness.addProducts(low, high, slice(x, 0, 256), y);
        vm.snapshotValue("judge", "lanes, 64 products", gas);
        (, gas) = harness.fold(low, high);
        vm.snapshotValue("judge", "lanes, fold", gas);
        (, gas) = harness.maximum(ZERO, slice(x, 0, 64));
        vm.snapshotValue("judge", "maximum of 16", gas);
        (, gas) = harness.amax(slice(x, 0, 128));
        vm.snapshotValue("judge", "amax of 32", gas);
        (, gas) = harness.amax(x);
        vm.snapshotValue("judge", "amax of 256", gas);
        (, gas) = harness.quantise(slice(x, 0, 16), fromBits(0x41f00000));
        vm.snapshotValue("judge", "quantise 4", gas);
    }

    /// @dev Weights, activations and scales of a size that models have: half scales around 2^-6, numbers around 1.
    function ordinary(WeightType kind)
        private
        pure
        returns (bytes memory weights, bytes memory activations, bytes memory scales)
    {
        if (kind == WeightType.F32) return (littleNumbers(64), littleNumbers(64), "");
        uint256 count = kind.isFloat() ? 64 : 256 / kind.blockLength();
        weights = randomBytes(count * kind.blockBytes());
        for (uint256 i; i < count; ++i) {
            uint256 start = i * kind.blockBytes() + (kind == WeightType.Q6_K ? 208 : 0);
            weights[start + 1] = kind == WeightType.BF16 ? bytes1(0x3c) : bytes1(0x24);
            if (!kind.isFloat() && kind != WeightType.Q6_K) weights[i * kind.blockBytes() + 3] = 0x24;
        }
        if (kind.isFloat()) return (weights, littleNumbers(64), "");
        return (weights, randomBytes(256), littleNumbers(count));
    }

    /// @dev The dearest of the vectors that stay finite: subnormal numbers, zeros, extremes.
    function worst(WeightType kind) private view returns (uint256 most) {
        string memory path = string.concat(".runs.", name(kind));
        bytes memory weights = field(string.concat(path, ".weights"));
        bytes memory activations = field(string.concat(path, ".activations"));
        bytes memory scales = field(string.concat(path, ".scales"));
        F32[] memory before = numbers(string.concat(path, ".before"));
        for (uint256 i; i < before.length - 1; ++i) {
            (, uint256 gas) = harness.run(kind, part(weights, i), part(activations, i), part(scales, i), before[i]);
            if (gas > most) most = gas;
        }
    }

    function littleNumbers(uint256 count) private pure returns (bytes memory bytes_) {
        bytes_ = randomBytes(4 * count);
        for (uint256 i = 3; i < bytes_.length; i += 4) {
            // Exponents 124 to 127, both signs.
            bytes_[i] = (bytes_[i] & 0x81) | 0x3e;
        }
    }

    function randomBytes(uint256 length) private pure returns (bytes memory bytes_) {
        bytes_ = new bytes(length);
        uint256 state = length;
        uint256 bits;
        for (uint256 i; i < length; ++i) {
            (state, bits) = splitMix(state);
            bytes_[i] = bytes1(uint8(bits));
        }
    }

    function snapshot(string memory operation, uint256 kind) private {
        F32[] memory operands = new F32[](COUNT);
        uint256 state = kind;
        uint256 bits;
        for (uint256 i; i < COUNT; ++i) {
            // Magnitudes 2^-4 to 2^4, both signs.
            (state, bits) = splitMix(state);
            operands[i] = fromBits((bits & 0x807fffff) | ((123 + ((bits >> 32) & 7)) << 23));
        }
        vm.snapshotValue("judge", operation, (loop(kind, operands) - loop(99, operands)) / COUNT);
    }

    /// @dev One branch of the loop's body for each operation, so that all have the same overhead.
    function loop(uint256 kind, F32[] memory operands) private view returns (uint256 gas) {
        F32 acc = ONE;
        int256 sum;
        gas = gasleft();
        if (kind == 0) {
            for (uint256 i; i < COUNT; ++i) {
                acc = acc + operands[i];
            }
        } else if (kind == 1) {
            for (uint256 i; i < COUNT; ++i) {
                acc = acc - operands[i];
            }
        } else if (kind == 2) {
            for (uint256 i; i < COUNT; ++i) {
                acc = ONE * operands[i];
            }
        } else if (kind == 3) {
            for (uint256 i; i < COUNT; ++i) {
                acc = ONE / operands[i];
            }
        } else if (kind == 4) {
            for (uint256 i; i < COUNT; ++i) {
                acc = operands[i].absolute().sqrt();
            }
        } else if (kind == 5) {
            for (uint256 i; i < COUNT; ++i) {
                acc = acc.maximum(operands[i]);
            }
        } else if (kind == 6) {
            for (uint256 i; i < COUNT; ++i) {
                acc = Conversions.fromInteger(int256(uint256(F32.unwrap(operands[i]))) - (1 << 30));
            }
        } else if (kind == 7) {
            for (uint256 i; i < COUNT; ++i) {
                sum ^= Conversions.toInteger(operands[i]);
            }
        } else if (kind == 8) {
            for (uint256 i; i < COUNT; ++i) {
                acc = Conversions.fromF16(F32.unwrap(operands[i]) & 0x7fff);
            }
        } else if (kind == 9) {
            for (uint256 i; i < COUNT; ++i) {
                sum ^= int256(Conversions.toF16(operands[i]));
            }
        } else if (kind == 10) {
            for (uint256 i; i < COUNT; ++i) {
                acc = Functions.exp(operands[i]);
            }
        } else if (kind == 11) {
            for (uint256 i; i < COUNT; ++i) {
                acc = Functions.silu(operands[i]);
            }
        } else if (kind == 12) {
            for (uint256 i; i < COUNT; ++i) {
                acc = Functions.gelu(operands[i]);
            }
        } else if (kind == 13) {
            for (uint256 i; i < COUNT; ++i) {
                sum ^= int256(uint256(Functions.sampleWeight(operands[i], ONE, ONE)));
            }
        } else {
            for (uint256 i; i < COUNT; ++i) {
                acc = operands[i];
            }
        }
        gas -= gasleft();
        assertTrue(acc.isFinite() || sum != 0);
    }

    function part(bytes memory all, uint256 index) private pure returns (bytes memory) {
        return slice(all, index * (all.length / 16), all.length / 16);
    }
}
