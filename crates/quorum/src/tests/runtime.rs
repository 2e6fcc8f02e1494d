//! openraft's suite for runtimes, as far as it needs no thread to block, on both machines.

use host::sim::{NodeOptions, Sim};
use host::{Place, real};
use openraft::testing::runtime::Suite;

use crate::runtime::HostRuntime;

type Checks = Suite<HostRuntime>;

async fn tasks_and_time() {
    Checks::test_spawn_join_handle().await;
    Checks::test_sleep().await;
    Checks::test_instant().await;
    Checks::test_instant_arithmetic().await;
    Checks::test_instant_sub_instant().await;
    Checks::test_instant_saturating_duration_since().await;
    Checks::test_instant_ord().await;
    Checks::test_sleep_until().await;
    Checks::test_timeout().await;
    Checks::test_timeout_at().await;
}

async fn channels() {
    Checks::test_mpsc_recv_empty().await;
    Checks::test_mpsc_recv_channel_closed().await;
    Checks::test_mpsc_weak_sender_wont_prevent_channel_close().await;
    Checks::test_mpsc_weak_sender_upgrade().await;
    Checks::test_mpsc_send().await;
    Checks::test_mpsc_send_to_closed_channel().await;
    Checks::test_mpsc_backpressure().await;
    Checks::test_oneshot_drop_tx().await;
    Checks::test_oneshot().await;
    Checks::test_oneshot_send_from_another_task().await;
    Checks::test_oneshot_send_to_dropped_rx().await;
    Checks::test_mutex().await;
    Checks::test_mutex_contention().await;
}

async fn watches() {
    Checks::test_watch_init_value().await;
    Checks::test_watch_overwrite_init_value().await;
    Checks::test_watch_send_error_no_receiver().await;
    Checks::test_watch_send_if_modified().await;
    Checks::test_watch_wait_until_ge().await;
    Checks::test_watch_wait_until().await;
    Checks::test_watch_changed_marks_as_seen().await;
    Checks::test_watch_borrow_and_update_marks_seen().await;
    Checks::test_watch_changed_returns_immediately_when_unseen().await;
    Checks::test_watch_multiple_receivers().await;
    Checks::test_watch_subscribe().await;
}

async fn all() {
    tasks_and_time().await;
    channels().await;
    watches().await;
}

#[test]
fn openrafts_suite_passes_on_the_real_machine() {
    let options = real::Options { shards: 1, raise_file_limit: false, ..real::Options::default() };
    real::run(options, |host| async move {
        let (send, done) = tokio::sync::oneshot::channel();
        let task = async move {
            all().await;
            send.send(()).unwrap();
        };
        host.spawn(Place::Control, "suite", task);
        done.await.expect("the suite panicked");
    })
    .unwrap();
}

#[test]
fn openrafts_suite_passes_on_the_simulated_machine() {
    let sim = Sim::new(1);
    sim.node("a", NodeOptions::default());
    sim.block_on_node("a", all());
}
