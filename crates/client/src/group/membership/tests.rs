use std::sync::Arc;

use bytes::Bytes;
use protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use protocol::messages::join_group_response::JoinGroupResponseMember;

use super::*;
use crate::group::assignor::Assignor;
use crate::group::embedded;
use crate::group::options::GroupOptions;

const TOPIC: Uuid = Uuid::from_bytes([7; 16]);
const PAUSE: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);

/// A machine, and the time that it sees.
struct Driven<M> {
    machine: M,
    now: Instant,
}

impl<M: Membership> Driven<M> {
    fn ask(&mut self) -> Ask {
        match self.machine.next(self.now) {
            Step::Ask(ask) => ask,
            other => panic!("{other:?}"),
        }
    }

    fn change(&mut self) -> Change {
        match self.machine.next(self.now) {
            Step::Change(change) => change,
            other => panic!("{other:?}"),
        }
    }

    /// Nothing is to be done; time goes on until something is.
    fn wait(&mut self) -> Duration {
        match self.machine.next(self.now) {
            Step::Wait(until) => {
                let wait = until.since(self.now);
                self.now = until;
                wait
            }
            other => panic!("{other:?}"),
        }
    }

    fn hears(&mut self, told: Told) -> Verdict {
        self.machine.answered(Ok(told), self.now, PAUSE).unwrap()
    }

    fn learns(&mut self, partitions: i32) {
        assert!(matches!(self.machine.next(self.now), Step::Learn(topics) if topics == ["t"]));
        self.machine.learned(&[Learned { name: Str::from("t"), id: TOPIC, partitions }], self.now);
    }

    fn epoch(&self) -> Option<i32> {
        self.machine.identity().epoch
    }
}

fn partitions(indexes: &[i32]) -> BTreeSet<TopicPartition> {
    indexes.iter().map(|index| TopicPartition::new("t", *index)).collect()
}

fn take(indexes: &[i32]) -> Change {
    Change { take: partitions(indexes), ..Change::default() }
}

fn give(indexes: &[i32], lost: bool) -> Change {
    Change { give: partitions(indexes), lost, ..Change::default() }
}

fn options(change: impl FnOnce(&mut GroupOptions)) -> Arc<GroupOptions> {
    let mut options = GroupOptions::new("g", ["t"]);
    change(&mut options);
    Arc::new(options)
}

mod consumer_protocol {
    use super::*;

    fn modern() -> Driven<Modern> {
        Driven { machine: Modern::new(options(|_| {}), Str::from("me"), Instant::ZERO), now: Instant::ZERO }
    }

    fn beat(epoch: i32, assignment: Option<&[i32]>) -> Told {
        let assigned = |indexes: &[i32]| Assignment {
            topic_partitions: vec![TopicPartitions { topic_id: TOPIC, partitions: indexes.to_vec() }],
        };
        Told::Beat(ConsumerGroupHeartbeatResponse {
            member_epoch: epoch,
            heartbeat_interval_ms: 5000,
            assignment: assignment.map(assigned),
            ..Default::default()
        })
    }

    fn refusal(code: ErrorCode) -> Told {
        Told::Beat(ConsumerGroupHeartbeatResponse { error_code: code.code(), ..Default::default() })
    }

    /// The heartbeat that is due: its epoch, whether it says what is read, and the partitions that it tells.
    fn said(driven: &mut Driven<Modern>) -> (i32, bool, Option<Vec<i32>>) {
        let Ask::Beat(request) = driven.ask() else { panic!() };
        assert_eq!((request.group_id.as_str(), request.member_id.as_str()), ("g", "me"));
        let told = request
            .topic_partitions
            .map(|topics| topics.into_iter().flat_map(|one| one.partitions).collect());
        (request.member_epoch, request.subscribed_topic_names.is_some(), told)
    }

    /// Has joined and has these partitions.
    fn member(indexes: &[i32]) -> Driven<Modern> {
        let mut driven = modern();
        assert_eq!(said(&mut driven), (0, true, Some(vec![])));
        assert_eq!(driven.epoch(), None);
        driven.hears(beat(1, Some(indexes)));
        driven.learns(4);
        assert_eq!(driven.change(), take(indexes));
        driven.machine.changed(driven.now);
        assert_eq!(said(&mut driven), (1, false, Some(indexes.to_vec())), "acknowledged at once");
        driven.hears(beat(1, None));
        driven
    }

