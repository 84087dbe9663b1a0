// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {Models} from "../src/Models.sol";
import {IModels} from "../src/interfaces/IModels.sol";
import {ModelRoot, RegistrationId} from "../src/types/Ids.sol";

contract ModelsTest is Test {
    ModelRoot private constant ROOT = ModelRoot.wrap("root");
    bytes32 private constant LICENCE = "Apache-2.0";
    string private constant MANIFEST = "ipfs://manifest";

    Models private models = new Models();
    address private ann = makeAddr("ann");
    address private bob = makeAddr("bob");
    address private till = makeAddr("till");

    function _register(address registrant, ModelRoot root, RegistrationId[] memory parents)
        private
        returns (RegistrationId)
    {
        vm.prank(registrant);
        return models.register(root, till, LICENCE, MANIFEST, parents);
    }

    function _none() private pure returns (RegistrationId[] memory) {
        return new RegistrationId[](0);
    }

    function test_register_keepsWhatWasSaid() public {
        RegistrationId[] memory parents = new RegistrationId[](1);
        parents[0] = _register(bob, ModelRoot.wrap("parent"), _none());
        RegistrationId id = models.registrationId(ROOT, ann);
        vm.expectEmit(address(models));
        emit IModels.ModelRegistered(id, ROOT, ann, till, LICENCE, MANIFEST, parents);
        assertEq(RegistrationId.unwrap(_register(ann, ROOT, parents)), RegistrationId.unwrap(id));
        IModels.Registration memory entry = models.registration(id);
        assertEq(ModelRoot.unwrap(entry.root), ModelRoot.unwrap(ROOT));
        assertEq(entry.registrant, ann);
        assertEq(entry.registeredAt, block.timestamp);
        assertEq(entry.revenueRecipient, till);
        assertEq(entry.licence, LICENCE);
        assertEq(entry.manifest, MANIFEST);
        assertEq(entry.parents.length, 1);
        assertEq(RegistrationId.unwrap(entry.parents[0]), RegistrationId.unwrap(parents[0]));
    }

    /// @dev Nobody keeps a model from being registered by registering it first.
    function test_register_takesTheSameModel_fromEachRegistrant() public {
        RegistrationId first = _register(bob, ROOT, _none());
        RegistrationId second = _register(ann, ROOT, _none());
        assertNotEq(RegistrationId.unwrap(first), RegistrationId.unwrap(second));
        vm.prank(ann);
        vm.expectRevert(abi.encodeWithSelector(IModels.AlreadyRegistered.selector, second));
        models.register(ROOT, till, LICENCE, MANIFEST, _none());
    }

    function test_register_reverts_badValues() public {
        vm.startPrank(ann);
        vm.expectRevert(IModels.ZeroValue.selector);
        models.register(ModelRoot.wrap(0), till, LICENCE, MANIFEST, _none());
        vm.expectRevert(IModels.ZeroValue.selector);
        models.register(ROOT, address(0), LICENCE, MANIFEST, _none());
        vm.expectRevert(abi.encodeWithSelector(IModels.BadManifestLength.selector, 0, 512));
        models.register(ROOT, till, LICENCE, "", _none());
        vm.expectRevert(abi.encodeWithSelector(IModels.BadManifestLength.selector, 513, 512));
        models.register(ROOT, till, LICENCE, string(new bytes(513)), _none());
        vm.expectRevert(abi.encodeWithSelector(IModels.TooManyParents.selector, 17, 16));
        models.register(ROOT, till, LICENCE, MANIFEST, new RegistrationId[](17));
    }

    /// @dev A parent exists before its child, so that no lineage bites its own tail.
    function test_register_reverts_parentThatIsNotThere() public {
        RegistrationId[] memory parents = new RegistrationId[](1);
        parents[0] = models.registrationId(ROOT, ann);
        vm.prank(ann);
        vm.expectRevert(abi.encodeWithSelector(IModels.UnknownRegistration.selector, parents[0]));
        models.register(ROOT, till, LICENCE, MANIFEST, parents);
    }

    function test_setRevenueRecipient_changesIt_registrantOnly() public {
        RegistrationId id = _register(ann, ROOT, _none());
        vm.prank(till);
        vm.expectRevert(abi.encodeWithSelector(IModels.NotRegistrant.selector, ann, till));
        models.setRevenueRecipient(id, bob);
        vm.startPrank(ann);
        vm.expectRevert(IModels.ZeroValue.selector);
        models.setRevenueRecipient(id, address(0));
        RegistrationId unknown = models.registrationId(ROOT, bob);
        vm.expectRevert(abi.encodeWithSelector(IModels.UnknownRegistration.selector, unknown));
        models.setRevenueRecipient(unknown, bob);
        vm.expectEmit(address(models));
        emit IModels.RevenueRecipientChanged(id, till, bob);
        models.setRevenueRecipient(id, bob);
        assertEq(models.registration(id).revenueRecipient, bob);
    }

    function test_registration_reverts_unknown() public {
        RegistrationId unknown = models.registrationId(ROOT, ann);
        vm.expectRevert(abi.encodeWithSelector(IModels.UnknownRegistration.selector, unknown));
        models.registration(unknown);
    }
}
