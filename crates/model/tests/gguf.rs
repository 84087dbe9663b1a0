//! The GGUF reader reads real files as their writers meant them, and survives every other file.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use model::gguf::{ElementKind, Gguf, GgufError, GgufWriter, Metadata, Value};
use proptest::prelude::*;

#[test]
fn real_files_read_as_written() {
    let Some(shared) = support::shared() else { return };
    let bytes = std::fs::read(shared.join("models/minimind2-small.Q8_0.gguf")).unwrap();
    let gguf = Gguf::parse(&bytes).unwrap();
    assert_eq!((gguf.version(), gguf.str("general.architecture").unwrap()), (3, "llama"));
    assert_eq!((gguf.u32("llama.block_count").unwrap(), gguf.u32("llama.attention.head_count").unwrap()), (8, 8));
    let tokens = gguf.array("tokenizer.ggml.tokens").unwrap();
    assert_eq!((tokens.kind(), tokens.len(), tokens.strings().unwrap().count()), (ElementKind::String, 6_400, 6_400));
    assert_eq!(tokens.strings().unwrap().nth(2), Some(b"<|im_end|>".as_slice()));
    // 6,400 rows of 512 in blocks of 32 elements and 34 bytes.
    let embedding = gguf.tensor("token_embd.weight").unwrap();
    assert_eq!((embedding.dims.as_slice(), embedding.kind), ([512, 6_400].as_slice(), 8));
    assert_eq!(gguf.tensor_bytes(embedding).len(), 6_400 * 512 / 32 * 34);
    assert_eq!(gguf.tensors().iter().map(|tensor| tensor.range.end).max(), Some(bytes.len()));
    assert!(gguf.tensor("blk.8.attn_q.weight").is_none());
}

/// The F32 model was converted from a file of plain floats; the same floats must come out.
#[test]
fn tensors_hold_the_numbers_of_the_original() {
    let Some(shared) = support::shared() else { return };
    let bytes = std::fs::read(shared.join("models/stories260K.F32.gguf")).unwrap();
    let original = std::fs::read(shared.join("models/stories260K.bin")).unwrap();
    let gguf = Gguf::parse(&bytes).unwrap();
    // After seven integers the original begins with the embedding, 512 rows of 64.
    let embedding = gguf.tensor_bytes(gguf.tensor("token_embd.weight").unwrap());
    assert_eq!(embedding, &original[28..28 + 512 * 64 * 4]);
}

#[test]
fn every_real_file_parses() {
    let Some(shared) = support::shared() else { return };
    let mut count = 0;
    for folder in ["models", "tokenizers/llama.cpp-vectors"] {
        for entry in std::fs::read_dir(shared.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "gguf") {
                let bytes = std::fs::read(&path).unwrap();
                let gguf = Gguf::parse(&bytes).unwrap_or_else(|error| unreachable!("{}: {error}", path.display()));
                walk(&gguf);
                count += 1;
            }
        }
    }
    assert!(count >= 6, "only {count} files");
}

/// Touches everything that the reader hands out.
fn walk(gguf: &Gguf<'_>) {
    for (_, value) in gguf.entries() {
        if let Some(array) = value.as_array() {
            let strings = array.strings().map(|strings| strings.map(<[u8]>::len).sum::<usize>());
            let values = array.values().count();
            assert!(values <= array.len() && strings.is_none_or(|bytes| bytes < usize::MAX));
        }
    }
    for tensor in gguf.tensors() {
        let bytes = gguf.tensor_bytes(tensor);
        std::hint::black_box((bytes.first(), bytes.last()));
        assert_eq!(gguf.tensor(&tensor.name), Some(tensor));
    }
}

/// A file with every part in it, small enough to break at each byte.
fn sample() -> Vec<u8> {
    let mut file = GgufWriter::new();
    file.metadata("general.architecture", Metadata::Text("llama".to_owned()));
    file.metadata("a.number", Metadata::U32(7));
    file.metadata("a.float", Metadata::F32(0.5));
    file.metadata("a.flag", Metadata::Bool(true));
    file.metadata("some.words", Metadata::Texts(vec!["one".to_owned(), String::new(), "three".to_owned()]));
    file.metadata("some.numbers", Metadata::I32s(vec![-1, 2]));
    file.metadata("some.floats", Metadata::F32s(vec![1.0, -2.5]));
    file.tensor("first", &[32, 2], 8, vec![1; 68]);
    file.tensor("second", &[3], 0, vec![2; 12]);
    file.to_bytes()
}

