// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {WeightType} from "../../judge/WeightType.sol";
import {Part} from "./Layout.sol";
import {Statement} from "./Statement.sol";

/// @notice What is known of a tree since an opening: its words, and the siblings on its path.
/// @param start The first word that was opened.
/// @param data Where in the call's data the words begin.
/// @param count Words.
/// @param height Height of the node that they are.
/// @param top Height of the node that the path leads to.
/// @param path Where in the call's data the siblings begin.
struct Seen {
    uint256 start;
    uint256 data;
    uint256 count;
    uint256 height;
    uint256 top;
    uint256 path;
}

/// @notice One word before the judge, and what was handed in to judge it. Slices of the call's data cannot be kept in memory, so
/// that the places where they begin and end are.
/// @param statement What the answer states.
/// @param wordAddress The disputed word's number in the trace.
/// @param claimed What the worker says the word is.
/// @param bits A position has 2 to this power words.
/// @param position The word's position.
/// @param layer Its layer.
/// @param part Its vector.
/// @param index Its index in the vector.
/// @param nodes Where the opened nodes begin.
/// @param nodeCount How many there are.
/// @param workingRoot The root over the working.
/// @param workingLength Words of the working.
/// @param workingHeight Height of its tree.
/// @param seen The last opening of the trace.
/// @param seenWorking The last opening of the working.
/// @param leafKind Type of the weights that were opened last.
/// @param leafData Where their leaf begins.
/// @param leafSize Bytes of their leaf.
/// @param data Where the unread bytes begin.
/// @param dataEnd Where they end.
/// @param path Where the unread hashes begin.
/// @param pathEnd Where they end.
struct Case {
    Statement statement;
    uint256 wordAddress;
    uint256 claimed;
    uint256 bits;
    uint256 position;
    uint256 layer;
    Part part;
    uint256 index;
    uint256 nodes;
    uint256 nodeCount;
    bytes32 workingRoot;
    uint256 workingLength;
    uint256 workingHeight;
    Seen seen;
    Seen seenWorking;
    WeightType leafKind;
    uint256 leafData;
    uint256 leafSize;
    uint256 data;
    uint256 dataEnd;
    uint256 path;
    uint256 pathEnd;
}
