//! `cargo bench -p odograph-bench`; one of them: `cargo bench -p odograph-bench -- teltonika`.

#![allow(missing_docs, reason = "criterion's macros write items without documentation")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use odograph_bench::{Decoding, GROUP, Reading, Receiving, TELTONIKA_RECORDS, Writing, gt06, teltonika, wialon};

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let cases =
        [("teltonika", teltonika(), usize::from(TELTONIKA_RECORDS)), ("gt06", gt06(), 1), ("wialon", wialon(), 1)];
    for (protocol, frame, records) in cases {
        let mut decoding = Decoding::new(protocol, frame);
        assert_eq!(decoding.once(), records, "{protocol}");
        group.throughput(Throughput::Elements(records as u64));
        group.bench_function(protocol, |bencher| bencher.iter(|| decoding.once()));
    }
}

fn journal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal");
    group.throughput(Throughput::Elements(GROUP as u64)).sample_size(50);
    let frame = teltonika();
    let group_of = |writing: &mut Writing| writing.group(&frame);
    group.bench_function("append and commit", |bencher| {
        bencher.iter_batched_ref(Writing::default, group_of, BatchSize::PerIteration);
    });
}

fn connection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("connection");
    group.throughput(Throughput::Elements(GROUP as u64)).sample_size(50);
    let frame = teltonika();
    let group_of = |receiving: &mut Receiving| {
        let answered = receiving.group(&frame);
        assert_eq!(answered, 4 * GROUP, "each frame is answered with the number of its records");
    };
    group.bench_function("receive, commit and release", |bencher| {
        bencher.iter_batched_ref(Receiving::default, group_of, BatchSize::PerIteration);
    });
    group.bench_function("receive, commit, release and hand over", |bencher| {
        bencher.iter_batched_ref(Receiving::with_ring, |(receiving, _)| group_of(receiving), BatchSize::PerIteration);
    });
}

fn history(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("history");
    let records = GROUP as u64 * u64::from(TELTONIKA_RECORDS);
    group.throughput(Throughput::Elements(records)).sample_size(50);
    for (name, live) in [("as it came", true), ("decoded again", false)] {
        group.bench_function(name, |bencher| {
            let read = |reading: &mut Reading| {
                assert_eq!(reading.read(), records);
                assert_eq!(reading.live_frames(), if live { GROUP as u64 } else { 0 });
            };
            bencher.iter_batched_ref(|| Reading::new(live), read, BatchSize::PerIteration);
        });
    }
}

criterion_group!(benches, decode, journal, connection, history);
criterion_main!(benches);
