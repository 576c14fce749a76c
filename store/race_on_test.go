//go:build race

package store

// underRace thins the matrices out: the race detector makes them ten times slower and finds nothing in a
// crash image.
const underRace = true
