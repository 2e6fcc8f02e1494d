package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

var transactionCases = []testCase{
	{"sarama-transaction", "transactions", saramaTransaction},
	{"sarama-zombie", "transactions", saramaZombie},
	{"sarama-read-process-write", "transactions", saramaReadProcessWrite},
	{"kafka-go-transaction", "transactions", segmentioTransaction},
	{"franz-read-process-write", "transactions", franzReadProcessWrite},
}

func saramaTransactional(id string) (sarama.SyncProducer, error) {
	config := saramaConfig()
	config.Producer.Idempotent = true
	config.Producer.Transaction.ID = id
	config.Net.MaxOpenRequests = 1
	return sarama.NewSyncProducer([]string{bootstrap}, config)
}

// saramaCommittedValues reads what is committed in partition 0 of a topic, up to the record that says "end".
func saramaCommittedValues(topic string) ([]string, error) {
	config := saramaConfig()
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	producer, err := sarama.NewSyncProducer([]string{bootstrap}, saramaConfig())
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("end")}); err != nil {
		return nil, err
	}
	consumer, err := sarama.NewConsumer([]string{bootstrap}, config)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	part, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	defer part.Close()
	var values []string
	for found := range part.Messages() {
		if string(found.Value) == "end" {
			break
		}
		values = append(values, string(found.Value))
	}
	return values, nil
}

func saramaSend(producer sarama.SyncProducer, topic, value string) error {
	_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)})
	return err
}

func saramaTransaction() error {
	topic, err := saramaTopic(1, 0)
	if err != nil {
		return err
	}
	producer, err := saramaTransactional(newName("transactions"))
	if err != nil {
		return err
	}
	for _, step := range []struct {
		value string
		end   func() error
	}{{"one", producer.CommitTxn}, {"lost", producer.AbortTxn}, {"two", producer.CommitTxn}} {
		if err := first(producer.BeginTxn(), saramaSend(producer, topic, step.value), step.end()); err != nil {
			return fmt.Errorf("%s: %w", step.value, err)
		}
	}
	if err := producer.Close(); err != nil {
		return err
	}
	values, err := saramaCommittedValues(topic)
	return first(err, same(values, []string{"one", "two"}, "committed"))
}

// A second producer of an id takes over: what the first had open is aborted, and it can write no more.
func saramaZombie() error {
	topic, err := saramaTopic(1, 0)
	if err != nil {
		return err
	}
	id := newName("zombie")
	zombie, err := saramaTransactional(id)
	if err != nil {
		return err
	}
	defer zombie.Close()
	if err := first(zombie.BeginTxn(), saramaSend(zombie, topic, "of the zombie")); err != nil {
		return err
	}
	heir, err := saramaTransactional(id)
	if err != nil {
		return err
	}
	defer heir.Close()
	if err := first(heir.BeginTxn(), saramaSend(heir, topic, "of the heir"), heir.CommitTxn()); err != nil {
		return err
	}
	if err := first(saramaSend(zombie, topic, "late"), zombie.CommitTxn()); err == nil {
		return fmt.Errorf("the zombie could commit")
	}
	values, err := saramaCommittedValues(topic)
	return first(err, same(values, []string{"of the heir"}, "committed"))
}

// A saramaCopier copies what its group reads into another topic, a transaction for each message.
type saramaCopier struct {
	producer sarama.SyncProducer
	group    string
	to       string
	copied   int
	wanted   int
	done     context.CancelFunc
}

