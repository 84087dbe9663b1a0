// Drives a chain with viem and ethers, and prints what it answered:
// `node transcript.mjs PACKAGES URL ARTEFACT HARDFORK` -> [[step, answer], ...]
//
// Nothing here knows which chain it talks to. Blocks are a second apart and made one transaction at a time, so that two
// chains that agree print the same.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { gunzipSync, gzipSync } from 'node:zlib'

const [packages, url, artefactPath, hardfork] = process.argv.slice(2)
const require = createRequire(`${packages}/package.json`)
const viem = require('viem')
const { mnemonicToAccount } = require('viem/accounts')
const { foundry } = require('viem/chains')
const ethers = require('ethers')

const { abi, bytecode } = JSON.parse(readFileSync(artefactPath))
const transport = viem.http(url, { retryCount: 0 })
const client = viem
  .createTestClient({ chain: foundry, mode: 'anvil', transport, pollingInterval: 5, cacheTime: 0 })
  .extend(viem.publicActions)
  .extend(viem.walletActions)
const mnemonic = 'test test test test test test test test test test test junk'
const accounts = Array.from({ length: 4 }, (_, addressIndex) => mnemonicToAccount(mnemonic, { addressIndex }))
const [alice, bob, carol, dave] = accounts
const nobody = '0x00000000000000000000000000000000000000aa'
const ether = 10n ** 18n

const transcript = []

function plain(value) {
  if (typeof value === 'bigint') return `${value}n`
  if (Array.isArray(value)) return value.map(plain)
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]))
  }
  return value === undefined ? null : value
}

// What an error of either library says that the chain has said: its code and its data.
function fault(error) {
  let found = {}
  for (let at = error; at; at = at.cause ?? at.error ?? at.info?.error) {
    if (at.code !== undefined && Number.isInteger(at.code)) found.code = at.code
    if (typeof at.data === 'string') found.data = at.data
  }
  return { error: found, name: error.name }
}

async function step(name, act) {
  let answer
  try {
    answer = { answer: plain(await act()) }
  } catch (error) {
    if (process.env.TRANSCRIPT_DEBUG) console.error(name, error)
    answer = fault(error)
  }
  transcript.push([name, answer])
  return answer.answer
}

const rpc = (method, ...params) => client.request({ method, params })
const ask = (name, ...params) => step(`${name} ${JSON.stringify(params).slice(0, 120)}`, () => rpc(name, ...params))

// The receipt of a transaction, when it is in a block.
async function sent(name, act) {
  const hash = await step(`${name}: send`, act)
  if (!hash) return null
  await step(`${name}: receipt`, async () => {
    await client.waitForTransactionReceipt({ hash })
    return rpc('eth_getTransactionReceipt', hash)
  })
  await step(`${name}: transaction`, () => rpc('eth_getTransactionByHash', hash))
  await step(`${name}: block`, () => rpc('eth_getBlockByNumber', 'latest', true))
  return hash
}

async function constants() {
  for (const name of ['eth_chainId', 'eth_gasPrice', 'eth_maxPriorityFeePerGas', 'eth_blockNumber', 'net_version',
    'net_listening', 'eth_syncing', 'eth_accounts', 'eth_coinbase', 'eth_hashrate', 'eth_blobBaseFee', 'txpool_status']) {
    await ask(name)
  }
  await ask('web3_sha3', '0x68656c6c6f')
  await ask('eth_getBlockByNumber', '0x0', true)
  await ask('eth_getBlockByNumber', 'earliest', false)
  await ask('eth_getBlockByNumber', 'finalized', false)
  await ask('eth_sign', alice.address, '0x1234')
  await step('signMessage', () => client.signMessage({ account: alice.address, message: 'hello' }))
}