#[test]
fn a_sample_reads_back() {
    let bytes = sample();
    let gguf = Gguf::parse(&bytes).unwrap();
    assert_eq!(gguf.metadata("a.flag"), Some(&Value::Bool(true)));
    assert_eq!((gguf.u32("a.number"), gguf.f32("a.float")), (Ok(7), Ok(0.5)));
    let words: Vec<&[u8]> = gguf.array("some.words").unwrap().strings().unwrap().collect();
    assert_eq!(words, [b"one".as_slice(), b"", b"three"]);
    assert_eq!(gguf.array("some.numbers").unwrap().i32s().unwrap().collect::<Vec<_>>(), [-1, 2]);
    assert_eq!(gguf.array("some.floats").unwrap().f32s().unwrap().collect::<Vec<_>>(), [1.0, -2.5]);
    assert_eq!(gguf.tensor_bytes(gguf.tensor("second").unwrap()), [2; 12]);
    let missing = gguf.u32("no.such.key").unwrap_err();
    assert_eq!(missing, GgufError::MissingKey { key: "no.such.key" });
    let wrong = gguf.u32("a.float").unwrap_err();
    assert_eq!(wrong.to_string(), "key \"a.float\" holds f32, expected an integer of 32 bits");
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = sample();
    let end = Gguf::parse(&bytes).unwrap().tensor("second").unwrap().range.end;
    for len in 0..end {
        assert!(Gguf::parse(&bytes[..len]).is_err(), "accepted {len} of {end} bytes");
    }
}

/// One edit of the sample and the error that it must give.
fn refused(edit: impl FnOnce(&mut Vec<u8>)) -> GgufError {
    let mut bytes = sample();
    edit(&mut bytes);
    Gguf::parse(&bytes).unwrap_err()
}

/// Where a text stands in the sample.
fn place(text: &str) -> usize {
    sample().windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

#[test]
fn each_fault_has_its_error() {
    let huge = (1_u64 << 60).to_le_bytes();
    assert_eq!(refused(|b| b[0] = b'g'), GgufError::Magic { found: *b"gGUF" });
    assert_eq!(refused(|b| b[4] = 4), GgufError::Version { found: 4 });
    assert_eq!(refused(|b| b[4] = 1), GgufError::Version { found: 1 });
    assert_eq!(refused(|b| put(b, 4, &3_u32.to_be_bytes())), GgufError::BigEndian);
    let counts = [(8, "tensor count"), (16, "metadata count")];
    for (at, name) in counts {
        let error = refused(|b| put(b, at, &huge));
        assert!(
            matches!(error, GgufError::TooMany { what, found, offset, .. } if what == name && found == 1 << 60 && offset == at)
        );
    }
    let many_tensors = refused(|b| put(b, 8, &60_000_u64.to_le_bytes()));
    assert!(matches!(many_tensors, GgufError::Truncated { what: "tensor headers", .. }), "{many_tensors}");
    let long_key = refused(|b| put(b, place("a.number") - 8, &huge));
    assert!(matches!(long_key, GgufError::TooMany { what: "key", .. }));
    assert!(matches!(refused(|b| put(b, place("a.number") - 8, &[0; 8])), GgufError::EmptyName { what: "key", .. }));
    assert!(matches!(refused(|b| b[place("a.number")] = 0xff), GgufError::NotUtf8 { what: "key", .. }));
    assert!(matches!(refused(|b| b[place("a.number") + 8] = 13), GgufError::UnknownValueKind { found: 13, .. }));
    assert!(matches!(refused(|b| b[place("a.flag") + 10] = 2), GgufError::Boolean { found: 2, .. }));
    let array = place("some.numbers") + "some.numbers".len() + 8;
    assert!(matches!(refused(|b| put(b, array, &huge)), GgufError::TooMany { what: "array length", .. }));
    assert!(matches!(
        refused(|b| put(b, array, &(1_u64 << 24).to_le_bytes())),
        GgufError::Truncated { what: "array", .. }
    ));
    let first = place("first") + "first".len();
    assert!(matches!(refused(|b| put(b, first, &5_u32.to_le_bytes())), GgufError::TooMany { what: "dimensions", .. }));
    assert!(matches!(refused(|b| put(b, first + 4, &huge)), GgufError::TensorOutside { .. }));
    let overflow = refused(|b| put(b, first + 4, &(1_u64 << 63).to_le_bytes()));
    assert!(matches!(overflow, GgufError::Shape { kind: "Q8_0", .. }));
    assert!(matches!(refused(|b| put(b, first + 4, &[0; 8])), GgufError::Shape { .. }));
    assert!(matches!(refused(|b| put(b, first + 4, &33_u64.to_le_bytes())), GgufError::Shape { .. }));
    let kind = first + 4 + 16;
    let unknown = refused(|b| put(b, kind, &99_u32.to_le_bytes()));
    assert_eq!(unknown.to_string(), "tensor \"first\" has the unknown ggml type 99");
    assert!(matches!(refused(|b| b[kind + 4] = 1), GgufError::Misaligned { found: 1, alignment: 32, .. }));
    assert!(matches!(refused(|b| put(b, kind + 4, &huge)), GgufError::TensorOutside { .. }));
    assert!(matches!(refused(|b| put(b, kind + 4, &(u64::MAX - 31).to_le_bytes())), GgufError::TensorOutside { .. }));
    let second_offset = place("second") + "second".len() + 4 + 8 + 4;
    assert!(matches!(refused(|b| b[second_offset] = 64), GgufError::Overlap { .. }));
}

#[test]
fn names_stand_once() {
    let mut file = GgufWriter::new();
    file.metadata("key", Metadata::U32(1));
    file.metadata("key", Metadata::U32(1));
    let error = Gguf::parse(&file.to_bytes()).map(|_| ()).unwrap_err();
    assert_eq!(error, GgufError::DuplicateKey { key: "key".to_owned() });
    let mut file = GgufWriter::new();
    file.tensor("name", &[1], 0, vec![0; 4]);
    file.tensor("name", &[1], 0, vec![0; 4]);
    let error = Gguf::parse(&file.to_bytes()).map(|_| ()).unwrap_err();
    assert_eq!(error, GgufError::DuplicateTensor { tensor: "name".to_owned() });
}

#[test]
fn alignment_is_a_power_of_two() {
    for (alignment, is_accepted) in [(0, false), (1, true), (24, false), (32, true), (65_536, true), (1 << 20, false)] {
        let mut file = GgufWriter::new();
        file.metadata("general.alignment", Metadata::U32(alignment));
        let parsed = Gguf::parse(&file.to_bytes()).map(|_| ());
        assert_eq!(parsed.is_ok(), is_accepted, "{alignment}: {parsed:?}");
    }
}

/// A header of one entry whose array nests `depth` deep.
fn nested(depth: u32) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.push(b'k');
    bytes.extend(9_u32.to_le_bytes());
    for _ in 1..depth {
        bytes.extend(9_u32.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
    }
    bytes.extend(4_u32.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(42_u32.to_le_bytes());
    bytes
}

#[test]
fn arrays_nest_four_deep_and_no_deeper() {
    let bytes = nested(4);
    let gguf = Gguf::parse(&bytes).unwrap();
    let mut value = *gguf.metadata("k").unwrap();
    for _ in 0..4 {
        value = value.as_array().unwrap().values().next().unwrap();
    }
    assert_eq!(value, Value::U32(42));
    for depth in [5, 100, 100_000] {
        let error = Gguf::parse(&nested(depth)).map(|_| ()).unwrap_err();
        assert!(matches!(error, GgufError::Depth { limit: 4, .. }), "{error}");
    }
}

/// Bytes that parsing allocates in all, also what it frees again.
fn allocated_by_parsing(bytes: &[u8]) -> u64 {
    let mut parsed = None;
    let allocated = allocation_counter::measure(|| parsed = Some(Gguf::parse(bytes)));
    if let Some(Ok(gguf)) = parsed {
        walk(&gguf);
    }
    allocated.bytes_total
}

/// The smallest entry of a file has 13 bytes and the smallest tensor header 29; each costs the reader under 400 bytes,
/// growth of the tables counted.
fn allocation_limit(file_bytes: usize) -> u64 {
    4_096 + 32 * file_bytes as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Bytes changed at random: an error or a file whose parts can be read, and never much memory.
    #[test]
    fn mutations_never_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), cut in any::<prop::sample::Index>(), cuts in any::<bool>()) {
        let mut bytes = sample();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        prop_assert!(allocated_by_parsing(&bytes) <= allocation_limit(bytes.len()));
    }

    /// Eight bytes anywhere become a number at a limit.
    #[test]
    fn hostile_numbers_never_panic(at in any::<prop::sample::Index>(), shift in 0_u32..64, below in 0_u64..3) {
        let mut bytes = sample();
        let at = at.index(bytes.len() - 8);
        put(&mut bytes, at, &(1_u64 << shift).wrapping_sub(below).to_le_bytes());
        prop_assert!(allocated_by_parsing(&bytes) <= allocation_limit(bytes.len()));
    }

    /// No structure at all after the magic.
    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..256)) {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(noise);
        prop_assert!(allocated_by_parsing(&bytes) <= allocation_limit(bytes.len()));
    }
}

