// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ChannelId, ModelRoot, ReceiptId} from "../types/Ids.sol";

/// @title What a host signs about one answer
/// @notice Receipts as EIP-712 has them: 23 fields, one word each. `docs/receipt-format.md` says what each means and
/// `crates/claim/src/receipt.rs` is the same in Rust.
library Receipts {
    /// @notice The fields, in the order in which they are signed.
    struct Receipt {
        uint16 version;
        ModelRoot modelRoot;
        uint16 arithmetic;
        uint8 kv;
        bytes32 requestHash;
        uint32 choice;
        bytes32 promptRoot;
        bytes32 sampling;
        bytes32 seed;
        uint8 seedKind;
        bytes32 outputRoot;
        uint8 finish;
        bytes32 stateRoot;
        ReceiptId previous;
        uint32 prefixLength;
        uint64 promptPerMillion;
        uint64 outputPerMillion;
        uint128 total;
        ChannelId channel;
        address host;
        address client;
        uint64 started;
        uint64 finished;
    }

    uint256 internal constant FIELDS = 23;
    uint256 internal constant SIZE_BYTES = 32 * FIELDS;

    uint16 private constant VERSION = 1;

    bytes32 private constant RECEIPT_TYPE = keccak256(
        "Receipt(uint16 version,bytes32 modelRoot,uint16 arithmetic,uint8 kv,bytes32 requestHash,uint32 choice,"
        "bytes32 promptRoot,bytes32 sampling,bytes32 seed,uint8 seedKind,bytes32 outputRoot,uint8 finish,"
        "bytes32 stateRoot,bytes32 previous,uint32 prefixLength,uint64 promptPerMillion,uint64 outputPerMillion,"
        "uint128 total,bytes32 channel,address host,address client,uint64 started,uint64 finished)"
    );

    /// @dev No chain and no contract: a receipt is a statement about an answer, wherever it is judged.
    bytes32 private constant DOMAIN = keccak256(
        abi.encode(keccak256("EIP712Domain(string name,string version)"), keccak256("Candor"), keccak256("1"))
    );

    /// @dev Bytes of each field.
    bytes32 private constant WIDTHS = hex"0220020120042020200120012020040808102014140808";

    /// @dev The largest code of each closed set, where the field is one.
    uint256 private constant KV = 3;
    uint256 private constant KV_MAX = 1;
    uint256 private constant SEED_KIND = 9;
    uint256 private constant SEED_KIND_MAX = 2;
    uint256 private constant FINISH = 11;
    uint256 private constant FINISH_MAX = 6;

    /// @notice A receipt has another size.
    /// @param expected Its size in bytes.
    /// @param found Bytes that there are.
    error WrongSize(uint256 expected, uint256 found);

    /// @notice A receipt of a version that nobody here reads.
    /// @param expected The one that is read.
    /// @param found The one found.
    error WrongVersion(uint16 expected, uint256 found);

    /// @notice A field holds what its type does not.
    /// @param field Its number, from 0.
    /// @param value What it holds.
    error BadField(uint256 field, uint256 value);

    /// @notice Somebody else signed the receipt.
    /// @param expected The host that it names.
    /// @param found Who signed.
    error WrongSigner(address expected, address found);

    /// @notice The fields of a receipt.
    /// @param words Its words, one after the other.
    function parse(bytes calldata words) internal pure returns (Receipt memory) {
        require(words.length == SIZE_BYTES, WrongSize(SIZE_BYTES, words.length));
        for (uint256 field; field < FIELDS; ++field) {
            uint256 value = uint256(bytes32(words[32 * field:32 * field + 32]));
            // Shifted by all of its bits, every word is 0.
            require(value >> (8 * uint256(uint8(WIDTHS[field]))) == 0, BadField(field, value));
            if (field == KV) require(value <= KV_MAX, BadField(field, value));
            if (field == SEED_KIND) require(value <= SEED_KIND_MAX, BadField(field, value));
            if (field == FINISH) require(value <= FINISH_MAX, BadField(field, value));
            if (field == 0) require(value == VERSION, WrongVersion(VERSION, value));
        }
        return abi.decode(words, (Receipt));
    }

    /// @notice The name of a receipt, which is what its host signs.
    /// @param words Its words, as `parse` has found them to be one.
    function idOf(bytes calldata words) internal pure returns (ReceiptId) {
        bytes32 structHash = keccak256(abi.encodePacked(RECEIPT_TYPE, words));
        return ReceiptId.wrap(MessageHashUtils.toTypedDataHash(DOMAIN, structHash));
    }

    /// @notice Checks that `host` signed a receipt.
    /// @param id The receipt.
    /// @param host The host that it names.
    /// @param signature 65 bytes: r, s in the lower half, v.
    /// @return signer The host, which is not zero.
    function checkSignature(ReceiptId id, address host, bytes calldata signature)
        internal
        pure
        returns (address signer)
    {
        signer = ECDSA.recoverCalldata(ReceiptId.unwrap(id), signature);
        require(signer == host, WrongSigner(host, signer));
    }
}
