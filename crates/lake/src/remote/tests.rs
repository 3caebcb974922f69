//! What stands between the lake and a provider's client.

use super::tails::TAIL_BYTES;
use super::*;
use object_store::memory::InMemory;

fn remote() -> (Remote, Arc<InMemory>) {
    let memory = Arc::new(InMemory::new());
    (Remote::new(memory.clone(), "s3://bucket".to_owned(), None), memory)
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn a_large_object_goes_in_parts_and_is_whole() {
    let (remote, memory) = remote();
    let location = Location::from("day=2026-06-01/x.parquet");
    let bytes: Bytes = (0..PART_BYTES * 2 + 7).map(|at| at as u8).collect::<Vec<_>>().into();
    wait(async {
        remote.put(&location, bytes.clone().into()).await.unwrap();
        assert_eq!(memory.get(&location).await.unwrap().bytes().await.unwrap(), bytes);
        assert_eq!(remote.requests(), Requests { puts: 5, ..Requests::default() }, "begun, three parts, completed");
        let one = Bytes::from(vec![1; PART_BYTES]);
        remote.put(&location, one.clone().into()).await.unwrap();
        assert_eq!(remote.requests().puts, 6, "one that fits is put at once");
        assert_eq!(remote.get(&location).await.unwrap().bytes().await.unwrap(), one);
    });
}

#[test]
fn what_is_there_already_is_ours_only_if_it_is_the_same() {
    let (remote, _memory) = remote();
    let entry = Location::from("_delta_log/00000000000000000001.json");
    let create = || PutOptions::from(PutMode::Create);
    wait(async {
        remote.put_opts(&entry, "one".into(), create()).await.unwrap();
        remote.put_opts(&entry, "one".into(), create()).await.unwrap();
        let other = remote.put_opts(&entry, "two".into(), create()).await.unwrap_err();
        assert!(matches!(other, Error::AlreadyExists { .. }), "{other:?}");
        assert_eq!(remote.failures(), 0, "an answer is no trouble");
        let found = remote.get(&entry).await.unwrap().bytes().await.unwrap();
        assert_eq!(found, "one", "and what was not put is not taken for what is there");
    });
}

#[test]
fn of_an_object_that_somebody_else_deleted_nothing_is_known_once_it_is_missed() {
    let (remote, memory) = remote();
    let location = Location::from("day=2026-06-01/x.parquet");
    wait(async {
        memory.put(&location, vec![1; 2 * TAIL_BYTES].into()).await.unwrap();
        let size = 2 * TAIL_BYTES as u64;
        remote.get_range(&location, size - TAIL_BYTES as u64..size).await.unwrap();
        let gets = remote.requests().gets;
        assert_eq!(remote.head(&location).await.unwrap().size, size);
        assert_eq!(remote.requests().gets, gets, "the end that was read says how large it is");
        memory.delete(&location).await.unwrap();
        assert!(matches!(remote.get_range(&location, 0..10).await, Err(Error::NotFound { .. })));
        assert!(matches!(remote.head(&location).await, Err(Error::NotFound { .. })));
    });
}
