// Prints the key files of keystores.json that ethers writes for given random values.
//
//     npm install ethers@6.17.0
//     node keystores.mjs

import { Wallet, encryptKeystoreJsonSync, keccak256, toUtf8Bytes } from "ethers";

const bytes = (label, count) => Buffer.from(keccak256(toUtf8Bytes(label)).slice(2), "hex").subarray(0, count);

const vectors = [[4096, 8, 1], [8192, 1, 3], [2, 8, 1]].map(([N, r, p]) => {
  const secret = keccak256(toUtf8Bytes(`keystore/${N}`));
  const passphrase = `correct horse ${N}`;
  const options = { salt: bytes(`salt${N}`, 32), iv: bytes(`iv${N}`, 16), uuid: bytes(`uuid${N}`, 16), scrypt: { N, r, p } };
  const account = { address: new Wallet(secret).address, privateKey: secret };
  const file = JSON.parse(encryptKeystoreJsonSync(account, passphrase, options));
  const hex = (name) => options[name].toString("hex");
  return { secret, passphrase, salt: hex("salt"), iv: hex("iv"), uuid: hex("uuid"), file };
});
console.log(JSON.stringify(vectors, null, 1));
