package dynamic

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bool allows true and false, whatever their case. Java takes all else for false.
func Bool(value string) string {
	if strings.EqualFold(value, "true") || strings.EqualFold(value, "false") {
		return ""
	}
	return "it is neither true nor false"
}

// Range allows whole numbers from least to most.
func Range(least, most int64) func(string) string {
	return func(value string) string {
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= least && n <= most {
			return ""
		}
		return fmt.Sprintf("it is no number from %d to %d", least, most)
	}
}

// LogLevel allows the levels of the log.
func LogLevel(value string) string {
	return OneOf("trace", "debug", "info", "warn", "error")(value)
}

// OneOf allows some words.
func OneOf(words ...string) func(string) string {
	return func(value string) string {
		if slices.Contains(words, value) {
			return ""
		}
		return "it is none of " + strings.Join(words, ", ")
	}
}
