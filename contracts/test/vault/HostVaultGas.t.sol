// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {console} from "forge-std/Test.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {WithdrawalId} from "../../src/types/Ids.sol";
import {VaultFixture} from "./VaultFixture.sol";

/// @dev What ours is measured against: OpenZeppelin's vault with nothing added.
contract PlainVault is ERC4626 {
    constructor(IERC20 asset_) ERC20("Plain", "PLAIN") ERC4626(asset_) {}
}

/// @dev Gas as a transaction pays it: with its 21,000, its calldata and what it gets back.
contract HostVaultGasTest is VaultFixture {
    PlainVault private plain;

    function setUp() public override {
        super.setUp();
        plain = new PlainVault(token);
        // Somebody has deposited before, in both.
        _deposit(bob, 1e9);
        token.mint(bob, 1e9);
        vm.startPrank(bob);
        token.approve(address(plain), 1e9);
        plain.deposit(1e9, bob);
        vm.stopPrank();
        token.mint(ann, 1e12);
        vm.startPrank(ann);
        token.approve(address(plain), type(uint256).max);
        token.approve(address(vault), type(uint256).max);
        vm.stopPrank();
    }

    function _compare(string memory what, uint256 ours, uint256 theirs) private {
        console.log(what, ours, theirs);
        vm.snapshotValue("vault", what, ours);
        vm.snapshotValue("vault", string.concat(what, ", plain ERC-4626"), theirs);
        assertLe(ours * 10, theirs * 11, what);
    }

    function _gas() private view returns (uint256) {
        return vm.lastCallGas().gasTotalUsed;
    }

    function test_deposit_staysWithinATenth_ofAPlainVault() public {
        vm.startPrank(ann);
        vault.deposit(1e9, ann);
        uint256 ours = _gas();
        plain.deposit(1e9, ann);
        _compare("deposit: first of a backer", ours, _gas());
        vault.deposit(1e9, ann);
        ours = _gas();
        plain.deposit(1e9, ann);
        _compare("deposit: later", ours, _gas());
    }

    function test_claim_staysWithinATenth_ofAPlainVault() public {
        vm.startPrank(ann);
        vault.deposit(2e9, ann);
        plain.deposit(2e9, ann);
        WithdrawalId part = vault.requestWithdrawal(1e9 * PAR);
        vm.snapshotGasLastCall("vault", "requestWithdrawal");
        WithdrawalId rest = vault.requestWithdrawal(1e9 * PAR);
        _wait(DELAY);
        vault.claim(part);
        uint256 ours = _gas();
        plain.redeem(1e9, ann, ann);
        _compare("claim: a part", ours, _gas());
        vault.claim(rest);
        ours = _gas();
        plain.redeem(1e9, ann, ann);
        _compare("claim: the rest", ours, _gas());
    }

    function test_court_isMeasured() public {
        vm.startPrank(court);
        vault.lock(1e6);
        vm.snapshotGasLastCall("vault", "lock: first");
        vault.lock(1e6);
        vm.snapshotGasLastCall("vault", "lock: later");
        vault.unlock(1e6);
        vm.snapshotGasLastCall("vault", "unlock");
        vault.slash(1e6, winner);
        vm.snapshotGasLastCall("vault", "slash");
    }
}