    #[test]
    fn a_member_says_what_is_new_and_nothing_else() {
        let mut driven = member(&[0, 1]);
        assert_eq!(driven.epoch(), Some(1));
        assert_eq!(driven.wait(), 5 * SECOND);
        assert_eq!(said(&mut driven), (1, false, None));
        // Answers that do not come, and a coordinator that moved, cost what it knew.
        for (result, verdict) in [
            (Err(Error::TimedOut { address: String::new(), api: "", ms: 1 }), Verdict::Elsewhere),
            (Ok(refusal(ErrorCode::NotCoordinator)), Verdict::Elsewhere),
            (Ok(refusal(ErrorCode::CoordinatorLoadInProgress)), Verdict::Again),
        ] {
            assert_eq!(driven.machine.answered(result, driven.now, PAUSE).unwrap(), verdict);
            assert_eq!(driven.wait(), PAUSE);
            assert_eq!(said(&mut driven), (1, true, Some(vec![0, 1])), "{verdict:?}");
        }
    }

    #[test]
    fn what_goes_is_told_when_it_is_gone_and_heartbeats_go_on_meanwhile() {
        let mut driven = member(&[0, 1]);
        driven.wait();
        said(&mut driven);
        driven.hears(beat(1, Some(&[1])));
        assert_eq!(driven.change(), give(&[0], false));
        assert_eq!(driven.wait(), 5 * SECOND);
        assert_eq!(said(&mut driven), (1, false, None), "not yet");
        driven.hears(beat(1, None));
        driven.machine.changed(driven.now);
        assert_eq!(said(&mut driven), (1, false, Some(vec![1])));
        driven.hears(beat(2, Some(&[1, 3])));
        assert_eq!(driven.epoch(), Some(2));
        assert_eq!(driven.change(), take(&[3]));
    }

    /// A failure while partitions are being given up must not tell that they have been.
    #[test]
    fn a_heartbeat_that_is_repeated_in_between_tells_what_is_still_there() {
        let mut driven = member(&[0, 1]);
        driven.wait();
        said(&mut driven);
        driven.hears(beat(1, Some(&[1])));
        driven.change();
        driven.wait();
        said(&mut driven);
        driven.hears(refusal(ErrorCode::CoordinatorNotAvailable));
        driven.wait();
        assert_eq!(said(&mut driven), (1, true, Some(vec![0, 1])));
    }

    #[test]
    fn who_is_fenced_loses_everything_and_joins_again() {
        for code in [ErrorCode::FencedMemberEpoch, ErrorCode::UnknownMemberId] {
            let mut driven = member(&[0, 1]);
            driven.wait();
            said(&mut driven);
            assert_eq!(driven.hears(refusal(code)), Verdict::Again);
            assert_eq!(driven.epoch(), None, "nothing is committed any more");
            assert_eq!(driven.change(), give(&[0, 1], true));
            driven.wait();
            driven.machine.changed(driven.now);
            assert_eq!(said(&mut driven), (0, true, Some(vec![])));
        }
        // While it gives up something already.
        let mut driven = member(&[0, 1]);
        driven.wait();
        said(&mut driven);
        driven.hears(beat(1, Some(&[1])));
        driven.change();
        driven.wait();
        said(&mut driven);
        driven.hears(refusal(ErrorCode::FencedMemberEpoch));
        driven.wait();
        driven.machine.changed(driven.now);
        assert_eq!(driven.change(), give(&[1], true));
    }

    #[test]
    fn what_does_not_pass_is_the_end() {
        for code in [
            ErrorCode::UnreleasedInstanceId,
            ErrorCode::FencedInstanceId,
            ErrorCode::GroupAuthorizationFailed,
            ErrorCode::GroupMaxSizeReached,
            ErrorCode::UnsupportedAssignor,
            ErrorCode::InvalidRequest,
        ] {
            let mut driven = modern();
            said(&mut driven);
            let error = driven.machine.answered(Ok(refusal(code)), driven.now, PAUSE).unwrap_err();
            assert_eq!(error.code(), Some(code));
        }
    }

    #[test]
    fn a_topic_whose_name_is_not_known_is_asked_about_until_it_is() {
        let mut driven = modern();
        said(&mut driven);
        driven.hears(beat(1, Some(&[0])));
        assert!(matches!(driven.machine.next(driven.now), Step::Learn(_)));
        driven.machine.learned(&[], driven.now);
        assert_eq!(driven.wait(), SECOND);
        driven.learns(1);
        assert_eq!(driven.change(), take(&[0]));
    }

    #[test]
    fn a_static_member_leaves_for_a_while() {
        let epoch = |instance_id: Option<&str>| {
            let options = options(|options| options.instance_id = instance_id.map(Str::from));
            let mut driven =
                Driven { machine: Modern::new(options, Str::from("me"), Instant::ZERO), now: Instant::ZERO };
            assert_eq!(driven.machine.leave(), None, "it has not joined");
            driven.ask();
            driven.hears(beat(1, None));
            let Some(Ask::Beat(request)) = driven.machine.leave() else { panic!() };
            request.member_epoch
        };
        assert_eq!((epoch(None), epoch(Some("a"))), (-1, -2));
    }
}

