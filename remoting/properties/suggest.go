package properties

import (
	"fmt"
	"strings"
)

// enumerate names the first few keys, quoted because they may hold anything.
func enumerate(keys []string) string {
	const shown = 8
	var b strings.Builder
	for i, k := range keys[:min(shown, len(keys))] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%.40q", k)
	}
	if more := len(keys) - shown; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// Nearest returns the known key that resembles key most, "" when none does.
func Nearest(key string, known Keys) string {
	names := make(map[string]bool, len(known))
	for _, k := range known {
		names[k] = true
	}
	return nearest(key, names)
}

// nearest returns the known key with the fewest edits from key, case not counted, or "" when
// more than a quarter of key would have to change. Among equals the first by name wins.
func nearest(key string, known map[string]bool) string {
	limit := max(1, len(key)/4)
	best, bestEdits := "", limit+1
	lower := strings.ToLower(key)
	for candidate := range known {
		// The length alone rules most out, and keeps foreign giant keys cheap.
		if max(len(key)-len(candidate), len(candidate)-len(key)) > limit {
			continue
		}
		edits := editDistance(lower, strings.ToLower(candidate))
		if edits < bestEdits || (edits == bestEdits && best != "" && candidate < best) {
			best, bestEdits = candidate, edits
		}
	}
	return best
}

// editDistance is Levenshtein's, over bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
