// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test, Vm} from "forge-std/Test.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Receipts} from "../../src/court/Receipts.sol";
import {ChannelId, ModelRoot, ReceiptId} from "../../src/types/Ids.sol";

contract ReceiptReader {
    function parse(bytes calldata words) external pure returns (Receipts.Receipt memory) {
        return Receipts.parse(words);
    }

    function idOf(bytes calldata words) external pure returns (ReceiptId) {
        return Receipts.idOf(words);
    }

    function checkSignature(ReceiptId id, address host, bytes calldata signature) external pure returns (address) {
        return Receipts.checkSignature(id, host, signature);
    }
}

contract ReceiptsTest is Test {
    bytes32 private constant EXAMPLE_ID = 0x71a70e1bb30d673249adc509cf6c15e13b799fbfe119550a9b851652b91d7018;
    bytes private constant EXAMPLE_SIGNATURE =
        hex"24c9dcf3b56fcf0de3489a2aa9665973d96fd6dd0d009d3e7f85c16eb0cf218d17a38cbbf57a805f7cd772c1edba2f15a8ef5a4d93162638c1c1589845b5d3b11c";

    ReceiptReader private reader = new ReceiptReader();

    /// @dev The third receipt of crates/claim/tests/vectors/receipts.json, the worked example of docs/receipt-format.md.
    function test_checkSignature_succeeds_workedExample() public view {
        bytes memory words = abi.encode(_example());
        ReceiptId id = reader.idOf(words);
        assertEq(ReceiptId.unwrap(id), EXAMPLE_ID);
        assertEq(reader.checkSignature(id, _example().host, EXAMPLE_SIGNATURE), _example().host);
        assertEq(abi.encode(reader.parse(words)), words);
    }

    /// @dev Each field is part of what is signed, and comes back as it went in.
    function testFuzz_parse_givesTheFields(Receipts.Receipt memory receipt) public view {
        receipt.version = 1;
        receipt.kv %= 2;
        receipt.seedKind %= 3;
        receipt.finish %= 7;
        bytes memory words = abi.encode(receipt);
        assertEq(words.length, 736);
        assertEq(abi.encode(reader.parse(words)), words);
    }

    function testFuzz_idOf_changes_withEveryWord(uint256 field, bytes32 other) public view {
        bytes memory words = abi.encode(_example());
        ReceiptId id = reader.idOf(words);
        field = bound(field, 0, 22);
        vm.assume(other != _word(words, field));
        assertTrue(ReceiptId.unwrap(reader.idOf(_withWord(words, field, other))) != ReceiptId.unwrap(id));
    }

    function test_parse_reverts_anotherSize() public {
        bytes memory words = abi.encode(_example());
        vm.expectRevert(abi.encodeWithSelector(Receipts.WrongSize.selector, 736, 768));
        reader.parse(abi.encodePacked(words, bytes32(0)));
        vm.expectRevert(abi.encodeWithSelector(Receipts.WrongSize.selector, 736, 0));
        reader.parse("");
    }

    function test_parse_reverts_anotherVersion() public {
        vm.expectRevert(abi.encodeWithSelector(Receipts.WrongVersion.selector, 1, 2));
        reader.parse(_withWord(abi.encode(_example()), 0, bytes32(uint256(2))));
    }

    function test_parse_reverts_fieldWiderThanItsType() public {
        bytes memory words = abi.encode(_example());
        uint8[15] memory fields = [0, 2, 3, 5, 9, 11, 14, 15, 16, 17, 19, 20, 21, 22, 22];
        uint8[15] memory bits = [16, 16, 8, 32, 8, 8, 32, 64, 64, 128, 160, 160, 64, 64, 255];
        for (uint256 i; i < fields.length; ++i) {
            uint256 value = 2 ** uint256(bits[i]);
            vm.expectRevert(abi.encodeWithSelector(Receipts.BadField.selector, fields[i], value));
            reader.parse(_withWord(words, fields[i], bytes32(value)));
        }
    }

    function test_parse_reverts_codeWithoutAMember() public {
        bytes memory words = abi.encode(_example());
        uint8[3] memory fields = [3, 9, 11];
        uint8[3] memory codes = [2, 3, 7];
        for (uint256 i; i < fields.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Receipts.BadField.selector, fields[i], codes[i]));
            reader.parse(_withWord(words, fields[i], bytes32(uint256(codes[i]))));
        }
    }

    function test_checkSignature_reverts_anotherSigner() public {
        Vm.Wallet memory other = vm.createWallet("other");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(other, EXAMPLE_ID);
        vm.expectRevert(abi.encodeWithSelector(Receipts.WrongSigner.selector, _example().host, other.addr));
        reader.checkSignature(ReceiptId.wrap(EXAMPLE_ID), _example().host, abi.encodePacked(r, s, v));
    }

    function test_checkSignature_reverts_noSignature() public {
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 0));
        reader.checkSignature(ReceiptId.wrap(EXAMPLE_ID), _example().host, "");
        // Bytes that recover nobody are not the signature of the zero address.
        vm.expectRevert(ECDSA.ECDSAInvalidSignature.selector);
        reader.checkSignature(ReceiptId.wrap(EXAMPLE_ID), address(0), new bytes(65));
    }

    /// @dev With s in the upper half, a signature would have a second form.
    function test_checkSignature_reverts_upperHalf() public {
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes32 r = _word(EXAMPLE_SIGNATURE, 0);
        bytes32 s = bytes32(order - uint256(_word(EXAMPLE_SIGNATURE, 1)));
        uint8 v = 55 - uint8(EXAMPLE_SIGNATURE[64]);
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureS.selector, s));
        reader.checkSignature(ReceiptId.wrap(EXAMPLE_ID), _example().host, abi.encodePacked(r, s, v));
    }

    function _word(bytes memory words, uint256 index) private pure returns (bytes32 word) {
        for (uint256 i; i < 32; ++i) {
            word |= bytes32(words[32 * index + i]) >> (8 * i);
        }
    }

    function _withWord(bytes memory words, uint256 index, bytes32 word) private pure returns (bytes memory other) {
        other = bytes.concat(words);
        for (uint256 i; i < 32; ++i) {
            other[32 * index + i] = word[i];
        }
    }

    function _example() private pure returns (Receipts.Receipt memory) {
        return Receipts.Receipt({
            version: 1,
            modelRoot: ModelRoot.wrap(0xfc90aa4f71bb6bdc0b806761769f0a4b2c7f144c91753af11a27113b481b7438),
            arithmetic: 41224,
            kv: 1,
            requestHash: 0x929961f52641e508584fdb84050d4465d5c9b29f961f79d09342c7f7a3b2cd4d,
            choice: 3851164214,
            promptRoot: 0x8ff236732fa2599e963832a25785e93322d212ab724cb1ac474b2c4e765118ef,
            sampling: 0xeaca06e317a960dd3fa3066722cfbdbc81f79f30696b6fd8e27bfa72ce083f72,
            seed: 0xac77038fd4cbc75d5870fb8acb649959862a7762f32d93bf8a5989e0133f99d1,
            seedKind: 1,
            outputRoot: 0xd83045298feb498dd434a1b32c9826642c47a9e402ad2f64afe546b556da0728,
            finish: 5,
            stateRoot: 0x868955ef606e9c054b164a3f694b128fbc4cf76562ec7541ef36f5d93ff600e9,
            previous: ReceiptId.wrap(0x1e7156b5815acacd2a7c9107cda97df1adb10f8c3b0db7d7cb8a9762b2900d7a),
            prefixLength: 3240386618,
            promptPerMillion: 17443422077080498560,
            outputPerMillion: 8734731683723756536,
            total: 329679689825319868915518521532783330723,
            channel: ChannelId.wrap(0xf9b4d9c307ed082836fccf80ffa4d020ace30ae3ea7b3d0cbd221dce837586a8),
            host: 0x0E26D8C63d33dd6EF5419c1f92CcB542a3B1b4f5,
            client: 0x853c73e4c5507096654d63098d0791903559C493,
            started: 522773154675598342,
            finished: 10939786988916432560
        });
    }
}