func (c *saramaCopier) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (c *saramaCopier) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (c *saramaCopier) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		err := first(c.producer.BeginTxn(), saramaSend(c.producer, c.to, string(message.Value)))
		if err := first(err, c.producer.AddMessageToTxn(message, c.group, nil)); err != nil {
			return err
		}
		if c.copied++; c.copied%3 == 0 {
			// Given up and done again: it must not be there twice.
			if err := first(c.producer.AbortTxn(), c.producer.BeginTxn(), saramaSend(c.producer, c.to, string(message.Value))); err != nil {
				return err
			}
			if err := c.producer.AddMessageToTxn(message, c.group, nil); err != nil {
				return err
			}
		}
		if err := c.producer.CommitTxn(); err != nil {
			return err
		}
		if c.copied == c.wanted {
			c.done()
			return nil
		}
	}
	return nil
}

func saramaReadProcessWrite() error {
	from, err := saramaTopic(1, 20)
	if err != nil {
		return err
	}
	to, err := saramaTopic(1, 0)
	if err != nil {
		return err
	}
	config := saramaConfig()
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	name := newName("copiers")
	group, err := sarama.NewConsumerGroup([]string{bootstrap}, name, config)
	if err != nil {
		return err
	}
	defer group.Close()
	producer, err := saramaTransactional(name)
	if err != nil {
		return err
	}
	defer producer.Close()
	ctx, done := context.WithCancel(context.Background())
	copier := &saramaCopier{producer: producer, group: name, to: to, wanted: 20, done: done}
	if err := group.Consume(ctx, []string{from}, copier); err != nil {
		return err
	}
	var expected []string
	for n := range 20 {
		expected = append(expected, fmt.Sprintf("0/%d", n))
	}
	values, err := saramaCommittedValues(to)
	return first(err, same(values, expected, "copied"), saramaCommitted(name, from, 1, 20))
}

// segmentioInit asks again while the coordinator is not there yet, or still ends the transaction before, as callers of
// this client must.
func segmentioInit(client *kafka.Client, id string) (*kafka.InitProducerIDResponse, error) {
	request := &kafka.InitProducerIDRequest{TransactionalID: id, TransactionTimeoutMs: 10000, ProducerID: -1, ProducerEpoch: -1}
	var made *kafka.InitProducerIDResponse
	var err error
	waited := until("the coordinator", func() bool {
		made, err = client.InitProducerID(context.Background(), request)
		var code kafka.Error
		return err != nil || !errors.As(made.Error, &code) || !code.Temporary() && code != kafka.ConcurrentTransactions
	})
	if err := first(waited, err); err != nil {
		return nil, err
	}
	return made, made.Error
}

// The requests of a transaction one by one: offsets of a group, which nobody sees before it is committed.
func segmentioTransaction() error {
	topic, err := segmentioTopic(1, 10)
	if err != nil {
		return err
	}
	ctx, id := context.Background(), newName("transactions")
	client := &kafka.Client{Addr: kafka.TCP(bootstrap)}
	if err := until("the group's coordinator", func() bool {
		found, err := client.FindCoordinator(ctx, &kafka.FindCoordinatorRequest{Key: id, KeyType: kafka.CoordinatorKeyTypeConsumer})
		return err == nil && found.Error == nil
	}); err != nil {
		return err
	}
	for _, step := range []struct {
		commit bool
		offset int64
	}{{false, 3}, {true, 7}} {
		made, err := segmentioInit(client, id)
		if err != nil {
			return err
		}
		who := made.Producer
		added, err := client.AddOffsetsToTxn(ctx, &kafka.AddOffsetsToTxnRequest{
			TransactionalID: id, ProducerID: who.ProducerID, ProducerEpoch: who.ProducerEpoch, GroupID: id,
		})
		if err := first(err, added.Error); err != nil {
			return err
		}
		sent, err := client.TxnOffsetCommit(ctx, &kafka.TxnOffsetCommitRequest{
			TransactionalID: id, GroupID: id, ProducerID: who.ProducerID, ProducerEpoch: who.ProducerEpoch, GenerationID: -1,
			Topics: map[string][]kafka.TxnOffsetCommit{topic: {{Partition: 0, Offset: step.offset}}},
		})
		if err := first(err, sent.Topics[topic][0].Error); err != nil {
			return err
		}
		ended, err := client.EndTxn(ctx, &kafka.EndTxnRequest{
			TransactionalID: id, ProducerID: who.ProducerID, ProducerEpoch: who.ProducerEpoch, Committed: step.commit,
		})
		if err := first(err, ended.Error); err != nil {
			return err
		}
		stale, err := client.EndTxn(ctx, &kafka.EndTxnRequest{
			TransactionalID: id, ProducerID: who.ProducerID + 1000, ProducerEpoch: who.ProducerEpoch, Committed: true,
		})
		if err := first(err); err != nil || !errors.Is(stale.Error, kafka.InvalidProducerIDMapping) {
			return fmt.Errorf("another producer's id: %v, %v", err, stale)
		}
		wanted := int64(-1)
		if step.commit {
			wanted = step.offset
		}
		check := func() bool { return segmentioCommitted(id, topic, 1, wanted) == nil }
		if err := until(fmt.Sprintf("offset %d", wanted), check); err != nil {
			return err
		}
	}
	return nil
}