async function typed() {
  const domain = { name: 'Transcript', version: '1', chainId: 31337, verifyingContract: nobody, salt: viem.pad('0x1') }
  const types = {
    EIP712Domain: [
      { name: 'name', type: 'string' }, { name: 'version', type: 'string' }, { name: 'chainId', type: 'uint256' },
      { name: 'verifyingContract', type: 'address' }, { name: 'salt', type: 'bytes32' },
    ],
    Person: [{ name: 'name', type: 'string' }, { name: 'wallets', type: 'address[2]' }],
    Letter: [
      { name: 'from', type: 'Person' }, { name: 'to', type: 'Person[]' }, { name: 'parts', type: 'bytes' },
      { name: 'grid', type: 'uint8[2][]' }, { name: 'balance', type: 'int128' }, { name: 'sealed', type: 'bool' },
    ],
  }
  const person = (name) => ({ name, wallets: [alice.address, nobody] })
  const message = {
    from: person('A'), to: [person('B'), person('')], parts: '0x0102', grid: [['1', '2'], ['3', '255']], balance: '-5', sealed: true,
  }
  const data = { domain, types, primaryType: 'Letter', message }
  await step('signature of typed data by viem', () => client.signTypedData({ account: alice.address, ...data }))
  const own = await alice.signTypedData(data)
  await step('the same as signed here', async () => own === await rpc('eth_signTypedData_v4', alice.address, JSON.stringify(data)))
  await ask('eth_signTypedData_v4', alice.address, data)
  await ask('eth_signTypedData_v4', nobody, data)
  await ask('eth_signTypedData_v4', alice.address, { ...data, primaryType: 'Nothing' })
  await ask('eth_signTypedData_v4', alice.address, { ...data, message: {} })
  await ask('eth_signTypedData_v4', alice.address, '{')
}

async function payments() {
  const to = bob.address
  await sent('payment of an unlocked account', () => client.sendTransaction({ account: alice.address, to, value: 1n }))
  await sent('payment signed here', () => client.sendTransaction({ account: bob, to: carol.address, value: ether }))
  await sent('legacy payment', () => client.sendTransaction({ account: alice, type: 'legacy', to, value: 2n }))
  await sent('payment with an access list', () => client.sendTransaction({
    account: alice, type: 'eip2930', to, value: 3n,
    accessList: [{ address: to, storageKeys: [viem.pad('0x1')] }],
  }))
  await sent('unlocked payment at a flat price', () => rpc('eth_sendTransaction', {
    from: alice.address, to, value: '0x1', gasPrice: '0x77359400',
  }))
  await sent('unlocked payment with a ceiling', () => rpc('eth_sendTransaction', {
    from: alice.address, to, value: '0x1', maxFeePerGas: '0x77359400',
  }))
  await sent('unlocked payment with a tip', () => rpc('eth_sendTransaction', {
    from: alice.address, to, value: '0x1', maxPriorityFeePerGas: '0x3b9aca01',
  }))
  await sent('unlocked payment with an access list', () => rpc('eth_sendTransaction', {
    from: alice.address, to, value: '0x1', accessList: [{ address: to, storageKeys: [viem.pad('0x1')] }],
  }))
  // The type is what the fields make it, whatever the client calls it.
  for (const type of ['0x0', '0x1', '0x2']) {
    await sent(`unlocked payment of type ${type}`, () => rpc('eth_sendTransaction', { from: alice.address, to, value: '0x1', type }))
  }
  await sent('payment with data', () => client.sendTransaction({ account: alice, to, data: `0x${'00ff'.repeat(500)}` }))
  if (hardfork !== 'cancun') {
    await sent('a delegation', async () => {
      const authorization = await client.signAuthorization({ account: dave, contractAddress: nobody })
      return client.sendTransaction({ account: alice, to: dave.address, authorizationList: [authorization], gas: 100_000n })
    })
    await ask('eth_getCode', dave.address, 'latest')
  }
  for (const request of [
    { nonce: '0x0' }, { value: viem.toHex(10n ** 30n) }, { gas: '0x5207' }, { gas: '0x5fffffff' }, { from: nobody },
    { maxFeePerGas: '0x1', maxPriorityFeePerGas: '0x1', gas: '0x5208' }, { gasPrice: '0x1', gas: '0x5208' },
    { maxFeePerGas: '0x77359400', maxPriorityFeePerGas: '0x77359401', gas: '0x5208' },
  ]) {
    await ask('eth_sendTransaction', { from: alice.address, to, value: '0x1', ...request })
  }
  const raw = await alice.signTransaction({ type: 'eip1559', chainId: 1, nonce: 50, to, gas: 21_000n, maxFeePerGas: 10n ** 10n })
  for (const bytes of ['0x', '0x00', '0xdeadbeef', raw]) await ask('eth_sendRawTransaction', bytes)
}

