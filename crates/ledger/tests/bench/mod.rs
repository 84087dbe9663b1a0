//! A court with its judge, on a chain in memory: for the tests, and for the example that measures.

use alloy::primitives::aliases::U40;
use alloy::primitives::{Address, U256, keccak256};
use alloy::sol_types::{SolCall as _, SolValue as _};
use court::judge::{Accusation, Docket};
use devchain::{Chain, Config, End, Executed, Message};
use ledger::{Artefact, abi, dispute};

/// The storage slot of the court's commitments, as `contracts/snapshots/storage.json` has it.
const COMMITMENTS: u64 = 3;
const DEADLINE: u64 = 1_799_999_999;

/// The chain and the contracts.
pub(crate) struct Bench {
    chain: Chain,
    caller: Address,
    court: Address,
    pub(crate) judge: Address,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let config = Config::development();
        let caller = config.keys[0].address();
        let chain = Chain::new(config, 0);
        let mut bench = Self { chain, caller, court: Address::ZERO, judge: Address::ZERO };
        let [words, products, norms, attention, draws] = Artefact::CHAPTERS.map(|chapter| bench.deploy(chapter, &[]));
        let arguments = (words, products, norms, attention, draws).abi_encode_params();
        bench.judge = bench.deploy(Artefact::ArithmeticJudge, &arguments);
        let others = [Address::ZERO; 3];
        let arguments = (others[0], others[1], others[2], U256::from(3600), U256::from(1), vec![bench.judge]);
        bench.court = bench.deploy(Artefact::Court, &arguments.abi_encode_params());
        bench
    }

    fn deploy(&mut self, artefact: Artefact, arguments: &[u8]) -> Address {
        let message = Message::create(self.caller, artefact.creation(arguments));
        let mined = self.chain.execute(&message, 0).unwrap();
        assert_eq!(mined.executed[0].end, End::Success, "{}", artefact.name());
        mined.block.transactions()[0].creates().unwrap()
    }

    /// Sends a call as a transaction.
    pub(crate) fn send(&mut self, to: Address, data: Vec<u8>) -> Executed {
        let mined = self.chain.execute(&Message::call(self.caller, to, data), 0).unwrap();
        mined.executed[0].clone()
    }

    /// Puts a dispute where it stands before the last call, and makes that call; returns the gas of the whole transaction.
    pub(crate) fn accuse(&mut self, docket: &Docket, accusation: &Accusation) -> u64 {
        let call = dispute::judge_call(docket, accusation.step, &accusation.data, &accusation.path);
        let dispute = self.dispute(docket, &call.docket);
        let id = U256::from(1_234);
        let slot = keccak256((id, U256::from(COMMITMENTS)).abi_encode());
        let commitment = keccak256(dispute.abi_encode());
        self.chain.set_storage(self.court, slot.into(), commitment.into());
        let (context, step) = (call.context, call.step);
        let call = abi::Court::accuseCall { id, dispute, context, step, data: call.data, path: call.path };
        let executed = self.send(self.court, call.abi_encode());
        assert_eq!(executed.end, End::Success);
        executed.gas_used
    }

    /// What the docket does not say is as long as it is in any dispute.
    fn dispute(&self, docket: &Docket, of_judge: &abi::Docket) -> abi::Dispute {
        let address = |name: &str| Address::from_word(keccak256(name));
        abi::Dispute {
            receipt: keccak256("receipt"),
            host: address("host"),
            challenger: self.caller,
            vault: address("vault"),
            channel: keccak256("channel"),
            total: 5_123_456,
            bond: 100_123_456,
            checker: self.judge,
            context: of_judge.context,
            levels: docket.nodes.len() as u8,
            isHostsTurn: false,
            deadline: U40::from(DEADLINE),
            index: docket.address,
            endIndex: docket.statement.end() >> 4,
            endLeaf: keccak256("end"),
            nodes: of_judge.nodes.clone(),
            workingRoot: of_judge.workingRoot,
            workingLength: docket.working_length,
            word: docket.word,
        }
    }
}
