// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Who computes answers
/// @notice A host enters itself with the key that signs its receipts. It names its vault once and for all: a host that could
/// change it would change it after lying.
interface IHosts {
    /// @notice What a host says about itself.
    /// @param vault The stake behind it.
    /// @param registeredAt When it entered, in seconds since 1970.
    /// @param peerKey The Ed25519 key of its QUIC identity.
    /// @param offerHash The hash of its offer: models and prices, signed and kept off chain.
    /// @param endpoint Where it answers, as a URL; empty while it does not.
    struct Host {
        address vault;
        uint64 registeredAt;
        bytes32 peerKey;
        bytes32 offerHash;
        string endpoint;
    }

    /// @notice A host entered.
    /// @param host Its key.
    /// @param vault The stake behind it.
    event HostRegistered(address indexed host, address indexed vault);

    /// @notice A host said where it answers and what it offers.
    /// @param host Its key.
    /// @param peerKey The Ed25519 key of its QUIC identity.
    /// @param offerHash The hash of its offer.
    /// @param endpoint Where it answers.
    event HostUpdated(address indexed host, bytes32 peerKey, bytes32 offerHash, string endpoint);

    /// @notice A host enters once.
    /// @param host Its key.
    error AlreadyRegistered(address host);

    /// @notice The caller has not entered.
    /// @param host Its key.
    error NotRegistered(address host);

    /// @notice That address is not a vault that the known factory made.
    /// @param vault The address.
    error NotAVault(address vault);

    /// @notice That vault is behind somebody else.
    /// @param vault The vault.
    /// @param host The host that it is behind.
    /// @param caller Who called.
    error ForeignVault(address vault, address host, address caller);

    /// @notice The endpoint is longer than anybody wants to read.
    /// @param length Its length in bytes.
    /// @param lengthMax The limit.
    error EndpointTooLong(uint256 length, uint256 lengthMax);

    /// @notice Enters the caller as a host.
    /// @param vault The stake behind it, for ever.
    /// @param peerKey The Ed25519 key of its QUIC identity.
    /// @param offerHash The hash of its offer.
    /// @param endpoint Where it answers, at most 256 bytes.
    function register(address vault, bytes32 peerKey, bytes32 offerHash, string calldata endpoint) external;

    /// @notice Replaces what the calling host says about itself, but not its vault.
    function update(bytes32 peerKey, bytes32 offerHash, string calldata endpoint) external;

    /// @notice The vault behind a host; zero where the host is unknown.
    function vaultOf(address host) external view returns (address);

    /// @notice All that a host says about itself; zero where it is unknown.
    function hostOf(address host) external view returns (Host memory);

    /// @notice The factory whose vaults count.
    function vaults() external view returns (address);
}