async function contract() {
  const hash = await sent('deployment', () => client.deployContract({ account: alice.address, abi, bytecode }))
  const { contractAddress: address } = await rpc('eth_getTransactionReceipt', hash)
  const dollar = { address, abi }
  const write = (name, account, functionName, args) =>
    sent(name, () => client.writeContract({ ...dollar, account, functionName, args }))
  const read = (functionName, args = []) =>
    step(`read ${functionName}`, () => client.readContract({ ...dollar, functionName, args }))
  await write('mint', alice.address, 'mint', [alice.address, 1_000_000n])
  await write('transfer', alice, 'transfer', [bob.address, 250_000n])
  await write('approval', bob, 'approve', [carol.address, 100n])
  await write('transfer by another', carol, 'transferFrom', [bob.address, dave.address, 40n])
  for (const [name, args] of [['name'], ['decimals'], ['totalSupply'], ['balanceOf', [bob.address]],
    ['allowance', [bob.address, carol.address]], ['DOMAIN_SEPARATOR'], ['eip712Domain']]) {
    await read(name, args)
  }
  await step('a transfer of too much', () => client.simulateContract({
    ...dollar, account: dave.address, functionName: 'transfer', args: [bob.address, 1_000n],
  }))
  await step('gas of a transfer', () => client.estimateContractGas({
    ...dollar, account: alice.address, functionName: 'transfer', args: [carol.address, 5n],
  }))
  await step('gas of a transfer of too much', () => client.estimateContractGas({
    ...dollar, account: dave.address, functionName: 'transfer', args: [carol.address, 1_000n],
  }))
  await step('gas of a deployment', () => rpc('eth_estimateGas', { from: alice.address, data: bytecode }))
  const data = viem.encodeFunctionData({ abi, functionName: 'transfer', args: [bob.address, 10n ** 20n] })
  await sent('a failed transfer', () => rpc('eth_sendTransaction', { from: dave.address, to: address, data, gas: '0x20000' }))
  const failed = await sent('a failed transfer without a limit', () => rpc('eth_sendTransaction', { from: dave.address, to: address, data }))
  await logs(address)
  await past(address)
  await traces(hash, failed)
  await steps(address, hash, failed)
  await accessLists(address)
  await overrides(address)
  return address
}

async function logs(address) {
  const topic = viem.keccak256(viem.toHex('Transfer(address,address,uint256)'))
  for (const filter of [
    {}, { fromBlock: '0x0' }, { address, fromBlock: '0x0', toBlock: 'latest' }, { fromBlock: '0x0', topics: [topic] },
    { fromBlock: '0x0', topics: [[topic, viem.pad('0x1')], null, viem.pad(bob.address)] }, { fromBlock: '0x0', topics: [null, viem.pad(bob.address)] },
    { address: nobody, fromBlock: '0x0' }, { address: [nobody, address], fromBlock: '0x2', toBlock: '0xffff' }, { fromBlock: '0xffff' },
  ]) {
    await ask('eth_getLogs', filter)
  }
  const { hash } = await client.getBlock()
  await step('logs of one block', () => rpc('eth_getLogs', { blockHash: hash }))
  await step('events', () => client.getContractEvents({ address, abi, eventName: 'Transfer', fromBlock: 0n }))
}

