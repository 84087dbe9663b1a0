// Transactions per second of a chain: `node transactions.mjs PACKAGES URL COUNT`, where PACKAGES holds node_modules.
// Every transaction is signed beforehand, so that the chain is what is measured, and counts when its receipt is there.
import { createRequire } from 'node:module'
import http from 'node:http'

const [packages, url, count] = process.argv.slice(2)
const require = createRequire(`${packages}/package.json`)
const { mnemonicToAccount } = require('viem/accounts')

const words = 'test test test test test test test test test test test junk'
const senders = Array.from({ length: 10 }, (_, addressIndex) => mnemonicToAccount(words, { addressIndex }))

// Adds its argument to a slot and logs the sum: storage, hashing and a log, as most contracts do.
const runtime = '5f545f35015f55' + '5f545f52' + '60205fa0' + '00'
const size = (runtime.length / 2).toString(16).padStart(2, '0')
const creation = `0x60${size}600c60003960${size}6000f3${runtime}`

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })
const { hostname, port } = new URL(url)

function rpc(method, params) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, hostname, port, method: 'POST', headers }, (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => {
        const answer = JSON.parse(Buffer.concat(chunks).toString())
        if (answer.error) reject(new Error(`${method}: ${answer.error.message}`))
        else resolve(answer.result)
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

// A chain that answers before the block is there is asked again, but not so often that answering is all it does.
async function settled(hash) {
  for (;;) {
    const receipt = await rpc('eth_getTransactionReceipt', [hash])
    if (receipt) return receipt
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

const nonces = senders.map(() => 0)
const chainId = Number(await rpc('eth_chainId', []))

async function sign(index, transaction) {
  const fees = { maxFeePerGas: 100_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n }
  return senders[index].signTransaction({ type: 'eip1559', chainId, nonce: nonces[index]++, ...fees, ...transaction })
}

async function deploy() {
  const hash = await rpc('eth_sendRawTransaction', [await sign(0, { data: creation, gas: 1_000_000n })])
  return (await settled(hash)).contractAddress
}

// Sends each sender's transactions one after the other, and those of different senders at once.
async function measure(name, senderCount, transaction, total = Number(count)) {
  const each = Math.floor(total / senderCount)
  const signed = []
  for (let index = 0; index < senderCount; index++) {
    const own = []
    for (let n = 0; n < each; n++) own.push(await sign(index, transaction))
    signed.push(own)
  }
  const start = process.hrtime.bigint()
  await Promise.all(signed.map(async (own) => {
    for (const raw of own) {
      const receipt = await settled(await rpc('eth_sendRawTransaction', [raw]))
      if (receipt.status !== '0x1') throw new Error(`${name}: a transaction failed`)
    }
  }))
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  return [name, (each * senderCount) / seconds]
}

const contract = await deploy()
const payment = { to: '0x000000000000000000000000000000000000c0de', value: 1n, gas: 21_000n }
const call = { to: contract, data: `0x${'7'.padStart(64, '0')}`, gas: 100_000n }
// Once without looking at the clock, so that neither this program nor the chain is measured while it warms up.
await measure('warm-up', 10, payment, 100)
const rows = [
  await measure('payments, one client', 1, payment),
  await measure('payments, ten clients', 10, payment),
  await measure('contract calls, one client', 1, call),
  await measure('contract calls, ten clients', 10, call),
]
console.log(JSON.stringify(Object.fromEntries(rows)))
agent.destroy()
