//! These tests run the fuzz targets without a fuzzer. Every seed of the corpus, randomly changed seeds and random bytes
//! go through the harness of `fuzz/`. `FUZZ_CASES` sets the number of random cases (256 each).
//!
//! `ACTIX_GOSSIPSUB_WRITE=1` rewrites the seeds.

use std::{env, fs, path::PathBuf};

use arbitrary::Unstructured;
use proptest::{collection::vec, prelude::*, sample::Index, test_runner::TestRunner};
use testkit::fuzz::{
    self,
    program::{Program, code::LEAVE},
};

/// One of the targets: its folder in the corpus, the function that runs an input, and its seeds.
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
    Unstructured::new(bytes).arbitrary().expect("all bytes decode to a program")
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
        assert!(paths.len() >= 10, "the corpus of {} is missing", self.name);
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
    /// Replaces the rest from an index by the end of another seed.
    Splice(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), any::<u8>()).prop_map(|(index, byte)| Change::Set(index, byte)),
        2 => (index(), vec(any::<u8>(), 1..12)).prop_map(|(index, bytes)| Change::Insert(index, bytes)),
        1 => index().prop_map(Change::Remove),
        1 => index().prop_map(Change::Cut),
        2 => (index(), index(), index()).prop_map(|(index, other, from)| Change::Splice(index, other, from)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change], corpus: &[Vec<u8>]) -> Vec<u8> {
    for change in changes {
        let offset = |index: &Index| index.index(bytes.len() + 1);
        match change {
            Change::Set(_, _) | Change::Remove(_) if bytes.is_empty() => {}
            Change::Set(index, byte) => *index.get_mut(&mut bytes) = *byte,
            Change::Remove(index) => drop(bytes.remove(index.index(bytes.len()))),
            Change::Insert(index, more) => {
                drop(bytes.splice(offset(index)..offset(index), more.iter().copied()))
            }
            Change::Cut(index) => bytes.truncate(offset(index)),
            Change::Splice(index, other, from) => {
                let other = other.get(corpus);
                let part = &other[from.index(other.len() + 1)..];
                drop(bytes.splice(offset(index)..offset(index), part.iter().copied()));
            }
        }
    }
    bytes
}

#[test]
fn all_invariants_are_kept_on_each_seed_of_the_corpus() {
    for target in TARGETS {
        target.corpus().iter().for_each(|seed| (target.run)(seed));
    }
}

#[test]
fn all_invariants_are_kept_on_changed_seeds_and_random_bytes() {
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

/// A misread operation would shift all later operations of its program.
#[test]
fn the_seed_programs_are_decoded_completely() {
    for (name, bytes) in fuzz::engine_seeds::all() {
        let ops = program(&bytes).ops;
        let one_more = program(&[bytes, vec![LEAVE, 3]].concat()).ops;
        assert_eq!(one_more.len(), ops.len() + 1, "{name} ends within an operation");
        assert_eq!(format!("{:?}", one_more.last()), "Some(Leave { topic: 3 })", "{name}");
    }
}

#[test]
fn the_corpus_equals_the_seeds() {
    let is_written = env::var_os("ACTIX_GOSSIPSUB_WRITE").is_some();
    for target in TARGETS {
        for (name, bytes) in (target.seeds)() {
            let file = target.folder().join(name);
            if is_written {
                fs::create_dir_all(target.folder()).expect("the folder is writable");
                fs::write(&file, bytes).expect("the file is writable");
                continue;
            }
            let is_equal = fs::read(&file).is_ok_and(|written| written == bytes);
            assert!(
                is_equal,
                "{} differs: ACTIX_GOSSIPSUB_WRITE=1 cargo test --all-features --test core fuzzing rewrites the seeds",
                file.display()
            );
        }
    }
}