async function past(address) {
  const latest = await client.getBlockNumber()
  for (let number = 0n; number <= latest; number += 3n) {
    const block = viem.toHex(number)
    await ask('eth_getBalance', alice.address, block)
    await ask('eth_getTransactionCount', alice.address, block)
    await ask('eth_getCode', address, block)
    await ask('eth_getStorageAt', address, '0x2', block)
    await ask('eth_getBlockReceipts', block)
    await ask('eth_getBlockTransactionCountByNumber', block)
    await ask('eth_getTransactionByBlockNumberAndIndex', block, '0x0')
    await ask('eth_call', { to: address, data: viem.encodeFunctionData({ abi, functionName: 'totalSupply' }) }, block)
  }
  await ask('eth_feeHistory', '0x20', 'latest', [0, 10, 50, 90, 100])
  await ask('eth_feeHistory', '0x2', 'latest', [])
  await ask('eth_feeHistory', '0x2', 'latest')
  if (hardfork === 'cancun') {
    await ask('eth_getProof', address, [viem.pad('0x2'), viem.pad('0x99')], 'latest')
    await ask('eth_getProof', nobody, [viem.pad('0x0')], 'latest')
    await ask('eth_getProof', alice.address, [], '0x3')
  }
  for (const [method, ...params] of [['eth_getBalance', alice.address, '0xffff'], ['eth_getBalance'], ['eth_getBalance', 'x'],
    ['eth_getBlockByNumber', '0xffff', false], ['eth_getTransactionReceipt', viem.pad('0x1')], ['eth_getUncleCountByBlockNumber', 'latest'],
    ['eth_getTransactionByHash', viem.pad('0x1')], ['eth_getBlockByHash', viem.pad('0x1'), true], ['eth_nonsense']]) {
    await ask(method, ...params)
  }
}

async function traces(deployment, failed) {
  const tracer = { tracer: 'callTracer', tracerConfig: { withLog: true } }
  await step('trace of a deployment', () => rpc('debug_traceTransaction', deployment, tracer))
  await step('trace of a failure', () => rpc('debug_traceTransaction', failed, tracer))
  await ask('debug_traceCall', { from: alice.address, to: bob.address, value: '0x1' }, 'latest', tracer)
  // A contract that makes another one, which fails, and calls a precompile.
  const inner = '5f5ffd'
  const data = `0x62${inner}5f526003601d5ff050` + '5f5f5f5f5f73' + viem.pad('0x4', { size: 20 }).slice(2) + '5af15000'
  await ask('debug_traceCall', { from: alice.address, data }, 'latest', { tracer: 'callTracer' })
  await ask('debug_traceCall', { from: alice.address, data }, 'latest', { tracer: 'callTracer', tracerConfig: { onlyTopCall: true } })
}

async function steps(address, deployment, failed) {
  await step('steps of a deployment', () => rpc('debug_traceTransaction', deployment))
  await step('steps of a failure', () => rpc('debug_traceTransaction', failed, {}))
  const transfer = viem.encodeFunctionData({ abi, functionName: 'transfer', args: [carol.address, 3n] })
  await step('steps of a transfer', () => rpc('debug_traceCall', { from: alice.address, to: address, data: transfer }, 'latest', {}))
  for (const options of [{ disableStack: true }, { disableStorage: true }, { enableMemory: true }, { enableReturnData: true }]) {
    await step(`steps with ${JSON.stringify(options)}`, () => rpc('debug_traceCall', { from: alice.address, to: address, data: transfer }, 'latest', options))
  }
  // Writes, takes it back and fails; takes too much from the stack; jumps nowhere; is no instruction; runs out of gas, by
  // itself and where it would write.
  for (const [data, gas] of [['0x60015f555f5f5560206000fd', '0x20000'], ['0x60015f5501', '0x20000'], ['0x600356', '0x20000'],
    ['0x0c', '0x20000'], ['0x5b5f56', '0xd000'], ['0x60015f55', '0xd000']]) {
    await step(`steps of ${data}`, () => rpc('debug_traceCall', { from: alice.address, data, gas }, 'latest', {}))
  }
  await step('steps of a payment', () => rpc('debug_traceCall', { from: alice.address, to: bob.address, value: '0x1' }, 'latest', {}))
}

