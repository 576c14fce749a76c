package main

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

// args are the key=value words of a call. Reading one marks it as known; leftover reports the rest.
type args struct {
	values map[string]string
	known  map[string]bool
	bad    []string
}

func parseArgs(words []string) *args {
	a := &args{values: map[string]string{}, known: map[string]bool{}}
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		if !ok {
			a.bad = append(a.bad, w)
			continue
		}
		a.values[k] = v
	}
	return a
}

func (a *args) has(key string) bool {
	a.known[key] = true
	_, ok := a.values[key]
	return ok
}

func (a *args) str(key, def string) string {
	if a.has(key) {
		return a.values[key]
	}
	return def
}

func (a *args) num(key string, def int) int {
	if !a.has(key) {
		return def
	}
	n, err := strconv.Atoi(a.values[key])
	if err != nil {
		a.bad = append(a.bad, key+"="+a.values[key])
	}
	return n
}

// duration reads a number of milliseconds.
func (a *args) duration(key string, def time.Duration) time.Duration {
	return time.Duration(a.num(key, int(def/time.Millisecond))) * time.Millisecond
}

// withPrefix returns the options whose key begins with prefix, prefix cut off.
func (a *args) withPrefix(prefix string) map[string]string {
	m := map[string]string{}
	for k, v := range a.values {
		if rest, ok := strings.CutPrefix(k, prefix); ok {
			a.known[k] = true
			m[rest] = v
		}
	}
	return m
}

// check fails with errUsage when a word could not be read or nobody asked for it.
func (a *args) check(required ...string) error {
	for _, k := range required {
		if a.values[k] == "" {
			a.bad = append(a.bad, k+" is missing")
		}
	}
	for k := range a.values {
		if !a.known[k] {
			a.bad = append(a.bad, k)
		}
	}
	if len(a.bad) == 0 {
		return nil
	}
	sort.Strings(a.bad)
	return fmt.Errorf("%w: cannot use %s", errUsage, strings.Join(a.bad, ", "))
}
