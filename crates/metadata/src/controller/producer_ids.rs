//! Blocks of producer ids.

use std::ops::Range;

use protocol::{ErrorCode, NodeId};

use super::brokers::check_epoch;
use super::{Decision, Refusal};
use crate::Image;
use crate::record::Record;

/// Ids that a broker is given at a time.
pub const PRODUCER_ID_BLOCK: i64 = 1000;

/// A block of ids that nobody was given before and nobody is given after.
pub fn allocate_producer_ids(
    image: &Image,
    node_id: NodeId,
    broker_epoch: i64,
) -> Result<Decision<Range<i64>>, Refusal> {
    check_epoch(image, node_id, broker_epoch)?;
    let first = image.producer_ids().map_or(0, |block| block.next);
    let next = first
        .checked_add(PRODUCER_ID_BLOCK)
        .filter(|_| first >= 0)
        .ok_or_else(|| Refusal::new(ErrorCode::UnknownServerError, "all producer ids are given away"))?;
    Ok((vec![Record::ProducerIds { next_producer_id: next, node_id, broker_epoch }], first..next))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn ids_are_given_once() {
        let mut fixture = Fixture::new();
        let epoch = fixture.image.broker(NodeId(1)).unwrap().epoch;
        let mut next = 0;
        for _ in 0..3 {
            let (records, block) = allocate_producer_ids(&fixture.image, NodeId(1), epoch).unwrap();
            assert_eq!(block, next..next + 1000);
            next = block.end;
            fixture.apply(&records);
            fixture.image = Image::from_records(&fixture.image.to_records()).unwrap();
        }
        for (node, epoch, code) in
            [(1, epoch - 1, ErrorCode::StaleBrokerEpoch), (2, epoch, ErrorCode::BrokerIdNotRegistered)]
        {
            assert_eq!(allocate_producer_ids(&fixture.image, NodeId(node), epoch).unwrap_err().code, code);
        }
        let last =
            Record::ProducerIds { next_producer_id: i64::MAX - 5, node_id: NodeId(1), broker_epoch: 1 };
        fixture.apply(&[last]);
        let refusal = allocate_producer_ids(&fixture.image, NodeId(1), epoch).unwrap_err();
        assert_eq!(refusal.message, "all producer ids are given away");
    }
}