// Sorted, because the order of a list means nothing.
async function accessLists(address) {
  const list = (name, request) => step(`access list of ${name}`, async () => {
    const { accessList, gasUsed, error } = await rpc('eth_createAccessList', request, 'latest')
    const sorted = accessList.map(({ address, storageKeys }) => ({ address, storageKeys: [...storageKeys].sort() }))
    return { gasUsed, error, accessList: sorted.sort((one, other) => one.address < other.address ? -1 : 1) }
  })
  const call = (functionName, args) => viem.encodeFunctionData({ abi, functionName, args })
  await list('a payment', { from: alice.address, to: bob.address, value: '0x1' })
  await list('a transfer', { from: alice.address, to: address, data: call('transfer', [carol.address, 3n]) })
  await list('a transfer with a list', {
    from: alice.address, to: address, data: call('transfer', [carol.address, 3n]),
    accessList: [{ address: nobody, storageKeys: [viem.pad('0x5')] }],
  })
  await list('a transfer of too much', { from: dave.address, to: address, data: call('transfer', [carol.address, 10n ** 9n]) })
  await list('a deployment', { from: alice.address, data: bytecode })
  // Looks at a balance, at two accounts' code, at a slot, and calls a contract, a precompile and itself.
  const look = (code, account) => `73${account.slice(2)}${code}50`
  const calls = ['5f5f5f5f5f', address, '5af150', '5f5f5f5f', viem.pad('0x2', { size: 20 }), '5afa50']
  const data = `0x${look('31', nobody)}${look('3b', carol.address)}${look('3f', address)}60075450` +
    `${calls[0]}73${calls[1].slice(2)}${calls[2]}${calls[3]}73${calls[4].slice(2)}${calls[5]}${look('31', alice.address)}`
  await list('a look around', { from: alice.address, data })
}

// Code that returns what a contract sees of its block and transaction.
const sight = '0x' + '435f52' + '42602052' + '48604052' + '45606052' + '41608052' + '4660a052' + '3a60c052' + '3260e052' + '4761010052' + '6101205ff3'

async function overrides(address) {
  await ask('eth_call', { data: sight }, 'latest')
  await ask('eth_call', { data: sight }, 'pending')
  await ask('eth_call', { data: sight }, '0x1')
  await ask('eth_call', { from: alice.address, data: sight, gasPrice: '0x77359400', gas: '0x100000' })
  await ask('eth_call', { from: alice.address, data: sight, maxFeePerGas: '0x77359400', maxPriorityFeePerGas: '0x1' })
  await ask('eth_call', { data: sight, gasPrice: '0x1' })
  await ask('eth_call', { from: nobody, to: bob.address, value: '0x1' })
  for (const data of ['0x5f5ffd', '0xfe', '0x01', '0x5b5f56', '0x5a56', '0x60ff60005260206000f3', '0x60205ffd']) await ask('eth_call', { data })
  for (const data of ['0x5f5ffd', '0xfe', '0x5b5f56', '0x60015f55']) await ask('eth_estimateGas', { from: alice.address, data })
  const balanceOf = viem.encodeFunctionData({ abi, functionName: 'balanceOf', args: [nobody] })
  const slot = viem.keccak256(viem.concat([viem.pad(nobody), viem.pad('0x0')]))
  await ask('eth_call', { to: address, data: balanceOf }, 'latest', { [address]: { stateDiff: { [slot]: viem.pad('0x1234') } } })
  await ask('eth_call', { to: address, data: balanceOf }, 'latest', { [address]: { state: { [slot]: viem.pad('0x99') } } })
  await ask('eth_call', { to: nobody, data: '0x' }, 'latest', { [nobody]: { code: '0x60425f5260205ff3' } })
  await ask('eth_call', { from: nobody, to: bob.address, value: '0x1' }, 'latest', { [nobody]: { balance: '0x1' } })
}

