// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts between signed and unsigned words keep every bit.
// forge-lint: disable-start(unsafe-typecast)

/// @notice Sums of products of small integers, many at once: integers lie in lanes of a word, and the product of one word with
/// another whose lanes are reversed has the sum of the lanes' products in its uppermost lane.
///
/// A word of signed lanes is the integer `sum of lane_i * 2^(16 i)` modulo 2^256, so that a lane that is negative borrows from
/// the one above it. Sums and products of such words are right lane by lane for as long as every lane of the result fits.
/// All arithmetic is unchecked because it is meant modulo 2^256.
library Lanes {
    /// @dev One in each of 16 lanes of 16 bits.
    uint256 internal constant ONES = 0x0001000100010001000100010001000100010001000100010001000100010001;
    /// @dev One in each of 8 lanes of 32 bits.
    uint256 internal constant WIDE_ONES = 0x0000000100000001000000010000000100000001000000010000000100000001;

    uint256 private constant SIGNS = 0x8080808080808080808080808080808080808080808080808080808080808080;
    uint256 private constant LOW_BYTES = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
    uint256 private constant LOWEST_BYTES = 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff;
    uint256 private constant LOW_PAIRS = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
    uint256 private constant LOW_WORDS = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    uint256 private constant LOW_LONGS = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;

    /// @dev Makes every sum in the uppermost lane positive, -32512 the least, and what lies below it too: a lane below holds
    /// -32512 to 32768, and so does the uppermost one.
    uint256 private constant TOP_OFFSET = 32_512;
    uint256 private constant OFFSETS = (TOP_OFFSET << 240) + (32_640 << 224);

    /// @notice Of 32 signed bytes, the first one uppermost: those of even index and those of odd index, in signed lanes.
    function signed(uint256 bytes_) internal pure returns (uint256 even, uint256 odd) {
        unchecked {
            bytes_ ^= SIGNS;
            even = ((bytes_ >> 8) & LOW_BYTES) - 128 * ONES;
            odd = (bytes_ & LOW_BYTES) - 128 * ONES;
        }
    }

    /// @notice The uppermost lane, where it and all lanes below hold -32512 to 32768.
    function top(uint256 product) internal pure returns (int256) {
        unchecked {
            return int256((product + OFFSETS) >> 240) - int256(TOP_OFFSET);
        }
    }

    /// @notice The sum of the products of 32 bytes, `middle` less than they say, with 32 signed bytes. The former lie in reversed lanes;
    /// `middle` is half their range, 8 or 16.
    function dot(uint256 bytes_, uint256 middle, uint256 quants) internal pure returns (int256) {
        (uint256 even, uint256 odd) = signed(quants);
        return dot(bytes_, middle, even, odd);
    }

    /// @notice The sum of the products of 32 bytes, in reversed lanes, with 32 signed bytes, and the sum of the latter. `middle` is half
    /// the former's range, 8 or 16.
    function dotAndSum(uint256 bytes_, uint256 middle, uint256 quants)
        internal
        pure
        returns (int256 product, int256 sum_)
    {
        unchecked {
            (uint256 even, uint256 odd) = signed(quants);
            // Lanes of the sum hold 256 at most.
            sum_ = top((even + odd) * ONES);
            product = dot(bytes_, middle, even, odd) + int256(middle) * sum_;
        }
    }

    function dot(uint256 bytes_, uint256 middle, uint256 even, uint256 odd) private pure returns (int256) {
        unchecked {
            middle *= ONES;
            // 16 * 16 * 128 is the most a lane can hold.
            return top((((bytes_ >> 8) & LOW_BYTES) - middle) * even) + top(((bytes_ & LOW_BYTES) - middle) * odd);
        }
    }

    /// @notice Sixteen lanes in reverse.
    function reversed(uint256 lanes) internal pure returns (uint256) {
        lanes = (lanes << 128) | (lanes >> 128);
        return reversedHalves(lanes);
    }

    /// @notice The eight lanes of each half in reverse.
    function reversedHalves(uint256 lanes) internal pure returns (uint256) {
        lanes = ((lanes & LOW_LONGS) << 64) | ((lanes >> 64) & LOW_LONGS);
        lanes = ((lanes & LOW_WORDS) << 32) | ((lanes >> 32) & LOW_WORDS);
        return ((lanes & LOW_PAIRS) << 16) | ((lanes >> 16) & LOW_PAIRS);
    }

    /// @notice The sum of the products of 32 signed bytes with 32 signed bytes.
    function dot(uint256 x, uint256 y) internal pure returns (int256) {
        unchecked {
            // Products of bytes need lanes of 32 bits: each word makes four words of every fourth byte. With u and v for the bytes
            // plus 128, the sum is that of `u * (v - 128)` less 128 times that of `v - 128`.
            x ^= SIGNS;
            y ^= SIGNS;
            y = (y << 128) | (y >> 128);
            y = ((y & LOW_LONGS) << 64) | ((y >> 64) & LOW_LONGS);
            y = ((y & LOW_WORDS) << 32) | ((y >> 32) & LOW_WORDS);
            uint256 lanes = (y & LOWEST_BYTES) - 128 * WIDE_ONES;
            uint256 total = lanes;
            uint256 product = (x & LOWEST_BYTES) * lanes;
            lanes = ((y >> 8) & LOWEST_BYTES) - 128 * WIDE_ONES;
            total += lanes;
            product += ((x >> 8) & LOWEST_BYTES) * lanes;
            lanes = ((y >> 16) & LOWEST_BYTES) - 128 * WIDE_ONES;
            total += lanes;
            product += ((x >> 16) & LOWEST_BYTES) * lanes;
            lanes = ((y >> 24) & LOWEST_BYTES) - 128 * WIDE_ONES;
            total += lanes;
            product += ((x >> 24) & LOWEST_BYTES) * lanes;
            product -= total * (128 * WIDE_ONES);
            // Sums stay below 2^20 in magnitude: half a lane more makes what lies below the uppermost lane positive.
            return int256(product + (1 << 223)) >> 224;
        }
    }
}
