package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var franzCases = []testCase{
	{"franz-group-cooperative", "groups", func() error { return franzGroup(kgo.Balancers(kgo.CooperativeStickyBalancer())) }},
	{"franz-group-consumer", "consumer-protocol", func() error {
		return franzGroup(kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
	}},
	{"franz-group-consumer-range", "consumer-protocol", func() error {
		return franzGroup(kgo.Balancers(kgo.RangeBalancer()), kgo.ServerSideBalancer())
	}},
}

// A franzMember reads until it is told to leave.
type franzMember struct {
	client *kgo.Client
	stop   context.CancelFunc
	ended  chan error
}

func franzJoin(group, topic string, log *readLog, options ...kgo.Opt) (*franzMember, error) {
	options = append(options, kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitInterval(200*time.Millisecond), kgo.FetchMaxWait(200*time.Millisecond))
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	member := &franzMember{client, stop, make(chan error, 1)}
	go func() {
		for {
			fetched := client.PollFetches(ctx)
			if ctx.Err() != nil {
				member.ended <- nil
				return
			}
			for _, failed := range fetched.Errors() {
				if !errors.Is(failed.Err, context.Canceled) {
					member.ended <- failed.Err
					return
				}
			}
			fetched.EachRecord(func(record *kgo.Record) { log.add(record.Partition, record.Offset) })
		}
	}()
	return member, nil
}

func (m *franzMember) leave() error {
	m.stop()
	err := <-m.ended
	if err == nil {
		err = m.client.CommitUncommittedOffsets(context.Background())
	}
	m.client.Close()
	return err
}

// What the group of a name looks like to an administrator: how many partitions each of its members has.
func franzSizes(admin *kadm.Client, group string, topic string) ([]int, error) {
	var sizes []int
	told, err := admin.DescribeConsumerGroups(context.Background(), group)
	if err == nil && told[group].Err == nil {
		for _, member := range told[group].Members {
			sizes = append(sizes, len(member.Assignment[topic]))
		}
		return sizes, nil
	}
	classic, err := admin.DescribeGroups(context.Background(), group)
	if err != nil {
		return nil, err
	}
	for _, member := range classic[group].Members {
		count := 0
		if assigned, is := member.Assigned.AsConsumer(); is {
			for _, one := range assigned.Topics {
				count += len(one.Partitions)
			}
		}
		sizes = append(sizes, count)
	}
	return sizes, nil
}

func franzGroup(options ...kgo.Opt) error {
	topic, err := saramaTopic(6, 50)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	name, log := newName("group"), newReadLog()
	shared := func(wanted ...int) func() bool {
		return func() bool {
			sizes, err := franzSizes(admin, name, topic)
			return err == nil && fmt.Sprint(sizes) == fmt.Sprint(wanted)
		}
	}
	one, err := franzJoin(name, topic, log, options...)
	if err != nil {
		return err
	}
	if err := until("all records at one", func() bool { return log.whole(6, 50) && shared(6)() }); err != nil {
		return err
	}
	two, err := franzJoin(name, topic, log, options...)
	if err := first(err, until("three partitions each", shared(3, 3)), saramaFill(topic, 6, 50, 80)); err != nil {
		return err
	}
	if err := first(until("the rest", func() bool { return log.whole(6, 80) }), one.leave(), until("all partitions at two", shared(6))); err != nil {
		return err
	}
	return first(two.leave(), saramaCommitted(name, topic, 6, 80))
}
