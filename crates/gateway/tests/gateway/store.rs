//! The receipt store on real files and on a disk that fills up.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use claim::{Digest, Endpoint, Finish, Nonce, ReceiptId};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use gateway::store::{ReceiptStore, StoreError, StoredReceipt};

use crate::client::Desk;
use crate::receipts::metric;
use crate::stand_ins::disk::SmallDisk;
use crate::stand_ins::hosts::Parrot;
use crate::stand_ins::{Asked, receipt};

fn numbered(number: u64) -> StoredReceipt {
    let nonce = Nonce::new(Digest::sha256(&number.to_le_bytes()));
    let request = vec![b'x'; 500 + number as usize % 4_000];
    let asked = Asked { endpoint: Endpoint::Chat, request: &request, nonce, client: None };
    receipt(asked, 0, &[1, 2, 3], Finish::Stop, "text")
}

#[tokio::test]
async fn receipts_are_found_by_id_and_by_age_and_outlive_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipts.redb");
    let all: Vec<StoredReceipt> = (0..10).map(numbered).collect();
    {
        let store = ReceiptStore::open(&path, u64::MAX).unwrap();
        store.put(&all[..3]).await.unwrap();
        for one in &all[3..] {
            store.put(std::slice::from_ref(one)).await.unwrap();
        }
        store.put(&all[4..5]).await.unwrap();
    }
    let store = ReceiptStore::open(&path, u64::MAX).unwrap();
    for one in &all {
        assert_eq!(store.get(one.receipt.id()).unwrap().as_ref(), Some(one));
    }
    assert_eq!(store.get(ReceiptId::ZERO).unwrap(), None);
    let newest: Vec<ReceiptId> = store.latest(3).unwrap().iter().map(claim::SignedReceipt::id).collect();
    let expected: Vec<ReceiptId> = all.iter().rev().take(3).map(|one| one.receipt.id()).collect();
    assert_eq!(newest, expected, "a receipt that is put twice keeps its place");
    assert_eq!(store.latest(1_000).unwrap().len(), 10);
}

#[tokio::test]
async fn receipts_that_wait_together_are_written_together() {
    let disk = SmallDisk::new(u64::MAX);
    let opener = disk.clone();
    let store = ReceiptStore::with_opener(u64::MAX, Box::new(move || opener.open())).unwrap();
    let all: Vec<StoredReceipt> = (0..50).map(numbered).collect();
    let mut puts = join_all(all.iter().map(|one| store.put(std::slice::from_ref(one))));
    {
        let _stuck = disk.stick();
        assert!((&mut puts).now_or_never().is_none(), "all wait for the disk");
    }
    assert!(puts.await.iter().all(Result::is_ok));
    let metrics = Desk::with_store(Parrot::saying(&["a"]), store).get("/metrics").await.body;
    let text = std::str::from_utf8(&metrics).unwrap();
    assert_eq!(metric(text, "candor_receipts_stored_total"), 50.0);
    assert!(metric(text, "candor_store_commits_total") <= 2.0, "the first that came, and all the others");
}

#[tokio::test]
async fn the_oldest_make_room_and_the_file_stops_growing() {
    let disk = SmallDisk::new(u64::MAX);
    let open = |keep_bytes| {
        let opener = disk.clone();
        ReceiptStore::with_opener(keep_bytes, Box::new(move || opener.open())).unwrap()
    };
    let store = open(256 << 10);
    let mut used = Vec::new();
    for round in 0..8 {
        for start in (round * 200..(round + 1) * 200).step_by(20) {
            let new: Vec<StoredReceipt> = (start..start + 20).map(numbered).collect();
            store.put(&new).await.unwrap();
        }
        used.push(disk.used());
    }
    assert_eq!(used[7], used[3], "as much is written in every round: {used:?}");
    let kept = store.latest(2_000).unwrap();
    assert!((50..200).contains(&kept.len()), "{} of about 3 KiB each", kept.len());
    let number =
        |receipt: &claim::SignedReceipt| (0..1_600).find(|&number| numbered(number).receipt.id() == receipt.id());
    let oldest = number(kept.last().unwrap()).unwrap();
    assert_eq!(kept.len() as u64, 1_600 - oldest, "the newest, without a gap");
    assert_eq!(store.get(numbered(oldest).receipt.id()).unwrap(), Some(numbered(oldest)));
    assert_eq!(store.get(numbered(oldest - 1).receipt.id()).unwrap(), None);
    // What was dropped may come again, and a store that is to keep less does so with the next receipt.
    drop(store);
    let store = open(1);
    store.put(&[numbered(0), numbered(1)]).await.unwrap();
    assert_eq!(
        store.latest(10).unwrap().len(),
        2,
        "what is put together is kept together, however little is to be kept"
    );
}

