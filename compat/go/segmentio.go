package main

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

var segmentioCases = []testCase{
	{"kafka-go-produce", "", segmentioProduce},
	{"kafka-go-group", "groups", segmentioGroup},
	{"kafka-go-generations", "groups", segmentioGenerations},
}

func segmentioTopic(partitions int, each int) (string, error) {
	topic := newName("segmentio")
	client := &kafka.Client{Addr: kafka.TCP(bootstrap)}
	request := &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}}}
	made, err := client.CreateTopics(context.Background(), request)
	if err := first(err, made.Errors[topic]); err != nil {
		return "", err
	}
	writer := &kafka.Writer{Addr: kafka.TCP(bootstrap), Topic: topic, RequiredAcks: kafka.RequireAll, BatchTimeout: 5 * time.Millisecond, Balancer: &kafka.RoundRobin{}}
	defer writer.Close()
	var messages []kafka.Message
	for n := range partitions * each {
		messages = append(messages, kafka.Message{Value: []byte(fmt.Sprint(n))})
	}
	return topic, writer.WriteMessages(context.Background(), messages...)
}

func segmentioProduce() error {
	topic, err := segmentioTopic(1, 100)
	if err != nil {
		return err
	}
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{bootstrap}, Topic: topic, MaxWait: 100 * time.Millisecond})
	defer reader.Close()
	for n := range 100 {
		found, err := reader.ReadMessage(context.Background())
		if err := first(err, same(found.Offset, int64(n), "offset"), same(string(found.Value), fmt.Sprint(n), "value")); err != nil {
			return err
		}
	}
	return nil
}

func segmentioReader(group, topic string) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{bootstrap}, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset, MaxWait: 100 * time.Millisecond,
		HeartbeatInterval: 300 * time.Millisecond, JoinGroupBackoff: 100 * time.Millisecond,
	})
}

// Two readers share a topic; one goes in the middle and the other has the rest.
func segmentioGroup() error {
	topic, err := segmentioTopic(4, 100)
	if err != nil {
		return err
	}
	name, log := newName("group"), newReadLog()
	read := func(reader *kafka.Reader, count int) error {
		for range count {
			found, err := reader.FetchMessage(context.Background())
			if err != nil {
				return err
			}
			log.add(int32(found.Partition), found.Offset)
			if err := reader.CommitMessages(context.Background(), found); err != nil {
				return err
			}
		}
		return nil
	}
	one, two := segmentioReader(name, topic), segmentioReader(name, topic)
	defer two.Close()
	if err := first(read(one, 30), one.Close()); err != nil {
		return err
	}
	for !log.whole(4, 100) {
		if err := read(two, 1); err != nil {
			return err
		}
	}
	return segmentioCommitted(name, topic, 4, 100)
}

func segmentioCommitted(group, topic string, partitions int, offset int64) error {
	client := &kafka.Client{Addr: kafka.TCP(bootstrap)}
	wanted := map[string][]int{topic: nil}
	for partition := range partitions {
		wanted[topic] = append(wanted[topic], partition)
	}
	found, err := client.OffsetFetch(context.Background(), &kafka.OffsetFetchRequest{GroupID: group, Topics: wanted})
	if err := first(err, found.Error); err != nil {
		return err
	}
	for _, part := range found.Topics[topic] {
		if err := same(part.CommittedOffset, offset, fmt.Sprintf("committed in %d", part.Partition)); err != nil {
			return err
		}
	}
	return same(len(found.Topics[topic]), partitions, "partitions")
}

// The plain interface to groups of this client: a generation each time that a member comes or goes.
func segmentioGenerations() error {
	topic, err := segmentioTopic(4, 1)
	if err != nil {
		return err
	}
	name := newName("group")
	join := func() (*kafka.ConsumerGroup, error) {
		return kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
			ID: name, Brokers: []string{bootstrap}, Topics: []string{topic}, HeartbeatInterval: 300 * time.Millisecond,
			JoinGroupBackoff: 100 * time.Millisecond, StartOffset: kafka.FirstOffset,
		})
	}
	one, err := join()
	if err != nil {
		return err
	}
	defer one.Close()
	generation, err := one.Next(context.Background())
	if err := first(err, same(len(generation.Assignments[topic]), 4, "assigned alone")); err != nil {
		return err
	}
	// A generation ends once a function of it ends; this one waits for the rebalance.
	generation.Start(func(ctx context.Context) { <-ctx.Done() })
	two, err := join()
	if err != nil {
		return err
	}
	joined := make(chan error, 1)
	go func() {
		generation, err := two.Next(context.Background())
		if err == nil {
			err = same(len(generation.Assignments[topic]), 2, "assigned to the second")
			generation.Start(func(ctx context.Context) { <-ctx.Done() })
		}
		joined <- err
	}()
	for {
		generation, err = one.Next(context.Background())
		if err != nil {
			return err
		}
		if len(generation.Assignments[topic]) == 2 {
			break
		}
		generation.Start(func(ctx context.Context) { <-ctx.Done() })
	}
	err = generation.CommitOffsets(map[string]map[int]int64{topic: {generation.Assignments[topic][0].ID: 1}})
	if err := first(err, <-joined); err != nil {
		return err
	}
	generation.Start(func(ctx context.Context) { <-ctx.Done() })
	if err := two.Close(); err != nil {
		return err
	}
	generation, err = one.Next(context.Background())
	return first(err, same(len(generation.Assignments[topic]), 4, "assigned after the second went"))
}
