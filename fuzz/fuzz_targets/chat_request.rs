//! Request bodies of every endpoint, and what they mean for a model.

#![no_main]

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use arith::{Isa, Machine, Pool, WeightType};
use claim::{Endpoint, UnixMillis};
use libfuzzer_sys::fuzz_target;
use model::Model;
use specimen::Specimen;

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let specimen = Specimen { layers: 1, width: 64, heads: 2, ..Specimen::llama(WeightType::Q8_0) };
    let machine = Machine::new(Isa::portable(), Pool::new(NonZeroUsize::MIN));
    Model::load(&specimen.to_gguf(), &machine, &|_| {}).expect("a specimen is a whole model")
});

fuzz_target!(|bytes: &[u8]| {
    for endpoint in [Endpoint::Chat, Endpoint::Completions, Endpoint::Responses] {
        let request = match api::parse(endpoint, bytes) {
            Ok(request) => request,
            Err(error) => {
                assert!((400..500).contains(&error.status()), "a bad body is the client's fault: {error}");
                continue;
            }
        };
        let context_length = MODEL.config().context_length;
        let meaning = || request.jobs(MODEL.tokenizer(), MODEL.template().ok(), context_length, UnixMillis::new(1));
        let Ok(jobs) = meaning() else { continue };
        for job in &jobs {
            assert!(job.prompt.len() <= context_length);
            assert!(job.prompt.iter().all(|prompt| (prompt.token.get() as usize) < MODEL.tokenizer().vocab_size()));
        }
        assert_eq!(Some(jobs), meaning().ok(), "a request has one meaning");
    }
});