// Two members of a group copy a topic exactly once; one goes away with a transaction open.
func franzReadProcessWrite() error {
	const partitions, each = 4, 100
	from, err := saramaTopic(partitions, each)
	if err != nil {
		return err
	}
	to, err := saramaTopic(1, 0)
	if err != nil {
		return err
	}
	group := newName("copiers")
	join := func() (*kgo.GroupTransactSession, error) {
		return kgo.NewGroupTransactSession(kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group), kgo.ConsumeTopics(from), kgo.TransactionalID(newName(group)),
			kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RequireStableFetchOffsets(),
			kgo.HeartbeatInterval(200*time.Millisecond), kgo.SessionTimeout(6*time.Second), kgo.FetchMaxWait(200*time.Millisecond),
			kgo.TransactionTimeout(5*time.Second), kgo.Balancers(kgo.CooperativeStickyBalancer()))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 80*time.Second)
	defer cancel()
	copyOnce := func(session *kgo.GroupTransactSession, most int) error {
		wait, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		fetched := session.PollRecords(wait, most)
		if fetched.NumRecords() == 0 {
			return nil
		}
		if err := session.Begin(); err != nil {
			return err
		}
		var copies []*kgo.Record
		fetched.EachRecord(func(record *kgo.Record) { copies = append(copies, &kgo.Record{Topic: to, Value: record.Value}) })
		sent := session.ProduceSync(ctx, copies...).FirstErr()
		_, err := session.End(ctx, kgo.TransactionEndTry(sent == nil))
		return err
	}
	one, err := join()
	if err != nil {
		return err
	}
	for range 3 {
		if err := copyOnce(one, 20); err != nil {
			return err
		}
	}
	two, err := join()
	if err != nil {
		return err
	}
	defer two.Close()
	for range 3 {
		if err := first(copyOnce(one, 10), copyOnce(two, 10)); err != nil {
			return err
		}
	}
	// It has read and written, and is gone.
	if err := one.Begin(); err != nil {
		return err
	}
	if err := one.ProduceSync(ctx, &kgo.Record{Topic: to, Value: []byte("never")}).FirstErr(); err != nil {
		return err
	}
	one.Close()
	done := func() bool {
		if err := copyOnce(two, 50); err != nil {
			return false
		}
		return saramaCommitted(group, from, partitions, each) == nil
	}
	if err := until("all copied", done); err != nil {
		return err
	}
	values, err := saramaCommittedValues(to)
	if err != nil {
		return err
	}
	seen := map[string]int{}
	for _, value := range values {
		seen[value]++
	}
	for partition := range partitions {
		for n := range each {
			if value := fmt.Sprintf("%d/%d", partition, n); seen[value] != 1 {
				return fmt.Errorf("%s is there %d times", value, seen[value])
			}
		}
	}
	return same(len(values), partitions*each, "records")
}