/// A real header, with single bits flipped in all of its first part and at random beyond.
#[test]
fn bit_flips_in_a_real_file_never_panic() {
    let Some(shared) = support::shared() else { return };
    let bytes = std::fs::read(shared.join("models/stories260K.F32.gguf")).unwrap();
    let header_end = Gguf::parse(&bytes).unwrap().tensors().iter().map(|tensor| tensor.range.start).min().unwrap();
    let mut file = bytes;
    let limit = allocation_limit(file.len());
    // A step that shares no factor with eight visits every bit position.
    for bit in (0..header_end * 8).step_by(13) {
        file[bit / 8] ^= 1 << (bit % 8);
        assert!(allocated_by_parsing(&file) <= limit, "bit {bit}");
        file[bit / 8] ^= 1 << (bit % 8);
    }
    for len in (0..header_end).step_by(37) {
        assert!(Gguf::parse(&file[..len]).is_err(), "accepted {len} bytes");
    }
}

/// A vocabulary of a quarter of a million tokens costs the reader nothing until somebody reads it.
#[test]
fn large_arrays_are_not_copied() {
    let mut file = GgufWriter::new();
    file.metadata("tokens", Metadata::Texts((0..262_144).map(|n| n.to_string()).collect()));
    file.metadata("scores", Metadata::F32s(vec![0.0; 262_144]));
    let bytes = file.to_bytes();
    assert!(bytes.len() > 4_000_000);
    assert!(allocated_by_parsing(&bytes) < 4_096);
}