async function control(address) {
  const number = () => ask('eth_blockNumber')
  await ask('evm_snapshot')
  await ask('anvil_setBalance', nobody, '0x1234')
  await ask('anvil_setNonce', nobody, '0x7')
  await ask('anvil_setCode', nobody, '0x60425f5260205ff3')
  await ask('anvil_setStorageAt', nobody, '0x3', viem.pad('0x77'))
  for (const method of ['eth_getBalance', 'eth_getTransactionCount', 'eth_getCode']) await ask(method, nobody, 'latest')
  await ask('eth_getStorageAt', nobody, '0x3', 'latest')
  await ask('eth_call', { to: nobody })
  await ask('evm_mine')
  await ask('anvil_mine', '0x3')
  await number()
  await ask('evm_revert', '0x0')
  await ask('evm_revert', '0x0')
  await number()
  for (const method of ['eth_getBalance', 'eth_getTransactionCount', 'eth_getCode']) await ask(method, nobody, 'latest')
  await ask('eth_getStorageAt', nobody, '0x3', 'latest')
  // Whether going back takes the base fee along is asked of neither chain.
  await ask('anvil_setNextBlockBaseFeePerGas', '0x3b9aca00')
  await ask('anvil_impersonateAccount', address)
  await ask('anvil_setBalance', address, viem.toHex(ether))
  await sent('payment of an impersonated contract', () => rpc('eth_sendTransaction', { from: address, to: bob.address, value: '0x5' }))
  await ask('anvil_stopImpersonatingAccount', address)
  await ask('eth_sendTransaction', { from: address, to: bob.address, value: '0x5' })
  await ask('evm_setNextBlockTimestamp', 1)
  await ask('evm_setNextBlockTimestamp', 1900000000)
  await ask('evm_mine')
  await ask('eth_getBlockByNumber', 'latest', false)
  await ask('evm_mine')
  await ask('eth_getBlockByNumber', 'latest', false)
  await ask('anvil_setNextBlockBaseFeePerGas', '0x77359400')
  await ask('eth_gasPrice')
  await ask('anvil_setCoinbase', carol.address)
  await sent('payment at a set base fee', () => client.sendTransaction({ account: alice, to: bob.address, value: 9n }))
  await ask('eth_getBalance', carol.address, 'latest')
  await ask('anvil_rollback', 2)
  await number()
  await ask('anvil_rollback', 5000)
  await ask('eth_getBalance', carol.address, 'latest')
}

async function waiting() {
  await ask('evm_setAutomine', false)
  await ask('anvil_getAutomine')
  const nonce = Number(await rpc('eth_getTransactionCount', alice.address, 'latest'))
  const fees = (tip) => ({ maxFeePerGas: 4_000_000_000n + tip, maxPriorityFeePerGas: tip })
  const pay = (account, tip, more = {}) => client.sendTransaction({ account, to: nobody, value: 1n, gas: 21_000n, ...fees(tip), ...more })
  await step('first waits', () => pay(alice, 1_000_000_000n, { nonce }))
  await step('second pays more', () => pay(bob, 2_000_000_000n))
  await step('third comes after a gap', () => pay(alice, 3_000_000_000n, { nonce: nonce + 2 }))
  for (const block of ['latest', 'pending']) await ask('eth_getTransactionCount', alice.address, block)
  await ask('txpool_status')
  await ask('txpool_content')
  await step('a pending transaction', async () => {
    const { pending } = await rpc('txpool_content')
    const [first] = Object.values(pending[alice.address.toLowerCase()])
    return rpc('eth_getTransactionByHash', first.hash)
  })
  await ask('eth_getBalance', nobody, 'pending')
  await ask('evm_mine')
  await ask('eth_getBlockByNumber', 'latest', true)
  await ask('eth_getBlockReceipts', 'latest')
  await ask('txpool_status')
  const replaced = await step('to be dropped', () => pay(carol, 1_000_000_000n))
  await step('dropped', () => rpc('anvil_dropTransaction', replaced))
  await step('to be replaced', () => pay(carol, 1_000_000_000n))
  const pending = Number(await rpc('eth_getTransactionCount', carol.address, 'latest'))
  await step('replaces by too little', () => pay(carol, 1_000_000_001n, { nonce: pending, value: 2n }))
  await step('replaces', () => pay(carol, 3_000_000_000n, { nonce: pending, value: 3n }))
  await ask('evm_mine')
  await ask('eth_getBlockByNumber', 'latest', true)
  await ask('anvil_dropAllTransactions')
  await ask('evm_setAutomine', true)
}

