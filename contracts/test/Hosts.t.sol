// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Hosts} from "../src/Hosts.sol";
import {HostVault} from "../src/HostVault.sol";
import {HostVaults} from "../src/HostVaults.sol";
import {IHosts} from "../src/interfaces/IHosts.sol";
import {IHostVault} from "../src/interfaces/IHostVault.sol";
import {IHostVaults} from "../src/interfaces/IHostVaults.sol";
import {PlainToken} from "./tokens/Tokens.sol";

contract HostsTest is Test {
    address private court = makeAddr("court");
    address private host = makeAddr("host");
    IERC20 private token;
    HostVaults private vaults;
    Hosts private hosts;

    function setUp() public {
        vm.warp(1_800_000_000);
        token = IERC20(address(new PlainToken()));
        vaults = new HostVaults(court, 7 days, 2 days);
        hosts = new Hosts(vaults);
    }

    function test_create_makesAVault_whereItWasExpected() public {
        address expected = vaults.vaultAt(token, host, 3);
        assertFalse(vaults.isVault(expected));
        vm.expectEmit(address(vaults));
        emit IHostVaults.VaultCreated(IHostVault(expected), host, token, 3);
        IHostVault vault = vaults.create(token, host, 3);
        assertEq(address(vault), expected);
        assertTrue(vaults.isVault(expected));
        assertEq(vault.host(), host);
        assertEq(vault.asset(), address(token));
        assertEq(vault.court(), vaults.court());
        assertEq(vault.withdrawalDelay(), vaults.withdrawalDelay());
        assertEq(vault.lockHorizon(), vaults.lockHorizon());
        assertNotEq(address(vaults.create(token, host, 4)), expected);
    }

    function test_create_reverts_nobodyNoTokenOrTwice() public {
        vm.expectRevert(IHostVaults.ZeroHost.selector);
        vaults.create(token, address(0), 0);
        vm.expectRevert(abi.encodeWithSelector(IHostVaults.NotAToken.selector, host));
        vaults.create(IERC20(host), host, 0);
        vaults.create(token, host, 0);
        vm.expectRevert();
        vaults.create(token, host, 0);
    }

    function test_create_reverts_timesThatNoVaultTakes() public {
        HostVaults bad = new HostVaults(court, 1 days, 2 days);
        vm.expectRevert(abi.encodeWithSelector(IHostVault.BadTimes.selector, 1 days, 2 days));
        bad.create(token, host, 0);
    }

    function test_register_entersTheHost_withItsVault() public {
        address vault = address(vaults.create(token, host, 0));
        vm.expectEmit(address(hosts));
        emit IHosts.HostRegistered(host, vault);
        vm.expectEmit(address(hosts));
        emit IHosts.HostUpdated(host, "peer", "offer", "https://host.example");
        vm.prank(host);
        hosts.register(vault, "peer", "offer", "https://host.example");
        assertEq(hosts.vaultOf(host), vault);
        IHosts.Host memory entry = hosts.hostOf(host);
        assertEq(entry.vault, vault);
        assertEq(entry.registeredAt, block.timestamp);
        assertEq(entry.peerKey, "peer");
        assertEq(entry.offerHash, "offer");
        assertEq(entry.endpoint, "https://host.example");
        assertEq(hosts.vaults(), address(vaults));
    }

    function test_register_reverts_secondTime() public {
        address vault = address(vaults.create(token, host, 0));
        address other = address(vaults.create(token, host, 1));
        vm.startPrank(host);
        hosts.register(vault, 0, 0, "");
        vm.expectRevert(abi.encodeWithSelector(IHosts.AlreadyRegistered.selector, host));
        hosts.register(other, 0, 0, "");
        assertEq(hosts.vaultOf(host), vault);
    }

    function test_register_reverts_foreignOrFalseVault() public {
        address vault = address(vaults.create(token, host, 0));
        address thief = makeAddr("thief");
        vm.startPrank(thief);
        vm.expectRevert(abi.encodeWithSelector(IHosts.ForeignVault.selector, vault, host, thief));
        hosts.register(vault, 0, 0, "");
        address fake = address(new HostVault(token, thief, thief, 7 days, 2 days));
        vm.expectRevert(abi.encodeWithSelector(IHosts.NotAVault.selector, fake));
        hosts.register(fake, 0, 0, "");
        assertEq(hosts.vaultOf(thief), address(0));
    }

    function test_update_replacesAllButTheVault() public {
        address vault = address(vaults.create(token, host, 0));
        vm.startPrank(host);
        vm.expectRevert(abi.encodeWithSelector(IHosts.NotRegistered.selector, host));
        hosts.update(0, 0, "");
        hosts.register(vault, "peer", "offer", "https://host.example");
        hosts.update("other peer", "other offer", "");
        IHosts.Host memory entry = hosts.hostOf(host);
        assertEq(entry.vault, vault);
        assertEq(entry.peerKey, "other peer");
        assertEq(entry.offerHash, "other offer");
        assertEq(entry.endpoint, "");
    }

    function testFuzz_update_reverts_endpointTooLong(uint256 length) public {
        length = bound(length, 0, 1_024);
        address vault = address(vaults.create(token, host, 0));
        string memory endpoint = string(new bytes(length));
        vm.prank(host);
        if (length > 256) {
            vm.expectRevert(abi.encodeWithSelector(IHosts.EndpointTooLong.selector, length, 256));
        }
        hosts.register(vault, 0, 0, endpoint);
    }
}
