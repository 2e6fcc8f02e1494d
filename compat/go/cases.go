// The cases of the check written in Go; the counterpart of harness/cases.py.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
)

var (
	bootstrap = os.Getenv("COMPAT_BOOTSTRAP")
	wanted    = os.Getenv("COMPAT_CASE")
	absent    = strings.Split(os.Getenv("COMPAT_ABSENT"), ",")
	topics    int
)

// A testCase fails by a panic or an error; needs names a class of absent.txt.
type testCase struct {
	name, needs string
	body        func() error
}

// newName makes a name of a topic or a group that no other case of this run uses.
func newName(stem string) string {
	topics++
	return fmt.Sprintf("%s-%d-%d", stem, os.Getpid(), topics)
}

// until waits until probe says true.
func until(what string, probe func() bool) error {
	deadline := time.Now().Add(40 * time.Second)
	for !probe() {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not after 40 s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

func same(actual, expected any, what string) error {
	if !reflect.DeepEqual(actual, expected) {
		return fmt.Errorf("%s: expected %v, got %v", what, expected, actual)
	}
	return nil
}

// first returns the first error of some.
func first(errors ...error) error {
	for _, err := range errors {
		if err != nil {
			return err
		}
	}
	return nil
}

func report(name, status string, since time.Time, reason string) {
	line, _ := json.Marshal(map[string]any{"case": name, "status": status, "seconds": time.Since(since).Seconds(), "reason": reason})
	fmt.Printf("@case %s\n", line)
}

// run runs one case with a bound on its time.
func run(body func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if found := recover(); found != nil {
				done <- fmt.Errorf("panic: %v", found)
			}
		}()
		done <- body()
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(90 * time.Second):
		return fmt.Errorf("not done after 90 s")
	}
}

func main() {
	failed := false
	for _, one := range slices.Concat(saramaCases, segmentioCases, franzCases, transactionCases) {
		if wanted != "" && wanted != one.name {
			continue
		}
		since := time.Now()
		if one.needs != "" && slices.Contains(absent, one.needs) {
			report(one.name, "SKIP", since, "needs "+one.needs)
			continue
		}
		fmt.Printf("--- %s\n", one.name)
		if err := run(one.body); err != nil {
			failed = true
			report(one.name, "FAIL", since, err.Error())
			continue
		}
		report(one.name, "PASS", since, "")
	}
	if failed {
		os.Exit(1)
	}
}