async function filters() {
  const blocks = await rpc('eth_newBlockFilter')
  const pendings = await rpc('eth_newPendingTransactionFilter')
  const all = await rpc('eth_newFilter', {})
  await sent('payment under filters', () => client.sendTransaction({ account: alice, to: bob.address, value: 1n }))
  await step('new blocks', () => rpc('eth_getFilterChanges', blocks))
  await step('new pending transactions', () => rpc('eth_getFilterChanges', pendings))
  await step('new logs', () => rpc('eth_getFilterChanges', all))
  await step('no new blocks', () => rpc('eth_getFilterChanges', blocks))
  await step('uninstall', () => rpc('eth_uninstallFilter', blocks))
  await step('uninstall again', () => rpc('eth_uninstallFilter', blocks))
  await step('changes of none', () => rpc('eth_getFilterChanges', blocks))
}

// The first notices of subscriptions over WebSocket.
async function subscriptions(address) {
  const socket = new (require('ws'))(url.replace('http', 'ws'))
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject))
  const answers = new Map()
  const notices = []
  let wake = () => {}
  socket.on('message', (text) => {
    const message = JSON.parse(text)
    if (message.method === 'eth_subscription') notices.push(message.params)
    else answers.set(message.id, message)
    wake()
  })
  const until = async (condition) => { while (!condition()) await new Promise((resolve) => { wake = resolve }) }
  let id = 0
  const call = async (method, ...params) => {
    const own = ++id
    socket.send(JSON.stringify({ jsonrpc: '2.0', id: own, method, params }))
    await until(() => answers.has(own))
    return answers.get(own).result
  }
  const heads = await call('eth_subscribe', 'newHeads')
  const logged = await call('eth_subscribe', 'logs', { address })
  const pending = await call('eth_subscribe', 'newPendingTransactions')
  await sent('mint under subscriptions', () => client.writeContract({
    address, abi, account: alice.address, functionName: 'mint', args: [carol.address, 5n],
  }))
  const of = (subscription) => notices.filter((notice) => notice.subscription === subscription).map((notice) => notice.result)
  await until(() => of(heads).length >= 1 && of(logged).length >= 2 && of(pending).length >= 1)
  await step('heads', () => of(heads))
  await step('logs', () => of(logged))
  await step('pending', () => of(pending))
  await step('unsubscribe', () => call('eth_unsubscribe', heads))
  await step('unsubscribe again', () => call('eth_unsubscribe', heads))
  await step('a call over the socket', () => call('eth_chainId'))
  socket.close()
}

