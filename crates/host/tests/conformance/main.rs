//! What both machines promise, checked on both with the same code.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
mod files;
mod lanes;
mod streams;
mod tasks;

use std::path::PathBuf;

use host::sim::{NodeOptions, Sim};
use host::{Host, real};

fn on_real<F: Future<Output = ()>>(check: impl FnOnce(Host, PathBuf) -> F) {
    let dir = tempfile::tempdir().unwrap();
    let options = real::Options { shards: 2, ..real::Options::default() };
    real::run(options, |host| check(host, dir.path().to_owned())).unwrap();
}

fn on_sim<F: Future<Output = ()>>(check: impl Fn(Host, PathBuf) -> F) {
    for seed in 0..5 {
        let sim = Sim::new(seed);
        let host = sim.node("node", NodeOptions::default());
        let dir = PathBuf::from("/data");
        host.disk.files().create_dir_all(&dir).unwrap();
        sim.block_on_node("node", check(host, dir));
    }
}

/// Makes a test of every check for every machine.
macro_rules! conformance {
    ($($module:ident: $($check:ident)*;)*) => {
        mod on_the_real_machine {
            $($(#[test] fn $check() { super::on_real(super::$module::$check); })*)*
        }
        mod in_the_simulation {
            $($(#[test] fn $check() { super::on_sim(super::$module::$check); })*)*
        }
    };
}

conformance! {
    files:
        reads_what_was_written
        reads_stop_at_the_end
        lengths
        open_modes
        direct_files
        many_pieces
        directories
        renames_replace
        removed_files_stay_open
        replace_and_read
        locks
        errors_name_the_path
        space_and_allocation;
    lanes:
        in_order
        read_write_sync
        call_gets_files
        panicking_call
        dropped_lane_finishes
        two_lanes;
    streams:
        echo
        backpressure
        end_of_stream
        peer_gone
        refused
        taken_port
        addresses
        served_on_a_shard
        send_file
        send_short_file
        many_connections;
    tasks:
        places
        tasks_run_to_their_end
        abort_drops_the_future
        abort_before_the_first_poll
        timers_fire_in_order
        clocks
        randomness
        yields_to_others;
}
