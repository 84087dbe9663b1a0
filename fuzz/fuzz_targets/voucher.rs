//! A channel with its voucher, as clients send it to hosts and as both keep it. What is read is written to a line that reads the same,
//! and checking a voucher comes to an end.

#![no_main]

use ledger::channel::Entry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(entry) = Entry::read(bytes) else { return };
    let line = entry.write();
    assert!(!line.contains(&b'\n'), "an entry is one line");
    assert_eq!(Entry::read(&line).expect("what is written can be read"), entry);
    if let Some(voucher) = entry.voucher {
        let _verdict = voucher.verify(entry.domain, &entry.terms);
    }
});
