package main

import "sync"

// A readLog holds what the members of a group have read: each record at least once, each partition in order.
type readLog struct {
	lock sync.Mutex
	seen map[int32]map[int64]bool
}

func newReadLog() *readLog { return &readLog{seen: map[int32]map[int64]bool{}} }

func (l *readLog) add(partition int32, offset int64) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.seen[partition] == nil {
		l.seen[partition] = map[int64]bool{}
	}
	l.seen[partition][offset] = true
}

// whole says whether each partition was read from 0 up to the end.
func (l *readLog) whole(partitions int32, end int64) bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	for partition := range partitions {
		for offset := range end {
			if !l.seen[partition][offset] {
				return false
			}
		}
	}
	return true
}
