package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

var saramaCases = []testCase{
	{"sarama-produce", "", saramaProduce},
	{"sarama-group-range", "groups", func() error { return saramaGroup(sarama.NewBalanceStrategyRange()) }},
	{"sarama-group-cooperative", "groups", func() error { return saramaGroup(sarama.NewBalanceStrategyCooperativeSticky()) }},
	{"sarama-admin", "groups", saramaAdmin},
}

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Interval = 100 * time.Millisecond
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	return config
}

// saramaTopic makes a topic and fills each of its partitions with values "PARTITION/N".
func saramaTopic(partitions int32, each int) (string, error) {
	topic := newName("sarama")
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig())
	if err != nil {
		return "", err
	}
	defer admin.Close()
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false); err != nil {
		return "", err
	}
	return topic, saramaFill(topic, partitions, 0, each)
}

func saramaFill(topic string, partitions int32, from, to int) error {
	producer, err := sarama.NewSyncProducer([]string{bootstrap}, saramaConfig())
	if err != nil {
		return err
	}
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for partition := range partitions {
		for n := from; n < to; n++ {
			value := sarama.StringEncoder(fmt.Sprintf("%d/%d", partition, n))
			messages = append(messages, &sarama.ProducerMessage{Topic: topic, Partition: partition, Value: value})
		}
	}
	return producer.SendMessages(messages)
}

func saramaProduce() error {
	topic, err := saramaTopic(1, 100)
	if err != nil {
		return err
	}
	consumer, err := sarama.NewConsumer([]string{bootstrap}, saramaConfig())
	if err != nil {
		return err
	}
	defer consumer.Close()
	part, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	defer part.Close()
	for n := range 100 {
		found := <-part.Messages()
		if err := first(same(found.Offset, int64(n), "offset"), same(string(found.Value), fmt.Sprintf("0/%d", n), "value")); err != nil {
			return err
		}
	}
	return nil
}

// A saramaMember is one member of a group; what it reads goes into a log shared by all.
type saramaMember struct {
	group  sarama.ConsumerGroup
	cancel context.CancelFunc
	ended  chan error
	log    *readLog
	claims sync.Map
}

func saramaJoin(name, topic string, strategy sarama.BalanceStrategy, log *readLog) (*saramaMember, error) {
	config := saramaConfig()
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	group, err := sarama.NewConsumerGroup([]string{bootstrap}, name, config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	member := &saramaMember{group: group, cancel: cancel, ended: make(chan error, 1), log: log}
	go func() {
		for ctx.Err() == nil {
			if err := group.Consume(ctx, []string{topic}, member); err != nil {
				member.ended <- err
				return
			}
		}
		member.ended <- nil
	}()
	return member, nil
}

func (m *saramaMember) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (m *saramaMember) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	m.claims.Store(claim.Partition(), true)
	defer m.claims.Delete(claim.Partition())
	for {
		select {
		case message, more := <-claim.Messages():
			if !more {
				return nil
			}
			m.log.add(message.Partition, message.Offset)
			session.MarkMessage(message, "")
		case <-session.Context().Done():
			return nil
		}
	}
}

func (m *saramaMember) owns() (count int) {
	m.claims.Range(func(any, any) bool { count++; return true })
	return count
}

func (m *saramaMember) leave() error {
	m.cancel()
	return first(<-m.ended, m.group.Close())
}

func saramaGroup(strategy sarama.BalanceStrategy) error {
	topic, err := saramaTopic(6, 50)
	if err != nil {
		return err
	}
	name, log := newName("group"), newReadLog()
	one, err := saramaJoin(name, topic, strategy, log)
	if err != nil {
		return err
	}
	if err := until("all partitions at one", func() bool { return one.owns() == 6 && log.whole(6, 50) }); err != nil {
		return err
	}
	two, err := saramaJoin(name, topic, strategy, log)
	if err != nil {
		return err
	}
	if err := until("three partitions each", func() bool { return one.owns() == 3 && two.owns() == 3 }); err != nil {
		return err
	}
	if err := first(saramaFill(topic, 6, 50, 80), until("the rest", func() bool { return log.whole(6, 80) })); err != nil {
		return err
	}
	if err := first(one.leave(), until("all partitions at two", func() bool { return two.owns() == 6 })); err != nil {
		return err
	}
	if err := two.leave(); err != nil {
		return err
	}
	return saramaCommitted(name, topic, 6, 80)
}

func saramaCommitted(group, topic string, partitions int32, offset int64) error {
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig())
	if err != nil {
		return err
	}
	defer admin.Close()
	found, err := admin.ListConsumerGroupOffsets(group, nil)
	if err != nil {
		return err
	}
	for partition := range partitions {
		if err := same(found.GetBlock(topic, partition).Offset, offset, fmt.Sprintf("committed in %d", partition)); err != nil {
			return err
		}
	}
	return nil
}

func saramaAdmin() error {
	topic, err := saramaTopic(2, 10)
	if err != nil {
		return err
	}
	name, log := newName("group"), newReadLog()
	member, err := saramaJoin(name, topic, sarama.NewBalanceStrategySticky(), log)
	if err != nil {
		return err
	}
	if err := until("all records", func() bool { return log.whole(2, 10) }); err != nil {
		return err
	}
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig())
	if err != nil {
		return err
	}
	defer admin.Close()
	listed, err := admin.ListConsumerGroups()
	if err := first(err, same(listed[name], "consumer", "protocol type")); err != nil {
		return err
	}
	told, err := admin.DescribeConsumerGroups([]string{name})
	if err != nil {
		return err
	}
	if err := first(same(told[0].State, "Stable", "state"), same(told[0].Protocol, "sticky", "protocol"), same(len(told[0].Members), 1, "members")); err != nil {
		return err
	}
	if err := admin.DeleteConsumerGroup(name); err != sarama.ErrNonEmptyGroup {
		return fmt.Errorf("deleting a group with members: %v", err)
	}
	if err := first(member.leave(), admin.DeleteConsumerGroupOffset(name, topic, 0)); err != nil {
		return err
	}
	offsets, err := admin.ListConsumerGroupOffsets(name, nil)
	if err != nil {
		return err
	}
	left := offsets.Blocks[topic]
	if err := same(len(left), 1, "offsets after one was deleted"); err != nil {
		return err
	}
	return first(same(left[1].Offset, int64(10), "the other"), admin.DeleteConsumerGroup(name))
}