async function withEthers() {
  const provider = new ethers.JsonRpcProvider(url, undefined, { pollingInterval: 5, cacheTimeout: -1 })
  const wallet = new ethers.NonceManager(ethers.HDNodeWallet.fromPhrase(mnemonic, '', `m/44'/60'/0'/0/5`).connect(provider))
  const shown = (receipt) => receipt && {
    hash: receipt.hash, status: receipt.status, gasUsed: receipt.gasUsed, index: receipt.index, logs: receipt.logs.length,
    contract: receipt.contractAddress, price: receipt.gasPrice, number: receipt.blockNumber,
  }
  await step('ethers network', async () => (await provider.getNetwork()).chainId)
  await step('ethers fees', async () => (await provider.getFeeData()).toJSON())
  await step('ethers payment', async () => shown(await (await wallet.sendTransaction({ to: bob.address, value: 7n })).wait()))
  const contract = await new ethers.ContractFactory(abi, bytecode, wallet).deploy()
  await step('ethers deployment', async () => shown(await contract.deploymentTransaction().wait()))
  await step('ethers mint', async () => shown(await (await contract.mint(bob.address, 77n)).wait()))
  await step('ethers read', () => contract.balanceOf(bob.address))
  await step('ethers revert', () => contract.transfer(bob.address, 10n ** 9n))
  await step('ethers signature of typed data', async () => {
    const signer = await provider.getSigner(0)
    return signer.signTypedData({ name: 'Transcript', chainId: 31337 }, { Note: [{ name: 'text', type: 'string' }] }, { text: 'hello' })
  })
  await step('ethers static call', () => contract.mint.staticCall(bob.address, 1n))
  await step('ethers gas', () => contract.mint.estimateGas(bob.address, 1n))
  await step('ethers events', async () => (await contract.queryFilter('*', 0)).map((event) => [event.eventName, event.args?.toArray()]))
  await step('ethers block', async () => (await provider.getBlock('latest', true)).prefetchedTransactions.map((sent) => sent.hash))
  await step('ethers storage', async () => provider.getStorage(await contract.getAddress(), 2))
  provider.destroy()
}

async function dumps(address) {
  let dump
  await step('dump', async () => {
    dump = await rpc('anvil_dumpState')
    const { accounts } = JSON.parse(gunzipSync(Buffer.from(dump.slice(2), 'hex')))
    // Who has nothing is in no state; anvil keeps some all the same.
    const isThere = ([, { nonce, balance, code }]) => nonce || balance !== '0x0' || code !== '0x'
    return Object.fromEntries(Object.entries(accounts).filter(isThere))
  })
  const look = async (account) => {
    for (const method of ['eth_getBalance', 'eth_getTransactionCount', 'eth_getCode']) await ask(method, account, 'latest')
    for (const slot of ['0x2', '0x77']) await ask('eth_getStorageAt', account, slot, 'latest')
  }
  for (const account of [bob.address, address]) {
    await ask('anvil_setBalance', account, '0x5')
    await ask('anvil_setNonce', account, '0x99')
    await ask('anvil_setCode', account, '0x6001')
    await ask('anvil_setStorageAt', account, '0x2', viem.pad('0x5'))
    await ask('anvil_setStorageAt', account, '0x77', viem.pad('0x7'))
    await step('load', () => rpc('anvil_loadState', dump))
    await look(account)
  }
  const few = { [nobody]: { nonce: 3, balance: '0x1234', code: '0x6002', storage: { [viem.pad('0x2')]: viem.pad('0x9') } } }
  const text = JSON.stringify({ block: null, accounts: few, best_block_number: null, blocks: [], transactions: [] })
  await ask('anvil_loadState', viem.bytesToHex(gzipSync(text)))
  await look(nobody)
  for (const bytes of ['0x', '0x1234', '0x1f8b', viem.toHex('{}')]) await ask('anvil_loadState', bytes)
  await look(nobody)
  await sent('payment after all', () => rpc('eth_sendTransaction', { from: alice.address, to: carol.address, value: '0x1' }))
}

await rpc('anvil_setBlockTimestampInterval', 1)
await constants()
await typed()
await payments()
const address = await contract()
await filters()
await subscriptions(address)
await withEthers()
await waiting()
await control(address)
await dumps(address)
console.log(JSON.stringify(transcript))
