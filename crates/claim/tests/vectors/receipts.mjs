// Writes receipts.json: receipts hashed and signed by ethers, and found equal by viem.
//
//     npm install ethers@6.17.0 viem@2.57.20
//     node receipts.mjs > receipts.json
//
// The values come from keccak-256 of a counter, with the extremes of every field first.

import { TypedDataEncoder, Wallet, dataLength, dataSlice, getAddress, keccak256, toBeHex, toUtf8Bytes, verifyTypedData } from "ethers";
import { hashTypedData, recoverTypedDataAddress } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const domain = { name: "Candor", version: "1" };
const fields = `uint16 version,bytes32 modelRoot,uint16 arithmetic,uint8 kv,bytes32 requestHash,uint32 choice,bytes32 promptRoot,
  bytes32 sampling,bytes32 seed,uint8 seedKind,bytes32 outputRoot,uint8 finish,bytes32 stateRoot,bytes32 previous,uint32 prefixLength,
  uint64 promptPerMillion,uint64 outputPerMillion,uint128 total,bytes32 channel,address host,address client,uint64 started,uint64 finished`;
const types = { Receipt: fields.split(",").map((field) => field.trim().split(" ")).map(([type, name]) => ({ type, name })) };
// Closed sets: how many members each has.
const members = { kv: 2, seedKind: 3, finish: 7 };

function draw(type, name, seed) {
  const word = keccak256(toUtf8Bytes(`${seed}/${name}`));
  if (name === "version") return "1";
  if (type === "bytes32") return word;
  if (type === "address") return getAddress(dataSlice(word, 12));
  const bits = BigInt(type.slice("uint".length));
  return (BigInt(word) % (name in members ? BigInt(members[name]) : 1n << bits)).toString();
}

function extreme(type, name, high) {
  if (name === "version") return "1";
  if (type === "bytes32") return toBeHex(high ? (1n << 256n) - 1n : 0n, 32);
  if (type === "address") return getAddress(toBeHex(high ? (1n << 160n) - 1n : 0n, 20));
  if (!high) return "0";
  return ((name in members ? BigInt(members[name]) : 1n << BigInt(type.slice("uint".length))) - 1n).toString();
}

const vectors = [];
for (let index = 0; index < 24; index++) {
  const value = ({ type, name }) => (index < 2 ? extreme(type, name, index === 1) : draw(type, name, index));
  const receipt = Object.fromEntries(types.Receipt.map((field) => [field.name, value(field)]));
  const secret = keccak256(toUtf8Bytes(`secret/${index}`));
  const wallet = new Wallet(secret);
  // Every second receipt is one that its host signed.
  if (index % 2 === 0) receipt.host = wallet.address;

  const digest = TypedDataEncoder.hash(domain, types, receipt);
  const signature = await wallet.signTypedData(domain, types, receipt);
  const viem = { domain, types, primaryType: "Receipt", message: receipt };
  const same = [
    hashTypedData(viem) === digest,
    (await privateKeyToAccount(secret).signTypedData(viem)) === signature,
    (await recoverTypedDataAddress({ ...viem, signature })) === wallet.address,
    verifyTypedData(domain, types, receipt, signature) === wallet.address,
    dataLength(signature) === 65,
  ];
  if (same.includes(false)) throw new Error(`ethers and viem differ at ${index}: ${same}`);
  vectors.push({ receipt, secret, signer: wallet.address, digest, signature });
}
console.log(JSON.stringify({ source: "receipts.mjs, ethers 6.17.0 and viem 2.57.20", vectors }, null, 1));
