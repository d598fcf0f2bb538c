//! These tests run the fuzz targets without a fuzzer. Every seed of the corpus, randomly changed seeds and random bytes
//! go through the harness of `fuzz/`. `FUZZ_CASES` sets the number of random cases (256 each).
//!
//! `cargo test --all-features --test core fuzzing -- --ignored` writes the seeds anew.

use std::{env, fs, path::PathBuf};

use arbitrary::Unstructured;
use proptest::{collection::vec, prelude::*, sample::Index, test_runner::TestRunner};
use testkit::fuzz::{
    self,
    program::{Program, code::LEAVE},
};

/// One of the targets: its folder in the corpus, and what runs on its inputs.
struct Target {
    name: &'static str,
    run: fn(&[u8]),
    seeds: fn() -> Vec<(&'static str, Vec<u8>)>,
}

const TARGETS: &[Target] = &[
    Target {
        name: "engine",
        run: |bytes| fuzz::engine::run(&program(bytes)),
        seeds: fuzz::engine_seeds::all,
    },
    #[cfg(feature = "fuzzing")]
    Target { name: "rpc", run: fuzz::rpc::run, seeds: fuzz::rpc_seeds::all },
];

fn program(bytes: &[u8]) -> Program {
    Unstructured::new(bytes).arbitrary().expect("any bytes are a program")
}

impl Target {
    fn folder(&self) -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "fuzz", "corpus", self.name].iter().collect()
    }

    /// The corpus, in the order of the file names.
    fn corpus(&self) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(self.folder()).expect("the corpus is part of the repository");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
        paths.sort();
        assert!(paths.len() >= 10, "the corpus of {} is gone", self.name);
        paths.iter().map(|path| fs::read(path).expect("a readable file")).collect()
    }
}

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index),
    Cut(Index),
    /// Puts a part of another seed in.
    Splice(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<Index>;
    prop_oneof![
        4 => (place(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        2 => (place(), vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => place().prop_map(Change::Remove),
        1 => place().prop_map(Change::Cut),
        2 => (place(), place(), place()).prop_map(|(at, other, from)| Change::Splice(at, other, from)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change], corpus: &[Vec<u8>]) -> Vec<u8> {
    for change in changes {
        let place = |at: &Index| at.index(bytes.len() + 1);
        match change {
            Change::Set(_, _) | Change::Remove(_) if bytes.is_empty() => {}
            Change::Set(at, byte) => *at.get_mut(&mut bytes) = *byte,
            Change::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
            Change::Insert(at, more) => drop(bytes.splice(place(at)..place(at), more.iter().copied())),
            Change::Cut(at) => bytes.truncate(place(at)),
            Change::Splice(at, other, from) => {
                let other = other.get(corpus);
                let part = &other[from.index(other.len() + 1)..];
                drop(bytes.splice(place(at)..place(at), part.iter().copied()));
            }
        }
    }
    bytes
}

#[test]
fn every_seed_of_the_corpus_keeps_the_rules() {
    for target in TARGETS {
        target.corpus().iter().for_each(|seed| (target.run)(seed));
    }
}

#[test]
fn changed_seeds_and_random_bytes_keep_the_rules() {
    let cases = env::var("FUZZ_CASES").map_or(256, |cases| cases.parse().expect("FUZZ_CASES is a number"));
    for target in TARGETS {
        let corpus = target.corpus();
        let changes = || (any::<Index>(), vec(change(), 1..8));
        let strategy = prop_oneof![
            1 => vec(any::<u8>(), 0..400),
            3 => changes().prop_map(|(seed, changes)| changed(seed.get(&corpus).clone(), &changes, &corpus)),
        ];
        let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
        let run = |bytes: Vec<u8>| {
            (target.run)(&bytes);
            Ok(())
        };
        TestRunner::new(config)
            .run(&strategy, run)
            .unwrap_or_else(|error| panic!("{}: {error}", target.name));
    }
}

/// An operation that is misread would make the programs something else than they say.
#[test]
fn the_programs_among_the_seeds_are_read_to_their_end() {
    for (name, bytes) in fuzz::engine_seeds::all() {
        let ops = program(&bytes).ops;
        let one_more = program(&[bytes, vec![LEAVE, 3]].concat()).ops;
        assert_eq!(one_more.len(), ops.len() + 1, "{name} ends within an operation");
        assert_eq!(format!("{:?}", one_more.last()), "Some(Leave { topic: 3 })", "{name}");
    }
}

#[test]
#[ignore = "writes into the repository"]
fn write_the_seeds() {
    for target in TARGETS {
        fs::create_dir_all(target.folder()).expect("a writable repository");
        for (name, bytes) in (target.seeds)() {
            fs::write(target.folder().join(name), bytes).expect("a writable folder");
        }
    }
}
