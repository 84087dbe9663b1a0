// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice Somebody who waits to challenge a receipt.
/// @param challenger Who; zero where nobody waits any more.
/// @param bond What it put up.
struct Waiting {
    address challenger;
    uint128 bond;
}

/// @notice Who waits to challenge one receipt, first come first called.
/// @param first The place of the first.
/// @param next The place that the next one gets.
/// @param until By when the first, once it is called, must challenge.
struct Queue {
    uint64 first;
    uint64 next;
    uint40 until;
    mapping(uint256 place => Waiting) places;
}

using {length, push, head, pop} for Queue global;

/// @dev How many wait.
function length(Queue storage queue) view returns (uint256) {
    return queue.next - queue.first;
}

/// @dev Puts somebody at the end.
function push(Queue storage queue, Waiting memory waiting) returns (uint256 place) {
    place = queue.next++;
    queue.places[place] = waiting;
}

/// @dev Who is first.
function head(Queue storage queue) view returns (Waiting memory) {
    return queue.places[queue.first];
}

/// @dev Takes the first out.
function pop(Queue storage queue) {
    delete queue.places[queue.first++];
}
