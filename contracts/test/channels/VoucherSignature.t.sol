// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test, Vm} from "forge-std/Test.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {VoucherSignature, Workspace} from "../../src/VoucherSignature.sol";
import {ChannelId, ModelRoot, ReceiptId} from "../../src/types/Ids.sol";
import {Charge, ChargeFields, Payer, Voucher} from "../../src/types/Voucher.sol";

/// @dev The same twice: as it is, and as anybody would write it.
contract TwoReaders {
    using VoucherSignature for Workspace;

    function fast(bytes32 domain, ModelRoot model, ChannelId[] calldata ids, Voucher[] calldata vouchers)
        external
        view
        returns (address[] memory signers)
    {
        signers = new address[](vouchers.length);
        Workspace workspace = VoucherSignature.prepare(domain, model);
        for (uint256 i = 0; i < vouchers.length; ++i) {
            signers[i] = workspace.signer(ids[i], vouchers[i]);
        }
    }

    function plain(bytes32 domain, ModelRoot model, ChannelId id, Voucher calldata voucher)
        external
        pure
        returns (address)
    {
        Charge charge = voucher.charge;
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "Voucher(bytes32 channel,uint96 amount,bytes32 model,uint64 promptTokens,uint64 outputTokens,bytes32 receipt)"
                ),
                id,
                charge.amount(),
                model,
                charge.promptTokens(),
                charge.outputTokens(),
                voucher.receipt
            )
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, structHash));
        (address signer,,) = ECDSA.tryRecover(digest, voucher.r, voucher.vs);
        return signer;
    }
}

contract VoucherSignatureTest is Test {
    uint256 private constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    TwoReaders private readers = new TwoReaders();

    function _compare(bytes32 domain, ModelRoot model, ChannelId[] memory ids, Voucher[] memory vouchers)
        private
        view
        returns (address[] memory signers)
    {
        signers = readers.fast(domain, model, ids, vouchers);
        for (uint256 i = 0; i < vouchers.length; ++i) {
            assertEq(signers[i], readers.plain(domain, model, ids[i], vouchers[i]));
        }
    }

    function testFuzz_signer_isWhatThePlainReaderFinds_randomWords(
        bytes32 domain,
        ModelRoot model,
        ChannelId[3] memory ids,
        Voucher[3] memory vouchers
    ) public view {
        ChannelId[] memory channels = new ChannelId[](3);
        Voucher[] memory batch = new Voucher[](3);
        for (uint256 i = 0; i < 3; ++i) {
            channels[i] = ids[i];
            batch[i] = vouchers[i];
        }
        _compare(domain, model, channels, batch);
    }

    function testFuzz_signer_isWhoSigned_goodBadGood(
        bytes32 domain,
        ModelRoot model,
        ChannelId id,
        uint96 amount,
        uint64 promptTokens,
        uint64 outputTokens,
        ReceiptId receipt,
        bool hasHighS
    ) public {
        Vm.Wallet memory client = vm.createWallet("client");
        bytes32 structHash = keccak256(
            abi.encode(VoucherSignature.VOUCHER_TYPE, id, amount, model, promptTokens, outputTokens, receipt)
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, structHash));
        (bytes32 r, bytes32 vs) = vm.signCompact(client, digest);
        Voucher memory good = Voucher({
            payer: Payer.wrap(0),
            charge: ChargeFields.pack(amount, promptTokens, outputTokens),
            receipt: receipt,
            r: r,
            vs: vs
        });
        Voucher memory bad = Voucher({payer: good.payer, charge: good.charge, receipt: receipt, r: r, vs: vs});
        if (hasHighS) {
            // The twin of the signature does not fit beside the parity unless s is near the middle; what fits is another.
            bad.vs = bytes32(ORDER - (uint256(vs) << 1 >> 1));
        } else {
            bad.r = 0;
        }
        Voucher[] memory batch = new Voucher[](3);
        (batch[0], batch[1], batch[2]) = (good, bad, good);
        ChannelId[] memory ids = new ChannelId[](3);
        (ids[0], ids[1], ids[2]) = (id, id, id);
        address[] memory signers = _compare(domain, model, ids, batch);
        assertEq(signers[0], client.addr);
        assertNotEq(signers[1], client.addr);
        assertEq(signers[2], client.addr);
    }

    function test_signer_isNobody_sAboveTheMiddle() public view {
        Voucher[] memory batch = new Voucher[](2);
        // r = the generator's x recovers with any s; above the middle none may count.
        bytes32 x = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;
        batch[0].r = x;
        batch[0].vs = bytes32(ORDER / 2);
        batch[1].r = x;
        batch[1].vs = bytes32(ORDER / 2 + 1);
        address[] memory signers = _compare("domain", ModelRoot.wrap("model"), new ChannelId[](2), batch);
        assertNotEq(signers[0], address(0));
        assertEq(signers[1], address(0));
    }
}