mod classic_protocol {
    use super::*;

    fn classic(assignors: &[Assignor]) -> Driven<Classic> {
        let options = options(|options| options.assignors = assignors.to_vec());
        Driven { machine: Classic::new(options, 300 * SECOND, Instant::ZERO), now: Instant::ZERO }
    }

    fn joined(
        generation: i32,
        assignor: Assignor,
        leader: &str,
        members: Vec<JoinGroupResponseMember>,
    ) -> Told {
        Told::Join(JoinGroupResponse {
            generation_id: generation,
            protocol_name: Some(Str::from(assignor.name())),
            leader: Str::from(leader),
            member_id: Str::from("me"),
            members,
            ..Default::default()
        })
    }

    fn synced(indexes: &[i32]) -> Told {
        let assignment = [(Str::from("me"), partitions(indexes))].into();
        let one = embedded::assignments(&assignment).remove(0);
        Told::Sync(SyncGroupResponse { assignment: one.assignment, ..Default::default() })
    }

    fn beaten(code: ErrorCode) -> Told {
        Told::Heartbeat(HeartbeatResponse { error_code: code.code(), ..Default::default() })
    }

    fn join(driven: &mut Driven<Classic>) -> JoinGroupRequest {
        match driven.ask() {
            Ask::Join(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn sync(driven: &mut Driven<Classic>) -> SyncGroupRequest {
        match driven.ask() {
            Ask::Sync(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn heartbeat(driven: &mut Driven<Classic>) {
        assert!(matches!(driven.ask(), Ask::Heartbeat(_)));
    }

    /// Has joined as a follower and has these partitions.
    fn member(assignor: Assignor, indexes: &[i32]) -> Driven<Classic> {
        let mut driven = classic(&[assignor]);
        join(&mut driven);
        driven.hears(joined(1, assignor, "other", vec![]));
        assert_eq!(sync(&mut driven).assignments, []);
        driven.hears(synced(indexes));
        assert_eq!(driven.change(), take(indexes));
        driven.machine.changed(driven.now);
        assert_eq!(driven.wait(), 3 * SECOND);
        heartbeat(&mut driven);
        driven
    }

    #[test]
    fn a_member_joins_with_the_id_that_it_is_given() {
        let mut driven = classic(&[Assignor::Range]);
        assert_eq!(join(&mut driven).member_id, "");
        let required = JoinGroupResponse {
            error_code: ErrorCode::MemberIdRequired.code(),
            member_id: Str::from("me"),
            ..Default::default()
        };
        driven.hears(Told::Join(required));
        assert_eq!(join(&mut driven).member_id, "me");
        assert_eq!(driven.epoch(), None);
    }

    #[test]
    fn the_leader_assigns_and_assigns_anew_when_a_topic_grows() {
        let mut driven = classic(&[Assignor::Range]);
        let metadata = join(&mut driven).protocols.remove(0).metadata;
        let member = |id: &str, metadata: &Bytes| JoinGroupResponseMember {
            member_id: Str::from(id),
            metadata: metadata.clone(),
            ..Default::default()
        };
        // What one member says cannot be read.
        let members = vec![member("me", &metadata), member("you", &metadata), member("odd", &Bytes::new())];
        driven.hears(joined(1, Assignor::Range, "me", members));
        driven.learns(3);
        let request = sync(&mut driven);
        let assigned = |place: usize| embedded::assigned(&request.assignments[place].assignment).unwrap();
        assert_eq!(request.assignments[0].member_id, "me");
        assert_eq!(
            [assigned(0), assigned(1), assigned(2)],
            [partitions(&[0, 1]), partitions(&[]), partitions(&[2])]
        );
        driven.hears(synced(&[0, 1]));
        driven.change();
        driven.machine.changed(driven.now);
        for partitions in [3, 4] {
            driven.now = driven.now.after(300 * SECOND);
            heartbeat(&mut driven);
            driven.hears(beaten(ErrorCode::None));
            driven.learns(partitions);
        }
        assert_eq!(driven.change(), give(&[0, 1], false), "and joins then");
    }

    #[test]
    fn an_eager_member_has_nothing_when_it_joins() {
        let mut driven = member(Assignor::Range, &[0, 1]);
        driven.hears(beaten(ErrorCode::RebalanceInProgress));
        assert_eq!(driven.change(), give(&[0, 1], false));
        assert_eq!(driven.epoch(), Some(1), "what was read is committed");
        // Meanwhile its session goes on.
        driven.wait();
        heartbeat(&mut driven);
        driven.hears(beaten(ErrorCode::RebalanceInProgress));
        driven.machine.changed(driven.now);
        assert_eq!(join(&mut driven).member_id, "me");
    }

    #[test]
    fn a_cooperative_member_keeps_what_it_has_and_joins_again_when_it_gave_something_up() {
        let mut driven = member(Assignor::CooperativeSticky, &[0, 1]);
        driven.hears(beaten(ErrorCode::RebalanceInProgress));
        let request = join(&mut driven);
        let member =
            JoinGroupResponseMember { metadata: request.protocols[0].metadata.clone(), ..Default::default() };
        let reader = embedded::readers(&[member]).remove(0);
        assert_eq!((reader.owned, reader.generation), (partitions(&[0, 1]), 1));
        driven.hears(joined(2, Assignor::CooperativeSticky, "other", vec![]));
        sync(&mut driven);
        driven.hears(synced(&[1]));
        assert_eq!(driven.change(), give(&[0], false));
        driven.machine.changed(driven.now);
        join(&mut driven);
        driven.hears(joined(3, Assignor::CooperativeSticky, "other", vec![]));
        sync(&mut driven);
        driven.hears(synced(&[1]));
        assert_eq!(driven.change(), Change::default());
        driven.machine.changed(driven.now);
        driven.wait();
        heartbeat(&mut driven);
    }

    #[test]
    fn who_is_not_known_loses_everything() {
        for (code, id) in [(ErrorCode::UnknownMemberId, ""), (ErrorCode::IllegalGeneration, "me")] {
            for assignor in [Assignor::Range, Assignor::CooperativeSticky] {
                let mut driven = member(assignor, &[0, 1]);
                assert_eq!(driven.hears(beaten(code)), Verdict::Again);
                assert_eq!(driven.change(), give(&[0, 1], true));
                assert_eq!(driven.epoch(), None, "nothing is committed any more");
                driven.now = driven.now.after(PAUSE);
                driven.machine.changed(driven.now);
                assert_eq!(join(&mut driven).member_id, id);
            }
        }
        // While it gives up what it has anyway.
        let mut driven = member(Assignor::Range, &[0, 1]);
        driven.hears(beaten(ErrorCode::RebalanceInProgress));
        driven.change();
        driven.wait();
        heartbeat(&mut driven);
        driven.hears(beaten(ErrorCode::UnknownMemberId));
        driven.now = driven.now.after(PAUSE);
        driven.machine.changed(driven.now);
        assert_eq!(join(&mut driven).member_id, "");
    }

    #[test]
    fn a_round_that_is_over_is_joined_anew() {
        let refusals = [
            (ErrorCode::RebalanceInProgress, Verdict::Well, "me"),
            (ErrorCode::NotCoordinator, Verdict::Elsewhere, "me"),
            (ErrorCode::CoordinatorLoadInProgress, Verdict::Again, "me"),
            (ErrorCode::IllegalGeneration, Verdict::Again, "me"),
            (ErrorCode::UnknownMemberId, Verdict::Again, ""),
        ];
        for (code, verdict, id) in refusals {
            let mut driven = classic(&[Assignor::Range]);
            join(&mut driven);
            driven.hears(joined(1, Assignor::Range, "other", vec![]));
            sync(&mut driven);
            let refusal = SyncGroupResponse { error_code: code.code(), ..Default::default() };
            assert_eq!(driven.hears(Told::Sync(refusal)), verdict, "{code}");
            driven.now = driven.now.after(PAUSE);
            assert_eq!(join(&mut driven).member_id, id, "{code}");
        }
    }

    #[test]
    fn what_does_not_pass_is_the_end() {
        for code in [
            ErrorCode::InconsistentGroupProtocol,
            ErrorCode::GroupAuthorizationFailed,
            ErrorCode::GroupMaxSizeReached,
            ErrorCode::InvalidSessionTimeout,
            ErrorCode::FencedInstanceId,
        ] {
            let mut driven = classic(&[Assignor::Range]);
            join(&mut driven);
            let refusal = JoinGroupResponse { error_code: code.code(), ..Default::default() };
            let error = driven.machine.answered(Ok(Told::Join(refusal)), driven.now, PAUSE).unwrap_err();
            assert_eq!(error.code(), Some(code));
        }
    }

    #[test]
    fn a_static_member_says_nothing_when_it_leaves() {
        assert_eq!(classic(&[Assignor::Range]).machine.leave(), None, "it has not joined");
        let driven = member(Assignor::Range, &[0]);
        let Some(Ask::Leave(request)) = driven.machine.leave() else { panic!() };
        assert_eq!(request.members[0].member_id, "me");
        let options = options(|options| options.instance_id = Some(Str::from("a")));
        let mut driven = Driven { machine: Classic::new(options, SECOND, Instant::ZERO), now: Instant::ZERO };
        join(&mut driven);
        driven.hears(joined(1, Assignor::Range, "other", vec![]));
        assert_eq!(driven.machine.leave(), None);
    }
}