#[tokio::test]
async fn a_store_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipts.redb");
    let _store = ReceiptStore::open(&path, u64::MAX).unwrap();
    assert!(ReceiptStore::open(&path, u64::MAX).is_err());
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipts.redb");
    std::fs::write(&path, b"dear diary").unwrap();
    assert!(ReceiptStore::open(&path, u64::MAX).is_err());
}

const CHILD: &str = "CANDOR_TEST_STORE_CHILD";

/// Not a test of its own: the process that the test below kills. Alone it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn child_that_stores_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = Arc::new(ReceiptStore::open(Path::new(&path), u64::MAX).unwrap());
    let first = store.latest(1).unwrap().len() as u64 * 1_000_000;
    let writers = (0..4).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0_u64.. {
                let one = numbered(first + number * 4 + writer);
                store.put(std::slice::from_ref(&one)).await.unwrap();
                // One write call, so that a line is whole or absent.
                let line = format!("{CHILD} {}\n", one.receipt.id());
                std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[test]
fn what_a_killed_process_said_it_stored_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipts.redb");
    let mut said: Vec<ReceiptId> = Vec::new();
    // Killed early, later and latest; the second and third also open what a killed process left.
    for lines in [1, 40, 150] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::child_that_stores_until_it_is_killed", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut ids = output.lines().map_while(Result::ok).filter_map(|line| {
            let (_, id) = line.split_once(CHILD)?;
            Some(ReceiptId::new(id.trim().parse().ok()?))
        });
        said.extend(ids.by_ref().take(lines));
        child.kill().unwrap();
        // What was still in the pipe was said too.
        said.extend(ids);
        child.wait().unwrap();
    }
    assert!(said.len() >= 191);
    let store = ReceiptStore::open(&path, u64::MAX).unwrap();
    for id in said {
        let stored = store.get(id).unwrap().unwrap();
        assert_eq!(stored.receipt.id(), id);
        stored.receipt.verify().unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_storing_goes_on_when_there_is_room() {
    let disk = SmallDisk::new(u64::MAX);
    let store = {
        let disk = disk.clone();
        ReceiptStore::with_opener(u64::MAX, Box::new(move || disk.open())).unwrap()
    };
    let mut kept = Vec::new();
    for number in 0..20 {
        let one = numbered(number);
        store.put(std::slice::from_ref(&one)).await.unwrap();
        kept.push(one);
    }
    disk.set_room(disk.used() / 4);
    let mut refused = Vec::new();
    for number in 20..400 {
        let one = numbered(number);
        match store.put(std::slice::from_ref(&one)).await {
            Ok(()) => kept.push(one),
            Err(error) => {
                assert!(matches!(error, StoreError::Full), "{error}");
                assert_eq!(error.to_api().status(), 507);
                refused.push(one);
                let first = store.get(kept[0].receipt.id()).unwrap();
                assert_eq!(first.as_ref(), Some(&kept[0]), "what is stored can be read all the while");
            }
        }
    }
    assert!(refused.len() > 10, "the disk did fill up");
    disk.set_room(u64::MAX);
    let late = numbered(1_000);
    store.put(std::slice::from_ref(&late)).await.unwrap();
    kept.push(late);
    for one in &kept {
        assert_eq!(store.get(one.receipt.id()).unwrap().as_ref(), Some(one));
    }
    for one in &refused {
        assert_eq!(store.get(one.receipt.id()).unwrap(), None, "who was told of a failure finds nothing");
    }
}
