//! Safetensors files read as the tensors that they hold, and broken ones give errors.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use model::safetensors::{HEADER_BYTES_MAX, Safetensors, SafetensorsError};
use proptest::prelude::*;

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

const HEADER: &str = r#"{"__metadata__":{"format":"pt"},
    "b":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;

#[test]
fn tensors_are_where_the_header_says() {
    let data: Vec<u8> = (0..20).collect();
    let bytes = file(HEADER, &data);
    let parsed = Safetensors::parse(&bytes).unwrap();
    let names: Vec<&str> = parsed.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!((names.as_slice(), parsed.metadata("format")), (["a", "b"].as_slice(), Some("pt")));
    let matrix = parsed.tensor("b").unwrap();
    // Two rows of three: three columns first, as ggml counts, and ggml's number for BF16.
    assert_eq!((matrix.dims.as_slice(), matrix.kind), ([3, 2].as_slice(), 30));
    assert_eq!(parsed.tensor_bytes(matrix), &data[8..20]);
}

#[test]
fn a_real_file_reads() {
    let Some(shared) = support::shared() else { return };
    let bytes = std::fs::read(shared.join("models/silero_vad_16k.safetensors")).unwrap();
    let parsed = Safetensors::parse(&bytes).unwrap();
    assert!(parsed.tensors().len() > 5);
    for tensor in parsed.tensors() {
        let elements: u64 = tensor.dims.iter().product();
        assert_eq!((tensor.kind, parsed.tensor_bytes(tensor).len() as u64), (0, elements * 4), "{}", tensor.name);
    }
    assert_eq!(parsed.tensors().last().unwrap().range.end, bytes.len());
}

#[test]
fn each_fault_has_its_error() {
    let refused = |bytes: &[u8]| Safetensors::parse(bytes).map(|_| ()).unwrap_err();
    let data = [0; 20];
    assert!(matches!(refused(&[1, 2]), SafetensorsError::Truncated { what: "header length", .. }));
    let huge = [&(1_u64 << 60).to_le_bytes(), HEADER.as_bytes()].concat();
    assert_eq!(refused(&huge), SafetensorsError::HeaderTooLong { found: 1 << 60, limit: HEADER_BYTES_MAX });
    assert!(matches!(refused(&file(HEADER, &data)[..40]), SafetensorsError::Truncated { what: "header", .. }));
    assert!(matches!(refused(&file(HEADER, &data[..19])), SafetensorsError::Truncated { what: "tensor data", .. }));
    assert!(
        matches!(refused(&file(HEADER, &[0; 21])), SafetensorsError::Trailing { found, expected } if found == expected + 1)
    );
    assert!(matches!(refused(&file("{", &[])), SafetensorsError::Header { .. }));
    let entries = [
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
        r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
        r#"{"a":{"dtype":"Q9","shape":[2],"data_offsets":[0,8]}}"#,
    ];
    for header in entries {
        assert!(matches!(refused(&file(header, &data[..8])), SafetensorsError::Header { .. }), "{header}");
    }
    let unsupported = file(r#"{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}"#, &[0; 2]);
    let expected = SafetensorsError::UnsupportedKind { tensor: "a".to_owned(), found: "F8_E4M3".to_owned() };
    assert_eq!(refused(&unsupported), expected);
    let flat = file(r#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}"#, &[0; 4]);
    assert!(matches!(refused(&flat), SafetensorsError::TooManyDimensions { found: 9, .. }));
    // The end of these tensors and the header together pass 2^64.
    let far =
        file(r#"{"a":{"dtype":"I8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]}}"#, &[]);
    assert!(Safetensors::parse(&far).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn mutations_never_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = file(HEADER, &[7; 20]);
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(parsed) = Safetensors::parse(&bytes) {
            for tensor in parsed.tensors() {
                prop_assert!(parsed.tensor_bytes(tensor).len() <= 20);
            }
        }
    }
}
